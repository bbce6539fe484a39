-- The role of the service: it works with the rows and can change nothing else. Not applied by
-- `dailycast migrate`: run it once by the role that migrates, which owns the tables and views.
-- How the role logs in (a password, a certificate, pg_hba.conf) is yours; then let `database.url`
-- name it. `dailycast migrate` goes on as the owner. Safe to repeat.
--
-- It needs nothing beyond this: the locks and notifications it uses are open to every role, and
-- it may only end sessions of its own.

do $$ begin
    create role dailycast_service login;
exception when duplicate_object or unique_violation then null;
end $$;

-- Rows come and go; tables, functions and triggers are the owner's. The ledgers of migrations are
-- for reading.
grant usage on schema dailycast, apalis to dailycast_service;
grant select, insert, update, delete on all tables in schema dailycast, apalis to dailycast_service;
grant usage on all sequences in schema dailycast, apalis to dailycast_service;
revoke insert, update, delete on dailycast.migration, apalis._sqlx_migrations from dailycast_service;

-- The same for what later migrations make.
alter default privileges in schema dailycast, apalis
    grant select, insert, update, delete on tables to dailycast_service;
alter default privileges in schema dailycast, apalis grant usage on sequences to dailycast_service;

-- Of the academy it may read the learner views, and never what is behind them. Put the name of your
-- schema here when `academy.schema` is another one.
grant usage on schema academy to dailycast_service;
grant select on academy.learner, academy.learner_token, academy.learner_ability, academy.learner_week,
    academy.learner_due_review, academy.learner_mistake, academy.learner_quiz, academy.learner_interest
    to dailycast_service;
