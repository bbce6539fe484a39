-- The row is the truth: everything the engine knows about a podcast is here or hangs on its id.

create schema if not exists dailycast;

-- The moves the machine allows (src/machine/table.rs; a test compares the two lists).
create function dailycast.is_legal_move(from_status text, to_status text) returns boolean
language sql immutable parallel safe as $$
    select (from_status, to_status) in (
        ('pending', 'script_generated'),
        ('script_generated', 'audio_generating'),
        ('audio_generating', 'pending_upload'),
        ('pending_upload', 'completed'),
        ('pending_upload', 'completed_with_fallback'),
        ('audio_generating', 'script_generated'),
        ('pending_upload', 'script_generated'),
        ('pending', 'failed'),
        ('script_generated', 'failed'),
        ('audio_generating', 'failed'),
        ('pending_upload', 'failed'),
        ('failed', 'pending'),
        ('failed', 'script_generated'),
        ('failed', 'pending_upload')
    )
$$;

create table dailycast.daily_podcast (
    id bigint generated always as identity primary key,
    user_id bigint not null,
    date date not null,
    status text not null default 'pending',
    is_active boolean not null default true,

    -- what moves it
    plan text not null default 'free',
    attempt integer not null default 0,
    crashes integer not null default 0,
    moves integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    deadline_at timestamptz not null,
    lease_token bigint,
    worker_id integer,
    error_kind text,
    error_message text,

    -- the script
    script_text text,
    language text,
    title text,
    topic text,
    ai_model_used text,
    script_usage jsonb,
    is_fallback boolean,

    -- the speech
    tts_provider text,
    tts_voice text,
    tts_voice_gender text,
    chunk_plan jsonb,
    spool_ref text,
    audio_sha256 text,
    audio_bytes bigint,
    duration_seconds integer,
    loudness_lufs double precision,

    -- the upload
    audio_url text,
    object_key text,
    object_etag text,

    cost_micro_usd bigint not null default 0,
    metadata jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    finished_at timestamptz,

    constraint status_is_known check (status in
        ('pending', 'script_generated', 'audio_generating', 'pending_upload',
         'completed', 'completed_with_fallback', 'failed')),
    constraint final_means_finished check
        ((finished_at is not null) = (status in ('completed', 'completed_with_fallback', 'failed'))),
    constraint lease_has_token_and_worker check ((lease_token is null) = (worker_id is null)),
    constraint finished_is_free check (finished_at is null or lease_token is null),
    constraint counters_count check (attempt >= 0 and crashes >= 0 and cost_micro_usd >= 0),
    constraint script_before_speech check (script_text is not null or status in ('pending', 'failed')),
    constraint plan_before_chunks check
        (status <> 'audio_generating' or (tts_provider is not null and chunk_plan is not null)),
    constraint audio_before_upload check
        (status <> 'pending_upload' or (spool_ref is not null and duration_seconds is not null)),
    constraint object_before_completed check
        (status not in ('completed', 'completed_with_fallback') or (object_key is not null and audio_url is not null)),
    constraint fallback_by_name check
        (status not in ('completed', 'completed_with_fallback')
         or coalesce(is_fallback, false) = (status = 'completed_with_fallback')),
    constraint failed_says_why check (status <> 'failed' or error_kind is not null)
)
-- A podcast is updated five times in its life and then never again: room in the page keeps most
-- of these updates within it (heap-only), so that no index is touched.
with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);

-- A script is larger than a row may be, so it is compressed and kept apart. lz4 does it in a tenth
-- of the time; a server that was built without it keeps its own way.
do $$ begin
    alter table dailycast.daily_podcast alter column script_text set compression lz4;
exception when feature_not_supported then null;
end $$;

-- None of these columns changes while a podcast is on its way, so its updates stay heap-only;
-- only the last one, which sets finished_at, leaves daily_podcast_unfinished.
create unique index daily_podcast_one_per_day on dailycast.daily_podcast (user_id, date) where is_active;
create index daily_podcast_date on dailycast.daily_podcast (date, id);
create index daily_podcast_unfinished on dailycast.daily_podcast (id) where finished_at is null;

create function dailycast.refuse_illegal_move() returns trigger language plpgsql as $$
begin
    if dailycast.is_legal_move(old.status, new.status) then
        return new;
    end if;
    raise exception 'podcast % cannot go from % to %', old.id, old.status, new.status
        using errcode = 'check_violation', constraint = 'status_moves_by_the_table';
end
$$;

create trigger status_moves_by_the_table before update of status on dailycast.daily_podcast
for each row when (old.status <> new.status) execute function dailycast.refuse_illegal_move();

create function dailycast.refuse_illegal_birth() returns trigger language plpgsql as $$
begin
    raise exception 'a podcast cannot be born %', new.status
        using errcode = 'check_violation', constraint = 'status_moves_by_the_table';
end
$$;

create trigger born_by_the_table before insert on dailycast.daily_podcast
for each row when (new.status not in ('pending', 'script_generated'))
execute function dailycast.refuse_illegal_birth();

-- One line per move, written in the statement that moves the row. No foreign key: the two are
-- written together and pruned together, and a check per line would cost more than the line.
create table dailycast.podcast_event (
    podcast_id bigint not null,
    id bigint generated always as identity,
    at timestamptz not null default now(),
    event text not null,
    from_status text,
    to_status text not null,
    attempt integer not null default 0,
    worker_id integer,
    provider text,
    duration_ms integer,
    cost_micro_usd bigint not null default 0,
    error_kind text,
    detail text,
    primary key (podcast_id, id)
);

-- The ledger: one line per request that a provider may bill.
create table dailycast.provider_call (
    podcast_id bigint not null,
    id bigint generated always as identity,
    at timestamptz not null default now(),
    provider text not null,
    model text not null,
    operation text not null,
    units jsonb not null,
    cost_micro_usd bigint not null,
    latency_ms integer not null,
    outcome text not null,
    request_id text,
    primary key (podcast_id, id)
);

-- The fence: one number per claim statement, ever growing.
create sequence dailycast.lease_token;
