//! What a collector of traces gets, in a build with the feature `otlp`, and that nothing waits for one.

use std::collections::BTreeSet;

use dailycast::{
    clock::{Clock as _, SystemClock},
    sim::{self, Faults, Server, Settings},
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{Span, status::StatusCode},
};
use prost::Message as _;
use reqwest::header::AUTHORIZATION;

use crate::support::{
    ground::Ground,
    until,
    vendor::{Pace, Reply, Vendor},
    web,
};

const LEARNERS: i64 = 2;

/// All that a span may say.
const ATTRIBUTES: [&str; 23] = [
    "attempt",
    "dailycast.call.number",
    "dailycast.cost_micro_usd",
    "dailycast.tts.characters",
    "dailycast.tts.provider",
    "dailycast.upload.bytes",
    "dailycast.upload.provider",
    "error.type",
    "failure.kind",
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "outcome",
    "podcast.id",
    "podcast.status",
    "worker.id",
    "service.name",
    "service.version",
];

/// A simulator whose first writer sends everybody elsewhere.
async fn simulator() -> Server {
    let faults = "[[fault]]\nprovider = \"openai\"\nerror = \"rate_limited\"\nretry_after = 3600\n";
    let faults = Faults::parse(faults).unwrap();
    Server::start(Settings { faults, ..Settings::new(|| SystemClock.now()) }).await.unwrap()
}

async fn ground(simulator: &Server, collector: &Vendor) -> Ground {
    let mut ground = Ground::new(LEARNERS as u32).await;
    ground.shorten_episodes();
    ground.point_at(simulator);
    ground.set("ops.otlp_endpoint", &collector.url());
    ground
}

/// What came to the collector.
fn exports(collector: &Vendor) -> Vec<ExportTraceServiceRequest> {
    let asked = collector.asked();
    assert!(asked.iter().all(|asked| (asked.method.as_str(), asked.path.as_str()) == ("POST", "/v1/traces")));
    asked.iter().map(|asked| ExportTraceServiceRequest::decode(asked.body.as_slice()).unwrap()).collect()
}

fn spans(exports: &[ExportTraceServiceRequest]) -> Vec<Span> {
    let all = exports.iter().flat_map(|export| &export.resource_spans).flat_map(|spans| &spans.scope_spans);
    let mut spans: Vec<Span> = all.flat_map(|spans| spans.spans.clone()).collect();
    spans.sort_by_key(|span| span.start_time_unix_nano);
    spans
}

/// The value of an attribute as text; empty when it is not there.
fn of(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|pair| pair.key == key);
    match found.and_then(|pair| pair.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(other) => panic!("{key} is {other:?}"),
        None => String::new(),
    }
}

fn get(span: &Span, key: &str) -> String {
    of(&span.attributes, key)
}

/// A call, as the ledger and as a span tell it: provider, kind, outcome, units, price.
type Told = (String, String, String, String, String);

/// The calls of a podcast by the ledger.
async fn ledger(ground: &Ground, podcast_id: i64) -> Vec<Told> {
    sqlx::query_as(
        "select case provider when 'gemini' then 'gcp.gemini' else provider end, operation,
                case outcome when 'ok' then '' else outcome end,
                coalesce(units->>'input_tokens' || '+' || (units->>'output_tokens'), units->>'characters', units->>'bytes'),
                cost_micro_usd::text
         from dailycast.provider_call where podcast_id = $1",
    )
    .bind(podcast_id)
    .fetch_all(ground.pool())
    .await
    .unwrap()
}

/// A call by its span.
fn told(span: &Span) -> Told {
    let kind = span.name.split(' ').next().unwrap();
    let (operation, provider, units) = match kind {
        "chat" => {
            assert_eq!(span.name, format!("chat {}", get(span, "gen_ai.request.model")));
            assert_eq!(get(span, "gen_ai.operation.name"), "chat");
            let tokens = ["input", "output"].map(|kind| get(span, &format!("gen_ai.usage.{kind}_tokens")));
            ("script", get(span, "gen_ai.provider.name"), tokens.join("+"))
        }
        "speech" => ("speech", get(span, "dailycast.tts.provider"), get(span, "dailycast.tts.characters")),
        "upload" => ("upload", get(span, "dailycast.upload.provider"), get(span, "dailycast.upload.bytes")),
        other => panic!("a call of the kind {other:?}"),
    };
    let error = get(span, "error.type");
    assert_eq!(has_error(span), !error.is_empty(), "{span:?}");
    (provider, operation.to_owned(), error, units, get(span, "dailycast.cost_micro_usd"))
}

fn has_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error)
}

/// What no span may say: words of learners, scripts and vendors, and keys.
async fn secrets(ground: &Ground) -> Vec<String> {
    let mut secrets: Vec<String> = sqlx::query_scalar(
        "select title from dailycast.daily_podcast
         union all select topic from dailycast.daily_podcast
         union all select left(script_text, 20) from dailycast.daily_podcast
         union all select request_id from dailycast.provider_call where request_id is not null
         union all select display_name from academy.sample_learner
         union all select token from academy.sample_learner
         union all select detail from dailycast.podcast_event where detail is not null",
    )
    .fetch_all(ground.pool())
    .await
    .unwrap();
    secrets.retain(|secret| secret.chars().count() > 3);
    assert!(secrets.len() > 4 * LEARNERS as usize, "{secrets:?}");
    secrets.extend([sim::SECRET_ACCESS_KEY, "sim-key", "of-the-caller"].map(str::to_owned));
    secrets
}

/// The request that the test made, by its route.
fn assert_the_request_is_there(spans: &[Span]) {
    let requests: Vec<_> = spans.iter().filter(|span| span.name == "GET /api/dailycast/today").collect();
    let [request] = requests[..] else { panic!("{} requests", requests.len()) };
    assert_eq!(
        ["http.request.method", "http.route", "http.response.status_code"].map(|key| get(request, key)),
        ["GET", "/api/dailycast/today", "401"]
    );
}

/// Every attempt at a podcast is a trace, and has the calls of the ledger below it. Answers with the calls.
async fn assert_it_is_traced(ground: &Ground, spans: &[Span], podcast_id: i64) -> Vec<Told> {
    let attempts: Vec<_> = spans.iter().filter(|span| get(span, "podcast.id") == podcast_id.to_string()).collect();
    assert!(attempts.iter().all(|attempt| attempt.parent_span_id.is_empty()));
    let done = attempts.iter().filter(|attempt| get(attempt, "outcome") == "done");
    let steps: Vec<_> = done.map(|attempt| (attempt.name.as_str(), get(attempt, "podcast.status"))).collect();
    let want = [
        ("script", "pending"),
        ("voice", "script_generated"),
        ("speech", "audio_generating"),
        ("upload", "pending_upload"),
    ];
    assert_eq!(steps, want.map(|(step, status)| (step, status.to_owned())));
    assert!(attempts.iter().all(|attempt| has_error(attempt) != get(attempt, "failure.kind").is_empty()));
    assert!(attempts.iter().all(|attempt| get(attempt, "worker.id") == "1"));

    let mut calls = Vec::new();
    for attempt in attempts {
        let below = spans.iter().filter(|span| span.parent_span_id == attempt.span_id);
        calls.extend(below.map(|call| {
            assert_eq!(call.trace_id, attempt.trace_id);
            assert!(attempt.start_time_unix_nano <= call.start_time_unix_nano);
            assert!(call.end_time_unix_nano <= attempt.end_time_unix_nano);
            told(call)
        }));
    }
    let mut written = ledger(ground, podcast_id).await;
    calls.sort();
    written.sort();
    assert_eq!(calls, written);
    calls
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_gets_every_attempt_with_its_calls_and_every_request() {
    let (simulator, collector) = (simulator().await, Vendor::playing(vec![Reply::text(200, "text/plain", "")]).await);
    let mut ground = ground(&simulator, &collector).await;
    // What is logged does not decide what is traced.
    ground.set("ops.log", "error,dailycast::worker=info,dailycast::cli=info");
    let (process, address) = ground.serving(&["run", "--listen", "127.0.0.1:0"]).await;
    ground.start_night().await;
    ground.until_finished().await;
    let asked = web()
        .build()
        .unwrap()
        .get(format!("{address}/api/dailycast/today?secret=of-the-caller"))
        .header(AUTHORIZATION, "Token of-the-caller")
        .header("X-Request-Id", "id-of-the-caller");
    assert_eq!(asked.send().await.unwrap().status(), 401);
    ground.stop(process).await;

    let exports = exports(&collector);
    let spans = spans(&exports);
    let resource = |export: &ExportTraceServiceRequest| {
        let resource: &Resource = export.resource_spans[0].resource.as_ref().unwrap();
        (of(&resource.attributes, "service.name"), of(&resource.attributes, "service.version"))
    };
    let us = ("dailycast".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    assert!(exports.iter().all(|export| resource(export) == us));

    assert_the_request_is_there(&spans);
    let mut failed_calls = 0;
    let podcasts: Vec<i64> =
        sqlx::query_scalar("select id from dailycast.daily_podcast").fetch_all(ground.pool()).await.unwrap();
    assert_eq!(podcasts.len() as i64, LEARNERS);
    for podcast_id in podcasts {
        let calls = assert_it_is_traced(&ground, &spans, podcast_id).await;
        failed_calls += calls.iter().filter(|(.., error, _, _)| error == "rate_limited").count();
    }
    assert!(failed_calls > 0, "no call failed");

    let keys: BTreeSet<_> = spans.iter().flat_map(|span| &span.attributes).map(|pair| pair.key.as_str()).collect();
    assert_eq!(keys.iter().filter(|key| !ATTRIBUTES.contains(key)).collect::<Vec<_>>(), Vec::<&&str>::new());
    assert!(spans.iter().all(|span| span.events.is_empty() && span.links.is_empty()));
    let text = format!("{exports:?}");
    for secret in secrets(&ground).await {
        assert!(!text.contains(&secret), "a span says {secret:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_collector_that_never_answers() {
    let (simulator, collector) = (simulator().await, {
        let never = Reply::text(200, "text/plain", "").at(Pace::Never);
        Vendor::playing(vec![never]).await
    });
    let mut ground = ground(&simulator, &collector).await;
    ground.set("ops.log_format", "text");
    ground.start_night().await;
    let mut worker = ground.worker("one");
    until("the collector has something", async || !collector.asked().is_empty()).await;
    ground.until_finished().await;
    worker.signal("TERM");
    until("the worker ends", async || worker.has_ended()).await;
    let log = worker.log();
    assert_eq!(worker.exit_code().await, 0);
    // Either it was given up at the end, or it had been before.
    let words = ["the last traces did not reach the collector", "traces are dropped until the collector takes them"];
    assert!(words.iter().any(|words| log.contains(words)), "{log}");
    ground.assert_all_are_made(LEARNERS).await;

    let lines: Vec<_> = log.lines().filter(|line| line.contains(" attempt ")).collect();
    assert!(lines.len() >= 4 * LEARNERS as usize, "{log}");
    let is_doubled = |line: &&&str| line.matches("podcast.id=").count() != 1 || line.contains("worker.id=");
    assert_eq!(lines.iter().find(is_doubled), None, "fields of spans are no part of a line");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_refuses_is_told_of_once() {
    let collector = Vendor::playing(vec![Reply::text(503, "text/plain", "full")]).await;
    let mut ground = Ground::new(LEARNERS as u32).await;
    ground.set("ops.otlp_endpoint", &collector.url());
    let (server, address) = ground.serving(&["serve", "--listen", "127.0.0.1:0"]).await;
    let client = web().build().unwrap();
    until("the collector refused more than once", async || {
        client.get(format!("{address}/healthz")).send().await.unwrap();
        collector.asked().len() > 2
    })
    .await;
    server.until_it_says("traces are dropped until the collector takes them", 1).await;
    assert_eq!(server.says("traces are dropped"), 1);
    assert_eq!(server.says("the collector answered 503"), 1);
    ground.stop(server).await;
}
