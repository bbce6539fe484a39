//! One vendor is ill, each in every way that there is: the night ends as it would have without it,
//! the vendor is not stormed, and an operator is told once.
//!
//! A writer and a speaker are ill at a time, in front of every chain. What bounds their calls is
//! the number of calls that were under way when the breaker opened, or the pause began; both stay
//! for longer than any test lasts.

use dailycast::{
    clock::{Clock as _, SystemClock},
    sim::{Faults, Server, Settings},
};
use sqlx::AssertSqlSafe;

use crate::support::{checker, ground::Ground};

const LEARNERS: i64 = 16;

/// Podcasts under way, each with one call: a short episode is one chunk.
const AT_ONCE: i64 = 4;

/// Failures in a row that open a breaker, as `providers.toml` has it.
const OPEN_AFTER: i64 = 8;

/// The last of the failures that open a breaker, and what was under way with it.
const UNTIL_IT_OPENS: i64 = OPEN_AFTER - 1 + AT_ONCE;

/// A writer and a speaker, for each illness to befall.
const PATIENTS: [[&str; 2]; 3] = [["openai", "polly"], ["gemini", "google"], ["anthropic", "azure"]];

/// What a vendor suffers from.
struct Illness<'i> {
    /// Faults of the simulator, each the keys of one. None: nobody listens at the vendor's address.
    faults: &'i [&'i str],
    /// How its calls end.
    outcome: &'i str,
    /// What an operator is told of the vendor.
    alert: Option<&'i str>,
    /// The calls it gets at least and at most.
    calls: [i64; 2],
}

/// The night of each pair of patients, the writer with one illness and the speaker with another.
async fn befalls(writer: &Illness<'_>, speaker: &Illness<'_>) {
    for patients in PATIENTS {
        let ill = [(patients[0], writer), (patients[1], speaker)];
        let simulator = simulator(&faults(&ill)).await;
        let mut ground = ground(&simulator).await;
        ill_ones_first(&mut ground, patients);
        for (name, illness) in ill {
            if illness.faults.is_empty() {
                ground.set(address_of(name), "http://127.0.0.1:1");
            }
            if illness.outcome == "timeout" {
                ground.set(&format!("providers.{name}.timeout"), "1s");
            }
        }
        night(&ground).await;
        ground.assert_all_is_made_by_vendors().await;
        let mut told = Vec::new();
        for (name, illness) in ill {
            let called = format!("provider = '{name}' and operation <> 'upload'");
            let ended = format!("{called} and outcome = '{}'", illness.outcome);
            let (calls, as_expected) =
                (ground.count("provider_call", &called).await, ground.count("provider_call", &ended).await);
            assert_eq!(as_expected, calls, "calls of {name} that ended with {}", illness.outcome);
            let [least, most] = illness.calls;
            assert!((least..=most).contains(&calls), "{calls} calls of {name}: not {least} to {most}");
            told.extend(illness.alert.map(|alert| (alert.to_owned(), name.to_owned())));
        }
        told.sort();
        assert_eq!(alerts(&ground).await, told, "{patients:?}");
        if !ill.iter().any(|(_, illness)| illness.faults.is_empty()) {
            checker::assert_ledger_is_the_bill(ground.pool(), &simulator.usage()).await;
        }
    }
}

impl Ground {
    /// Everybody has an episode, and a writer wrote it.
    async fn assert_all_is_made_by_vendors(&self) {
        self.assert_all_are_made(LEARNERS).await;
        assert_eq!(self.count("daily_podcast", "status = 'completed'").await, LEARNERS);
    }
}

async fn simulator(faults: &str) -> Server {
    let faults = Faults::parse(faults).unwrap();
    Server::start(Settings { faults, ..Settings::new(|| SystemClock.now()) }).await.unwrap()
}

/// A ground whose learners are of all plans, and whose breakers rest longer than a test lasts.
async fn ground(simulator: &Server) -> Ground {
    let mut ground = Ground::new(LEARNERS as u32).await;
    ground.shorten_episodes();
    ground.point_at(simulator);
    ground.set("worker.concurrency", &AT_ONCE.to_string());
    ground.rewrite("providers.toml", &[("first_rest = \"30s\"", "first_rest = \"10m\"")]);
    ground
}

async fn night(ground: &Ground) {
    ground.start_night().await;
    let worker = ground.worker("one");
    ground.until_finished().await;
    ground.stop(worker).await;
}

fn faults(ill: &[(&str, &Illness<'_>)]) -> String {
    let one = |name: &str, fault: &str| format!("[[fault]]\nprovider = \"{name}\"\n{fault}\n");
    ill.iter().flat_map(|(name, illness)| illness.faults.iter().map(|fault| one(name, fault))).collect()
}

/// Puts the patients in front of every chain.
fn ill_ones_first(ground: &mut Ground, [writer, speaker]: [&str; 2]) {
    let first = |ill: &str, chain: &[&str]| {
        let others: Vec<_> = chain.iter().filter(|name| **name != ill).map(|name| format!("\"{name}\"")).collect();
        format!("[\"{ill}\", {}]", others.join(", "))
    };
    let as_shipped = |chain: &[&str]| format!("{chain:?}");
    let writers = ["openai", "gemini", "anthropic", "template"];
    ground.rewrite("plans.toml", &[(&as_shipped(&writers), &first(writer, &writers))]);
    let all_speakers = [
        ["polly", "google", "azure", "local"],
        ["google", "azure", "polly", "local"],
        ["azure", "google", "polly", "local"],
    ];
    let changed = all_speakers
        .map(|speakers| (format!("speech = {speakers:?}"), format!("speech  = {}", first(speaker, &speakers))));
    for (old, new) in &changed {
        ground.rewrite("plans.toml", &[(old, new)]);
    }
}

fn address_of(provider: &str) -> &'static str {
    match provider {
        "openai" => "providers.openai.base_url",
        "gemini" => "providers.gemini.base_url",
        "anthropic" => "providers.anthropic.base_url",
        "polly" => "providers.polly.endpoint_url",
        "google" => "providers.google_tts.base_url",
        _ => "providers.azure_tts.base_url",
    }
}

/// All alerts, the same one as often as it was raised.
async fn alerts(ground: &Ground) -> Vec<(String, String)> {
    let all = "select kind, subject from dailycast.alert where resolved_at is null order by kind, subject";
    let open: Vec<_> = sqlx::query_as(all).fetch_all(ground.pool()).await.unwrap();
    assert_eq!(ground.count("alert", "resolved_at is not null").await, 0, "alerts that were resolved");
    open
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_down_gets_a_rest() {
    let down = Illness {
        faults: &["status = 503"],
        outcome: "unavailable",
        alert: Some("provider_down"),
        calls: [OPEN_AFTER, UNTIL_IT_OPENS],
    };
    befalls(&down, &down).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_cannot_be_reached_gets_a_rest() {
    let gone = Illness {
        faults: &[],
        outcome: "unavailable",
        alert: Some("provider_down"),
        calls: [OPEN_AFTER, UNTIL_IT_OPENS],
    };
    befalls(&gone, &gone).await;
}

/// A writer that is slower than we wait is as good as down. A speaker that is only slow is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_slow_is_not_waited_for_again_and_again() {
    let too_slow = Illness {
        faults: &["delay = 60.0"],
        outcome: "timeout",
        alert: Some("provider_down"),
        calls: [OPEN_AFTER, UNTIL_IT_OPENS],
    };
    let slow =
        Illness { faults: &["delay = 0.5\ndrip = 200000"], outcome: "ok", alert: None, calls: [LEARNERS, LEARNERS] };
    befalls(&too_slow, &slow).await;
}

/// It is well, so there is nothing to tell; nobody calls it before it wants.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_asks_for_fewer_calls_gets_none_for_a_while() {
    let busy = Illness {
        faults: &["error = \"rate_limited\"\nretry_after = 3600"],
        outcome: "rate_limited",
        alert: None,
        calls: [1, AT_ONCE],
    };
    // Polly names no wait: each podcast tries three times in place before it goes elsewhere.
    let nameless = Illness { calls: [1, 3 * LEARNERS], ..busy };
    befalls(&busy, &nameless).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_without_credit_is_called_once() {
    let unpaid = Illness {
        faults: &["error = \"out_of_credit\""],
        outcome: "out_of_credit",
        alert: Some("provider_out_of_credit"),
        calls: [1, AT_ONCE],
    };
    befalls(&unpaid, &unpaid).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_refuses_our_key_is_called_once() {
    let locked = Illness {
        faults: &["error = \"key_refused\""],
        outcome: "key_refused",
        alert: Some("provider_key_refused"),
        calls: [1, AT_ONCE],
    };
    befalls(&locked, &locked).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_talks_nonsense_gets_a_rest() {
    let nonsense = |faults| Illness {
        faults,
        outcome: "bad_answer",
        alert: Some("provider_down"),
        calls: [OPEN_AFTER, UNTIL_IT_OPENS],
    };
    let writes = nonsense(&[
        "most = 2\nspoil = \"wrong_type\"",
        "most = 2\nspoil = \"malformed\"",
        "most = 2\nspoil = \"truncated\"",
        "most = 1\nspoil = \"huge\"",
        "spoil = \"empty\"",
    ]);
    let speaks = nonsense(&[
        "most = 2\nspoil = \"wrong_type\"",
        "most = 2\nspoil = \"malformed\"",
        "most = 2\nspoil = \"truncated\"",
        "spoil = \"silent\"",
    ]);
    befalls(&writes, &speaks).await;
}

/// The vendor is well, so each podcast asks it, and the same thing is told once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_is_gone_is_told_once() {
    let simulator = simulator(&faults(&[("openai", &GONE), ("polly", &GONE)])).await;
    let ground = ground(&simulator).await;
    night(&ground).await;
    ground.assert_all_is_made_by_vendors().await;
    let gone = "select distinct 'model_retired', provider || ' ' || model from dailycast.provider_call
                where outcome = 'model_retired' order by 2";
    let gone: Vec<(String, String)> = sqlx::query_as(gone).fetch_all(ground.pool()).await.unwrap();
    assert_eq!(gone[0].1, "openai gpt-4o-mini");
    assert!(gone.len() > 1, "{gone:?}");
    assert_eq!(alerts(&ground).await, gone);
    assert_eq!(ground.count("provider_call", "provider = 'openai'").await, LEARNERS);
    let times: i64 = sqlx::query_scalar("select times from dailycast.alert where subject like 'openai %'")
        .fetch_one(ground.pool())
        .await
        .unwrap();
    assert_eq!(times, LEARNERS);
    checker::assert_ledger_is_the_bill(ground.pool(), &simulator.usage()).await;
}

const GONE: Illness<'_> =
    Illness { faults: &["error = \"model_retired\""], outcome: "model_retired", alert: None, calls: [0, 0] };

/// The writers of a night, each with its fault, and how its podcasts end.
async fn writers_that(faults: [&str; 3], rounds: i64, ends: &str) {
    let names = ["openai", "gemini", "anthropic"];
    let fault = |(name, fault): (&str, &str)| format!("[[fault]]\nprovider = \"{name}\"\n{fault}\n");
    let faults: String = names.into_iter().zip(faults).filter(|(_, fault)| !fault.is_empty()).map(fault).collect();
    let simulator = simulator(&faults).await;
    let mut ground = ground(&simulator).await;
    ground.rewrite("daily_podcast.toml", &[("first_delay = \"30s\"", "first_delay = \"1s\"")]);
    // The second round comes when the first rest is over.
    ground.rewrite("providers.toml", &[("first_rest = \"10m\"", "first_rest = \"1s\"")]);
    night(&ground).await;
    ground.assert_all_are_made(LEARNERS).await;
    let as_expected = ground.count("daily_podcast", &format!("status = '{ends}'")).await;
    assert_eq!(as_expected, LEARNERS, "{faults}");
    // With two of them away, some have to wait for their turn at the third.
    let failed = "event = 'attempt_failed' and from_status = 'pending'
                  and detail not like '%as many calls this minute%' and detail not like '%did not say in time%'";
    assert_eq!(ground.count("podcast_event", failed).await, (rounds - 1) * LEARNERS, "{faults}");
    checker::assert_ledger_is_the_bill(ground.pool(), &simulator.usage()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_template_writes_when_all_three_fail_and_only_then() {
    let (down, refused, unpaid) = ("status = 503", "spoil = \"refused\"", "error = \"out_of_credit\"");
    writers_that([refused, unpaid, refused], 1, "completed_with_fallback").await;
    writers_that([down, down, down], 2, "completed_with_fallback").await;
    writers_that([refused, down, ""], 1, "completed").await;
    writers_that(["", down, unpaid], 1, "completed").await;
}

/// No podcast is told to have fallen back of which a writer was not asked.
pub(super) async fn assert_only_who_failed_everywhere_fell_back(ground: &Ground) {
    let writers = "select count(distinct provider) from dailycast.provider_call c
                   where c.podcast_id = p.id and operation = 'script' and outcome <> 'ok'";
    let query = format!(
        "select p.id || ' ' || p.status from dailycast.daily_podcast p where
         p.status = 'completed_with_fallback' and ({writers}) < 3
         or p.status = 'completed' and exists (select from dailycast.provider_call c
            where c.podcast_id = p.id and operation = 'script' having count(*) filter (where outcome = 'ok') <> 1)"
    );
    let wrong: Vec<String> = sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(ground.pool()).await.unwrap();
    assert!(wrong.is_empty(), "fell back too soon, or were written by nobody: {wrong:?}");
}
