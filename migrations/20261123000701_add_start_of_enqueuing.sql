-- When the learners of a night were last gone through from the first one on; null while that was
-- only its start.
alter table dailycast.night add column enqueuing_since timestamptz;
