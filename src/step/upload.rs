//! The work of `pending_upload`: bring the finished episode from the spool to the object store.
//!
//! What comes from the spool is compared with the row before anything is sent. When it is gone or
//! another one, speech begins anew with the script kept. When the store fails, the audio stays in
//! the spool and the row waits.

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    machine::{Event, FailureKind},
    podcast::{Artefacts, Bill, Failure, Outcome, Podcast},
    provider::{
        object_store::{ObjectStore, lifecycle},
        spool::Spool,
    },
};

use super::call::{Answered, Calls, Missed, Wanted};

/// The key of an episode in its bucket: the same for every attempt.
pub fn object_key(podcast: &Podcast) -> String {
    format!("{}{}_{}.mp3", prefix_of(podcast.user_id), podcast.date, podcast.id)
}

/// What the keys of all episodes of a learner begin with, and of nobody else's.
pub fn prefix_of(user_id: i64) -> String {
    format!("{}{user_id}/", lifecycle::PREFIX)
}

/// Uploads once. `put_cost` is the price of one put in millionths of a US dollar. The store stands
/// behind no gate: what has been paid for must not wait for a budget.
pub async fn upload(calls: &Calls<'_>, spool: &dyn Spool, store: &dyn ObjectStore, put_cost: i64) -> Outcome {
    let podcast = calls.podcast;
    let Artefacts { spool_ref: Some(spool_ref), audio_sha256: Some(sha256), .. } = &podcast.made else {
        return audio_lost();
    };
    let mp3 = match spool.episode(spool_ref).await {
        Ok(Some(mp3)) if hex::encode(Sha256::digest(&mp3)) == *sha256 => mp3,
        Ok(_) => return audio_lost(),
        Err(failure) => return Outcome::failed(failure),
    };
    let key = object_key(podcast);
    let units = json!({ "requests": 1, "bytes": mp3.len() });
    let wanted = Wanted {
        provider: "s3",
        model: "put_object",
        operation: "upload",
        units: &units,
        is_gated: false,
        is_budgeted: false,
        is_still_wanted: &|| true,
    };
    let put = || async {
        let result = store.put_once(&key, mp3.clone()).await;
        let cost_micro_usd = if result.is_ok() { put_cost } else { 0 };
        Answered { result, bill: Bill { cost_micro_usd, ..Bill::default() } }
    };
    match calls.make(&wanted, put).await {
        Ok(object) => Outcome::done(
            Event::Uploaded(podcast.script()),
            Artefacts {
                audio_url: Some(object.url),
                object_key: Some(key.clone()),
                object_etag: Some(object.etag),
                ..Artefacts::default()
            },
        ),
        Err(Missed::Failed(failure) | Missed::Refused(failure)) => Outcome::failed(failure),
        Err(Missed::Barred) => {
            let mut failure = Failure::new(FailureKind::Unavailable, "this worker may not start calls at the moment");
            failure.at_once = true;
            Outcome::failed(failure)
        }
    }
}

fn audio_lost() -> Outcome {
    Outcome::done(Event::AudioLost, Artefacts::default())
}
