-- What operators see and do. None of it is met by the engine's own statements, but for the pause.

-- Who is logged in. Kept is a hash of what the cookie holds. What the person may do is asked of
-- the academy each time.
create table dailycast.session (
    key_hash bytea primary key,
    user_id bigint not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);

-- Links that let somebody in once, without a token.
create table dailycast.entrance (
    key_hash bytea primary key,
    user_id bigint not null,
    expires_at timestamptz not null
);

-- What operators did: one line each, written with what it changes where that is possible.
create table dailycast.audit (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    actor text not null,
    action text not null,
    subject text not null,
    detail text not null default '',
    operation_id bigint
);

-- A verb on many podcasts, carried out page by page. The cursor says how far it has come, so that
-- anyone can go on. An identical one that is not over is joined, not begun again.
create table dailycast.operation (
    id bigint generated always as identity primary key,
    verb text not null,
    from_step text,
    filter jsonb not null,
    reason text not null default '',
    actor text not null,
    idempotency_key text,
    state text not null default 'running',
    expected bigint not null,
    below bigint not null,
    done bigint not null default 0,
    skipped bigint not null default 0,
    deadline_at timestamptz not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    finished_at timestamptz,
    error text,
    constraint verb_is_known check (verb in ('requeue', 'cancel', 'regenerate')),
    constraint from_step_is_known check ((verb = 'regenerate') = (from_step is not null)
        and from_step in ('script', 'speech')),
    constraint state_is_known check (state in ('running', 'finished', 'stopped')),
    constraint finished_once check ((finished_at is null) = (state = 'running')),
    constraint counters_count check (expected >= 0 and done >= 0 and skipped >= 0)
);

create unique index operation_same_once on dailycast.operation (verb, coalesce(from_step, ''), md5(filter::text))
where state = 'running';
create unique index operation_key_once on dailycast.operation (actor, idempotency_key) where idempotency_key is not null;

-- While there is a row, nothing new is begun: no night starts, no podcast is claimed.
create table dailycast.pause (
    only_one boolean primary key default true check (only_one),
    paused_at timestamptz not null default now(),
    paused_by text not null,
    reason text not null default ''
);

-- Dates on which no night starts by itself.
create table dailycast.night_skip (
    date date primary key,
    skipped_at timestamptz not null default now(),
    skipped_by text not null,
    reason text not null default ''
);

-- A night that is over in figures (store::board::Summary), so that nobody has to count it again.
alter table dailycast.night add column summary jsonb;
