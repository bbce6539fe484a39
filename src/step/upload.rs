//! The work of `pending_upload`: bring the finished episode from the spool to the object store.
//!
//! What comes from the spool is compared with the row before anything is sent. When it is gone or
//! another one, speech begins anew with the script kept. When the store fails, the audio stays in
//! the spool and the row waits.

use std::time::Instant;

use sha2::{Digest, Sha256};

use crate::{
    machine::{Event, FailureKind},
    podcast::{Artefacts, Call, Failure, Outcome, Podcast},
    provider::{object_store::ObjectStore, spool::Spool},
};

/// The key of an episode in its bucket: the same for every attempt.
pub fn object_key(podcast: &Podcast) -> String {
    format!("podcasts/{}/{}_{}.mp3", podcast.user_id, podcast.date, podcast.id)
}

/// Uploads once. `put_cost` is the price of one put in millionths of a US dollar; `may_call` is
/// asked right before the put, and when it says no nothing is sent.
pub async fn upload(
    podcast: &Podcast,
    spool: &dyn Spool,
    store: &dyn ObjectStore,
    put_cost: i64,
    may_call: &(dyn Fn() -> bool + Sync),
) -> Outcome {
    let Artefacts { spool_ref: Some(spool_ref), audio_sha256: Some(sha256), .. } = &podcast.made else {
        return audio_lost();
    };
    let mp3 = match spool.episode(spool_ref).await {
        Ok(Some(mp3)) if hex::encode(Sha256::digest(&mp3)) == *sha256 => mp3,
        Ok(_) => return audio_lost(),
        Err(failure) => return Outcome::failed(failure),
    };
    if !may_call() {
        let mut failure = Failure::new(FailureKind::Unavailable, "this worker may not start calls at the moment");
        failure.at_once = true;
        return Outcome::failed(failure);
    }
    let key = object_key(podcast);
    let units = serde_json::json!({ "requests": 1, "bytes": mp3.len() });
    let begun = Instant::now();
    let put = store.put_once(&key, mp3).await;
    let call = Call {
        provider: "s3".to_owned(),
        model: "put_object".to_owned(),
        operation: "upload",
        units,
        cost_micro_usd: if put.is_ok() { put_cost } else { 0 },
        latency_ms: i32::try_from(begun.elapsed().as_millis()).unwrap_or(i32::MAX),
        outcome: put.as_ref().map_or_else(|failure| failure.kind.as_str(), |_| "ok"),
        request_id: None,
    };
    let outcome = match put {
        Ok(object) => Outcome::done(
            Event::Uploaded(podcast.script()),
            Artefacts {
                audio_url: Some(object.url),
                object_key: Some(key),
                object_etag: Some(object.etag),
                ..Artefacts::default()
            },
        ),
        Err(failure) => Outcome::failed(failure),
    };
    outcome.with_calls(vec![call])
}

fn audio_lost() -> Outcome {
    Outcome::done(Event::AudioLost, Artefacts::default())
}
