-- Audio that waits for its upload, for `spool.kind = "postgres"`: workers without a disk of their own.
-- A line is a spoken chunk or the episode; it goes when the podcast is finished.
create table dailycast.audio_spool (
    podcast_id bigint not null,
    -- `episode`, or the round and number of a chunk, like `1-0`.
    part text not null,
    mp3 bytea not null,
    -- Counted where it is written: the room that is taken is the sum of few small numbers.
    bytes bigint not null generated always as (octet_length(mp3)) stored,
    primary key (podcast_id, part)
);

-- An MP3 cannot be compressed any further.
alter table dailycast.audio_spool alter column mp3 set storage external;

-- A night writes each byte once and removes it minutes later. Room is given back for the next
-- episodes every thousand lines, instead of when the table has grown by a share of itself.
alter table dailycast.audio_spool set (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000,
    toast.autovacuum_vacuum_scale_factor = 0,
    toast.autovacuum_vacuum_threshold = 100000
);
