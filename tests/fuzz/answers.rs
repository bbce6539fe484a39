//! The answers of the six vendors. An input is written like HTTP: a status, headers, an empty line,
//! the body; what is missing is 200, no header and all of it body.
//!
//! Held beyond "no panic": what is taken is bounded and can be stored, and a failure's message, which
//! is stored and shown, is short and of one line.

use std::time::Duration;

use bytes::Bytes;
use dailycast::{
    podcast::Failure,
    provider::{
        http::{Answer, LONGEST_RETRY_AFTER},
        llm::{WrittenScript, anthropic, gemini, openai},
        tts::{OfferedVoice, Spoken, azure, google, polly},
    },
};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// More tokens of one answer would be a wrong count.
const MOST_TOKENS: u64 = 1_000_000_000;

pub fn openai(bytes: &[u8]) {
    written(openai::read(&answer(bytes), "asked"));
}

pub fn gemini(bytes: &[u8]) {
    written(gemini::read(&answer(bytes), "asked"));
}

pub fn anthropic(bytes: &[u8]) {
    written(anthropic::read(&answer(bytes), "asked"));
}

pub fn polly(bytes: &[u8]) {
    let answer = answer(bytes);
    spoken(polly::read(&answer, 100), &answer);
    listed(polly::read_voices(&answer).map(|(voices, _)| voices), &answer);
}

pub fn google(bytes: &[u8]) {
    let answer = answer(bytes);
    spoken(google::read(&answer, 100), &answer);
    listed(google::read_voices(&answer), &answer);
}

pub fn azure(bytes: &[u8]) {
    let answer = answer(bytes);
    spoken(azure::read(&answer, 100), &answer);
    listed(azure::read_voices(&answer), &answer);
}

fn answer(bytes: &[u8]) -> Answer {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = end.map_or((&b""[..], bytes), |end| (&bytes[..end], &bytes[end + 2..]));
    let mut lines = head.split(|byte| *byte == b'\n');
    let status = lines.next().and_then(|line| std::str::from_utf8(line).ok()?.parse().ok());
    let mut headers = HeaderMap::new();
    for line in lines.take(20) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    Answer { status: status.unwrap_or(200), headers, body: Bytes::copy_from_slice(body) }
}

fn written(read: Result<WrittenScript, Failure>) {
    let (input, output) = match read {
        Ok(script) => {
            assert!(!script.text.trim().is_empty());
            assert!(script.text.chars().all(|sign| !sign.is_control() || sign.is_whitespace()));
            assert!(script.model.len() < 200 && script.request_id.is_none_or(|id| id.len() < 200));
            (script.input_tokens, script.output_tokens)
        }
        Err(failure) => {
            refused(&failure);
            failure.billed.map_or((0, 0), |billed| (billed.input_tokens, billed.output_tokens))
        }
    };
    assert!(input <= MOST_TOKENS && output <= MOST_TOKENS);
}

fn spoken(read: Result<Spoken, Failure>, answer: &Answer) {
    match read {
        Ok(spoken) => {
            assert!(spoken.mp3.len() <= answer.body.len());
            assert!(spoken.billed_characters <= u64::from(u32::MAX));
            assert!(spoken.request_id.is_none_or(|id| id.len() < 200));
        }
        Err(failure) => refused(&failure),
    }
}

fn listed(read: Result<Vec<OfferedVoice>, Failure>, answer: &Answer) {
    match read {
        Ok(voices) => assert!(voices.len() <= answer.body.len()),
        Err(failure) => refused(&failure),
    }
}

fn refused(failure: &Failure) {
    assert!(failure.message.len() < 700 && !failure.message.contains(char::is_control), "{}", failure.message);
    assert!(failure.provider.is_some());
    assert!(failure.retry_after.unwrap_or(Duration::ZERO) <= LONGEST_RETRY_AFTER);
}
