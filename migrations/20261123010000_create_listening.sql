-- What learners do with their episodes: hear, like, share, follow by a feed, ask for one. The engine
-- never reads it. What hangs on a podcast goes with it.

-- One line for each episode that its learner did something with.
create table dailycast.listening (
    podcast_id bigint primary key references dailycast.daily_podcast on delete cascade,
    -- where the learner stopped, on whatever device
    position_ms integer not null default 0,
    heard_at timestamptz,
    liked_at timestamptz,
    -- a shared episode: what its link is made from, and what is found by it
    share_seed bytea,
    share_hash bytea unique,
    shared_at timestamptz,
    constraint position_is_forward check (position_ms >= 0),
    constraint share_is_whole check
        ((share_seed is null) = (share_hash is null) and (share_seed is null) = (shared_at is null))
);

-- A learner's private feed. The link is made from the seed and the signing secret, so that a copy of
-- this table opens nothing; found by the hash of its key. The guid stays when the link changes.
create table dailycast.feed (
    user_id bigint primary key,
    guid uuid not null default gen_random_uuid(),
    seed bytea not null,
    key_hash bytea not null unique,
    created_at timestamptz not null default now(),
    rotated_at timestamptz
);

-- Links that were taken back: whoever follows one is told so. Nobody can tell whose they were.
create table dailycast.revoked_link (
    key_hash bytea primary key,
    revoked_at timestamptz not null default now()
);

-- When a learner last had an episode made at once.
create table dailycast.generation (
    user_id bigint primary key,
    asked_at timestamptz not null default now()
);

-- Learners' sessions are many, and live long: those that have ended, and those of one learner, are
-- found by these.
create index session_expires_at on dailycast.session (expires_at);
create index session_user_id on dailycast.session (user_id);
