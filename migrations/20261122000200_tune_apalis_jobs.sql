-- apalis's own table carries our deliveries. What it brings beyond need is taken off: two indexes
-- that repeat others, and a notification for every inserted row (a night would send a million;
-- we send one per batch). The columns and the meaning of apalis stay as they are.
drop index if exists apalis.unique_job_id;
drop index if exists apalis.lidx;
alter table apalis.jobs disable trigger notify_workers;
alter table apalis.jobs set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

create function dailycast.job_id(podcast_id bigint) returns text
language sql immutable parallel safe as $$ select lpad(podcast_id::text, 26, '0') $$;

-- The one place that knows what our job looks like: one per podcast, its id a ULID made of the
-- podcast's id, so that jobs are found by primary key and inserted in order. Arming a job that
-- exists makes it deliverable again at the new time; a doubled call does no harm.
create function dailycast.arm_jobs(podcast_ids bigint[], run_ats timestamptz[], job_priority integer) returns bigint
language sql volatile as $$
    with armed as (
        insert into apalis.jobs (id, job_type, job, run_at, priority, idempotency_key)
        select dailycast.job_id(podcast_id), 'dailycast.podcast',
               convert_to('{"podcast_id":' || podcast_id || '}', 'UTF8'), run_at, job_priority, podcast_id::text
        from unnest(podcast_ids, run_ats) as due (podcast_id, run_at)
        on conflict (job_type, idempotency_key) do update
        set status = 'Pending', run_at = excluded.run_at, priority = excluded.priority,
            lock_by = null, lock_at = null, done_at = null, last_result = null
        returning 1
    )
    select count(*) from armed
$$;
