//! Google Cloud Text-to-Speech: speech as base64 in JSON, and voices. Its limit is one of bytes,
//! tags included, and so is its bill, but for characters and without `<mark>`.

use base64::Engine as _;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Part},
    faults::{Spoil, Trouble},
    gemini::{bad_key, details, error, read, unregistered, usual},
    routes::{Context, Told},
    speech::Format,
    ssml,
    usage::Billed,
    vendor::{Ask, Operation},
    voices,
};

/// The most bytes of what is to be spoken.
const MOST_BYTES: usize = 5000;

const BITRATE_KBPS: u32 = 32;

const RATES: [u64; 4] = [16_000, 22_050, 24_000, 48_000];

pub(super) fn let_in(ask: &Ask<'_>) -> Result<(), Box<Answer>> {
    match (ask.header("x-goog-api-key").or_else(|| ask.parameter("key")), ask.bearer()) {
        (Some(key), _) if key.starts_with("refused") => Err(Box::new(bad_key("texttospeech.googleapis.com"))),
        (None, Some(token)) if token.starts_with("refused") => {
            let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie \
                           or other valid authentication credential.";
            Err(Box::new(error(401, "UNAUTHENTICATED", message, &[])))
        }
        (None, None) => Err(Box::new(unregistered())),
        _ => Ok(()),
    }
}

pub(super) fn answer(ask: &Ask<'_>, context: &Context<'_>) -> Result<Answer, Box<Answer>> {
    if context.operation == Operation::List {
        return Ok(list(ask));
    }
    let body = read(ask.body);
    if ask.content_type() != "application/json" || !body.is_object() {
        return Err(wrong("Invalid JSON payload received. Unexpected token."));
    }
    if let Some(key) = body
        .as_object()
        .into_iter()
        .flat_map(|body| body.keys())
        .find(|key| !["input", "voice", "audioConfig"].contains(&key.as_str()))
    {
        return Err(wrong(&format!("Invalid JSON payload received. Unknown name \"{key}\": Cannot find field.")));
    }
    let (spoken, billed) = input(&body["input"])?;
    voice(&body["voice"])?;
    let audio = &body["audioConfig"];
    if audio["audioEncoding"] != "MP3" {
        return Err(wrong("Invalid audioEncoding: the simulator speaks MP3 alone."));
    }
    let rate = match &audio["sampleRateHertz"] {
        Value::Null => 24_000,
        rate => rate.as_u64().filter(|rate| RATES.contains(rate)).ok_or_else(|| wrong("Unsupported sample rate."))?,
    };
    let format = Format { rate: u32::try_from(rate).unwrap_or_default(), kbps: BITRATE_KBPS };
    let mut parts = vec![Part::Bytes(Bytes::from_static(b"{\n  \"audioContent\": \""))];
    if context.spoil == Some(Spoil::Silent) {
        // Eight zeros on every second call; nothing at all on the others.
        let zeros = if context.number.is_multiple_of(2) { &[0_u8; 8][..] } else { &[] };
        parts.push(Part::Bytes(base64::engine::general_purpose::STANDARD.encode(zeros).into()));
    } else {
        let speech = context.world.clips.speak(&spoken, format);
        let failed = |failed: crate::audio::Error| Box::new(error(500, "INTERNAL", &failed.to_string(), &[]));
        parts.push(Part::SpeechInBase64(speech.map_err(failed)?));
    }
    parts.push(Part::Bytes(Bytes::from_static(b"\"\n}\n")));
    let answer = Answer::text(200, "application/json; charset=UTF-8", "");
    Ok(Answer { body: parts, ..answer }.billing(Billed { characters: billed, ..Billed::default() }))
}

/// What is spoken, and how many characters of it are billed.
fn input(input: &Value) -> Result<(String, u64), Box<Answer>> {
    let given: Vec<(&str, &str)> =
        ["text", "ssml", "markup"].into_iter().filter_map(|key| Some((key, input[key].as_str()?))).collect();
    let [(kind, source)] = given[..] else {
        return Err(wrong("Exactly one of input.text, input.ssml and input.markup must be set."));
    };
    if source.len() > MOST_BYTES {
        return Err(wrong("Either `input.text` or `input.ssml` is longer than the limit of 5000 bytes."));
    }
    let all = source.chars().count() as u64;
    let (spoken, billed) = match kind {
        "ssml" => {
            let ssml = ssml::read(source).map_err(|what| wrong(&format!("Invalid SSML. {what}")))?;
            let marks: u64 = ssml.tags.iter().filter(|tag| tag.name == "mark").map(ssml::Tag::letters).sum();
            (ssml.text, all - marks)
        }
        _ => (source.to_owned(), all),
    };
    if spoken.trim().is_empty() { Err(wrong("The input is empty.")) } else { Ok((spoken, billed)) }
}

fn voice(voice: &Value) -> Result<(), Box<Answer>> {
    let language = voice["languageCode"].as_str().ok_or_else(|| wrong("voice.languageCode must be set."))?;
    let Some(name) = voice["name"].as_str() else { return Ok(()) };
    let found = voices::google().find(|(known, ..)| known == name);
    let Some((_, code, _)) = found else {
        return Err(wrong(&format!("Voice '{name}' does not exist. Is it misspelled?")));
    };
    let is_its = code.eq_ignore_ascii_case(language) || code.split('-').next() == Some(language);
    is_its.then_some(()).ok_or_else(|| {
        wrong(&format!(
            "Requested language code '{language}' doesn't match the voice '{name}''s language code '{code}'."
        ))
    })
}

fn list(ask: &Ask<'_>) -> Answer {
    let wanted = ask.parameter("languageCode").unwrap_or_default();
    let voices: Vec<Value> = voices::google()
        .filter(|(_, code, _)| code.starts_with(wanted))
        .map(|(name, code, gender)| {
            json!({"languageCodes": [code], "name": name, "ssmlGender": gender, "naturalSampleRateHertz": 24_000})
        })
        .collect();
    Answer::json(200, &json!({"voices": voices}))
}

pub(super) fn trouble(told: &Told) -> Answer {
    let (mut status, mut name, mut message) = usual(told.trouble);
    let mut details = details(told);
    if let Trouble::OutOfCredit | Trouble::SpendLimit = told.trouble {
        // Accounts without credit are closed, not limited.
        (status, name) = (403, "PERMISSION_DENIED");
        message = "This API method requires billing to be enabled.";
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "BILLING_DISABLED",
            "domain": "googleapis.com",
        }));
    }
    error(told.status.unwrap_or(status), name, message, &details)
}

fn wrong(message: &str) -> Box<Answer> {
    Box::new(error(400, "INVALID_ARGUMENT", message, &[]))
}
