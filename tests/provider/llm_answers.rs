//! What the answers of the writers' vendors mean: a row for every ending and for every error that
//! they document, played over the wire.

use std::time::Duration;

use dailycast::{
    machine::{FailureKind, FailureKind::*, Remedy},
    podcast::{Billed, Failure},
    provider::{http::Answer, llm},
};
use proptest::prelude::*;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::llm::{KEY, VENDORS, good, heard};
use crate::support::vendor::Reply;

/// A good answer with other values in some places.
fn changed(provider: &str, changes: &[(&str, Value)]) -> Value {
    let mut answer = good(provider);
    for (place, value) in changes {
        *answer.pointer_mut(place).unwrap_or_else(|| panic!("{provider} has no {place}")) = value.clone();
    }
    answer
}

#[tokio::test]
async fn a_whole_answer_is_taken_with_what_it_costs() {
    for (provider, model, id) in [
        ("openai", "gpt-6-luna-2026-09-01", "x-request-id"),
        ("gemini", "gemini-3.5-flash-lite", "ignored"),
        ("anthropic", "claude-haiku-5-5", "request-id"),
    ] {
        let written = heard(provider, Reply::json(200, &good(provider)).with(id, "req-1")).await.unwrap();
        assert_eq!((written.text.as_str(), written.model.as_str()), ("Hello.", model));
        assert_eq!((written.input_tokens, written.output_tokens), (20, 7), "{provider}");
        assert_eq!(written.request_id.as_deref(), Some("req-1"), "{provider}");
    }
}

#[tokio::test]
async fn only_what_is_meant_to_be_read_is_read() {
    let parts = json!([{"text": "I think.", "thought": true}, {"text": "Hel"}, {"inlineData": {}}, {"text": "lo."}]);
    let gemini = changed("gemini", &[("/candidates/0/content/parts", parts)]);
    assert_eq!(heard("gemini", Reply::json(200, &gemini)).await.unwrap().text, "Hello.");
    let blocks = json!([{"type": "thinking", "thinking": "I think.", "signature": "s"}, {"type": "text", "text": "Hel"},
        {"type": "a_new_one", "text": "no"}, {"type": "text", "text": "lo."}]);
    let anthropic = changed("anthropic", &[("/content", blocks), ("/stop_reason", json!("stop_sequence"))]);
    assert_eq!(heard("anthropic", Reply::json(200, &anthropic)).await.unwrap().text, "Hello.");
    let openai = changed("openai", &[("/choices/0/message/content", json!("Hel\u{0}\u{1b}lo.\n\nBye."))]);
    assert_eq!(heard("openai", Reply::json(200, &openai)).await.unwrap().text, "Hello.\n\nBye.");
}

#[tokio::test]
async fn every_field_of_the_usage_may_be_missing_or_odd() {
    for (provider, place) in [("openai", "/usage"), ("gemini", "/usageMetadata"), ("anthropic", "/usage")] {
        for usage in [Value::Null, json!({}), json!([]), json!("many")] {
            let answer = changed(provider, &[(place, usage)]);
            let written = heard(provider, Reply::json(200, &answer)).await.unwrap();
            assert_eq!((written.input_tokens, written.output_tokens), (0, 0), "{provider}");
        }
    }
    let odd = json!({"prompt_tokens": -4, "completion_tokens": u64::MAX});
    let written = heard("openai", Reply::json(200, &changed("openai", &[("/usage", odd)]))).await.unwrap();
    assert_eq!(written.input_tokens, 0);
    assert!(written.output_tokens < 1_000_000_000, "no budget is eaten by a wrong count");
}

type Ending = (&'static str, FailureKind, Vec<(&'static str, Value)>);

fn endings(provider: &str) -> Vec<Ending> {
    let (reason, text) = match provider {
        "openai" => ("/choices/0/finish_reason", "/choices/0/message/content"),
        "gemini" => ("/candidates/0/finishReason", "/candidates/0/content/parts"),
        _ => ("/stop_reason", "/content"),
    };
    let ends = |name: &'static str, kind| (name, kind, vec![(reason, json!(name))]);
    let mut rows = vec![
        ("an ending nobody knows", BadAnswer, vec![(reason, json!("tired_of_it"))]),
        ("an ending that is no text", BadAnswer, vec![(reason, json!(7))]),
        ("no ending", BadAnswer, vec![(reason, Value::Null)]),
        ("no text", BadAnswer, vec![(text, Value::Null)]),
    ];
    rows.extend(match provider {
        "openai" => vec![
            ends("length", BadAnswer),
            ends("content_filter", ContentRefused),
            ends("tool_calls", BadAnswer),
            ("refusal", ContentRefused, vec![("/choices/0/message/refusal", json!("I cannot.")), (text, Value::Null)]),
            ("empty text", BadAnswer, vec![(text, json!(" \n"))]),
            ("thinking only", BadAnswer, vec![("/choices/0/message", json!({"content": "", "reasoning": "Hm."}))]),
            ("no choices", BadAnswer, vec![("/choices", json!([]))]),
        ],
        "gemini" => {
            let thought = json!([{"text": "Hm.", "thought": true}]);
            let mut rows = vec![
                ends("MAX_TOKENS", BadAnswer),
                ends("MALFORMED_FUNCTION_CALL", BadAnswer),
                ("empty text", BadAnswer, vec![(text, json!([{"text": ""}]))]),
                ("thinking only", BadAnswer, vec![(text, thought.clone())]),
                ("cut off while thinking", BadAnswer, vec![(reason, json!("MAX_TOKENS")), (text, thought)]),
                ("no candidates", BadAnswer, vec![("/candidates", json!([]))]),
            ];
            let refused = [
                "SAFETY",
                "RECITATION",
                "BLOCKLIST",
                "PROHIBITED_CONTENT",
                "SPII",
                "LANGUAGE",
                "OTHER",
                "MALFORMED_RESPONSE",
                "ESCALATION",
                "PUP_LIMITED_DISABLED",
            ];
            rows.extend(refused.map(|name| ends(name, ContentRefused)));
            rows
        }
        _ => vec![
            ends("max_tokens", BadAnswer),
            ends("model_context_window_exceeded", BadAnswer),
            ends("refusal", ContentRefused),
            ends("pause_turn", BadAnswer),
            ends("tool_use", BadAnswer),
            ("empty text", BadAnswer, vec![(text, json!([]))]),
            ("thinking only", BadAnswer, vec![(text, json!([{"type": "thinking", "thinking": "Hm."}]))]),
        ],
    });
    rows
}

#[tokio::test]
async fn every_ending_but_a_whole_script_is_a_failure_that_was_paid_for() {
    for provider in VENDORS {
        for (row, kind, changes) in endings(provider) {
            let failure = heard(provider, Reply::json(200, &changed(provider, &changes))).await.unwrap_err();
            assert_eq!(
                (failure.kind, failure.kind.remedy()),
                (kind, Remedy::NextProvider),
                "{provider} {row}: {failure}"
            );
            assert!(failure.message.starts_with(provider), "{provider} {row}: {failure}");
            let billed = failure.billed.unwrap();
            assert_eq!((billed.input_tokens, billed.output_tokens), (20, 7), "{provider} {row}");
            assert!(billed.model.is_some(), "{provider} {row}");
        }
    }
}

#[tokio::test]
async fn a_prompt_that_gemini_blocks_is_a_refusal() {
    let answer = json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "responseId": "req-9",
        "usageMetadata": {"promptTokenCount": 20, "totalTokenCount": 20}, "modelVersion": "gemini-3.5-flash-lite"});
    let failure = heard("gemini", Reply::json(200, &answer)).await.unwrap_err();
    assert_eq!(failure.kind, ContentRefused);
    assert_eq!(failure.message, "gemini declined to write this (PROHIBITED_CONTENT), request req-9");
    let billed = Billed {
        model: Some("gemini-3.5-flash-lite".to_owned()),
        input_tokens: 20,
        output_tokens: 0,
        request_id: Some("req-9".to_owned()),
    };
    assert_eq!(failure.billed, Some(Box::new(billed)));
}

#[tokio::test]
async fn an_unknown_ending_is_named_but_never_blindly() {
    let answer = |reason: &str| changed("anthropic", &[("/stop_reason", json!(reason))]);
    let failure = heard("anthropic", Reply::json(200, &answer("tired_of_it"))).await.unwrap_err();
    assert!(failure.message.contains("(tired_of_it)"), "{failure}");
    for odd in ["sk-test-1234567890", "a b", "", &"x".repeat(65), "<script>"] {
        let failure = heard("anthropic", Reply::json(200, &answer(odd))).await.unwrap_err();
        assert!(failure.message.contains("a code that cannot be shown"), "{failure}");
    }
}

#[tokio::test]
async fn answers_that_are_no_answers_are_told_apart_from_errors() {
    for provider in VENDORS {
        let whole = good(provider).to_string();
        let rows = [
            ("HTML", Reply::text(200, "text/html; charset=utf-8", "<html><body>Welcome</body></html>")),
            ("JSON that says it is HTML", Reply::text(200, "text/html", &whole)),
            ("HTML that says it is JSON", Reply::text(200, "application/json", "<html>")),
            ("truncated", Reply::text(200, "application/json", &whole[..whole.len() / 2])),
            ("nothing", Reply::text(200, "application/json", "")),
            ("a list", Reply::json(200, &json!([1, 2]))),
            ("null", Reply::json(200, &Value::Null)),
            ("an empty object", Reply::json(200, &json!({}))),
            ("an error with status 200", Reply::json(200, &json!({"error": {"code": "rate_limit_exceeded"}}))),
            ("a deep one", Reply::text(200, "application/json", &"[".repeat(100_000))),
            ("no content", Reply::text(204, "application/json", "")),
        ];
        for (row, reply) in rows {
            let failure = heard(provider, reply).await.unwrap_err();
            assert_eq!(failure.kind, BadAnswer, "{provider} {row}: {failure}");
        }
        let moved = Reply::text(302, "text/html", "").with("location", "http://127.0.0.1:1/");
        let failure = heard(provider, moved).await.unwrap_err();
        assert_eq!(failure.kind, BadRequest);
        assert!(failure.message.ends_with(&format!("check providers.{provider}.base_url")), "{failure}");
    }
}

/// An error of a vendor: the row of the table, status, body, kind.
type Row = (&'static str, u16, Value, FailureKind);

fn openai_errors() -> Vec<Row> {
    let error = |kind: &str, code: Value| json!({"error": {"message": KEY, "type": kind, "param": null, "code": code}});
    let mut rows = vec![
        ("408", 408, json!({}), Timeout),
        ("409", 409, json!({}), Unavailable),
        ("429 rate_limit_exceeded", 429, error("requests", json!("rate_limit_exceeded")), RateLimited),
        ("429 slow_down", 429, error("slow_down", Value::Null), RateLimited),
        ("500", 500, error("server_error", Value::Null), Unavailable),
        ("502 of a proxy", 502, json!("<html>"), Unavailable),
        ("503 slow_down", 503, error("service_unavailable_error", json!("slow_down")), Unavailable),
        ("504", 504, json!(null), Timeout),
        ("400", 400, error("invalid_request_error", json!("unsupported_parameter")), BadRequest),
        ("401 invalid_api_key", 401, error("invalid_request_error", json!("invalid_api_key")), KeyRefused),
        ("403 country", 403, error("request_forbidden", json!("unsupported_country_region_territory")), KeyRefused),
        ("403 permission", 403, error("invalid_request_error", Value::Null), KeyRefused),
        ("404 model", 404, error("invalid_request_error", json!("model_not_found")), ModelRetired),
        ("404 model of another server", 404, error("NotFoundError", json!(404)), ModelRetired),
        ("404 bare error", 404, json!({"object": "error", "message": KEY, "type": "NotFoundError"}), ModelRetired),
        ("404 address", 404, error("invalid_request_error", json!("unknown_url")), BadRequest),
        ("404 of another server", 404, json!({"detail": "Not Found"}), BadRequest),
        ("413", 413, json!({}), BadRequest),
        ("402 of another server", 402, json!({"error": {"message": "x", "code": 402}}), OutOfCredit),
        ("429 type insufficient_quota", 429, error("insufficient_quota", json!("insufficient_quota")), OutOfCredit),
    ];
    for code in [
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "billing_hard_limit_reached",
        "billing_not_active",
    ] {
        rows.push((code, 429, error("requests", json!(code)), OutOfCredit));
    }
    rows.push(("account_deactivated", 401, error("invalid_request_error", json!("account_deactivated")), KeyRefused));
    for code in ["content_filter", "content_policy_violation"] {
        rows.push((code, 400, error("invalid_request_error", json!(code)), ContentRefused));
    }
    rows
}

fn gemini_errors() -> Vec<Row> {
    let error = |code: u16, status: &str, details: Value| json!({"error": {"code": code, "message": KEY, "status": status, "details": details}});
    let info = |reason: &str| json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]);
    let quota = |id: &str| {
        let quota = json!({"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": id}]});
        json!([{"@type": "type.googleapis.com/google.rpc.Help", "links": []}, quota])
    };
    let nameless_key = json!({"error": {"code": 400, "message": "API key expired. Please renew the API key."}});
    let spent = "RESOURCE_EXHAUSTED";
    let per_minute = quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier");
    let per_day = quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier");
    vec![
        ("408", 408, json!({}), Timeout),
        ("429", 429, error(429, spent, per_minute.clone()), RateLimited),
        ("429 in a list", 429, json!([error(429, spent, per_minute)]), RateLimited),
        ("429 PerDay", 429, error(429, spent, per_day.clone()), RateLimited),
        ("429 PerDay in a list", 429, json!([error(429, spent, per_day)]), RateLimited),
        ("500", 500, error(500, "INTERNAL", json!([])), Unavailable),
        ("502", 502, json!(null), Unavailable),
        ("503", 503, error(503, "UNAVAILABLE", json!([])), Unavailable),
        ("504", 504, error(504, "DEADLINE_EXCEEDED", json!([])), Timeout),
        ("400 INVALID_ARGUMENT", 400, error(400, "INVALID_ARGUMENT", json!([])), BadRequest),
        ("400 API_KEY_INVALID", 400, error(400, "INVALID_ARGUMENT", info("API_KEY_INVALID")), KeyRefused),
        ("400 API_KEY_INVALID in a list", 400, json!([error(400, "X", info("API_KEY_INVALID"))]), KeyRefused),
        ("400 key without a reason", 400, nameless_key, KeyRefused),
        ("400 FAILED_PRECONDITION", 400, error(400, "FAILED_PRECONDITION", json!([])), OutOfCredit),
        ("402 RESOURCE_EXHAUSTED", 402, error(402, spent, json!([])), OutOfCredit),
        ("403", 403, error(403, "PERMISSION_DENIED", json!([])), KeyRefused),
        ("404 NOT_FOUND", 404, error(404, "NOT_FOUND", json!([])), ModelRetired),
        ("404 of a wrong address", 404, json!("<html>"), BadRequest),
    ]
}

fn anthropic_errors() -> Vec<Row> {
    let error = |kind: &str, message: &str| json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req-7"});
    let mut enforced = error("rate_limit_error", KEY);
    enforced["error"]["details"] = json!({"error_code": "enforced_spend_limit_reached"});
    let own = "You have reached your specified API usage limits. You will regain access on 2026-12-01.";
    let poor = "Your credit balance is too low to access the API.";
    vec![
        ("408", 408, json!({}), Timeout),
        ("409", 409, error("conflict_error", KEY), Unavailable),
        ("429", 429, error("rate_limit_error", KEY), RateLimited),
        ("500 api_error", 500, error("api_error", KEY), Unavailable),
        ("503", 503, json!(null), Unavailable),
        ("504 timeout_error", 504, error("timeout_error", KEY), Timeout),
        ("529 overloaded_error", 529, error("overloaded_error", KEY), Unavailable),
        ("400", 400, error("invalid_request_error", "temperature: Extra inputs are not permitted"), BadRequest),
        ("400 own spend limit", 400, error("invalid_request_error", own), OutOfCredit),
        ("400 credit balance", 400, error("invalid_request_error", poor), OutOfCredit),
        ("401", 401, error("authentication_error", "invalid x-api-key"), KeyRefused),
        ("402 billing_error", 402, error("billing_error", KEY), OutOfCredit),
        ("403", 403, error("permission_error", KEY), KeyRefused),
        ("404", 404, error("not_found_error", "model: claude-3-5-haiku"), ModelRetired),
        ("413", 413, error("request_too_large", KEY), BadRequest),
        ("429 enforced_spend_limit_reached", 429, enforced, OutOfCredit),
    ]
}

fn errors(provider: &str) -> Vec<Row> {
    match provider {
        "openai" => openai_errors(),
        "gemini" => gemini_errors(),
        _ => anthropic_errors(),
    }
}

#[tokio::test]
async fn every_row_of_the_error_tables_is_classed() {
    for provider in VENDORS {
        for (row, status, body, kind) in errors(provider) {
            let reply = Reply::json(status, &body).with("retry-after", "9");
            let failure = heard(provider, reply).await.unwrap_err();
            assert_eq!(failure.kind, kind, "{provider} {row}: {failure}");
            let wait = (kind.remedy() == Remedy::RetryLater).then_some(Duration::from_secs(9));
            assert_eq!(failure.retry_after, wait, "{provider} {row}");
            assert!(failure.message.starts_with(&format!("{provider} answered {status}")), "{row}: {failure}");
            assert!(!failure.message.contains("sk-test") && failure.message.len() < 400, "{row}: {failure}");
            assert_eq!(failure.billed.map(|billed| billed.output_tokens), Some(0), "{provider} {row}");
        }
    }
}

#[tokio::test]
async fn a_message_has_the_codes_and_the_request() {
    let body = json!({"error": {"message": format!("Incorrect API key provided: {KEY}."), "type": "invalid_request_error",
        "param": null, "code": "invalid_api_key"}});
    let failure = heard("openai", Reply::json(401, &body).with("x-request-id", "req-5")).await.unwrap_err();
    assert_eq!(
        failure.message,
        "openai answered 401 (invalid_request_error, invalid_api_key), request req-5; check providers.openai.api_key and what it may do"
    );
    assert_eq!(failure.billed.unwrap().request_id.as_deref(), Some("req-5"));
    let body = json!({"type": "error", "error": {"type": "overloaded_error"}, "request_id": "req-7"});
    let failure = heard("anthropic", Reply::json(529, &body)).await.unwrap_err();
    assert_eq!(failure.message, "anthropic answered 529 (overloaded_error), request req-7");
}

#[tokio::test]
async fn a_vendor_may_say_itself_whether_to_ask_again() {
    for provider in VENDORS {
        for (status, said, kind) in [
            (400, "true", Unavailable),
            (401, "true", Unavailable),
            (429, "true", RateLimited),
            (500, "true", Unavailable),
            (429, "false", BadAnswer),
            (500, "false", BadAnswer),
            (408, "false", BadAnswer),
            (400, "false", BadRequest),
            (503, "perhaps", Unavailable),
        ] {
            let reply = Reply::json(status, &json!({"error": {}})).with("x-should-retry", said);
            assert_eq!(heard(provider, reply).await.unwrap_err().kind, kind, "{provider} {status} {said}");
        }
    }
    let body = json!({"error": {"type": "insufficient_quota"}});
    let failure = heard("openai", Reply::json(429, &body).with("x-should-retry", "true")).await.unwrap_err();
    assert_eq!(failure.kind, OutOfCredit, "an account without credit stays so");
}

type Headers<'h> = &'h [(&'h str, &'h str)];

#[tokio::test]
async fn the_wait_is_found_in_every_form() {
    let date = "Sun, 22 Nov 2026 03:00:00 GMT";
    let rows: &[(Headers, Option<u64>)] = &[
        (&[], None),
        (&[("retry-after", "7")], Some(7_000)),
        (&[("retry-after", "1.5")], Some(1_500)),
        (&[("retry-after-ms", "250"), ("retry-after", "7")], Some(250)),
        (&[("date", date), ("retry-after", "Sun, 22 Nov 2026 03:00:30 GMT")], Some(30_000)),
        (&[("date", date), ("retry-after", "Sun, 22 Nov 2026 02:00:00 GMT")], Some(0)),
        (&[("retry-after", "999999999")], Some(3_600_000)),
        (&[("retry-after", "-5")], None),
        (&[("retry-after", "soon")], None),
        (&[("retry-after", "NaN")], None),
    ];
    for (headers, wait) in rows {
        for provider in VENDORS {
            let reply = Reply::json(429, &json!({"error": {"type": "rate_limit_error"}}));
            let reply = headers.iter().fold(reply, |reply, (name, value)| reply.with(name, value));
            let failure = heard(provider, reply).await.unwrap_err();
            assert_eq!(failure.retry_after, wait.map(Duration::from_millis), "{provider} {headers:?}");
        }
    }
}

#[tokio::test]
async fn gemini_says_in_the_body_how_long_to_wait() {
    for (delay, wait) in [
        (json!("55s"), Some(55_000)),
        (json!("0.25s"), Some(250)),
        (json!("99999999999s"), Some(3_600_000)),
        (json!("-1s"), None),
        (json!("1e400s"), None),
        (json!("55"), None),
        (json!(55), None),
    ] {
        let info = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay});
        let error = json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [info]}});
        for body in [error.clone(), json!([error])] {
            let failure = heard("gemini", Reply::json(429, &body)).await.unwrap_err();
            assert_eq!((failure.kind, failure.retry_after), (RateLimited, wait.map(Duration::from_millis)), "{delay}");
        }
    }
}

fn read_by_all(answer: &Answer) -> [Result<llm::WrittenScript, Failure>; 3] {
    [llm::openai::read(answer, "m"), llm::gemini::read(answer, "m"), llm::anthropic::read(answer, "m")]
}

/// Any JSON with the names that the readers look for.
fn like_an_answer() -> impl Strategy<Value = Value> {
    let names = [
        "choices",
        "message",
        "content",
        "refusal",
        "finish_reason",
        "usage",
        "prompt_tokens",
        "completion_tokens",
        "model",
        "candidates",
        "parts",
        "text",
        "thought",
        "finishReason",
        "usageMetadata",
        "promptFeedback",
        "blockReason",
        "stop_reason",
        "type",
        "error",
        "code",
        "status",
        "details",
        "violations",
        "quotaId",
        "retryDelay",
        "data",
    ];
    let words = ["stop", "STOP", "end_turn", "text", "error", "SAFETY", "55s", "PerDay", "\u{0}", "", "😀"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(words.to_vec()).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 5, move |inner| {
        let key = prop::sample::select(names.to_vec()).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..5).prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #[test]
    fn no_answer_makes_a_reader_panic(status in 100_u16..1000, value in like_an_answer(), cut in 0_usize..400) {
        let mut body = value.to_string().into_bytes();
        if cut < 200 {
            body.truncate(cut);
        }
        let answer = Answer { status, headers: HeaderMap::new(), body: body.into() };
        for failure in read_by_all(&answer).into_iter().filter_map(Result::err) {
            let is_fit = failure.message.len() < 1_000 && !failure.message.contains(char::is_control);
            prop_assert!(is_fit, "{:?}", failure.message);
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(body in prop::collection::vec(any::<u8>(), 0..400)) {
        let answer = Answer { status: 200, headers: HeaderMap::new(), body: body.into() };
        prop_assert!(read_by_all(&answer).iter().all(Result::is_err));
    }
}
