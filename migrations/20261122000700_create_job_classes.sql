-- Who claims looks through one class of jobs after the other, each from where it last found
-- nothing older, so the classes have to be known. The trigger calls its function for strangers only.
create function dailycast.give_class() returns trigger language plpgsql as $$
begin
    new.priority := case when new.priority >= 10 then 10 when new.priority >= 5 then 5 when new.priority < 0 then -1 else 0 end;
    return new;
end
$$;

create trigger has_a_class before insert or update of priority on apalis.jobs
for each row when (new.job_type = 'dailycast.podcast' and coalesce(new.priority not in (10, 5, 0, -1), true))
execute function dailycast.give_class();

update apalis.jobs set priority = priority
where job_type = 'dailycast.podcast' and coalesce(priority not in (10, 5, 0, -1), true);

-- The first jobs of podcasts that were just born. No such job can exist, and not having to look
-- makes it a good deal cheaper than arming.
create function dailycast.first_jobs(podcast_ids bigint[], run_ats timestamptz[], job_priority integer) returns bigint
language sql volatile as $$
    with born as (
        insert into apalis.jobs (id, job_type, job, run_at, priority, idempotency_key)
        select dailycast.job_id(podcast_id), 'dailycast.podcast',
               convert_to('{"podcast_id":' || podcast_id || '}', 'UTF8'), run_at, job_priority, podcast_id::text
        from unnest(podcast_ids, run_ats) as due (podcast_id, run_at)
        returning 1
    )
    select count(*) from born
$$;
