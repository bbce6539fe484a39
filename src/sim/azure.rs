//! Azure Speech over REST: SSML in, an MP3 out, and voices. It bills what is written but for the
//! tags of `<speak>` and `<voice>`, an entity as the one character it stands for, and a Chinese
//! character twice, kanji and hanja among them.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Part},
    faults::{Spoil, Trouble},
    routes::{Context, Told},
    speech::Format,
    ssml,
    usage::Billed,
    vendor::{Ask, Operation},
    voices,
};

/// The longest `User-Agent`, and one is required.
const LONGEST_AGENT: usize = 255;

/// The most elements `<voice>` of a request.
const MOST_VOICES: usize = 50;

/// The formats that are MP3.
const FORMATS: [(&str, Format); 8] = [
    ("audio-16khz-32kbitrate-mono-mp3", Format { rate: 16_000, kbps: 32 }),
    ("audio-16khz-64kbitrate-mono-mp3", Format { rate: 16_000, kbps: 64 }),
    ("audio-16khz-128kbitrate-mono-mp3", Format { rate: 16_000, kbps: 128 }),
    ("audio-24khz-48kbitrate-mono-mp3", Format { rate: 24_000, kbps: 48 }),
    ("audio-24khz-96kbitrate-mono-mp3", Format { rate: 24_000, kbps: 96 }),
    ("audio-24khz-160kbitrate-mono-mp3", Format { rate: 24_000, kbps: 160 }),
    ("audio-48khz-96kbitrate-mono-mp3", Format { rate: 48_000, kbps: 96 }),
    ("audio-48khz-192kbitrate-mono-mp3", Format { rate: 48_000, kbps: 192 }),
];

pub(super) fn let_in(ask: &Ask<'_>) -> Result<(), Box<Answer>> {
    match ask.header("ocp-apim-subscription-key").or_else(|| ask.bearer()) {
        Some(key) if !key.starts_with("refused") => Ok(()),
        _ => Err(Box::new(denied())),
    }
}

fn denied() -> Answer {
    let message = "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid \
                   key for an active subscription and use a correct regional API endpoint for your resource.";
    Answer::json(401, &json!({"error": {"code": "401", "message": message}}))
}

pub(super) fn answer(ask: &Ask<'_>, context: &Context<'_>) -> Result<Answer, Box<Answer>> {
    let answer = match context.operation {
        Operation::List => Ok(list()),
        _ => speak(ask, context),
    };
    let id = format!("sim{:029}", context.number);
    match answer {
        Ok(answer) => Ok(answer.with("x-requestid", id)),
        Err(wrong) => Err(Box::new(wrong.with("x-requestid", id))),
    }
}

fn speak(ask: &Ask<'_>, context: &Context<'_>) -> Result<Answer, Answer> {
    let agent = ask.header("user-agent").unwrap_or_default();
    if agent.is_empty() || agent.len() >= LONGEST_AGENT {
        return Err(wrong("A User-Agent of less than 255 characters is required"));
    }
    if ask.content_type() != "application/ssml+xml" {
        return Err(Answer::text(415, "text/plain", "Content-Type must be application/ssml+xml"));
    }
    let format = ask.header("x-microsoft-outputformat").unwrap_or_default();
    let format = FORMATS.iter().find(|(name, _)| *name == format).map(|(_, format)| *format);
    let format = format.ok_or_else(|| wrong("X-Microsoft-OutputFormat is missing or unsupported"))?;
    let source = std::str::from_utf8(ask.body).map_err(|_| wrong("The body is not UTF-8"))?;
    let ssml = ssml::read(source).map_err(|what| wrong(&format!("SSML parsing error: {what}")))?;
    let speak = ssml.elements("speak").next();
    if !speak.is_some_and(|speak| speak.attribute("xml:lang").is_some() && speak.attribute("version").is_some()) {
        return Err(wrong("SSML must have the attributes version and xml:lang"));
    }
    let mut names = ssml.elements("voice").map(|voice| voice.attribute("name").unwrap_or_default()).peekable();
    if names.peek().is_none() {
        return Err(wrong("SSML must have an element voice"));
    }
    if ssml.elements("voice").count() > MOST_VOICES {
        return Err(wrong("Number of voice elements exceeded the limit of 50"));
    }
    if let Some(unknown) = names.find(|name| !voices::AZURE.iter().any(|(known, _)| known == name)) {
        return Err(wrong(&format!("Unsupported voice {unknown}.")));
    }
    if ssml.text.trim().is_empty() {
        return Err(wrong("There is nothing to speak"));
    }
    let billed = characters(&ssml.text) + ssml.letters_of_tags_but(&["speak", "voice"]);
    let body = match context.spoil {
        // Eight zeros on every second call; nothing at all on the others.
        Some(Spoil::Silent) if context.number.is_multiple_of(2) => Part::Bytes(Bytes::new()),
        Some(Spoil::Silent) => Part::Bytes(Bytes::from_static(&[0; 8])),
        _ => match context.world.clips.speak(&ssml.text, format) {
            Ok(speech) => Part::Speech(speech),
            Err(failed) => return Err(Answer::text(500, "text/plain", failed.to_string())),
        },
    };
    let answer = Answer::text(200, "audio/mpeg", "");
    Ok(Answer { body: vec![body], ..answer }.billing(Billed { characters: billed, ..Billed::default() }))
}

/// Characters as they are billed.
fn characters(text: &str) -> u64 {
    let is_chinese = |letter: char| matches!(letter, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}');
    text.chars().map(|letter| if is_chinese(letter) { 2 } else { 1 }).sum()
}

fn list() -> Answer {
    let voices: Vec<Value> = voices::AZURE
        .iter()
        .map(|(name, gender)| {
            let locale = voices::language_of(name);
            json!({
                "Name": format!("Microsoft Server Speech Text to Speech Voice ({name})"),
                "DisplayName": name,
                "ShortName": name,
                "Gender": gender,
                "Locale": locale,
                "SampleRateHertz": "24000",
                "VoiceType": "Neural",
                "Status": "GA",
            })
        })
        .collect();
    Answer::json(200, &Value::Array(voices))
}

pub(super) fn trouble(told: &Told) -> Answer {
    let (status, message) = match told.trouble {
        Trouble::RateLimited | Trouble::DailyQuota => (429, "Too many requests"),
        Trouble::OutOfCredit | Trouble::SpendLimit => (403, "Out of call volume quota"),
        Trouble::KeyRefused => return denied(),
        Trouble::Forbidden => (403, "Forbidden"),
        Trouble::ModelRetired => (404, "Resource not found"),
        Trouble::BadRequest => (400, "Bad request"),
        Trouble::TooLarge => (413, "Payload too large"),
        Trouble::Timeout => (504, "Gateway timeout"),
        Trouble::ServerError => (500, "Internal server error"),
        Trouble::Unavailable => (503, "Service unavailable"),
        Trouble::Overloaded => (502, "Bad gateway"),
    };
    let answer = Answer::text(told.status.unwrap_or(status), "text/plain", message.to_owned());
    // A quota that is used up says when it returns; nothing else tells it from a wrong key.
    let returns = || (status == 403 && message.contains("quota")).then_some(86_400);
    match told.seconds().or_else(returns) {
        Some(seconds) => answer.with("retry-after", seconds),
        None => answer,
    }
}

fn wrong(message: &str) -> Answer {
    Answer::text(400, "text/plain", message.to_owned())
}
