-- One row per process that works. Its heartbeat is the lease of every podcast it holds; its id is
-- also the key of the advisory lock by which the database proves that the process lives.
create table dailycast.worker (
    id integer generated always as identity primary key,
    name text not null,
    host text not null,
    boot_id text not null,
    pid integer not null,
    pid_started bigint not null,
    version text not null,
    concurrency integer not null,
    lease_ms bigint not null,
    beat_ms bigint not null,
    started_at timestamptz not null default now(),
    heartbeat_at timestamptz not null default now(),
    stopped_at timestamptz,
    stop_reason text,
    constraint stop_has_reason check ((stopped_at is null) = (stop_reason is null))
)
with (fillfactor = 50);

-- One row per date: the night of that date. Whoever inserts it has started the night; the cursor
-- says how far its learners are enqueued, so that anyone can go on.
create table dailycast.night (
    date date primary key,
    state text not null default 'enqueuing',
    started_by text not null,
    scheduled_for timestamptz not null,
    deadline_at timestamptz not null,
    cursor_user_id bigint not null default 0,
    eligible bigint not null default 0,
    enqueued bigint not null default 0,
    started_at timestamptz not null default now(),
    enqueued_at timestamptz,
    finished_at timestamptz,
    constraint state_is_known check (state in ('enqueuing', 'running', 'finished')),
    constraint enqueued_once check ((enqueued_at is null) = (state = 'enqueuing')),
    constraint finished_once check ((finished_at is null) = (state <> 'finished'))
);

-- Secrets that the service makes for itself when the configuration names none.
create table dailycast.secret (
    name text primary key,
    value bytea not null,
    created_at timestamptz not null default now()
);

-- Stuck, the one meaning of it: not finished, and what should move it is missing. A podcast that is
-- held is stuck when its worker is not alive; one that is overdue is stuck when no job names it or
-- no worker is alive. Waiting for a stated time, or for a free slot, is neither.
create function dailycast.is_stuck(p dailycast.daily_podcast) returns boolean language sql stable as $$
    select p.finished_at is null and case
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
