//! What goes wrong on purpose: errors in every vendor's shape, spoiled answers, limits, windows of
//! time, and a fault file that is wrong itself.

use std::time::Duration;

use dailycast::{
    audio::{self, Limits},
    sim::{Billed, Faults, Server, Spoil, Trouble, Vendor},
};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::{
    sim::{WRITERS, ask, count, started, with},
    sim_speech::{azure, google, polly},
};

fn any(server: &Server, vendor: Vendor) -> RequestBuilder {
    match vendor {
        Vendor::Polly => polly(server, json!({"Text": "Good morning."})),
        Vendor::Google => google(server, json!({"text": "Good morning."})),
        Vendor::Azure => azure(server, "en-US-JennyNeural", "Good morning."),
        writer => ask(server, writer, "Say hello.", 900),
    }
}

#[tokio::test]
async fn every_vendor_tells_every_trouble_in_its_own_shape() {
    for (name, trouble) in Trouble::ALL {
        let server = with(&format!("[[fault]]\nerror = \"{name}\"\nretry_after = 1.5")).await;
        for vendor in Vendor::ALL {
            let answer = any(&server, vendor).send().await.unwrap();
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            assert!(status >= 400, "{vendor:?} {name}");
            if [Vendor::OpenAi, Vendor::Anthropic, Vendor::Azure].contains(&vendor) && *trouble == Trouble::RateLimited
            {
                assert_eq!(headers["retry-after"], "2");
            }
            let text = answer.text().await.unwrap();
            let body: Value = serde_json::from_str(&text).unwrap_or_default();
            match vendor {
                Vendor::OpenAi => assert!(body["error"]["type"].is_string(), "{text}"),
                Vendor::Anthropic => assert!(body["type"] == "error" && body["error"]["type"].is_string(), "{text}"),
                Vendor::Gemini | Vendor::Google => {
                    assert!(body["error"]["code"] == status && body["error"]["status"].is_string(), "{text}");
                }
                Vendor::Polly => assert!(headers["x-amzn-errortype"].to_str().unwrap().contains("Exception")),
                Vendor::Azure => assert!(!text.is_empty()),
            }
            assert_eq!(count(&server, vendor).billed, Billed::default());
        }
    }
}

#[tokio::test]
async fn the_troubles_that_decide_most_are_told_apart() {
    let told = async |fault: &str, vendor| {
        let answer = any(&with(&format!("[[fault]]\n{fault}")).await, vendor).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let cases = [
        ("error = 'out_of_credit'", Vendor::OpenAi, 429, "insufficient_quota"),
        ("error = 'spend_limit'", Vendor::OpenAi, 429, "organization_spend_limit_exceeded"),
        ("error = 'out_of_credit'", Vendor::Gemini, 402, "RESOURCE_EXHAUSTED"),
        ("error = 'daily_quota'", Vendor::Gemini, 429, "PerDay"),
        ("error = 'rate_limited'\nretry_after = 55.0", Vendor::Gemini, 429, "\"retryDelay\":\"55s\""),
        ("error = 'out_of_credit'", Vendor::Anthropic, 402, "billing_error"),
        ("error = 'spend_limit'", Vendor::Anthropic, 429, "enforced_spend_limit_reached"),
        ("error = 'overloaded'", Vendor::Anthropic, 529, "overloaded_error"),
        ("error = 'rate_limited'", Vendor::Polly, 400, "Rate exceeded"),
        ("error = 'key_refused'", Vendor::Azure, 401, "Access denied"),
        ("status = 502", Vendor::Google, 502, "UNAVAILABLE"),
    ];
    for (fault, vendor, status, words) in cases {
        let (is, text) = told(fault, vendor).await;
        assert!(is == status && text.contains(words), "{fault}: {is} {text}");
    }
}

#[tokio::test]
async fn spoiled_answers_are_what_they_say() {
    for (name, spoil) in Spoil::ALL.iter().filter(|(_, spoil)| *spoil != Spoil::Huge) {
        let server = with(&format!("[[fault]]\nspoil = \"{name}\"")).await;
        for vendor in Vendor::ALL {
            let answer = any(&server, vendor).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
            let body = answer.bytes().await;
            let is_json = |body: &[u8]| serde_json::from_slice::<Value>(body).is_ok();
            let is_writer = WRITERS.contains(&vendor);
            match spoil {
                Spoil::Reset => assert!(body.is_err(), "{vendor:?}"),
                Spoil::WrongType => assert!(kind.starts_with("text/html")),
                Spoil::Malformed => assert!(!is_json(&body.unwrap())),
                Spoil::Truncated if is_writer => assert!(!is_json(&body.unwrap())),
                Spoil::Silent if !is_writer => {
                    let body = body.unwrap();
                    assert!(audio::scan(&body, Limits::ANY).is_err() && body.len() < 80);
                }
                _ => assert!(!body.unwrap().is_empty()),
            }
        }
    }
}

#[tokio::test]
async fn writers_end_in_every_way_they_have() {
    let ended = async |spoil: &str, vendor, calls: usize| {
        let server = with(&format!("[[fault]]\nspoil = \"{spoil}\"")).await;
        let mut last = Value::Null;
        for _ in 0..calls {
            last = any(&server, vendor).send().await.unwrap().json().await.unwrap();
        }
        let billed = count(&server, vendor).billed;
        assert!(billed.input_tokens > 0, "{spoil} at {vendor:?} costs what was read");
        (last, billed)
    };
    let (first, _) = ended("refused", Vendor::OpenAi, 1).await;
    assert!(first["choices"][0]["message"]["refusal"].is_string() && first["choices"][0]["finish_reason"] == "stop");
    let (second, _) = ended("refused", Vendor::OpenAi, 2).await;
    assert!(second["choices"][0]["message"]["content"].is_null());
    assert_eq!(second["choices"][0]["finish_reason"], "content_filter");
    assert_eq!(ended("refused", Vendor::Gemini, 1).await.0["candidates"][0]["finishReason"], "SAFETY");
    let (blocked, _) = ended("refused", Vendor::Gemini, 2).await;
    assert!(blocked.get("candidates").is_none() && blocked["promptFeedback"]["blockReason"].is_string());
    assert_eq!(ended("refused", Vendor::Anthropic, 1).await.0["stop_reason"], "refusal");
    assert_eq!(ended("cut_off", Vendor::OpenAi, 1).await.0["choices"][0]["finish_reason"], "length");
    assert_eq!(ended("empty", Vendor::OpenAi, 1).await.0["choices"][0]["message"]["content"], "");
    let (thinking, billed) = ended("thinking_only", Vendor::Anthropic, 1).await;
    assert_eq!((thinking["content"][0]["type"].as_str(), thinking["content"][1].is_null()), (Some("thinking"), true));
    assert_eq!(billed.output_tokens, thinking["usage"]["output_tokens"].as_u64().unwrap());
    let (thinking, _) = ended("thinking_only", Vendor::Gemini, 1).await;
    assert_eq!(thinking["candidates"][0]["content"]["parts"][0]["thought"], true);
}

#[tokio::test]
async fn what_a_client_cannot_know_is_counted_as_lost() {
    let server = with("[[fault]]\nspoil = 'truncated'").await;
    for vendor in [Vendor::OpenAi, Vendor::Google] {
        any(&server, vendor).send().await.unwrap().bytes().await.unwrap();
        let count = count(&server, vendor);
        assert_eq!((count.billed, count.lost_calls), (Billed::default(), 1), "{vendor:?}");
        assert_ne!(count.lost, Billed::default());
    }
    // Raw audio has its bill in a header, however much of the audio comes.
    any(&server, Vendor::Polly).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(count(&server, Vendor::Polly).billed.characters, 13);
    let server = with("[[fault]]\ndelay = 600.0").await;
    any(&server, Vendor::Anthropic).timeout(Duration::from_millis(300)).send().await.unwrap_err();
    crate::support::until("the hung-up call is lost", async || count(&server, Vendor::Anthropic).lost_calls == 1).await;
    assert!(count(&server, Vendor::Anthropic).by_status.is_empty());
}

#[tokio::test]
async fn a_huge_answer_goes_on_until_the_client_has_enough() {
    let server = with("[[fault]]\nspoil = 'huge'").await;
    let mut answer = any(&server, Vendor::OpenAi).send().await.unwrap();
    let mut read = 0;
    while read < 64 << 20 {
        read += answer.chunk().await.unwrap().expect("it goes on").len();
    }
    drop(answer);
    crate::support::until("the answer is lost", async || count(&server, Vendor::OpenAi).lost_calls == 1).await;
}

#[tokio::test]
async fn an_answer_drips() {
    let server = with("[[fault]]\ndrip = 20").await;
    let mut answer = any(&server, Vendor::OpenAi).send().await.unwrap();
    for _ in 0..3 {
        assert_eq!(answer.chunk().await.unwrap().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn the_limit_refills() {
    let limit = "[[rate_limit]]\nprovider = 'openai'\nper_minute = 600\nburst = 3";
    let server = with(limit).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let answer = any(&server, Vendor::OpenAi).send().await.unwrap();
        assert_eq!(answer.headers()["x-ratelimit-limit-requests"], "600");
        statuses.push((answer.status().as_u16(), answer.headers().get("retry-after-ms").is_some()));
    }
    assert_eq!(statuses[..3], [(200, false); 3]);
    // On a slow machine the fourth may come after a refill.
    assert!([(429, true), (200, false)].contains(&statuses[3]), "{statuses:?}");
    crate::support::until("the bucket has refilled", async || {
        any(&server, Vendor::OpenAi).send().await.unwrap().status() == 200
    })
    .await;
    assert_eq!(any(&server, Vendor::Gemini).send().await.unwrap().status(), 200, "another vendor has its own");
}

/// Statuses of a hundred calls.
async fn hundred(faults: &str) -> Vec<u16> {
    let server = with(faults).await;
    let mut statuses = Vec::new();
    for _ in 0..100 {
        statuses.push(any(&server, Vendor::OpenAi).send().await.unwrap().status().as_u16());
    }
    statuses
}

#[tokio::test]
async fn the_same_seed_has_the_same_faults() {
    let faults = |seed: u64| format!("seed = {seed}\n[[fault]]\nshare = 0.2\nstatus = 500");
    let first = hundred(&faults(1)).await;
    assert_eq!(first, hundred(&faults(1)).await);
    assert_ne!(first, hundred(&faults(2)).await);
    let failed = first.iter().filter(|status| **status == 500).count();
    assert!((8..=32).contains(&failed), "{failed} of 100");
    let windows = "[[fault]]\nfrom = 3600.0\nstatus = 500\n[[fault]]\nuntil = 3600.0\nmost = 7\nstatus = 503";
    let counted = hundred(windows).await;
    assert_eq!(counted, [[503; 7].as_slice(), &[200; 93]].concat());
}

#[tokio::test]
async fn a_prompt_that_one_writer_refuses_all_refuse() {
    let server = with("[[fault]]\nshare = 0.5\nby = 'prompt'\nstatus = 400").await;
    let mut refused = 0;
    for number in 0..40 {
        let prompt = format!("Question {number}");
        let mut statuses = Vec::new();
        for vendor in WRITERS {
            statuses.push(ask(&server, vendor, &prompt, 900).send().await.unwrap().status().as_u16());
        }
        assert!(statuses.iter().all(|status| *status == statuses[0]), "{statuses:?}");
        refused += usize::from(statuses[0] == 400);
    }
    assert!((8..=32).contains(&refused), "{refused} of 40");
}

#[test]
fn a_wrong_file_is_told_as_a_whole() {
    let wrong = "sead = 1\n[latency]\nscale = -1\n[[rate_limit]]\nprovider = 'nobody'\nburst = 0\n[[fault]]\nshare = 2\n\
                 spoil = 'bad'\nstatus = 200\n[[fault]]\n[[fault]]\nstatus = 500\nspoil = 'empty'\n[[fault]]\nfrom = 2\n\
                 until = 1\ndelay = 1\n[[fault]]\nretry_after = 1\ndrip = 1";
    let told = Faults::parse(wrong).unwrap_err().to_string();
    let parts = [
        "sead is not known here",
        "latency: scale is -1",
        "rate_limit 1: provider is \"nobody\"; known are openai",
        "rate_limit 1: burst is 0",
        "fault 1: share is 2",
        "fault 1: spoil is \"bad\"; known are malformed",
        "fault 1: status is 200",
        "fault 2: does nothing",
        "fault 3: has an error and a spoiled answer",
        "fault 4: is over before it begins",
        "fault 5: retry_after belongs to an error",
    ];
    for part in parts {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(told.lines().count(), parts.len() + 1, "{told}");
    assert!(Faults::parse("seed = ").unwrap_err().to_string().contains("line 1"));
}

#[tokio::test]
async fn the_faults_of_the_demo_leave_a_way_for_everything() {
    let server = started(Faults::demo().unwrap().with_latency_scale(0.0)).await;
    let mut well = 0;
    for number in 0..60 {
        let answer = ask(&server, Vendor::Anthropic, &format!("Question {number}"), 900).send().await.unwrap();
        assert_eq!(answer.status(), 200, "what passes befalls the last writer");
        well += usize::from(!answer.text().await.unwrap().contains("refusal"));
    }
    assert!((30..60).contains(&well), "{well} of 60");
}
