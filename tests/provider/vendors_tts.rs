//! The vendors of speech as a server sees them: requests like those of the vendors' own clients,
//! signatures that hold, and texts that stay texts.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use dailycast::{
    clock::Clock,
    machine::FailureKind,
    provider::tts::{
        SpeakRequest, Speaker, TextLimit,
        azure::{self, Azure},
        google::{self, Google, Identity, ServiceAccount},
        polly::{self, Polly},
    },
    step::speech::split,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::keys;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: BTreeMap<String, String>,
    body: String,
}

impl Asked {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Answers what it was told, in order, and remembers what it was asked. When it has nothing left
/// to say it says the last again.
pub(super) struct Server {
    pub(super) base: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

pub(super) type Line = (u16, &'static str, Vec<u8>);

impl Server {
    pub(super) async fn start(script: Vec<Line>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let seen = asked.clone();
        tokio::spawn(async move {
            let mut script = VecDeque::from(script);
            while let Ok((mut stream, _)) = listener.accept().await {
                let line = if script.len() > 1 { script.pop_front() } else { script.front().cloned() };
                let asked = read(&mut stream).await;
                seen.lock().unwrap().push(asked);
                let (status, headers, body) = line.unwrap();
                let head = format!(
                    "HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                // Whoever has read enough hangs up.
                let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
            }
        });
        Self { base, asked }
    }

    /// One whose speech does not say how long it is, and never ends.
    async fn endless() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                read(&mut stream).await;
                let head = "HTTP/1.1 200 X\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n";
                let mut sent = stream.write_all(head.as_bytes()).await;
                let chunk = [b"10000\r\n", &[b' '; 0x1_0000][..], b"\r\n"].concat();
                while sent.is_ok() {
                    sent = stream.write_all(&chunk).await;
                }
            }
        });
        Self { base, asked: Arc::default() }
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn read(stream: &mut TcpStream) -> Asked {
    let mut bytes = Vec::new();
    let end = loop {
        stream.read_buf(&mut bytes).await.unwrap();
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap().split(' ').map(str::to_owned);
    let headers: BTreeMap<_, _> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < end + 4 + length {
        stream.read_buf(&mut bytes).await.unwrap();
    }
    let body = String::from_utf8(bytes[end + 4..].to_vec()).unwrap();
    Asked { method: first.next().unwrap(), path: first.next().unwrap(), headers, body }
}

/// A clock that is set by hand.
pub(super) struct HandClock(Mutex<DateTime<Utc>>);

impl HandClock {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new("2026-11-22T13:38:51Z".parse().unwrap())))
    }

    fn turn(&self, by: TimeDelta) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for HandClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn polly(server: &Server, session_token: Option<&str>) -> Polly {
    let settings = polly::Settings {
        region: "us-east-1".to_owned(),
        endpoint_url: Some(server.base.clone()),
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: SECRET.to_owned(),
        session_token: session_token.map(str::to_owned),
        timeout: TIMEOUT,
    };
    assert!(!format!("{settings:?}").contains("EXAMPLE"));
    Polly::new(settings, HandClock::new()).unwrap()
}

pub(super) fn google(server: &Server, identity: Identity, clock: Arc<HandClock>) -> Google {
    Google::new(google::Settings { identity, base_url: server.base.clone(), timeout: TIMEOUT }, clock).unwrap()
}

pub(super) fn api_key() -> Identity {
    Identity::ApiKey("AIzaX".to_owned())
}

pub(super) fn azure(server: &Server) -> Azure {
    let settings = azure::Settings { key: "azkey".to_owned(), base_url: server.base.clone(), timeout: TIMEOUT };
    assert!(!format!("{settings:?}").contains("azkey"));
    Azure::new(settings).unwrap()
}

fn request(voice: &str, engine: &str, text: &str) -> SpeakRequest {
    SpeakRequest {
        text: text.to_owned(),
        language: "en".to_owned(),
        voice: voice.to_owned(),
        engine: engine.to_owned(),
    }
}

fn audio() -> Line {
    (200, "content-type: audio/mpeg\r\n", b"mp3".to_vec())
}

/// The signature of AWS's Signature Version 4, from its specification.
pub(super) fn signature(asked: &Asked, names: &str, canonical_query: &str) -> String {
    let sign = |key: &[u8], text: &str| {
        let mac = Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(text);
        mac.finalize().into_bytes().to_vec()
    };
    let headers: String = names.split(';').map(|name| format!("{name}:{}\n", asked.headers[name])).collect();
    let path = asked.path.split('?').next().unwrap();
    let payload = hex::encode(Sha256::digest(&asked.body));
    let canonical = format!("{}\n{path}\n{canonical_query}\n{headers}\n{names}\n{payload}", asked.method);
    let scope = "20261122/us-east-1/polly/aws4_request";
    let text = format!("AWS4-HMAC-SHA256\n20261122T133851Z\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
    let day = sign(format!("AWS4{SECRET}").as_bytes(), "20261122");
    let key = sign(&sign(&sign(&day, "us-east-1"), "polly"), "aws4_request");
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}, SignedHeaders={names}, Signature={}",
        hex::encode(sign(&key, &text))
    )
}

#[tokio::test]
async fn polly_is_asked_as_its_own_client_asks() {
    let server = Server::start(vec![audio()]).await;
    let spoken = polly(&server, None).speak(&request("Joanna", "neural", "Hi there")).await.unwrap();
    assert_eq!(&spoken.mp3[..], b"mp3");
    let asked = &server.asked()[0];
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/v1/speech"));
    assert_eq!(asked.headers["content-type"], "application/json");
    assert_eq!(asked.headers["x-amz-date"], "20261122T133851Z");
    assert_eq!(asked.headers["authorization"], signature(asked, "content-type;host;x-amz-date", ""));
    assert_eq!(
        asked.json(),
        json!({ "Text": "Hi there", "OutputFormat": "mp3", "VoiceId": "Joanna", "Engine": "neural", "SampleRate": "24000" })
    );
}

#[tokio::test]
async fn temporary_credentials_are_signed_with_their_token() {
    let server = Server::start(vec![audio()]).await;
    polly(&server, Some("a+token/==")).speak(&request("Joanna", "neural", "Grüße & <b> \u{1F600}")).await.unwrap();
    let asked = &server.asked()[0];
    assert_eq!(asked.headers["x-amz-security-token"], "a+token/==");
    assert_eq!(
        asked.headers["authorization"],
        signature(asked, "content-type;host;x-amz-date;x-amz-security-token", "")
    );
}

#[tokio::test]
async fn google_is_asked_as_its_own_client_asks() {
    let server = Server::start(vec![(200, "", br#"{"audioContent": "bXAz"}"#.to_vec())]).await;
    let google = google(&server, api_key(), HandClock::new());
    let spoken = google.speak(&request("en-US-Neural2-F", "neural2", "hi")).await.unwrap();
    assert_eq!(&spoken.mp3[..], b"mp3");
    let asked = &server.asked()[0];
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/v1/text:synthesize"));
    assert_eq!(asked.headers["content-type"], "application/json");
    assert_eq!(asked.headers["x-goog-api-key"], "AIzaX");
    assert!(!asked.headers.contains_key("authorization"));
    assert_eq!(
        asked.json(),
        json!({
            "input": { "text": "hi" },
            "voice": { "languageCode": "en-US", "name": "en-US-Neural2-F" },
            "audioConfig": { "audioEncoding": "MP3", "sampleRateHertz": 24000 },
        })
    );
}

/// The file of a service account with this key.
fn account(private_key: &str) -> Vec<u8> {
    let file = json!({
        "type": "service_account",
        "client_email": "speaker@academy.example",
        "private_key": private_key,
        "private_key_id": "k1",
    });
    file.to_string().into_bytes()
}

/// Header and claims of a token whose signature holds.
fn verified(asked: &Asked) -> (Value, Value) {
    let token = asked.headers["authorization"].strip_prefix("Bearer ").unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, keys::rsa_public());
    public.verify(message.as_bytes(), &signature).unwrap();
    let part = |text: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap();
    let (header, claims) = message.split_once('.').unwrap();
    (part(header), part(claims))
}

#[tokio::test]
async fn a_service_account_signs_its_own_tokens_and_keeps_them_while_they_are_good() {
    let server = Server::start(vec![(200, "", br#"{"audioContent": ""}"#.to_vec())]).await;
    let clock = HandClock::new();
    let identity = Identity::Account(ServiceAccount::from_json(&account(keys::RSA_PKCS8)).unwrap());
    let google = google(&server, identity, clock.clone());
    let speak = async || google.speak(&request("en-US-Neural2-F", "neural2", "hi")).await.unwrap();
    speak().await;
    clock.turn(TimeDelta::minutes(54));
    speak().await;
    clock.turn(TimeDelta::minutes(2));
    speak().await;
    clock.turn(TimeDelta::minutes(-30));
    speak().await;
    let asked = server.asked();
    let tokens: Vec<_> = asked.iter().map(|asked| &asked.headers["authorization"]).collect();
    assert_eq!(tokens[0], tokens[1], "a token that is good for five minutes is kept");
    assert_ne!(tokens[1], tokens[2], "one that is about to end is made anew");
    assert_ne!(tokens[2], tokens[3], "one of the future, too");

    let (header, claims) = verified(&asked[0]);
    assert_eq!(header, json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" }));
    let begun = "2026-11-22T13:38:51Z".parse::<DateTime<Utc>>().unwrap().timestamp();
    assert_eq!(
        claims,
        json!({
            "iss": "speaker@academy.example",
            "sub": "speaker@academy.example",
            "aud": "https://texttospeech.googleapis.com/",
            "iat": begun,
            "exp": begun + 3600,
        })
    );
    verified(&asked[2]);
    assert!(!asked[0].headers.contains_key("x-goog-api-key"));
}

#[test]
fn what_is_no_service_account_is_refused_without_showing_it() {
    for file in [
        b"no json".to_vec(),
        br#"{"type": "authorized_user", "client_email": "e", "private_key": "k"}"#.to_vec(),
        br#"{"type": "service_account", "client_email": "e"}"#.to_vec(),
        account("hunter2"),
        account(keys::P256_PKCS8),
    ] {
        let error = ServiceAccount::from_json(&file).unwrap_err();
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
    let good = ServiceAccount::from_json(&account(keys::RSA_PKCS1)).unwrap();
    assert_eq!(format!("{good:?}"), "ServiceAccount { .. }");
}

#[tokio::test]
async fn azure_is_asked_with_ssml() {
    let server = Server::start(vec![audio()]).await;
    azure(&server).speak(&request("en-US-AvaMultilingualNeural", "neural", "Hi & welcome")).await.unwrap();
    let asked = &server.asked()[0];
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/cognitiveservices/v1"));
    assert_eq!(asked.headers["ocp-apim-subscription-key"], "azkey");
    assert_eq!(asked.headers["content-type"], "application/ssml+xml");
    assert_eq!(asked.headers["x-microsoft-outputformat"], "audio-24khz-48kbitrate-mono-mp3");
    assert!(asked.headers["user-agent"].starts_with("dailycast/"));
    assert_eq!(
        asked.body,
        "<speak version='1.0' xmlns='http://www.w3.org/2001/10/synthesis' xml:lang='en-US'>\
         <voice name='en-US-AvaMultilingualNeural'>Hi &amp; welcome</voice></speak>"
    );
}

/// A text that would like to be something else.
const HOSTILE: &str =
    "]]> </voice></speak><speak> \"quoted\" 'single' &amp; \0\u{1}\u{B}\u{1F}\u{FFFE}\u{FFFF} \u{1F600}\t\n日本";

/// What is left of it.
const SAID: &str = "]]> </voice></speak><speak> \"quoted\" 'single' &amp;  \u{1F600}\t\n日本";

#[tokio::test]
async fn no_text_is_more_than_text() {
    let server = Server::start(vec![audio()]).await;
    azure(&server).speak(&request("x'y<z", "neural", HOSTILE)).await.unwrap();
    let body = server.asked()[0].body.clone();
    let inner = body.split_once("<voice name='x&apos;y&lt;z'>").unwrap().1.strip_suffix("</voice></speak>").unwrap();
    assert!(!inner.contains(['<', '>', '"', '\'']), "{inner}");
    let unescaped = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")]
        .iter()
        .fold(inner.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain));
    assert_eq!(unescaped, SAID);
    assert!(body.contains("xml:lang='en'"), "a voice without a locale speaks the language of the text");

    polly(&server, None).speak(&request("Joanna", "neural", HOSTILE)).await.unwrap();
    assert_eq!(server.asked()[1].json()["Text"], SAID);
    let google = google(&server, api_key(), HandClock::new());
    google.speak(&request("en-US-Neural2-F", "neural2", HOSTILE)).await.unwrap_err();
    assert_eq!(server.asked()[2].json()["input"]["text"], SAID);
    let long = "\"<&'>".repeat(20_000);
    azure(&server).speak(&request("en-US-JennyNeural", "neural", &long)).await.unwrap();
    assert_eq!(server.asked()[3].body.matches("&quot;&lt;&amp;&apos;&gt;").count(), 20_000);
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let server = Server::endless().await;
    let (polly, azure) = (polly(&server, None), azure(&server));
    let google = google(&server, api_key(), HandClock::new());
    let speakers: [(&dyn Speaker, &str); 3] =
        [(&polly, "Joanna"), (&google, "en-US-Neural2-F"), (&azure, "en-US-JennyNeural")];
    for (speaker, voice) in speakers {
        let failure = speaker.speak(&request(voice, "neural", "hi")).await.unwrap_err();
        assert_eq!((failure.kind, failure.provider.as_deref()), (FailureKind::BadAnswer, Some(speaker.name())));
    }
}

#[tokio::test]
async fn a_key_that_is_no_header_is_refused_before_anything_is_sent() {
    let server = Server::start(vec![audio()]).await;
    let google = google(&server, Identity::ApiKey("hunter2\n".to_owned()), HandClock::new());
    let failure = google.speak(&request("en-US-Neural2-F", "neural2", "hi")).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::KeyRefused);
    assert!(!failure.message.contains("hunter2") && server.asked().is_empty());
}

#[tokio::test]
async fn each_vendor_counts_characters_in_its_own_way() {
    let text = "Kanji: 漢字 㐀 豈 \u{20000}; かな カナ 한글 \u{1F600}.\n";
    let count = text.chars().count() as u64;
    let server = Server::start(vec![audio()]).await;
    let of = async |speaker: &dyn Speaker, voice: &str| {
        speaker.speak(&request(voice, "neural", text)).await.unwrap().billed_characters
    };
    assert_eq!(of(&polly(&server, None), "Takumi").await, count, "where its header is missing");
    assert_eq!(of(&azure(&server), "ja-JP-NanamiNeural").await, count + 5, "ideographs twice, kana and Hangul once");
    let server = Server::start(vec![(200, "", br#"{"audioContent": ""}"#.to_vec())]).await;
    assert_eq!(of(&google(&server, api_key(), HandClock::new()), "ja-JP-Neural2-B").await, count);
}

#[tokio::test]
async fn an_episode_takes_as_few_calls_as_the_vendors_allow() {
    let server = Server::start(vec![audio()]).await;
    let google = google(&server, api_key(), HandClock::new());
    let (polly, azure) = (polly(&server, None), azure(&server));
    let all: [&dyn Speaker; 3] = [&polly, &google, &azure];
    let english = "This sentence has fifty characters, spaces and all. ".repeat(76);
    let japanese = "今日は有機化学について話します。".repeat(125);
    for (text, calls) in [(english, [2, 1, 1]), (japanese, [1, 2, 1])] {
        let pieces = all.map(|speaker| split(&text, speaker.limit()).len());
        assert_eq!(pieces, calls, "{} characters, {} bytes", text.chars().count(), text.len());
    }
    assert_eq!(all.map(Speaker::limit), [TextLimit::Characters(3000), TextLimit::Bytes(4800), TextLimit::Bytes(6000)]);
    assert_eq!(all.map(Speaker::name), ["polly", "google", "azure"]);
}
