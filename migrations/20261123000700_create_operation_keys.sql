-- By which name somebody wished for an operation. Also who joined one that was under way finds it
-- again, however long it has been over.
create table dailycast.operation_key (
    actor text not null,
    key text not null,
    operation_id bigint not null references dailycast.operation (id) on delete cascade,
    reason text not null default '',
    primary key (actor, key)
);
create index operation_key_operation on dailycast.operation_key (operation_id);

insert into dailycast.operation_key (actor, key, operation_id, reason)
select actor, idempotency_key, id, reason from dailycast.operation where idempotency_key is not null;

alter table dailycast.operation drop column idempotency_key;
