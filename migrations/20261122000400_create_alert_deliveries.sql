-- Where alerts are sent. The worker that leads keeps this table as its configuration says; no row,
-- nothing to send. A sink is served by one worker at a time, under a short lease, and rests after
-- a failure: it is the sink that is ill, not one message.
create table dailycast.alert_sink (
    name text primary key,
    failures_in_a_row integer not null default 0,
    next_try_at timestamptz not null default 'epoch',
    lease_token bigint,
    leased_until timestamptz,
    constraint lease_has_token_and_end check ((lease_token is null) = (leased_until is null)),
    constraint failures_count check (failures_in_a_row >= 0)
);

-- What is to be told, or was: a row per alert, sink and piece of news.
create table dailycast.alert_delivery (
    alert_id bigint not null references dailycast.alert on delete cascade,
    sink text not null,
    news text not null,
    created_at timestamptz not null default now(),
    due_at timestamptz not null default now(),
    tries integer not null default 0,
    sent_at timestamptz,
    given_up_at timestamptz,
    error text,
    primary key (alert_id, sink, news),
    constraint news_is_known check (news in ('raised', 'resolved')),
    constraint ends_once check (sent_at is null or given_up_at is null),
    constraint tries_count check (tries >= 0)
);

create index alert_delivery_unsent on dailycast.alert_delivery (sink, alert_id)
where sent_at is null and given_up_at is null;

-- How long a cause must be gone before anybody is told that it is. The same cause within this time
-- is the same alert.
create function dailycast.alert_calm() returns interval language sql immutable parallel safe
return interval '10 minutes';

-- What is news is written in the transaction that makes it, whoever makes it.
create function dailycast.tell_sinks() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into dailycast.alert_delivery (alert_id, sink, news)
        select new.id, name, 'raised' from dailycast.alert_sink where new.resolved_at is null;
        return null;
    end if;
    if old.resolved_at is null and new.resolved_at is not null then
        -- A little later than the calm ends: no slow transaction can open again what was told as over.
        insert into dailycast.alert_delivery (alert_id, sink, news, due_at)
        select new.id, name, 'resolved', now() + dailycast.alert_calm() + interval '1 minute' from dailycast.alert_sink
        on conflict do nothing;
    elsif old.resolved_at is not null and new.resolved_at is null then
        delete from dailycast.alert_delivery where alert_id = new.id and news = 'resolved' and sent_at is null;
    end if;
    if old.acknowledged_at is null and new.acknowledged_at is not null then
        -- Who took note need not be told any more.
        delete from dailycast.alert_delivery
        where alert_id = new.id and news = 'raised' and sent_at is null and given_up_at is null;
    end if;
    return null;
end
$$;

create trigger news_goes_to_the_sinks after insert or update of resolved_at, acknowledged_at on dailycast.alert
for each row execute function dailycast.tell_sinks();

-- What the rules ask of the last day's event lines: who was given up, and who waited for the spool.
-- Lines are never updated, so these indexes cost something only for such a line.
create index podcast_event_gave_up on dailycast.podcast_event (at) where event = 'gave_up';
create index podcast_event_spool_full on dailycast.podcast_event (at) where error_kind = 'spool_full';
