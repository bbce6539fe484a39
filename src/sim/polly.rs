//! Amazon Polly: speech and voices. Signatures are verified; text is bounded by what is billed,
//! which is all but the tags of SSML. Too many calls are a 400, as AWS has it.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    ACCESS_KEY_ID, World,
    answer::{Answer, Part},
    faults::{Spoil, Trouble},
    routes::{Context, Told},
    sigv4::{Refusal, Signer, verify},
    speech::Format,
    ssml,
    usage::Billed,
    vendor::{Ask, Operation},
    voices,
};

/// The most characters of a request, and of those that are billed.
const MOST_CHARACTERS: u64 = 6000;
const MOST_BILLED: u64 = 3000;

const KEYS: [&str; 9] = [
    "Text",
    "TextType",
    "OutputFormat",
    "VoiceId",
    "Engine",
    "SampleRate",
    "LanguageCode",
    "LexiconNames",
    "SpeechMarkTypes",
];

const ENGINES: [&str; 4] = ["standard", "neural", "long-form", "generative"];

/// The MP3 of each rate.
const FORMATS: [(&str, Format); 4] = [
    ("16000", Format { rate: 16_000, kbps: 32 }),
    ("22050", Format { rate: 22_050, kbps: 48 }),
    ("24000", Format { rate: 24_000, kbps: 48 }),
    ("48000", Format { rate: 48_000, kbps: 96 }),
];

pub(super) fn let_in(ask: &Ask<'_>, world: &World) -> Result<(), Box<Answer>> {
    let signer = Signer { access_key_id: ACCESS_KEY_ID, secret_access_key: &world.secret_access_key, service: "polly" };
    verify(ask, &signer, (world.now)()).map_err(|refusal| {
        let (name, message) = match refusal {
            Refusal::MissingAuthenticationToken => {
                ("MissingAuthenticationTokenException", "Missing Authentication Token".to_owned())
            }
            Refusal::IncompleteSignature(what) => ("IncompleteSignatureException", what.to_owned()),
            Refusal::UnrecognizedClient => {
                let message = "The security token included in the request is invalid.";
                ("UnrecognizedClientException", message.to_owned())
            }
            Refusal::InvalidSignature(message) => ("InvalidSignatureException", message),
        };
        Box::new(error(403, name, &message))
    })
}

pub(super) fn answer(ask: &Ask<'_>, context: &Context<'_>) -> Result<Answer, Box<Answer>> {
    let answer = match context.operation {
        Operation::List => list(ask),
        _ => speak(ask, context),
    };
    let id = request_id(context.number);
    match answer {
        Ok(answer) => Ok(answer.with("x-amzn-requestid", id)),
        Err(wrong) => Err(Box::new(wrong.with("x-amzn-requestid", id))),
    }
}

fn speak(ask: &Ask<'_>, context: &Context<'_>) -> Result<Answer, Answer> {
    let body: Value = serde_json::from_slice(ask.body).unwrap_or_default();
    let fields =
        body.as_object().ok_or_else(|| error(400, "SerializationException", "Start of structure expected."))?;
    if let Some(key) = fields.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(invalid(&format!("{key} is not known")));
    }
    let field = |key: &str| match &body[key] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.as_str())),
        other => Err(error(400, "SerializationException", &format!("{other} cannot be converted to String"))),
    };
    let required = |key: &str| {
        field(key)?.ok_or_else(|| {
            invalid(&format!("Value null at '{key}' failed to satisfy constraint: Member must not be null"))
        })
    };
    let (text, voice, format) = (required("Text")?, required("VoiceId")?, required("OutputFormat")?);
    if format != "mp3" {
        return Err(invalid(&format!("Value '{format}' at 'outputFormat': the simulator speaks mp3 alone")));
    }
    let engine = field("Engine")?.unwrap_or("standard");
    let member = |value: &str, at: &str| {
        invalid(&format!(
            "1 validation error detected: Value '{value}' at '{at}' failed to satisfy constraint: Member must satisfy enum value set"
        ))
    };
    let found = voices::POLLY.iter().find(|(id, ..)| *id == voice);
    let (_, language, _, engines) = found.ok_or_else(|| member(voice, "voiceId"))?;
    if !ENGINES.contains(&engine) {
        return Err(member(engine, "engine"));
    }
    if !engines.contains(&engine) {
        let message = format!("This voice does not support the selected engine: {engine}");
        return Err(error(400, "EngineNotSupportedException", &message));
    }
    if field("LanguageCode")?.is_some_and(|wanted| wanted != *language) {
        let message = "This voice does not support the selected language";
        return Err(error(400, "LanguageNotSupportedException", message));
    }
    let rate = field("SampleRate")?.unwrap_or(if engine == "standard" { "22050" } else { "24000" });
    let format = FORMATS.iter().find(|(name, _)| *name == rate).map(|(_, format)| *format);
    let format = format.ok_or_else(|| {
        error(400, "InvalidSampleRateException", &format!("The specified sample rate is not valid: {rate}"))
    })?;
    let spoken = spoken(text, field("TextType")?.unwrap_or("text"))?;
    let billed = letters(&spoken);
    if letters(text) > MOST_CHARACTERS || billed > MOST_BILLED {
        return Err(error(400, "TextLengthExceededException", "Maximum text length has been exceeded"));
    }
    let body = match context.spoil {
        Some(Spoil::Silent) => Part::Bytes(Bytes::from_static(&[0; 8])),
        _ => match context.world.clips.speak(&spoken, format) {
            Ok(speech) => Part::Speech(speech),
            Err(failed) => return Err(error(500, "ServiceFailureException", &failed.to_string())),
        },
    };
    let answer = Answer::text(200, "audio/mpeg", "").with("x-amzn-requestcharacters", billed);
    Ok(Answer { body: vec![body], ..answer }.billing(Billed { characters: billed, ..Billed::default() }))
}

/// The words of a text.
fn spoken(text: &str, kind: &str) -> Result<String, Answer> {
    let spoken = match kind {
        "text" => text.to_owned(),
        "ssml" => match ssml::read(text) {
            Ok(ssml) => ssml.text,
            Err(what) => return Err(error(400, "InvalidSsmlException", &format!("Invalid SSML request: {what}"))),
        },
        other => {
            return Err(invalid(&format!("Value '{other}' at 'textType' must satisfy enum value set: [ssml, text]")));
        }
    };
    if spoken.trim().is_empty() { Err(invalid("Text has nothing to speak")) } else { Ok(spoken) }
}

fn letters(text: &str) -> u64 {
    text.chars().count() as u64
}

fn list(ask: &Ask<'_>) -> Result<Answer, Answer> {
    let (engine, language) = (ask.parameter("Engine"), ask.parameter("LanguageCode"));
    if let Some(engine) = engine.filter(|engine| !ENGINES.contains(engine)) {
        return Err(invalid(&format!("Value '{engine}' at 'engine' must satisfy enum value set")));
    }
    let voices = voices::POLLY.iter().filter(|(_, code, _, engines)| {
        engine.is_none_or(|engine| engines.contains(&engine)) && language.is_none_or(|language| language == *code)
    });
    let voices: Vec<Value> = voices
        .map(|(id, code, gender, engines)| {
            json!({
                "Id": id,
                "Name": id,
                "LanguageCode": code,
                "LanguageName": code,
                "Gender": gender,
                "SupportedEngines": engines,
            })
        })
        .collect();
    Ok(Answer::json(200, &json!({"Voices": voices})))
}

pub(super) fn trouble(context: &Context<'_>, told: &Told) -> Answer {
    let (status, name, message) = match told.trouble {
        Trouble::RateLimited | Trouble::DailyQuota => (400, "ThrottlingException", "Rate exceeded"),
        Trouble::OutOfCredit | Trouble::SpendLimit => {
            (403, "SubscriptionRequiredException", "The AWS Access Key Id needs a subscription for the service")
        }
        Trouble::KeyRefused => {
            (403, "UnrecognizedClientException", "The security token included in the request is invalid.")
        }
        Trouble::Forbidden => {
            (403, "AccessDeniedException", "User is not authorized to perform: polly:SynthesizeSpeech")
        }
        Trouble::ModelRetired => {
            (400, "EngineNotSupportedException", "This voice does not support the selected engine")
        }
        Trouble::BadRequest => (400, "ValidationException", "1 validation error detected"),
        Trouble::TooLarge => (413, "RequestEntityTooLargeException", "Request is too large"),
        Trouble::Timeout => (504, "GatewayTimeoutException", "Endpoint request timed out"),
        Trouble::ServerError => (500, "ServiceFailureException", "An unknown condition has caused a service failure."),
        Trouble::Unavailable | Trouble::Overloaded => (503, "ServiceUnavailableException", "Service is unavailable"),
    };
    let answer = error(told.status.unwrap_or(status), name, message);
    let answer = answer.with("x-amzn-requestid", request_id(context.number));
    match told.seconds().filter(|_| told.trouble != Trouble::RateLimited) {
        Some(seconds) => answer.with("retry-after", seconds),
        None => answer,
    }
}

fn invalid(message: &str) -> Answer {
    error(400, "ValidationException", message)
}

fn error(status: u16, name: &str, message: &str) -> Answer {
    Answer::json(status, &json!({"message": message})).with("x-amzn-errortype", format_args!("{name}:"))
}

fn request_id(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}
