-- One row per provider that was ever called: what the whole fleet knows of it. Workers change it
-- under its lock, for many calls at a time: to tell how they ended, and to reserve slots.
create table dailycast.provider_state (
    provider text primary key,

    -- The breaker. Open without an end is open until an operator closes it; open with an end that
    -- has passed lets one probe through. Every change begins a generation, so that the news of a
    -- call from before counts no more.
    generation bigint not null default 0,
    cause text,
    message text,
    opened_at timestamptz,
    open_until timestamptz,
    rest_ms bigint not null default 0,
    probe_by text,
    probe_until timestamptz,
    failures_in_a_row integer not null default 0,
    changed_at timestamptz,
    changed_by text,

    -- The provider asked for a pause until then.
    paused_until timestamptz,

    -- The rate limit: when the next call would be due if all calls were evenly spaced.
    next_slot_at timestamptz not null default 'epoch',

    -- For people.
    calls bigint not null default 0,
    failures bigint not null default 0,
    latency_ms double precision,
    last_call_at timestamptz,

    constraint cause_is_known check (cause in ('failures', 'out_of_credit', 'key_refused', 'operator')),
    constraint open_has_cause check ((cause is null) = (opened_at is null)),
    constraint only_open_has_end check (cause is not null or (open_until is null and probe_until is null)),
    constraint probe_has_end check ((probe_by is null) = (probe_until is null)),
    constraint counters_count check (failures_in_a_row >= 0 and calls >= 0 and failures >= 0 and rest_ms >= 0)
)
with (fillfactor = 50);

-- What an operator should know, once per cause. While an alert is open, its cause only counts.
create table dailycast.alert (
    id bigint generated always as identity primary key,
    kind text not null,
    subject text not null,
    message text not null,
    times bigint not null default 1,
    raised_at timestamptz not null default now(),
    last_at timestamptz not null default now(),
    resolved_at timestamptz,
    acknowledged_at timestamptz,
    acknowledged_by text,
    constraint acknowledged_by_someone check ((acknowledged_at is null) = (acknowledged_by is null))
);

create unique index alert_open_once on dailycast.alert (kind, subject) where resolved_at is null;

-- What the calls of a night have cost, as they end. The costs of its podcasts follow later, with
-- the moves that the calls lead to: too late for a budget.
create table dailycast.night_spending (
    date date primary key,
    micro_usd bigint not null,
    constraint spending_counts check (micro_usd >= 0)
)
with (fillfactor = 50);
