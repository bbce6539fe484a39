-- no-transaction
-- Finds the podcasts that have failed; lines are never updated, so it costs something only for such
-- a line. Made while work goes on: there may be millions of lines.
create index concurrently if not exists podcast_event_ended
on dailycast.podcast_event (podcast_id) where event in ('gave_up', 'cancelled');
