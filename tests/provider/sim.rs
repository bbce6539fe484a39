//! The simulated writers: what they check, what they write, what they bill. `sim_speech.rs` has
//! the speakers, `sim_faults.rs` what goes wrong on purpose.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use dailycast::{
    sim::{Count, Faults, Server, Settings, Vendor},
    step::script::{NAME_TOKEN, check},
    workflow::{Speakable, Workflow, name_count},
};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use crate::support::web;

/// One client for all tests: to make one takes longer than a call.
pub fn http() -> Client {
    static CLIENT: LazyLock<Client> = LazyLock::new(|| web().build().unwrap());
    CLIENT.clone()
}

/// The time of the simulators here, whatever the day is: some models of theirs end soon.
pub fn noon() -> DateTime<Utc> {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

/// A simulator with these faults, at [`noon`].
pub async fn started(faults: Faults) -> Server {
    Server::start(Settings { faults, ..Settings::new(noon) }).await.unwrap()
}

/// A simulator with the faults of a file.
pub async fn with(faults: &str) -> Server {
    started(Faults::parse(faults).unwrap()).await
}

pub fn count(server: &Server, vendor: Vendor) -> Count {
    server.usage().remove(&vendor).unwrap_or_default()
}

/// A request as our clients and the vendors' own send it.
pub fn ask(server: &Server, vendor: Vendor, prompt: &str, budget: u32) -> RequestBuilder {
    let (client, url) = (http(), server.url());
    match vendor {
        Vendor::OpenAi => client.post(format!("{url}/v1/chat/completions")).bearer_auth("sim-key").json(&json!({
            "model": "gpt-6-luna",
            "messages": [{"role": "developer", "content": "Write."}, {"role": "user", "content": prompt}],
            "max_completion_tokens": budget,
            "reasoning_effort": "none",
        })),
        Vendor::Gemini => client
            .post(format!("{url}/v1/models/gemini-3.5-flash-lite:generateContent"))
            .header("x-goog-api-key", "sim-key")
            .json(&json!({
                "contents": [{"parts": [{"text": prompt}], "role": "user"}],
                "systemInstruction": {"parts": [{"text": "Write."}], "role": "user"},
                "generationConfig": {"maxOutputTokens": budget},
            })),
        _ => client
            .post(format!("{url}/v1/messages"))
            .header("x-api-key", "sim-key")
            .header("anthropic-version", "2026-10-21")
            .json(&json!({
                "model": "claude-haiku-5-5",
                "max_tokens": budget,
                "system": "Write.",
                "messages": [{"role": "user", "content": prompt}],
                "thinking": {"type": "disabled"},
            })),
    }
}

pub const WRITERS: [Vendor; 3] = [Vendor::OpenAi, Vendor::Gemini, Vendor::Anthropic];

/// Text, tokens read and tokens written of an answer, where its vendor has them.
fn understood(vendor: Vendor, answer: &Value) -> (String, u64, u64) {
    let (text, usage, read, written) = match vendor {
        Vendor::OpenAi => (&answer["choices"][0]["message"]["content"], "usage", "prompt_tokens", "completion_tokens"),
        Vendor::Gemini => (
            &answer["candidates"][0]["content"]["parts"][0]["text"],
            "usageMetadata",
            "promptTokenCount",
            "candidatesTokenCount",
        ),
        _ => (&answer["content"][0]["text"], "usage", "input_tokens", "output_tokens"),
    };
    let tokens = |key: &str| answer[usage][key].as_u64().unwrap_or_default();
    (text.as_str().unwrap_or_default().to_owned(), tokens(read), tokens(written))
}

fn learners() -> Vec<Speakable> {
    let samples = ["everything_known", "japanese", "nothing_known", "one_answer"];
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/workflows/samples");
    let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap();
    samples.iter().map(|name| serde_json::from_str(&read(name)).unwrap()).collect()
}

#[tokio::test]
async fn every_writer_writes_what_our_prompt_asks_for() {
    let (server, workflow) = (with("").await, Workflow::builtin().unwrap());
    for vendor in WRITERS {
        let (mut read, mut written) = (0, 0);
        for facts in learners() {
            for language in ["en", "es", "fr", "de", "ja"] {
                let (_, prompt) = workflow.prompts(language, &facts, NAME_TOKEN).unwrap();
                let answer = ask(&server, vendor, &prompt, 4000).send().await.unwrap();
                assert_eq!(answer.status(), 200);
                let (text, input, output) = understood(vendor, &answer.json().await.unwrap());
                (read, written) = (read + input, written + output);
                let text = facts.name.as_ref().map_or(text.clone(), |name| text.replace(NAME_TOKEN, name));
                check(&text, language, &facts, 77_001, &workflow)
                    .unwrap_or_else(|flaw| panic!("{language}: {flaw}\n{text}"));
                if facts.week.answered > 0 {
                    let digits = [facts.week.answered, facts.week.correct].map(|number| number.to_string());
                    assert!(digits.iter().all(|number| text.contains(number)), "{text}");
                }
                if let Some(name) = &facts.name {
                    assert_eq!(name_count(&text, name), 2, "{text}");
                }
            }
        }
        let count = count(&server, vendor);
        assert_eq!((count.calls, count.ok, count.by_status.get(&200)), (20, 20, Some(&20)));
        assert_eq!((count.billed.input_tokens, count.billed.output_tokens), (read, written), "{vendor:?}");
        assert_eq!((count.lost, count.lost_calls), (Default::default(), 0));
    }
}

#[tokio::test]
async fn a_small_budget_cuts_the_answer_off_and_is_billed() {
    let (server, workflow) = (with("").await, Workflow::builtin().unwrap());
    let (_, prompt) = workflow.prompts("en", &learners()[0], NAME_TOKEN).unwrap();
    let endings = [
        ("/choices/0/finish_reason", "length"),
        ("/candidates/0/finishReason", "MAX_TOKENS"),
        ("/stop_reason", "max_tokens"),
    ];
    for (vendor, (place, ending)) in WRITERS.into_iter().zip(endings) {
        let answer: Value = ask(&server, vendor, &prompt, 100).send().await.unwrap().json().await.unwrap();
        assert_eq!(answer.pointer(place).unwrap(), ending);
        let (_, _, written) = understood(vendor, &answer);
        assert!((90..=100).contains(&written), "{written}");
        assert_eq!(count(&server, vendor).billed.output_tokens, written);
    }
}

/// The status and the words of the answer to a request whose body was changed.
async fn refused(server: &Server, vendor: Vendor, change: impl FnOnce(&mut Value)) -> (u16, String) {
    let request = ask(server, vendor, "Say hello.", 900).build().unwrap();
    let mut body: Value = serde_json::from_slice(request.body().unwrap().as_bytes().unwrap()).unwrap();
    change(&mut body);
    let sent = ask(server, vendor, "", 1).json(&body).send().await.unwrap();
    (sent.status().as_u16(), sent.text().await.unwrap())
}

#[tokio::test]
async fn writers_are_as_strict_as_the_vendors() {
    let server = with("").await;
    type Change = fn(&mut Value);
    let wrong: [(Vendor, Change, u16, &str); 19] = [
        (Vendor::OpenAi, |body| body["max_tokens"] = 900.into(), 400, "Use 'max_completion_tokens' instead"),
        (Vendor::OpenAi, |body| (body["reasoning_effort"], body["top_p"]) = ("low".into(), 1.into()), 400, "'top_p'"),
        (Vendor::OpenAi, |body| body["reasoning_effort"] = "lots".into(), 400, "invalid_value"),
        (Vendor::OpenAi, |body| body["model"] = "gpt-4o-mini".into(), 400, "Unrecognized request argument"),
        (Vendor::OpenAi, |body| body["model"] = "gpt-9".into(), 404, "model_not_found"),
        (Vendor::OpenAi, |body| body["messages"] = json!([]), 400, "empty array"),
        (Vendor::OpenAi, |body| body["messages"][0]["role"] = "boss".into(), 400, "messages[0].role"),
        (Vendor::OpenAi, |body| body["surprise"] = 1.into(), 400, "unknown_parameter"),
        (Vendor::OpenAi, |body| *body = json!([]), 400, "could not parse the JSON"),
        (
            Vendor::Gemini,
            |body| body["generationConfig"]["thinkingConfig"] = json!({"thinking_level": "LOW", "thinkingBudget": 1}),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            Vendor::Gemini,
            |body| body["generationConfig"]["thinkingConfig"] = json!({"thinkingBudget": 1}),
            400,
            "thinking level",
        ),
        (Vendor::Gemini, |body| body["contents"] = json!([]), 400, "contents is not specified"),
        (Vendor::Gemini, |body| body["surprise"] = json!({}), 400, "Unknown name"),
        (Vendor::Anthropic, |body| body["temperature"] = 1.into(), 400, "temperature: Extra inputs are not permitted"),
        (
            Vendor::Anthropic,
            |body| drop(body.as_object_mut().unwrap().remove("max_tokens")),
            400,
            "max_tokens: Field required",
        ),
        (Vendor::Anthropic, |body| body["model"] = "claude-3-5-haiku-20241022".into(), 404, "not_found_error"),
        (Vendor::Anthropic, |body| body["messages"][0]["role"] = "system".into(), 400, "messages.0.role"),
        (Vendor::Anthropic, |body| body["messages"][0]["content"] = "".into(), 400, "non-empty content"),
        (Vendor::Anthropic, |body| body["messages"] = json!([]), 400, "at least one message"),
    ];
    for (vendor, change, status, words) in wrong {
        let answer = refused(&server, vendor, change).await;
        assert!(answer.0 == status && answer.1.contains(words), "{words}: {answer:?}");
    }
    let costs = |vendor| count(&server, vendor).billed;
    assert!(WRITERS.into_iter().all(|vendor| costs(vendor) == Default::default()), "errors cost nothing");
}

#[tokio::test]
async fn writers_let_nobody_in_without_a_good_key() {
    let server = with("").await;
    let address = |vendor| ask(&server, vendor, "x", 900).build().unwrap().url().clone();
    let post = |vendor| http().post(address(vendor)).json(&json!({}));
    let refused = [
        (post(Vendor::OpenAi), 401, "API key"),
        (post(Vendor::OpenAi).bearer_auth("refused"), 401, "invalid_api_key"),
        (post(Vendor::Gemini), 403, "PERMISSION_DENIED"),
        (post(Vendor::Gemini).header("x-goog-api-key", "refused"), 400, "API_KEY_INVALID"),
        (post(Vendor::Anthropic), 401, "authentication_error"),
        (post(Vendor::Anthropic).header("x-api-key", "refused").bearer_auth("good"), 401, "invalid x-api-key"),
        (post(Vendor::Anthropic).bearer_auth("good"), 400, "anthropic-version: header is required"),
    ];
    for (request, status, words) in refused {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{words}");
        assert!(answer.text().await.unwrap().contains(words), "{words}");
    }
    assert_eq!(http().get(format!("{}/v2/x", server.url())).send().await.unwrap().status(), 404);
    let large = post(Vendor::OpenAi).bearer_auth("k").body(vec![b' '; (1 << 20) + 1]).send().await.unwrap();
    assert_eq!(large.status(), 413);
}

#[tokio::test]
async fn models_end_on_their_day() {
    let later: fn() -> DateTime<Utc> = || noon() + chrono::TimeDelta::days(20 * 365);
    let server = Server::start(Settings::new(later)).await.unwrap();
    let (status, words) = refused(&server, Vendor::OpenAi, |body| {
        body["model"] = "gpt-4o-mini".into();
        body.as_object_mut().unwrap().remove("reasoning_effort");
    })
    .await;
    assert!(status == 404 && words.contains("deprecated"), "{words}");
    let list = http().get(format!("{}/v1/models", server.url())).bearer_auth("k").send().await.unwrap();
    let list = list.text().await.unwrap();
    assert!(list.contains("gpt-6-luna") && !list.contains("gpt-4o-mini"), "{list}");
}

#[tokio::test]
async fn the_count_is_told_and_begins_anew() {
    let server = with("").await;
    ask(&server, Vendor::Gemini, "Say hello.", 900).send().await.unwrap().bytes().await.unwrap();
    let usage = async || -> Value {
        http().get(format!("{}/sim/usage", server.url())).send().await.unwrap().json().await.unwrap()
    };
    let told = usage().await;
    assert_eq!((&told["gemini"]["calls"], &told["gemini"]["by_operation"]["script"]), (&1.into(), &1.into()));
    assert_eq!(told["gemini"]["input_tokens"], count(&server, Vendor::Gemini).billed.input_tokens);
    http().post(format!("{}/sim/reset", server.url())).send().await.unwrap();
    assert_eq!(usage().await, json!({}));
}
