-- What the moves of a podcast cost the server, measured with `bench engine`.

-- A trigger before an update locks the row first, which is one more record in the write-ahead log
-- for every move; and calling it costs more than asking whether it is needed. So it comes after the
-- update and is called only for what it refuses. A refused move still changes nothing.
create or replace function dailycast.refuse_illegal_move() returns trigger language plpgsql as $$
begin
    raise exception 'podcast % cannot go from % to %', old.id, old.status, new.status
        using errcode = 'check_violation', constraint = 'status_moves_by_the_table';
end
$$;

drop trigger status_moves_by_the_table on dailycast.daily_podcast;
create trigger status_moves_by_the_table after update of status on dailycast.daily_podcast
for each row when (old.status <> new.status and not dailycast.is_legal_move(old.status, new.status))
execute function dailycast.refuse_illegal_move();

-- A script that compresses to less than the usual target (a quarter of a page) would stay in its row,
-- and every later move would write it again. So it is kept apart whenever a row is large.
alter table dailycast.daily_podcast set (toast_tuple_target = 1024);

-- A row grows to three times its size at birth, and every update leaves the old version behind
-- until the page is tidied. With more room in a page, more updates stay within it and touch no
-- index; with less than this the table only grows larger.
alter table dailycast.daily_podcast set (fillfactor = 40);
