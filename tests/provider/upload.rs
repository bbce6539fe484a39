//! The upload step: from the spool to the store, once, and only what the row promised.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use dailycast::{
    machine::{Event, FailureKind, Script, Status},
    podcast::{Artefacts, Call, Failure, Outcome, Podcast, StepResult},
    provider::{
        object_store::{ObjectStore, Reading, StoredObject},
        spool::{DiskSpool, Spool},
    },
    step::upload,
};
use sha2::{Digest, Sha256};

use crate::{
    support::{Folder, objects::MemoryStore},
    worker::samples::{self, Ground},
};

const MP3: &[u8] = b"an episode";
const KEY: &str = "podcasts/42/2026-11-22_7.mp3";

/// A store that is down.
struct Down;

#[async_trait]
impl ObjectStore for Down {
    async fn put_once(&self, _: &str, _: Bytes) -> Result<StoredObject, Failure> {
        let mut failure = Failure::new(FailureKind::StorageUnavailable, "the object store answered 503").at("s3");
        failure.retry_after = Some(Duration::from_secs(9));
        Err(failure)
    }

    async fn sign(&self, _: &str, _: DateTime<Utc>, _: DateTime<Utc>) -> Result<String, Failure> {
        Err(Failure::new(FailureKind::KeyRefused, "no"))
    }

    async fn read(&self, _: &str, _: std::ops::Range<usize>) -> Result<Reading, Failure> {
        Err(Failure::new(FailureKind::StorageUnavailable, "no"))
    }

    async fn delete_below(&self, _: &str) -> Result<u64, Failure> {
        Err(Failure::new(FailureKind::StorageUnavailable, "no"))
    }

    async fn ready(&self) -> Result<(), Failure> {
        Err(Failure::new(FailureKind::StorageUnavailable, "no"))
    }
}

async fn spooled(folder: &Folder) -> (DiskSpool, Podcast) {
    let spool = DiskSpool::open(&folder.0, 1 << 20).unwrap();
    let spool_ref = spool.put_episode(7, Bytes::from_static(MP3)).await.unwrap();
    let podcast = Podcast {
        made: Artefacts {
            spool_ref: Some(spool_ref),
            audio_sha256: Some(hex::encode(Sha256::digest(MP3))),
            ..Artefacts::default()
        },
        ..samples::podcast(Status::PendingUpload)
    };
    (spool, podcast)
}

async fn upload(
    ground: &Ground,
    podcast: &Podcast,
    spool: &DiskSpool,
    store: &dyn ObjectStore,
) -> (Outcome, Vec<Call>) {
    ground.attempt(podcast, async |calls| upload::upload(&calls, spool, store, 5).await).await
}

#[tokio::test]
async fn the_episode_is_put_under_its_key_and_priced() {
    let folder = Folder::new();
    let (spool, mut podcast) = spooled(&folder).await;
    for (is_fallback, script) in [(None, Script::Written), (Some(true), Script::Template)] {
        podcast.made.is_fallback = is_fallback;
        let store = MemoryStore::default();
        let (outcome, calls) = upload(&Ground::default(), &podcast, &spool, &store).await;
        assert_eq!(outcome.result, StepResult::Done(Event::Uploaded(script)));
        assert_eq!(store.get(KEY).unwrap(), MP3);
        assert_eq!(outcome.made.object_key.as_deref(), Some(KEY));
        assert_eq!(outcome.made.audio_url, Some(format!("s3://memory/{KEY}")));
        assert!(outcome.made.object_etag.is_some_and(|etag| !etag.is_empty()));
        let [call] = calls.as_slice() else { panic!("one call, not {calls:?}") };
        assert_eq!(
            (call.provider.as_str(), call.operation, call.outcome, call.cost_micro_usd),
            ("s3", "upload", "ok", 5)
        );
        assert_eq!(call.units, serde_json::json!({"requests": 1, "bytes": MP3.len()}));
    }
}

/// Gone, damaged, or another recording than the row has: speech begins anew, nothing is sent.
#[tokio::test]
async fn audio_that_is_not_what_the_row_says_is_lost() {
    let folder = Folder::new();
    let (spool, podcast) = spooled(&folder).await;
    let with = |change: fn(&mut Artefacts)| {
        let mut podcast = podcast.clone();
        change(&mut podcast.made);
        podcast
    };
    let podcasts = [
        with(|made| made.spool_ref = None),
        with(|made| made.spool_ref = Some("disk:8".to_owned())),
        with(|made| made.audio_sha256 = Some("0".repeat(64))),
        with(|made| made.audio_sha256 = None),
    ];
    for podcast in podcasts {
        let store = MemoryStore::default();
        let (outcome, calls) = upload(&Ground::default(), &podcast, &spool, &store).await;
        assert_eq!(outcome.result, StepResult::Done(Event::AudioLost), "{:?}", podcast.made);
        assert!(calls.is_empty() && store.is_empty());
    }
}

#[tokio::test]
async fn a_store_that_is_down_leaves_the_audio_where_it_is() {
    let folder = Folder::new();
    let (spool, podcast) = spooled(&folder).await;
    let (outcome, calls) = upload(&Ground::default(), &podcast, &spool, &Down).await;
    let StepResult::Failed(failure) = outcome.result else { panic!("{:?}", outcome.result) };
    assert_eq!((failure.kind, failure.retry_after), (FailureKind::StorageUnavailable, Some(Duration::from_secs(9))));
    assert_eq!((calls[0].outcome, calls[0].cost_micro_usd), ("storage_unavailable", 0));
    assert_eq!(outcome.made, Artefacts::default());
    assert!(spool.episode("disk:7").await.unwrap().is_some());
}

/// A worker that has lost its lease or its database starts no call.
#[tokio::test]
async fn nothing_is_sent_when_calls_are_forbidden() {
    let folder = Folder::new();
    let (spool, podcast) = spooled(&folder).await;
    let store = MemoryStore::default();
    let ground = Ground { may_call: false.into(), ..Ground::default() };
    let (outcome, calls) = upload(&ground, &podcast, &spool, &store).await;
    assert!(matches!(outcome.result, StepResult::Failed(_)));
    assert!(calls.is_empty() && store.is_empty());
}
