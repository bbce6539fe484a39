//! The S3 client against the local S3 server, against servers that misbehave, and as Amazon would
//! get its requests.

use std::{
    os::unix::fs::PermissionsExt,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use aws_sdk_s3::{
    Client, Config,
    config::{BehaviorVersion, Credentials, HttpClient, Region, RuntimeComponents, http::HttpRequest},
    presigning::PresigningConfig,
    primitives::{ByteStream, SdkBody},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::HttpResponse,
};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use dailycast::{
    local::s3_server::S3Server,
    machine::FailureKind,
    podcast::Failure,
    provider::object_store::{ObjectStore, S3Store, s3::Settings},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::support::{Folder, web};

const KEY: &str = "podcasts/42/2026-11-22_7.mp3";

/// Our own server, on a folder that goes with it.
pub(super) struct Server {
    pub(super) server: S3Server,
    pub(super) folder: Folder,
}

impl Server {
    pub(super) async fn start() -> Self {
        let folder = Folder::new();
        let server = S3Server::start(&folder.0, ([127, 0, 0, 1], 0).into()).await.unwrap();
        Self { server, folder }
    }

    fn settings(&self) -> Settings {
        Settings {
            access_key_id: self.server.keys().access_key_id.clone(),
            secret_access_key: self.server.keys().secret_access_key.clone(),
            ..settings(self.server.endpoint_url())
        }
    }

    pub(super) async fn store(&self) -> S3Store {
        let store = S3Store::new(self.settings());
        store.ready().await.unwrap();
        store
    }

    /// The bare client, for what the store never asks for.
    fn client(&self) -> Client {
        let keys = self.server.keys();
        let credentials = Credentials::new(&keys.access_key_id, &keys.secret_access_key, None, None, "test");
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials)
            .endpoint_url(self.server.endpoint_url())
            .force_path_style(true)
            .http_client(aws_smithy_http_client::Builder::new().build_http());
        Client::from_conf(config.build())
    }
}

pub(super) fn settings(endpoint: String) -> Settings {
    Settings {
        bucket: "episodes".to_owned(),
        region: "us-east-1".to_owned(),
        endpoint_url: Some(endpoint),
        force_path_style: true,
        access_key_id: "NOBODY".to_owned(),
        secret_access_key: "nothing".to_owned(),
        session_token: None,
        credentials_expire_at: None,
        create_bucket: true,
        connect_timeout: Duration::from_secs(5),
        timeout: Duration::from_secs(20),
    }
}

/// An address that is good from now for so many seconds.
async fn sign(store: &S3Store, seconds: i64) -> Result<String, Failure> {
    let now = Utc::now();
    store.sign(KEY, now, now + TimeDelta::seconds(seconds)).await
}

async fn get(address: &str) -> reqwest::Response {
    web().build().unwrap().get(address).send().await.unwrap()
}

fn mp3(text: &str) -> Bytes {
    Bytes::from(text.repeat(1_000))
}

/// A server that gives the same answer to everybody.
async fn answering(answer: &'static str) -> S3Store {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0; 64 << 10];
                let asked = stream.read(&mut request).await.is_ok();
                if asked && !answer.is_empty() {
                    stream.write_all(answer.as_bytes()).await.ok();
                } else {
                    // Says nothing, and keeps the line open until the client hangs up.
                    while stream.read(&mut request).await.is_ok_and(|read| read > 0) {}
                }
            });
        }
    });
    S3Store::new(Settings { timeout: Duration::from_millis(300), ..settings(endpoint) })
}

/// What was put is what a signed address gives to anyone, with the head that players need.
#[tokio::test]
async fn an_episode_comes_back_by_its_signed_address() {
    let server = Server::start().await;
    let store = server.store().await;
    let stored = store.put_once(KEY, mp3("sound")).await.unwrap();
    assert_eq!(stored.url, format!("s3://episodes/{KEY}"));
    assert_eq!(stored.etag.len(), 32);

    let url = sign(&store, 600).await.unwrap();
    let answer = get(&url).await;
    assert_eq!(answer.headers()["content-type"], "audio/mpeg");
    assert_eq!(answer.headers()["cache-control"], "private, max-age=900");
    assert_eq!(answer.headers()["etag"].to_str().unwrap(), format!("\"{}\"", stored.etag));
    assert_eq!(answer.bytes().await.unwrap(), mp3("sound"));

    let http = web().build().unwrap();
    let part = http.get(&url).header("range", "bytes=5-9").send().await.unwrap();
    assert_eq!((part.status().as_u16(), part.headers()["content-range"].to_str().unwrap()), (206, "bytes 5-9/5000"));
    assert_eq!(part.text().await.unwrap(), "sound");
    let tail = http.get(&url).header("range", "bytes=-3").send().await.unwrap();
    assert_eq!((tail.status().as_u16(), tail.text().await.unwrap().as_str()), (206, "und"));
    let beyond = http.get(&url).header("range", "bytes=5000-").send().await.unwrap();
    assert_eq!(beyond.status(), 416);
}

#[tokio::test]
async fn an_address_is_good_for_its_object_and_its_time_only() {
    let server = Server::start().await;
    let store = server.store().await;
    store.put_once(KEY, mp3("sound")).await.unwrap();
    let url = sign(&store, 600).await.unwrap();
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    let short = PresigningConfig::builder().start_time(hour_ago).expires_in(Duration::from_secs(60)).build().unwrap();
    let expired = server.client().get_object().bucket("episodes").key(KEY).presigned(short).await.unwrap();
    let refused = [
        expired.uri().to_owned(),
        url.split('?').next().unwrap().to_owned(),
        url.replace("X-Amz-Expires=600", "X-Amz-Expires=6000"),
        url.replace("2026-11-22_7", "2026-11-22_8"),
    ];
    for address in refused {
        assert_eq!(get(&address).await.status(), 403, "{address}");
    }
    let longest = sign(&store, 1 << 30).await.unwrap();
    assert!(longest.contains("X-Amz-Expires=604800"), "seven days at most");
}

/// A repeat of the same upload is success; another recording of the same podcast replaces it.
#[tokio::test]
async fn putting_once_twice_is_success() {
    let server = Server::start().await;
    let store = server.store().await;
    let first = store.put_once(KEY, mp3("sound")).await.unwrap();
    assert_eq!(store.put_once(KEY, mp3("sound")).await.unwrap(), first);

    let other = store.put_once(KEY, mp3("other")).await.unwrap();
    assert_ne!(other.etag, first.etag);
    let url = sign(&store, 600).await.unwrap();
    assert_eq!(get(&url).await.bytes().await.unwrap(), mp3("other"));
}

#[tokio::test]
async fn of_sixteen_who_put_if_absent_one_wins() {
    let server = Server::start().await;
    server.store().await;
    let client = server.client();
    for round in 0..5 {
        let key = format!("race/{round}");
        let put = |body: String| {
            client
                .put_object()
                .bucket("episodes")
                .key(&key)
                .if_none_match("*")
                .body(ByteStream::from(body.into_bytes()))
        };
        let puts = (0..16).map(|n| put(format!("body {n}")).send());
        let answers = futures_util::future::join_all(puts).await;
        let winners: Vec<usize> = (0..16).filter(|&n| answers[n].is_ok()).collect();
        assert_eq!(winners.len(), 1, "{winners:?}");
        let kept = client.get_object().bucket("episodes").key(&key).send().await.unwrap();
        let kept = kept.body.collect().await.unwrap().into_bytes();
        assert_eq!(kept, format!("body {}", winners[0]));
        for lost in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert_eq!(lost.raw_response().unwrap().status().as_u16(), 412);
        }
    }
}

#[tokio::test]
async fn a_body_with_a_wrong_checksum_leaves_nothing() {
    let server = Server::start().await;
    server.store().await;
    let put = || server.client().put_object().bucket("episodes").key("wrong").body(ByteStream::from_static(b"sound"));
    let puts = [
        put().checksum_crc32("AAAAAA=="),
        put().checksum_sha256("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
        put().content_md5("1B2M2Y8AsgTpgAmY7PhCfg=="),
    ];
    for put in puts {
        let refused = put.send().await.unwrap_err();
        assert_eq!(refused.raw_response().unwrap().status().as_u16(), 400, "{refused:?}");
        let head = server.client().head_object().bucket("episodes").key("wrong").send().await.unwrap_err();
        assert_eq!(head.raw_response().unwrap().status().as_u16(), 404);
    }
    assert_eq!(std::fs::read_dir(server.folder.0.join(".incoming")).unwrap().count(), 0);
}

/// The same keys, the same objects, whoever serves the folder; the keys are for its owner only.
#[tokio::test]
async fn a_restarted_server_has_everything() {
    let Server { server, folder } = Server::start().await;
    let first = Server { server, folder };
    let stored = first.store().await.put_once(KEY, mp3("sound")).await.unwrap();
    let Server { server, folder } = first;
    let secret = server.keys().secret_access_key.clone();
    server.stop().await;
    let mode = std::fs::metadata(folder.0.join("keys.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let server = S3Server::start(&folder.0, ([127, 0, 0, 1], 0).into()).await.unwrap();
    assert_eq!(server.keys().secret_access_key, secret);
    let second = Server { server, folder };
    assert_eq!(second.store().await.put_once(KEY, mp3("sound")).await.unwrap(), stored);
}

#[tokio::test]
async fn objects_are_listed_page_by_page_and_deleted() {
    let server = Server::start().await;
    server.store().await;
    let client = server.client();
    let keys = ["a/1", "a/2 ü%.mp3", "a/3", "b/1"];
    for key in keys {
        client.put_object().bucket("episodes").key(key).body(ByteStream::from_static(b"x")).send().await.unwrap();
    }
    let list = client.list_objects_v2().bucket("episodes").prefix("a/").max_keys(2);
    let page = list.clone().send().await.unwrap();
    assert_eq!(page.contents().iter().filter_map(|object| object.key()).collect::<Vec<_>>(), keys[..2]);
    let rest = list.continuation_token(page.next_continuation_token().unwrap()).send().await.unwrap();
    assert_eq!(rest.contents().iter().filter_map(|object| object.key()).collect::<Vec<_>>(), keys[2..3]);
    assert_eq!(rest.is_truncated(), Some(false));

    for _ in 0..2 {
        client.delete_object().bucket("episodes").key("a/1").send().await.unwrap();
    }
    assert_eq!(client.list_objects_v2().bucket("episodes").send().await.unwrap().key_count(), Some(3));
}

/// Whether the bucket may be made is a setting; without it the message says what to do.
#[tokio::test]
async fn a_missing_bucket_is_made_only_where_that_is_allowed() {
    let server = Server::start().await;
    let careful = S3Store::new(Settings { create_bucket: false, ..server.settings() });
    let failure = careful.ready().await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::StorageUnavailable);
    assert_eq!(failure.message, "there is no bucket \"episodes\": make it, or set storage.s3.bucket");
    server.store().await;
    careful.ready().await.unwrap();
}

#[tokio::test]
async fn a_wrong_key_is_told_apart_from_a_store_that_is_down() {
    let server = Server::start().await;
    let stranger = S3Store::new(settings(server.server.endpoint_url()));
    let forger = S3Store::new(Settings { secret_access_key: "another".to_owned(), ..server.settings() });
    for store in [stranger, forger] {
        let failure = store.put_once(KEY, mp3("sound")).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::KeyRefused, "{failure}");
        assert!(!failure.message.contains("another") && failure.provider.as_deref() == Some("s3"), "{failure}");
    }

    let Server { server, .. } = server;
    let endpoint = server.endpoint_url();
    server.stop().await;
    let failure = S3Store::new(settings(endpoint)).put_once(KEY, mp3("sound")).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::StorageUnavailable, "{failure}");
    assert_eq!(failure.message, "the object store could not be reached");
}

#[tokio::test]
async fn every_refusal_of_the_store_has_its_class() {
    let cases = [
        (
            "HTTP/1.1 503 Slow Down\r\nRetry-After: 7\r\nContent-Length: 44\r\n\r\n<Error><Code>SlowDown</Code></Error>        ",
            FailureKind::StorageUnavailable,
            Some(7),
        ),
        ("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", FailureKind::StorageUnavailable, None),
        (
            "HTTP/1.1 403 No\r\nContent-Length: 48\r\n\r\n<Error><Code>RequestTimeTooSkewed</Code></Error>",
            FailureKind::StorageUnavailable,
            None,
        ),
        (
            "HTTP/1.1 400 No\r\nContent-Length: 40\r\n\r\n<Error><Code>ExpiredToken</Code></Error>",
            FailureKind::KeyRefused,
            None,
        ),
        ("HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n", FailureKind::StorageUnavailable, None),
        ("nonsense\r\n\r\n", FailureKind::StorageUnavailable, None),
        ("", FailureKind::Timeout, None),
    ];
    for (answer, kind, retry_after) in cases {
        let failure = answering(answer).await.put_once(KEY, mp3("sound")).await.unwrap_err();
        assert_eq!((failure.kind, failure.retry_after), (kind, retry_after.map(Duration::from_secs)), "{answer}");
    }
}

/// In the place of the network: keeps requests and answers them all with 200.
#[derive(Debug, Clone, Default)]
struct Wire(Arc<Mutex<Vec<HttpRequest>>>);

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.0.lock().unwrap().push(request);
        let mut answer = HttpResponse::new(200.try_into().unwrap(), SdkBody::empty());
        // Of the three letters that are put.
        answer.headers_mut().insert("etag", "\"900150983cd24fb0d6963f7d28e17f72\"");
        HttpConnectorFuture::ready(Ok(answer))
    }
}

impl HttpClient for Wire {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl Wire {
    /// What is put by a store with these settings.
    async fn put(settings: Settings) -> HttpRequest {
        let wire = Self::default();
        S3Store::over(settings, wire.clone()).put_once(KEY, Bytes::from_static(b"abc")).await.unwrap();
        let mut requests = wire.0.lock().unwrap();
        assert_eq!(requests.len(), 1);
        requests.pop().unwrap()
    }
}

/// As Amazon's own client for Python sends it: the same method, address, headers and sum.
#[tokio::test]
async fn amazon_gets_a_put_with_its_checksum() {
    let put = Wire::put(Settings { endpoint_url: None, force_path_style: false, ..settings(String::new()) }).await;
    let address = format!("https://episodes.s3.us-east-1.amazonaws.com/{KEY}");
    assert_eq!((put.method(), put.uri().split('?').next().unwrap()), ("PUT", address.as_str()));
    for (name, value) in [
        ("content-type", "audio/mpeg"),
        ("cache-control", "private, max-age=900"),
        ("if-none-match", "*"),
        ("x-amz-checksum-crc32", "NSRBwg=="),
        ("x-amz-sdk-checksum-algorithm", "CRC32"),
        ("x-amz-content-sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("content-length", "3"),
    ] {
        assert_eq!(put.headers().get(name), Some(value), "{name}");
    }
    assert_eq!(put.headers().get("content-encoding"), None, "the body goes as it is");
    assert_eq!(put.body().bytes(), Some(&b"abc"[..]));
    let authorization = put.headers().get("authorization").unwrap();
    assert!(authorization.contains("/us-east-1/s3/aws4_request"), "{authorization}");
    for signed in ["cache-control", "content-type", "host", "if-none-match", "x-amz-checksum-crc32", "x-amz-date"] {
        let (_, names) = authorization.split_once("SignedHeaders=").unwrap();
        assert!(names.split(',').next().unwrap().split(';').any(|name| name == signed), "{signed}: {names}");
    }
}

#[tokio::test]
async fn another_server_gets_no_checksum_that_it_may_not_know() {
    let put = Wire::put(settings("http://127.0.0.1:9000".to_owned())).await;
    assert!(put.uri().starts_with(&format!("http://127.0.0.1:9000/episodes/{KEY}")), "{}", put.uri());
    let names: Vec<&str> = put.headers().iter().map(|(name, _)| name).collect();
    assert!(!names.iter().any(|name| name.contains("checksum") || *name == "content-encoding"), "{names:?}");
    assert_eq!(put.headers().get("if-none-match"), Some("*"));
    assert_eq!(put.headers().get("cache-control"), Some("private, max-age=900"));
}

fn moment(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The end that was asked for is the end of the address, to the second; temporary credentials end
/// it sooner, and after them nothing is signed.
#[tokio::test]
async fn an_address_ends_when_it_should_and_never_after_its_credentials() {
    let temporary = |end: Option<&str>| {
        S3Store::new(Settings {
            session_token: Some("a+token".to_owned()),
            credentials_expire_at: end.map(moment),
            ..settings("http://127.0.0.1:9000".to_owned())
        })
    };
    let (now, until) = (moment("2026-11-22T09:00:00.7Z"), moment("2026-11-22T10:00:00Z"));
    let signed = async |end: Option<&str>| temporary(end).sign(KEY, now, until).await;

    for (end, lasts) in [(None, 3600), (Some("2026-11-22T10:01:00Z"), 3600), (Some("2026-11-22T09:31:00Z"), 1800)] {
        let address = signed(end).await.unwrap();
        assert!(address.contains("X-Amz-Date=20261122T090000Z"), "{end:?}");
        assert!(address.contains(&format!("X-Amz-Expires={lasts}&")), "{end:?}: {address}");
        assert!(address.contains("X-Amz-Security-Token=a%2Btoken"), "{end:?}");
    }
    for end in ["2026-11-22T09:01:00Z", "2026-11-22T08:00:00Z"] {
        let failure = signed(Some(end)).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::KeyRefused);
        assert!(failure.message.contains("the temporary credentials of storage.s3 have ended"), "{failure}");
    }
    let last = temporary(Some("2026-11-22T09:31:00Z")).signs_until();
    assert_eq!(last, Some(moment("2026-11-22T09:30:00Z")));
}

/// Our addresses are the official client's, wherever the bucket is and whatever the key.
#[tokio::test]
async fn an_address_is_the_one_that_the_official_client_makes() {
    let amazon = |bucket: &str, region: &str, force_path_style: bool, token: Option<&str>| Settings {
        bucket: bucket.to_owned(),
        region: region.to_owned(),
        endpoint_url: None,
        force_path_style,
        session_token: token.map(str::to_owned),
        ..settings(String::new())
    };
    let places = [
        amazon("episodes", "us-east-1", false, None),
        amazon("episodes", "eu-central-1", true, None),
        amazon("with.dots", "ap-northeast-1", false, Some("a/b+c==")),
        amazon("episodes", "cn-north-1", false, None),
        settings("http://127.0.0.1:9000".to_owned()),
        Settings { force_path_style: false, ..settings("https://minio.example/below".to_owned()) },
        settings("https://minio.example:443".to_owned()),
        Settings { force_path_style: false, ..settings("http://minio.example:80".to_owned()) },
        settings("http://minio.example:443".to_owned()),
    ];
    let (now, until) = (moment("2026-11-22T23:59:59.9Z"), moment("2026-11-23T00:59:59Z"));
    for place in places {
        let what = format!("{place:?}");
        let credentials =
            Credentials::new(&place.access_key_id, &place.secret_access_key, place.session_token.clone(), None, "test");
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(place.region.clone()))
            .credentials_provider(credentials)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .force_path_style(place.force_path_style);
        config.set_endpoint_url(place.endpoint_url.clone());
        let client = Client::from_conf(config.build());
        let store = S3Store::new(place.clone());
        for key in [KEY, "podcasts/7/a b+c&d=e?f#g%h~i.mp3", "日本/語.mp3"] {
            let start = SystemTime::UNIX_EPOCH + Duration::from_secs(now.timestamp().try_into().unwrap());
            let span = PresigningConfig::builder().start_time(start).expires_in(Duration::from_secs(3600));
            let get = client.get_object().bucket(&place.bucket).key(key);
            let theirs = get.presigned(span.build().unwrap()).await.unwrap();
            let ours = store.sign(key, now, until).await.unwrap();
            let parts = |address: &str| {
                let (base, query) = address.split_once('?').unwrap();
                let mut query: Vec<String> = query.split('&').map(str::to_owned).collect();
                query.sort();
                (base.to_owned(), query)
            };
            assert_eq!(parts(&ours), parts(theirs.uri()), "{what} {key}");
        }
    }
}
