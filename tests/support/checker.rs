//! What must hold when a night is over, whatever happened during it.

use std::{collections::BTreeMap, path::Path};

use aws_sdk_s3::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
};
use dailycast::{
    audio,
    machine::{Status, replay},
    sim::{Billed, Count, Operation, Vendor},
};
use futures_util::{StreamExt as _, stream};
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use super::until;

/// Episodes that are read and decoded at the same time.
const AT_ONCE: usize = 8;

/// Everything that is wrong, one sentence each; empty when all is well.
pub async fn violations(pool: &PgPool) -> Vec<String> {
    let mut found = Vec::new();
    for (what, query) in QUERIES {
        let ids: Vec<String> = sqlx::query_scalar(*query).fetch_all(pool).await.unwrap();
        if !ids.is_empty() {
            found.push(format!("{what}: {} in all, {:?}", ids.len(), &ids[..ids.len().min(10)]));
        }
    }
    found.extend(histories_that_do_not_replay(pool).await);
    found
}

/// Panics with all that is wrong.
pub async fn assert_all_is_well(pool: &PgPool) {
    let found = violations(pool).await;
    assert!(found.is_empty(), "after the night:\n  {}", found.join("\n  "));
}

/// Each finds what must not be, as texts that name it.
const QUERIES: &[(&str, &str)] = &[
    (
        "not in a final status",
        "select id || ' ' || status from dailycast.daily_podcast where finished_at is null order by id",
    ),
    (
        "two active podcasts of a learner and date",
        "select user_id || ' ' || date from dailycast.daily_podcast where is_active group by user_id, date having count(*) > 1",
    ),
    ("still leased", "select id::text from dailycast.daily_podcast where lease_token is not null"),
    (
        "a job left behind",
        "select id || ' ' || status from apalis.jobs where job_type = 'dailycast.podcast' and status <> 'Killed'",
    ),
    (
        "scripted, spoken or uploaded twice",
        "select podcast_id || ' ' || event from dailycast.podcast_event
         where event in ('script_ready', 'audio_ready', 'uploaded') group by podcast_id, event
         having count(*) > 1 + (select count(*) from dailycast.podcast_event r
                                where r.podcast_id = podcast_event.podcast_id
                                  and (r.event = 'requeued' or r.event = 'audio_lost' and podcast_event.event = 'audio_ready'))",
    ),
    (
        "a chunk was paid for twice",
        "select p.id::text from dailycast.daily_podcast p
         where (p.chunk_plan->>'round')::int = 1
         and not exists (select from dailycast.podcast_event e where e.podcast_id = p.id
                         and (e.event in ('audio_lost', 'requeued') or e.provider = 'spool'))
         and (select count(*) from dailycast.provider_call c where c.podcast_id = p.id
              and operation = 'speech' and outcome = 'ok') > jsonb_array_length(p.chunk_plan->'ends')",
    ),
    (
        "cost of the row is not the sum of its calls",
        "select p.id::text from dailycast.daily_podcast p
         where cost_micro_usd <> (select coalesce(sum(cost_micro_usd), 0) from dailycast.provider_call c where c.podcast_id = p.id)",
    ),
    (
        "events or calls without a podcast",
        "select podcast_id::text from (select podcast_id from dailycast.podcast_event union select podcast_id from dailycast.provider_call) x
         where not exists (select from dailycast.daily_podcast p where p.id = x.podcast_id)",
    ),
];

/// What stands on the bill of a vendor: calls, tokens read, tokens written, characters.
type Bill = (String, i64, i64, i64, i64);

/// The ledger, summed up like the vendors' bills.
async fn ledger(pool: &PgPool) -> Vec<Bill> {
    let sums = "select provider, count(*), coalesce(sum((units->>'input_tokens')::bigint), 0)::bigint,
                    coalesce(sum((units->>'output_tokens')::bigint), 0)::bigint,
                    coalesce(sum((units->>'characters')::bigint), 0)::bigint
                from dailycast.provider_call where operation in ('script', 'speech') and provider <> 'local'
                group by provider order by provider";
    sqlx::query_as(sums).fetch_all(pool).await.unwrap()
}

/// Panics unless the ledger holds what the simulated vendors have on their bills: every call, and
/// every token and character of which they told.
pub async fn assert_ledger_is_the_bill(pool: &PgPool, usage: &BTreeMap<Vendor, Count>) {
    let whole = |number: u64| i64::try_from(number).unwrap();
    let bill = |(vendor, count): (&Vendor, &Count)| {
        let Billed { input_tokens, output_tokens, characters } = count.billed;
        let calls = count.calls - count.by_operation.get(&Operation::List).copied().unwrap_or_default();
        (vendor.as_str().to_owned(), whole(calls), whole(input_tokens), whole(output_tokens), whole(characters))
    };
    let mut bills: Vec<Bill> = usage.iter().map(bill).collect();
    bills.sort();
    assert_eq!(ledger(pool).await, bills, "our ledger, and the vendors' bills");
}

/// What the ledger lacks of the vendors' bills after calls were broken off.
#[derive(Debug, Clone, Copy)]
pub struct Lost {
    /// Calls that the vendors were asked for.
    pub calls: i64,
    /// Calls that are in no ledger.
    pub untold: i64,
}

/// The same when workers were killed: no vendor is told to have been called more often than it was,
/// and at most `bound` calls are in no ledger.
pub async fn assert_ledger_lacks_at_most(pool: &PgPool, usage: &BTreeMap<Vendor, Count>, bound: i64) -> Lost {
    let told: BTreeMap<String, Bill> = ledger(pool).await.into_iter().map(|bill| (bill.0.clone(), bill)).collect();
    let mut lost = Lost { calls: 0, untold: 0 };
    for (vendor, count) in usage {
        let listed = count.by_operation.get(&Operation::List).copied().unwrap_or_default();
        let called = i64::try_from(count.calls - listed).unwrap();
        let (_, calls, read, written, spoken) = told.get(vendor.as_str()).cloned().unwrap_or_default();
        let most = |known: u64, lost: u64| i64::try_from(known + lost).unwrap();
        let name = vendor.as_str();
        assert!(calls <= called, "{name} was called {called} times, the ledger has {calls}");
        assert!(read <= most(count.billed.input_tokens, count.lost.input_tokens), "tokens read of {name}");
        assert!(written <= most(count.billed.output_tokens, count.lost.output_tokens), "tokens written of {name}");
        assert!(spoken <= most(count.billed.characters, count.lost.characters), "characters of {name}");
        lost.calls += called;
        lost.untold += called - calls;
    }
    assert!(lost.untold <= bound, "{} calls are in no ledger, at most {bound} were under way", lost.untold);
    lost
}

/// Panics unless the spool is empty and nobody holds an advisory lock. A session that just ended
/// has its locks a moment longer.
pub async fn assert_nothing_is_left(pool: &PgPool, spool: &Path) {
    let left = spooled(pool, spool).await;
    assert!(left.is_empty(), "{} left in the spool: {:?}", left.len(), &left[..left.len().min(10)]);
    let held = "select count(*) from pg_locks where locktype = 'advisory'
                and database = (select oid from pg_database where datname = current_database())";
    until("nobody holds an advisory lock", async || {
        sqlx::query_scalar::<_, i64>(held).fetch_one(pool).await.unwrap() == 0
    })
    .await;
}

/// What lies in the spool of either kind. One in the database has no folder.
pub async fn spooled(pool: &PgPool, spool: &Path) -> Vec<String> {
    let parts = "select podcast_id || '/' || part from dailycast.audio_spool";
    let mut found: Vec<String> = sqlx::query_scalar(parts).fetch_all(pool).await.unwrap();
    if let Ok(folders) = std::fs::read_dir(spool) {
        found.extend(folders.map(|entry| entry.unwrap().file_name().display().to_string()));
    }
    found
}

/// A finished episode, as its row tells of it.
#[derive(sqlx::FromRow)]
struct Episode {
    object_key: String,
    object_etag: String,
    audio_url: String,
    audio_sha256: String,
    audio_bytes: i64,
    duration_seconds: i32,
}

/// Panics unless the bucket holds the finished episodes and nothing else: each the bytes that its
/// row tells of, and a sound MP3 as long as the row says.
pub async fn assert_every_episode_is_stored(pool: &PgPool, endpoint: &str, bucket: &str, keys: &(String, String)) {
    let client = client(endpoint, keys);
    let mut stored = BTreeMap::new();
    let mut pages = client.list_objects_v2().bucket(bucket).into_paginator().send();
    while let Some(page) = pages.next().await {
        for object in page.unwrap().contents() {
            stored.insert(object.key().unwrap().to_owned(), object.e_tag().unwrap().trim_matches('"').to_owned());
        }
    }
    let episodes: Vec<Episode> = sqlx::query_as(
        "select object_key, object_etag, audio_url, audio_sha256, audio_bytes, duration_seconds
         from dailycast.daily_podcast where status in ('completed', 'completed_with_fallback')",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    for episode in &episodes {
        let key = &episode.object_key;
        assert_eq!(stored.remove(key).as_ref(), Some(&episode.object_etag), "the ETag of {key}");
        assert_eq!(episode.audio_url, format!("s3://{bucket}/{key}"));
    }
    assert!(stored.is_empty(), "objects that no row knows: {:?}", stored.keys());
    // As tasks, so that decoding uses all cores.
    let mut checked = stream::iter(episodes)
        .map(|episode| {
            let (client, bucket) = (client.clone(), bucket.to_owned());
            tokio::spawn(async move {
                let object = client.get_object().bucket(bucket).key(&episode.object_key).send().await.unwrap();
                let mp3 = object.body.collect().await.unwrap().to_vec();
                assert_sound(&episode, &mp3);
            })
        })
        .buffer_unordered(AT_ONCE);
    while let Some(checked) = checked.next().await {
        checked.unwrap();
    }
}

fn assert_sound(episode: &Episode, mp3: &[u8]) {
    let key = &episode.object_key;
    assert_eq!(i64::try_from(mp3.len()).unwrap(), episode.audio_bytes, "bytes of {key}");
    assert_eq!(hex::encode(Sha256::digest(mp3)), episode.audio_sha256, "checksum of {key}");
    let scan = audio::scan(mp3, audio::Limits::rate(audio::SAMPLE_RATE)).unwrap();
    let lasts = scan.duration().as_secs_f64();
    let told = f64::from(episode.duration_seconds);
    assert!((lasts - told).abs() <= 1.0, "{key} lasts {lasts} s and its row says {told} s");
    assert!(!audio::decode::is_silent(mp3, &scan).unwrap(), "{key} is silent");
}

fn client(endpoint: &str, (id, secret): &(String, String)) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(id, secret, None, None, "test"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    Client::from_conf(config.build())
}

async fn histories_that_do_not_replay(pool: &PgPool) -> Vec<String> {
    let rows: Vec<(i64, String)> =
        sqlx::query_as("select id, status from dailycast.daily_podcast order by id").fetch_all(pool).await.unwrap();
    let lines: Vec<(i64, Option<String>, String, String)> = sqlx::query_as(
        "select podcast_id, from_status, event, to_status from dailycast.podcast_event order by podcast_id, id",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let mut histories: BTreeMap<i64, Vec<_>> = BTreeMap::new();
    for (id, from, event, to) in &lines {
        let from: Option<Status> = from.as_ref().map(|from| from.parse().unwrap());
        histories.entry(*id).or_default().push((from, event.as_str(), to.parse::<Status>().unwrap()));
    }
    rows.into_iter()
        .filter_map(|(id, status)| {
            let history = histories.remove(&id).unwrap_or_default();
            let ends = replay(history.iter().copied());
            (ends.map(Status::as_str) != Some(&status))
                .then(|| format!("podcast {id} is {status}, its events replay to {ends:?}: {history:?}"))
        })
        .collect()
}
