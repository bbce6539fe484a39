//! The writers on the wire: what they send, what they do with connections that fail, and which
//! models they find. What answers mean is in `llm_answers`.

use std::{
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use chrono::NaiveDate;
use dailycast::{
    machine::FailureKind,
    podcast::Failure,
    provider::llm::{
        OfferedModel, ScriptRequest, ScriptWriter, Settings, WrittenScript, anthropic::Anthropic, gemini::Gemini,
        openai::OpenAi,
    },
    workflow::{ModelChoice, Workflow},
};
use serde_json::{Value, json};

use crate::support::vendor::{Asked, Pace, Reply, Vendor};

pub const KEY: &str = "sk-test-1234567890";

pub const VENDORS: [&str; 3] = ["openai", "gemini", "anthropic"];

/// Longer than any answer on this machine takes.
const LONG: Duration = Duration::from_secs(60);

/// Shorter than what never comes.
const SHORT: Duration = Duration::from_millis(300);

pub fn writer(provider: &str, base_url: String, api_key: &str, timeout: Duration) -> Arc<dyn ScriptWriter> {
    let settings = Settings { api_key: api_key.to_owned(), base_url, timeout };
    match provider {
        "openai" => Arc::new(OpenAi::new(settings).unwrap()),
        "gemini" => Arc::new(Gemini::new(settings).unwrap()),
        _ => Arc::new(Anthropic::new(settings).unwrap()),
    }
}

/// The model that the built-in workflow has under this id.
fn listed(provider: &str, id: &str) -> ModelChoice {
    static WORKFLOW: LazyLock<Mutex<Workflow>> = LazyLock::new(|| Mutex::new(Workflow::builtin().unwrap()));
    let mut workflow = WORKFLOW.lock().unwrap();
    workflow.prefer_model(provider, id);
    workflow.model(provider, NaiveDate::default()).unwrap()
}

fn request(model: ModelChoice) -> ScriptRequest {
    ScriptRequest { model, system: "x".to_owned(), user: "hi".to_owned(), max_output_tokens: 900 }
}

fn a_model(provider: &str) -> ModelChoice {
    let id = match provider {
        "openai" => "gpt-6-luna",
        "gemini" => "gemini-3.5-flash-lite",
        _ => "claude-haiku-5-5",
    };
    listed(provider, id)
}

/// An answer that says "Hello." and nothing else.
pub fn good(provider: &str) -> Value {
    match provider {
        "openai" => json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-6-luna-2026-09-01",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello.", "refusal": null},
                "logprobs": null, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 20, "completion_tokens": 7, "total_tokens": 27,
                "prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0}},
        }),
        "gemini" => json!({
            "candidates": [{"content": {"parts": [{"text": "Hello."}], "role": "model"}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 20, "candidatesTokenCount": 4, "thoughtsTokenCount": 3,
                "totalTokenCount": 27},
            "modelVersion": "gemini-3.5-flash-lite", "responseId": "req-1",
        }),
        _ => json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-5-5",
            "content": [{"type": "text", "text": "Hello."}], "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 15, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 2,
                "output_tokens": 7},
        }),
    }
}

/// What a writer makes of one reply, and what it asked for it.
pub async fn play(provider: &str, reply: Reply, timeout: Duration) -> (Result<WrittenScript, Failure>, Asked) {
    ask(provider, reply, timeout, KEY, a_model(provider)).await
}

pub async fn heard(provider: &str, reply: Reply) -> Result<WrittenScript, Failure> {
    play(provider, reply, LONG).await.0
}

async fn ask(
    provider: &str,
    reply: Reply,
    timeout: Duration,
    key: &str,
    model: ModelChoice,
) -> (Result<WrittenScript, Failure>, Asked) {
    let vendor = Vendor::playing(vec![reply]).await;
    let writer = writer(provider, format!("{}/v1/", vendor.url()), key, timeout);
    let result = writer.write(&request(model)).await;
    let asked = vendor.asked();
    assert!(asked.len() <= 1, "{provider} repeated the call by itself");
    (result, asked.into_iter().next().unwrap_or_default())
}

async fn sent(provider: &str, model: ModelChoice) -> Asked {
    let (result, asked) = ask(provider, Reply::json(200, &good(provider)), LONG, KEY, model).await;
    assert_eq!(result.unwrap().text, "Hello.");
    asked
}

#[tokio::test]
async fn requests_are_those_of_the_vendors_own_clients() {
    let openai = sent("openai", a_model("openai")).await;
    assert_eq!((openai.method.as_str(), openai.path.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(openai.header("authorization"), Some("Bearer sk-test-1234567890"));
    let body = r#"{"model":"gpt-6-luna","messages":[{"role":"developer","content":"x"},{"role":"user","content":"hi"}],"max_completion_tokens":900,"reasoning_effort":"none"}"#;
    assert_eq!(openai.json(), serde_json::from_str::<Value>(body).unwrap());

    let anthropic = sent("anthropic", a_model("anthropic")).await;
    assert_eq!((anthropic.method.as_str(), anthropic.path.as_str()), ("POST", "/v1/messages"));
    assert_eq!(anthropic.header("authorization"), Some("Bearer sk-test-1234567890"));
    assert_eq!(anthropic.header("anthropic-version"), Some("2026-10-21"));
    let body = r#"{"max_tokens":900,"messages":[{"role":"user","content":"hi"}],"model":"claude-haiku-5-5","system":"x","thinking":{"type":"disabled"}}"#;
    assert_eq!(anthropic.json(), serde_json::from_str::<Value>(body).unwrap());

    let gemini = sent("gemini", a_model("gemini")).await;
    assert_eq!(gemini.path, "/v1/models/gemini-3.5-flash-lite:generateContent", "the key is in no address");
    assert_eq!((gemini.method.as_str(), gemini.header("x-goog-api-key")), ("POST", Some(KEY)));
    let body = gemini.json();
    assert_eq!(body["contents"], json!([{"parts": [{"text": "hi"}], "role": "user"}]));
    assert_eq!(body["systemInstruction"], json!({"parts": [{"text": "x"}], "role": "user"}));
    assert_eq!(
        body["safetySettings"][0],
        json!({"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_ONLY_HIGH"})
    );
    assert_eq!(body["generationConfig"]["maxOutputTokens"], 900);

    for asked in [openai, anthropic, gemini] {
        assert_eq!(asked.header("content-type"), Some("application/json"));
        let text = asked.json().to_string().to_lowercase();
        for sampling in ["temperature", "top_p", "topp", "top_k", "topk", "penalty", "seed"] {
            assert!(!text.contains(sampling), "{sampling} in {text}");
        }
    }
}

#[tokio::test]
async fn only_models_that_reason_are_told_not_to() {
    let thinking = async |provider: &str, id: &str, place: &str| {
        sent(provider, listed(provider, id)).await.json().pointer(place).cloned()
    };
    let config = "/generationConfig/thinkingConfig";
    for (provider, id, place, wanted) in [
        ("openai", "gpt-6-luna", "/reasoning_effort", Some(json!("none"))),
        ("openai", "gpt-4o-mini", "/reasoning_effort", None),
        ("openai", "llama3.2:1b", "/reasoning_effort", None),
        ("gemini", "gemini-3.5-flash-lite", config, Some(json!({"thinkingLevel": "minimal"}))),
        ("gemini", "gemini-3.1-flash-lite", config, Some(json!({"thinkingLevel": "minimal"}))),
        ("gemini", "gemini-2.5-flash-lite", config, Some(json!({"thinkingBudget": 0}))),
        ("gemini", "gemini-9", config, None),
        ("anthropic", "claude-haiku-5-5", "/thinking", Some(json!({"type": "disabled"}))),
        ("anthropic", "claude-9", "/thinking", None),
    ] {
        assert_eq!(thinking(provider, id, place).await, wanted, "{id}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_openais_protocol_is_asked_in_words_it_knows() {
    let answer = json!({
        "model": "llama3.2", "object": "chat.completion",
        "choices": [{"message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
    });
    let model = listed("openai", "llama3.2");
    let (written, asked) = ask("openai", Reply::json(200, &answer), LONG, "ollama", model).await;
    assert_eq!(asked.json()["messages"][0]["role"], "system");
    let written = written.unwrap();
    assert_eq!((written.model.as_str(), written.input_tokens, written.output_tokens), ("llama3.2", 0, 0));
}

#[tokio::test]
async fn a_model_with_its_kind_before_it_is_asked_by_its_id() {
    let asked = sent("gemini", listed("gemini", "models/gemini-9 ?x")).await;
    assert_eq!(asked.path, "/v1/models/gemini-9%20%3Fx:generateContent");
}

#[tokio::test]
async fn connections_that_fail_are_told_apart() {
    for provider in VENDORS {
        let whole = Reply::json(200, &good(provider));
        let rows = [
            ("never", Pace::Never, SHORT, FailureKind::Timeout),
            ("drip", Pace::Drip(Duration::from_millis(20)), SHORT, FailureKind::Timeout),
            ("cut", Pace::CutAfter(20), LONG, FailureKind::Unavailable),
            ("no HTTP", Pace::Bare, LONG, FailureKind::BadAnswer),
            ("200 MB", Pace::Padded(200 << 20), LONG, FailureKind::BadAnswer),
        ];
        for (row, pace, timeout, kind) in rows {
            let (result, _) = play(provider, whole.clone().at(pace), timeout).await;
            let failure = result.unwrap_err();
            assert_eq!((failure.kind, failure.provider.as_deref()), (kind, Some(provider)), "{row}: {failure}");
            assert!(failure.message.contains(provider) || row == "200 MB", "{row}: {failure}");
        }
        let nobody = writer(provider, "http://127.0.0.1:1".to_owned(), KEY, LONG);
        let failure = nobody.write(&request(a_model(provider))).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unavailable, "{failure}");
    }
}

#[tokio::test]
async fn a_key_that_no_header_can_carry_is_refused_before_anything_is_sent() {
    for provider in VENDORS {
        let reply = Reply::json(200, &good(provider));
        let (result, asked) = ask(provider, reply, LONG, "sk-test\nx: y", a_model(provider)).await;
        let failure = result.unwrap_err();
        assert_eq!((failure.kind, asked.method.as_str()), (FailureKind::KeyRefused, ""), "{failure}");
        assert!(!failure.message.contains("sk-test"), "{failure}");
    }
}

#[tokio::test]
async fn two_at_once_get_their_own_answers() {
    let mut second = good("openai");
    second["choices"][0]["message"]["content"] = json!("Bye.");
    let vendor = Vendor::playing(vec![Reply::json(200, &good("openai")), Reply::json(200, &second)]).await;
    let writer = writer("openai", vendor.url(), KEY, LONG);
    let request = request(a_model("openai"));
    let (one, two) = tokio::join!(writer.write(&request), writer.write(&request));
    let mut texts = [one.unwrap().text, two.unwrap().text];
    texts.sort();
    assert_eq!(texts, ["Bye.", "Hello."]);
}

async fn offered(provider: &str, replies: Vec<Reply>) -> (Result<Vec<OfferedModel>, Failure>, Vec<Asked>) {
    let vendor = Vendor::playing(replies).await;
    let models = writer(provider, format!("{}/v1", vendor.url()), KEY, LONG).models().await;
    (models, vendor.asked())
}

fn named(id: &str) -> OfferedModel {
    OfferedModel { id: id.to_owned(), ends_on: None }
}

#[tokio::test]
async fn openai_lists_its_models_with_their_ends() {
    let list = json!({"object": "list", "data": [
        {"id": "gpt-4o-mini", "object": "model", "shutdown_date": "2027-01-14"},
        {"id": "gpt-5", "shutdown_date": 1_799_884_800},
        {"id": "gpt-6-luna", "shutdown_date": null},
        {"id": "odd", "shutdown_date": "soon"},
        {"nothing": 1}, 7,
    ]});
    let (models, asked) = offered("openai", vec![Reply::json(200, &list)]).await;
    let end = NaiveDate::from_ymd_opt(2027, 1, 14);
    let ends = |id: &str| OfferedModel { ends_on: end, ..named(id) };
    assert_eq!(models.unwrap(), [ends("gpt-4o-mini"), ends("gpt-5"), named("gpt-6-luna"), named("odd")]);
    assert_eq!((asked[0].method.as_str(), asked[0].path.as_str()), ("GET", "/v1/models"));
    assert_eq!(asked[0].header("authorization"), Some("Bearer sk-test-1234567890"));
}

#[tokio::test]
async fn pages_of_models_are_followed() {
    let pages = vec![
        Reply::json(200, &json!({"models": [{"name": "models/a"}], "nextPageToken": "b&c="})),
        Reply::json(200, &json!({"models": [{"name": "models/d"}]})),
    ];
    let (models, asked) = offered("gemini", pages).await;
    assert_eq!(models.unwrap(), [named("a"), named("d")]);
    let paths: Vec<_> = asked.iter().map(|asked| asked.path.as_str()).collect();
    assert_eq!(paths, ["/v1/models?pageSize=1000", "/v1/models?pageSize=1000&pageToken=b%26c%3D"]);

    let pages = vec![
        Reply::json(200, &json!({"data": [{"id": "a"}], "has_more": true, "last_id": "a"})),
        Reply::json(200, &json!({"data": [{"id": "b"}], "has_more": false, "last_id": "b"})),
    ];
    let (models, asked) = offered("anthropic", pages).await;
    assert_eq!(models.unwrap(), [named("a"), named("b")]);
    assert_eq!(asked[1].path, "/v1/models?limit=1000&after_id=a");
    assert_eq!(asked[1].header("anthropic-version"), Some("2026-10-21"));
}

#[tokio::test]
async fn pages_without_end_are_left() {
    let gemini = Reply::json(200, &json!({"models": [{"name": "models/a"}], "nextPageToken": "x"}));
    let anthropic = Reply::json(200, &json!({"data": [{"id": "a"}], "has_more": true, "last_id": "a"}));
    for (provider, page) in [("gemini", gemini), ("anthropic", anthropic)] {
        let (models, asked) = offered(provider, vec![page]).await;
        assert_eq!((models.unwrap().len(), asked.len()), (10, 10), "{provider}");
    }
}

#[tokio::test]
async fn a_list_of_models_fails_as_a_script_does() {
    for provider in VENDORS {
        let (refused, _) = offered(provider, vec![Reply::json(401, &json!({"error": {"type": "x"}}))]).await;
        assert_eq!(refused.unwrap_err().kind, FailureKind::KeyRefused, "{provider}");
        let (odd, _) = offered(provider, vec![Reply::text(200, "text/html", "<html>")]).await;
        assert_eq!(odd.unwrap_err().kind, FailureKind::BadAnswer, "{provider}");
    }
}
