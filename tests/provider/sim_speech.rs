//! The simulated speakers: their limits, their bills to the character, signatures, and MP3s that
//! scan clean and decode without a complaint.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use base64::Engine as _;
use dailycast::{
    audio::{self, Limits, Scan},
    provider::tts::pace,
    sim::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, Server, Vendor},
};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use super::{
    audio::decode,
    sim::{count, http, noon, with},
};

/// A request of Polly's, signed by AWS's own code with this secret and at this time.
fn signed(server: &Server, body: &Value, secret: &str, time: SystemTime) -> RequestBuilder {
    let address = format!("{}/v1/speech", server.url());
    let (body, host) = (body.to_string(), server.address().to_string());
    let identity = Credentials::new(ACCESS_KEY_ID, secret, None, None, "test").into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("polly")
        .time(time)
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let headers = [("content-type", "application/json"), ("host", host.as_str())];
    let request =
        SignableRequest::new("POST", &address, headers.into_iter(), SignableBody::Bytes(body.as_bytes())).unwrap();
    let (instructions, _) = sign(request, &parameters).unwrap().into_parts();
    let mut request = http().post(&address).header("content-type", "application/json");
    for (name, value) in instructions.headers() {
        request = request.header(name, value);
    }
    request.body(body)
}

pub fn polly(server: &Server, change: Value) -> RequestBuilder {
    let mut body = json!({"OutputFormat": "mp3", "VoiceId": "Joanna", "Engine": "neural", "SampleRate": "24000"});
    body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    signed(server, &body, SECRET_ACCESS_KEY, SystemTime::from(noon()))
}

pub fn google(server: &Server, input: Value) -> RequestBuilder {
    let body = json!({
        "input": input,
        "voice": {"languageCode": "en-US", "name": "en-US-Neural2-F"},
        "audioConfig": {"audioEncoding": "MP3", "sampleRateHertz": 24000},
    });
    http().post(format!("{}/v1/text:synthesize", server.url())).header("x-goog-api-key", "sim-key").json(&body)
}

pub fn azure(server: &Server, voice: &str, inner: &str) -> RequestBuilder {
    let ssml = format!(
        "<speak version='1.0' xmlns='http://www.w3.org/2001/10/synthesis' xml:lang='en-US'><voice name='{voice}'>{inner}</voice></speak>"
    );
    http()
        .post(format!("{}/cognitiveservices/v1", server.url()))
        .header("ocp-apim-subscription-key", "sim-key")
        .header("content-type", "application/ssml+xml")
        .header("x-microsoft-outputformat", "audio-24khz-48kbitrate-mono-mp3")
        .header("user-agent", "test")
        .body(ssml)
}

const JENNY: &str = "en-US-JennyNeural";

async fn mp3_of(answer: Response) -> Vec<u8> {
    assert_eq!(answer.status(), 200);
    let is_json = answer.headers()["content-type"].to_str().unwrap().starts_with("application/json");
    let body = answer.bytes().await.unwrap().to_vec();
    if !is_json {
        return body;
    }
    let body: Value = serde_json::from_slice(&body).unwrap();
    base64::engine::general_purpose::STANDARD.decode(body["audioContent"].as_str().unwrap()).unwrap()
}

fn scanned(mp3: &[u8], kbps: u32) -> Scan {
    let scan = audio::scan(mp3, Limits::rate(24_000)).unwrap();
    assert_eq!((scan.format.channels, scan.bitrate_kbps, scan.bytes), (1, Some(kbps), mp3.len()));
    scan
}

async fn is_refused(request: RequestBuilder, status: u16, words: &str) {
    let answer = request.send().await.unwrap();
    let (is, name) = (answer.status(), answer.headers().get("x-amzn-errortype").cloned());
    let text = format!("{name:?} {}", answer.text().await.unwrap());
    assert!(is == status && text.contains(words), "{words}: {is} {text}");
}

#[tokio::test]
async fn every_speaker_speaks_as_long_as_the_text_takes() {
    let server = with("").await;
    let english = "The quick brown fox jumps over the lazy dog, and then it sleeps. ".repeat(45);
    let japanese = "今日は化学の勉強をしましょう。".repeat(40);
    for text in ["Good morning to you.", english.as_str(), japanese.as_str()] {
        let answers = [
            (polly(&server, json!({"Text": text})).send().await.unwrap(), 48),
            (google(&server, json!({"text": text})).send().await.unwrap(), 32),
            (azure(&server, JENNY, text).send().await.unwrap(), 48),
        ];
        for (answer, kbps) in answers {
            let mp3 = mp3_of(answer).await;
            let scan = scanned(&mp3, kbps);
            assert!(pace::plausible(text).contains(&scan.duration()), "{:?}", scan.duration());
            let (complaints, seconds) = decode(&mp3);
            assert_eq!(complaints, "");
            assert!((seconds - scan.duration().as_secs_f64()).abs() < 0.1, "{seconds}");
        }
    }
    for vendor in [Vendor::Polly, Vendor::Google] {
        let letters = (20 + english.chars().count() + japanese.chars().count()) as u64;
        assert_eq!(count(&server, vendor).billed.characters, letters);
    }
}

#[tokio::test]
async fn every_vendor_bills_by_its_own_rule() {
    let server = with("").await;
    let billed = |vendor| count(&server, vendor).billed.characters;
    let answer =
        polly(&server, json!({"Text": "<speak>Fish &amp; <break time='1s'/>chips</speak>", "TextType": "ssml"}));
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.headers()["x-amzn-requestcharacters"], "12");
    mp3_of(answer).await;
    assert_eq!(billed(Vendor::Polly), 12);

    let ssml = "<speak>Fish <mark name='a'/>chips</speak>";
    mp3_of(google(&server, json!({"ssml": ssml})).send().await.unwrap()).await;
    assert_eq!(billed(Vendor::Google), (ssml.len() - "<mark name='a'/>".len()) as u64);

    mp3_of(azure(&server, JENNY, "Fish &amp; <break/>漢字とかな").send().await.unwrap()).await;
    assert_eq!(billed(Vendor::Azure), 7 + 8 + 4 + 3);
}

#[tokio::test]
async fn polly_is_as_strict_as_the_vendor() {
    let server = with("").await;
    let long = "a".repeat(3001);
    let free = format!("<speak>{}<mark name='{}'/></speak>", "a".repeat(3000), "b".repeat(2900));
    let wrong = [
        (json!({"Text": long}), "TextLengthExceededException"),
        (json!({"Text": format!("{free} "), "TextType": "ssml", "SampleRate": "1"}), "InvalidSampleRateException"),
        (
            json!({"Text": format!("<speak>{}<mark name='{}'/></speak>", "a", "b".repeat(6000)), "TextType": "ssml"}),
            "TextLengthExceededException",
        ),
        (json!({"Text": "a", "VoiceId": "Nobody"}), "ValidationException"),
        (json!({"Text": "a", "VoiceId": "Mizuki"}), "EngineNotSupportedException"),
        (json!({"Text": "a", "LanguageCode": "de-DE"}), "LanguageNotSupportedException"),
        (json!({"Text": "<speak>a", "TextType": "ssml"}), "InvalidSsmlException"),
        (json!({"Text": "<speak>a & b</speak>", "TextType": "ssml"}), "InvalidSsmlException"),
        (json!({"Text": "a", "SampleRate": 24000}), "SerializationException"),
        (json!({"Text": "a", "Surprise": "b"}), "ValidationException"),
        (json!({}), "ValidationException"),
    ];
    for (change, name) in wrong {
        is_refused(polly(&server, change), 400, name).await;
    }
    mp3_of(polly(&server, json!({"Text": free, "TextType": "ssml"})).send().await.unwrap()).await;
    assert_eq!(count(&server, Vendor::Polly).billed.characters, 3000);
}

#[tokio::test]
async fn signatures_are_verified() {
    let server = with("").await;
    let body = json!({"Text": "Hi", "OutputFormat": "mp3", "VoiceId": "Joanna"});
    let now = SystemTime::from(noon());
    let minutes = std::time::Duration::from_secs(600);
    is_refused(signed(&server, &body, "another", now), 403, "InvalidSignatureException").await;
    is_refused(signed(&server, &body, SECRET_ACCESS_KEY, now - minutes), 403, "Signature expired").await;
    let tampered = signed(&server, &body, SECRET_ACCESS_KEY, now).body(json!({"Text": "Ho"}).to_string());
    is_refused(tampered, 403, "InvalidSignatureException").await;
    let unsigned = http().post(format!("{}/v1/speech", server.url())).json(&body);
    is_refused(unsigned, 403, "MissingAuthenticationToken").await;
    assert_eq!(signed(&server, &body, SECRET_ACCESS_KEY, now).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn google_and_azure_are_as_strict_as_the_vendors() {
    let server = with("").await;
    is_refused(google(&server, json!({"text": "あ".repeat(1667)})), 400, "5000 bytes").await;
    assert_eq!(google(&server, json!({"text": "あ".repeat(1666)})).send().await.unwrap().status(), 200);
    is_refused(google(&server, json!({"text": "a", "ssml": "<speak>a</speak>"})), 400, "Exactly one").await;
    is_refused(google(&server, json!({"ssml": "<speak><p>a</speak>"})), 400, "Invalid SSML").await;
    is_refused(
        google(&server, json!({"text": "a"})).header("x-goog-api-key", "b").json(&json!({})),
        400,
        "INVALID_ARGUMENT",
    )
    .await;
    is_refused(azure(&server, "en-US-NobodyNeural", "a"), 400, "Unsupported voice").await;
    is_refused(azure(&server, JENNY, "a < b"), 400, "SSML parsing error").await;
    is_refused(azure(&server, JENNY, " "), 400, "nothing to speak").await;
    let address = format!("{}/cognitiveservices/v1", server.url());
    let bare = || http().post(&address).header("ocp-apim-subscription-key", "sim-key").body("<speak/>");
    is_refused(bare(), 400, "User-Agent").await;
    is_refused(bare().header("user-agent", "a").header("content-type", "text/xml"), 415, "Content-Type").await;
    is_refused(bare().header("user-agent", "a").header("content-type", "application/ssml+xml"), 400, "OutputFormat")
        .await;
    is_refused(http().post(&address), 401, "Access denied").await;
}

#[tokio::test]
async fn the_voices_of_our_own_list_are_offered() {
    let server = with("").await;
    let text = async |path: &str, header: &'static str| {
        let request = http().get(format!("{}{path}", server.url())).header(header, "sim-key");
        request.send().await.unwrap().text().await.unwrap()
    };
    let google = text("/v1/voices", "x-goog-api-key").await;
    let azure = text("/cognitiveservices/voices/list", "ocp-apim-subscription-key").await;
    let file = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/workflows/voices.toml")).unwrap();
    let file: toml::Table = file.parse().unwrap();
    let mut polly_voices = Vec::new();
    for voice in file["voice"].as_array().unwrap() {
        let name = voice["voice"].as_str().unwrap();
        match voice["provider"].as_str().unwrap() {
            "google" => assert!(google.contains(&format!("\"{name}\"")), "{name}"),
            "azure" => assert!(azure.contains(&format!("\"{name}\"")), "{name}"),
            "polly" => polly_voices.push((name.to_owned(), voice["engine"].as_str().unwrap().to_owned())),
            _ => {}
        }
    }
    for (name, engine) in polly_voices {
        let answer = polly(&server, json!({"Text": "a", "VoiceId": name, "Engine": engine})).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{name} {engine}");
    }
}
