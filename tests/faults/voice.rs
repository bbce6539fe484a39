//! What is really asked of a voice, counted outside of the program.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::PathBuf};

use crate::support::{ground::Ground, until};

/// A voice that notes what it is asked to say, by checksum, and answers with noise of the right
/// length: a WAV of 16 bits at 22.05 kHz whose sizes mean nothing, like espeak-ng's.
const VOICE: &str = r#"#!/bin/sh
text=$(cat; echo .)
echo "$text" | sha256sum >> calls
printf 'RIFF\377\377\377\377WAVEfmt \020\000\000\000\001\000\001\000\042\126\000\000\104\254\000\000\002\000\020\000data\377\377\377\377'
head -c $((${#text} * 2940)) /dev/urandom
"#;

/// How often each text was asked for.
fn calls(ground: &Ground) -> BTreeMap<String, usize> {
    let mut calls = BTreeMap::new();
    for line in fs::read_to_string(ground.folder.0.join("calls")).unwrap_or_default().lines() {
        *calls.entry(line.to_owned()).or_default() += 1;
    }
    calls
}

/// Chunks that are kept in the spool, of whichever kind.
async fn kept(ground: &Ground) -> usize {
    let podcasts = fs::read_dir(ground.spool()).into_iter().flatten().flatten();
    let files = podcasts.flat_map(|podcast| fs::read_dir(podcast.path()).into_iter().flatten().flatten());
    let files = files.filter(|file| file.file_name() != "episode.mp3").count();
    files + usize::try_from(ground.count("audio_spool", "part not in ('episode', 'room')").await).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_repeats_at_most_the_chunks_in_flight() {
    a_kill_repeats_at_most_the_chunks_in_flight_of(Ground::new(3).await).await;
}

/// The heir finds in the database what the victim left, and needs no disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_repeats_no_more_with_a_spool_in_the_database() {
    let mut ground = Ground::new(3).await;
    ground.set("spool.kind", "postgres");
    let spool = a_kill_repeats_at_most_the_chunks_in_flight_of(ground).await;
    assert!(!spool.exists(), "no folder was made");
}

/// What was neither spoken nor kept when the worker died is spoken again, and nothing else. Tells where
/// the spool is, on a disk.
async fn a_kill_repeats_at_most_the_chunks_in_flight_of(mut ground: Ground) -> PathBuf {
    let voice = ground.folder.0.join("voice");
    fs::write(&voice, VOICE).unwrap();
    fs::set_permissions(&voice, fs::Permissions::from_mode(0o755)).unwrap();
    ground.set("providers.local_tts.voice", "auto");
    ground.set("providers.local_tts.python", "/nowhere");
    ground.set("providers.local_tts.python_ja", "/nowhere");
    ground.set("providers.local_tts.espeak", voice.to_str().unwrap());
    ground.start_night().await;
    let victim = ground.worker("victim");
    until("a chunk is kept and another one is being spoken", async || {
        let kept = kept(&ground).await;
        kept > 0 && calls(&ground).len() > kept
    })
    .await;
    victim.kill().await;
    // What the dead one had sent is carried out, or is not.
    let active = "select count(*) from pg_stat_activity
                  where datname = current_database() and pid <> pg_backend_pid() and state = 'active'";
    until("nothing is on its way to the database", async || {
        sqlx::query_scalar::<_, i64>(active).fetch_one(ground.pool()).await.unwrap() == 0
    })
    .await;
    let under_way = calls(&ground).values().sum::<usize>() - kept(&ground).await;
    let heir = ground.worker("heir");
    ground.until_finished().await;
    ground.stop(heir).await;
    ground.tidy().await;
    ground.assert_all_is_well(3).await;

    let calls = calls(&ground);
    let (planned, _) = ground.chunks().await;
    let all: usize = calls.values().sum();
    assert_eq!(calls.len(), usize::try_from(planned).unwrap(), "every chunk was asked for");
    let repeated = all - calls.len();
    assert!(repeated <= under_way, "{repeated} calls repeated, {under_way} were under way");
    ground.spool()
}
