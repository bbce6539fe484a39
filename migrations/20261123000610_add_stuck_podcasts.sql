-- Stuck podcasts below an id, the highest ids first in each of three parts, so many of each at most:
-- exactly those of which dailycast.is_stuck is true. That function answers for one row; asked of every
-- row of a large night it takes too long.
create function dailycast.stuck_podcasts(below bigint, of_date date, most bigint)
returns table (id bigint, is_active boolean, updated_at timestamptz) language sql stable as $$
    -- held by a worker that is not alive
    (select p.id, p.is_active, p.updated_at
     from dailycast.daily_podcast p
     where p.finished_at is null and p.worker_id is not null and not exists (select from dailycast.pause)
       and p.id < below and (of_date is null or p.date = of_date)
       and not exists (
           select from dailycast.worker w
           where w.id = p.worker_id and w.stopped_at is null
             and w.heartbeat_at > now() - w.lease_ms * interval '1 millisecond')
     order by p.id desc limit most)
    union all
    -- overdue, and no job names it
    (select p.id, p.is_active, p.updated_at
     from dailycast.daily_podcast p
     -- its limit keeps it one look by index for each, also with the statistics of an empty queue
     left join lateral (
         select true as is_there from apalis.jobs j
         where j.job_type = 'dailycast.podcast' and j.idempotency_key = p.id::text and j.status = 'Pending' limit 1
     ) job on true
     where p.finished_at is null and p.worker_id is null and not exists (select from dailycast.pause)
       and p.id < below and (of_date is null or p.date = of_date)
       and p.next_attempt_at <= now() - interval '1 minute' and job.is_there is null
       and exists (
           select from dailycast.worker w
           where w.stopped_at is null and w.heartbeat_at > now() - w.lease_ms * interval '1 millisecond')
     order by p.id desc limit most)
    union all
    -- overdue, and no worker is alive
    (select p.id, p.is_active, p.updated_at
     from dailycast.daily_podcast p
     where p.finished_at is null and p.worker_id is null and not exists (select from dailycast.pause)
       and p.id < below and (of_date is null or p.date = of_date)
       and p.next_attempt_at <= now() - interval '1 minute'
       and not exists (
           select from dailycast.worker w
           where w.stopped_at is null and w.heartbeat_at > now() - w.lease_ms * interval '1 millisecond')
     order by p.id desc limit most)
$$;
