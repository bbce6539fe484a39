-- A learner who left the academy leaves nothing here (src/store/erasure.rs). None of these tables
-- is met by the engine's own statements, and both indexes are empty as long as nothing is replaced
-- or parked: a night writes as much as before.
--
-- Old podcasts are deleted row by row (src/store/retention.rs), not dropped by partition: each
-- commit finds its rows by index, lasts a moment and takes no lock that a reader meets, and vacuum
-- gives the room to the next nights. Partitions by date would make the one statement of learners,
-- "today and the latest before it", look into each of them.

-- Learners on their way out. Missed by the academy at first, which may be the academy's mistake;
-- then confirmed, by time or by an operator. A line goes last, after everything it stands for.
create table dailycast.erasure (
    user_id bigint primary key,
    missed_at timestamptz not null default now(),
    missed_again_at timestamptz not null default now(),
    looks integer not null default 1,
    confirmed_at timestamptz,
    confirmed_by text,
    due_at timestamptz,
    found_at timestamptz,
    podcasts bigint not null default 0,
    objects bigint not null default 0,
    constraint confirmed_by_someone check
        ((confirmed_at is null) = (confirmed_by is null) and (confirmed_at is null) = (due_at is null))
);

-- How far the walk over all learners with podcasts has come, and how many the last one met.
create table dailycast.erasure_walk (
    only_one boolean primary key default true check (only_one),
    after_user_id bigint not null default 0,
    seen bigint not null default 0,
    known bigint not null default 0,
    walked_at timestamptz
);
insert into dailycast.erasure_walk default values;

-- What remains of the erased: how many on a day, and what their calls had cost. Nobody's number.
create table dailycast.erased (
    day date primary key,
    learners bigint not null,
    podcasts bigint not null,
    objects bigint not null
);
create table dailycast.erased_spending (
    date date not null,
    plan text not null,
    provider text not null,
    model text not null,
    calls bigint not null,
    failed bigint not null,
    input_tokens numeric not null,
    output_tokens numeric not null,
    characters numeric not null,
    requests numeric not null,
    cost_micro_usd bigint not null,
    primary key (date, plan, provider, model)
);

-- Finds the podcasts that daily_podcast_one_per_day leaves out.
create index daily_podcast_replaced on dailycast.daily_podcast (user_id) where not is_active;

-- Finds the jobs that were put away because they name no podcast.
create index jobs_parked on apalis.jobs (done_at) where status = 'Killed';
