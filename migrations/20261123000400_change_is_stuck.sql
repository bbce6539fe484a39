-- During a pause nothing is stuck: that nothing moves is what an operator wants. Else as before.
create or replace function dailycast.is_stuck(p dailycast.daily_podcast) returns boolean language sql stable as $$
    select p.finished_at is null and not exists (select from dailycast.pause) and case
        when p.worker_id is not null then not exists (
            select from dailycast.worker w
            where w.id = p.worker_id and w.stopped_at is null
              and w.heartbeat_at > now() - w.lease_ms * interval '1 millisecond')
        when p.next_attempt_at > now() - interval '1 minute' then false
        else not exists (
                select from apalis.jobs j
                where j.job_type = 'dailycast.podcast' and j.idempotency_key = p.id::text and j.status = 'Pending')
            or not exists (
                select from dailycast.worker w
                where w.stopped_at is null and w.heartbeat_at > now() - w.lease_ms * interval '1 millisecond')
    end
$$;
