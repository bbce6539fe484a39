-- The stuck podcasts again, faster: one walk in steps instead of three scans of the unfinished, and
-- for each step one stretch of the queue instead of one look for each podcast. Podcasts and jobs lie
-- in the same order, since a job's id is made from the podcast's. The last step is given whole, so
-- more than `most` may come; who asks cuts.
--
-- What is stuck is said by dailycast.is_stuck, and this must mean the same.

create or replace function dailycast.stuck_podcasts(below bigint, of_date date, most bigint)
returns table (id bigint, is_active boolean, updated_at timestamptz) language plpgsql stable
-- the statistics of an emptied queue would have all of it read, or each job looked for, in every step
set enable_seqscan = off set enable_nestloop = off set enable_mergejoin = off as $$
declare
    step constant bigint := 10000;
    has_workers constant boolean := exists (
        select from dailycast.worker w
        where w.stopped_at is null and w.heartbeat_at > now() - w.lease_ms * interval '1 millisecond');
    first_id bigint;
    seen bigint;
    found_now bigint;
    found_so_far bigint := 0;
begin
    if exists (select from dailycast.pause) then
        return;
    end if;
    loop
        select min(one.id), count(*) into first_id, seen
        from (select p.id from dailycast.daily_podcast p
              where p.finished_at is null and p.id < below order by p.id desc limit step) one;
        exit when seen = 0;
        return query
            select p.id, p.is_active, p.updated_at
            from dailycast.daily_podcast p
            left join (
                select w.id from dailycast.worker w
                where w.stopped_at is null and w.heartbeat_at > now() - w.lease_ms * interval '1 millisecond'
            ) living on living.id = p.worker_id
            left join (
                select j.id from apalis.jobs j
                where j.id >= dailycast.job_id(first_id) and j.id < dailycast.job_id(below)
                  and j.job_type = 'dailycast.podcast' and j.status = 'Pending'
            ) job on job.id = dailycast.job_id(p.id)
            where p.finished_at is null and p.id >= first_id and p.id < below and (of_date is null or p.date = of_date)
              and case
                  -- held by a worker that is not alive
                  when p.worker_id is not null then living.id is null
                  -- overdue, and no job names it or nobody is there to do it
                  else p.next_attempt_at <= now() - interval '1 minute' and (job.id is null or not has_workers)
              end
            order by p.id desc;
        get diagnostics found_now = row_count;
        found_so_far := found_so_far + found_now;
        exit when seen < step or found_so_far >= most;
        below := first_id;
    end loop;
end
$$;
