-- apalis's own table carries our deliveries. What it brings beyond need is taken off: two indexes
-- that repeat others, and a notification for every inserted row (a night would send a million;
-- we send one per batch). The columns and the meaning of apalis stay as they are.
drop index if exists apalis.unique_job_id;
drop index if exists apalis.lidx;
alter table apalis.jobs disable trigger notify_workers;
alter table apalis.jobs set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
