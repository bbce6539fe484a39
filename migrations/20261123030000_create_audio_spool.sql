-- Audio that waits for its upload, for `spool.kind = "postgres"`: workers without a disk of their own.
-- A line is a spoken chunk, the episode, or room that is set aside for what will come. All of a podcast
-- goes when it is made, or removed.
create table dailycast.audio_spool (
    podcast_id bigint not null,
    -- `episode`, the round and number of a chunk like `1-0`, or `room`.
    part text not null,
    mp3 bytea not null,
    -- Those of the MP3, or those set aside: what is taken is the sum of small numbers.
    bytes bigint not null check (bytes >= 0 and (part = 'room' or bytes = octet_length(mp3))),
    -- A random number of who set the room aside, and may give it back.
    holder bigint check ((part = 'room') = (holder is not null)),
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
