//! The bucket's rule that lets episodes expire: against the local S3 server, and against a bucket
//! that keeps the document as it came, with rules of every kind in it.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use dailycast::{
    local::s3_server::S3Server,
    machine::FailureKind,
    provider::object_store::{
        ObjectStore, S3Store,
        lifecycle::{Expiry, RULE, ensure, look},
        s3::Settings,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::s3::settings;
use crate::support::Folder;

/// Everything that a rule may have, and rules of both scopes that a filter may have.
const FOREIGN: [&str; 4] = [
    "<Rule><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration><ID>all of it</ID>\
     <Filter><And><Prefix>logs/</Prefix><Tag><Key>kind</Key><Value>a &amp; b</Value></Tag>\
     <ObjectSizeGreaterThan>500</ObjectSizeGreaterThan><ObjectSizeLessThan>64000</ObjectSizeLessThan></And></Filter>\
     <Status>Disabled</Status>\
     <Transition><Days>30</Days><StorageClass>STANDARD_IA</StorageClass></Transition>\
     <Transition><Date>2027-01-01T00:00:00Z</Date><StorageClass>GLACIER</StorageClass></Transition>\
     <NoncurrentVersionTransition><NoncurrentDays>7</NoncurrentDays><StorageClass>GLACIER</StorageClass>\
     <NewerNoncurrentVersions>2</NewerNoncurrentVersions></NoncurrentVersionTransition>\
     <NoncurrentVersionExpiration><NoncurrentDays>90</NoncurrentDays>\
     <NewerNoncurrentVersions>3</NewerNoncurrentVersions></NoncurrentVersionExpiration>\
     <AbortIncompleteMultipartUpload><DaysAfterInitiation>3</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>",
    "<Rule><Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration><ID>everything</ID><Filter></Filter>\
     <Status>Enabled</Status></Rule>",
    "<Rule><Expiration><Days>30</Days></Expiration><ID>marked episodes</ID>\
     <Filter><Tag><Key>podcasts/</Key><Value></Value></Tag></Filter><Status>Enabled</Status></Rule>",
    "<Rule><Expiration><Days>30</Days></Expiration><ID>large</ID>\
     <Filter><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan></Filter><Status>Enabled</Status></Rule>",
];

const OURS: &str = "<Rule><Expiration><Days>30</Days></Expiration><ID>dailycast-podcasts</ID>\
                    <Filter><Prefix>podcasts/</Prefix></Filter><Status>Enabled</Status></Rule>";

/// What a bucket has been told.
#[derive(Default)]
struct Kept {
    /// The rules as they stand in the document.
    rules: String,
    /// The smallest size that moves, a header.
    smallest: Option<String>,
    /// How often the document was written.
    writes: u32,
    /// Instead of everything else.
    refusal: Option<&'static str>,
}

/// A bucket that knows its lifecycle document and nothing else.
struct Bucket(Arc<Mutex<Kept>>, S3Store);

impl Bucket {
    async fn with(rules: &str) -> Self {
        let kept = Arc::new(Mutex::new(Kept { rules: rules.to_owned(), ..Kept::default() }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let store = S3Store::new(settings(format!("http://{}", listener.local_addr().unwrap())));
        let bucket = kept.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, bucket.clone()));
            }
        });
        Self(kept, store)
    }

    /// The rules, and how often they were written.
    fn now(&self) -> (String, u32) {
        let kept = self.0.lock().unwrap();
        (kept.rules.clone(), kept.writes)
    }
}

/// Answers requests for the lifecycle document until the client hangs up.
async fn answer(mut stream: TcpStream, bucket: Arc<Mutex<Kept>>) {
    while let Some((head, body)) = request(&mut stream).await {
        let answer = {
            let mut kept = bucket.lock().unwrap();
            assert!(head.contains("/episodes/?lifecycle"), "{head}");
            if let Some(refusal) = kept.refusal {
                refusal.to_owned()
            } else if head.starts_with("PUT") {
                let (_, rest) = body.split_once("<LifecycleConfiguration").unwrap();
                let rules = rest.split_once('>').unwrap().1.strip_suffix("</LifecycleConfiguration>").unwrap();
                rules.clone_into(&mut kept.rules);
                let smallest = "x-amz-transition-default-minimum-object-size: ";
                kept.smallest = head.lines().find_map(|line| line.strip_prefix(smallest)).map(str::to_owned);
                kept.writes += 1;
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned()
            } else if kept.rules.is_empty() {
                let words = "<Error><Code>NoSuchLifecycleConfiguration</Code></Error>";
                format!("HTTP/1.1 404 Not Found\r\nContent-Length: {}\r\n\r\n{words}", words.len())
            } else {
                let document = format!("<LifecycleConfiguration>{}</LifecycleConfiguration>", kept.rules);
                let smallest = kept.smallest.as_deref().unwrap_or("all_storage_classes_128K");
                let smallest = format!("x-amz-transition-default-minimum-object-size: {smallest}");
                format!("HTTP/1.1 200 OK\r\n{smallest}\r\nContent-Length: {}\r\n\r\n{document}", document.len())
            }
        };
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

/// One request with its body; `None` when the line is closed.
async fn request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8(read.clone()).unwrap();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some((head.to_owned(), body.to_owned()));
            }
        }
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
}

#[tokio::test]
async fn a_bucket_without_rules_gets_ours_once() {
    let bucket = Bucket::with("").await;
    assert_eq!(look(&bucket.1, 30).await.unwrap(), Expiry::Missing);
    assert_eq!(bucket.now().1, 0, "looking changes nothing");
    assert_eq!(ensure(&bucket.1, 30).await.unwrap(), Expiry::Installed);
    assert_eq!(bucket.now(), (OURS.to_owned(), 1));
    assert_eq!(ensure(&bucket.1, 30).await.unwrap(), Expiry::InForce);
    assert_eq!(look(&bucket.1, 30).await.unwrap(), Expiry::InForce);
    assert_eq!(bucket.now().1, 1, "what is right is not written again");
}

/// Every element of every foreign rule is there afterwards, in its order.
#[tokio::test]
async fn rules_of_others_stay_as_they_are() {
    let bucket = Bucket::with(&FOREIGN.concat()).await;
    bucket.0.lock().unwrap().smallest = Some("varies_by_storage_class".to_owned());
    assert_eq!(ensure(&bucket.1, 30).await.unwrap(), Expiry::Installed);
    let (rules, _) = bucket.now();
    assert_eq!(rules.matches("<Rule>").count(), FOREIGN.len() + 1);
    for (foreign, rule) in FOREIGN.iter().zip(rules.split_inclusive("</Rule>")) {
        assert_eq!(elements(rule), elements(foreign));
    }
    assert!(rules.ends_with(OURS), "{rules}");
    assert_eq!(bucket.0.lock().unwrap().smallest.as_deref(), Some("varies_by_storage_class"));
}

/// The elements of a document with their texts, in no order: the client has its own.
fn elements(document: &str) -> Vec<String> {
    let mut elements: Vec<String> =
        document.replace("<Filter/>", "<Filter></Filter>").split('<').map(str::to_owned).collect();
    elements.sort();
    elements
}

#[tokio::test]
async fn another_number_of_days_corrects_our_rule_in_its_place() {
    let bucket = Bucket::with(&[FOREIGN[1], OURS, FOREIGN[3]].concat()).await;
    assert_eq!(look(&bucket.1, 60).await.unwrap(), Expiry::Missing);
    assert_eq!(ensure(&bucket.1, 60).await.unwrap(), Expiry::Installed);
    let ours = OURS.replace("30", "60");
    let (rules, _) = bucket.now();
    let rules: Vec<&str> = rules.split_inclusive("</Rule>").collect();
    assert_eq!((rules.len(), rules[1]), (3, ours.as_str()));
    assert_eq!(ensure(&bucket.1, 60).await.unwrap(), Expiry::InForce);
}

#[tokio::test]
async fn a_rule_of_ours_that_was_switched_off_or_narrowed_is_corrected() {
    let off = OURS.replace("Enabled", "Disabled");
    let narrow = OURS.replace(
        "<Prefix>podcasts/</Prefix>",
        "<And><Prefix>podcasts/</Prefix><ObjectSizeLessThan>9</ObjectSizeLessThan></And>",
    );
    let wide = OURS.replace("<Prefix>podcasts/</Prefix>", "<Prefix></Prefix>");
    for wrong in [off, narrow, wide] {
        let bucket = Bucket::with(&wrong).await;
        assert_eq!(ensure(&bucket.1, 30).await.unwrap(), Expiry::Installed, "{wrong}");
        assert_eq!(bucket.now().0, OURS);
    }
}

/// Who sets up buckets by another tool names the rule as they like.
#[tokio::test]
async fn the_same_rule_under_another_name_will_do() {
    let bucket = Bucket::with(&OURS.replace(RULE, "podcasts-30d")).await;
    assert_eq!(ensure(&bucket.1, 30).await.unwrap(), Expiry::InForce);
    assert_eq!(ensure(&bucket.1, 31).await.unwrap(), Expiry::Installed);
    assert_eq!(bucket.now().0.matches("<Rule>").count(), 2);
}

/// S3 refuses a document in which some rules have a prefix of their own and some have a filter.
#[tokio::test]
async fn among_rules_of_the_first_format_ours_is_one_too() {
    let old =
        "<Rule><Expiration><Days>9</Days></Expiration><ID>old</ID><Prefix>x/</Prefix><Status>Enabled</Status></Rule>";
    let bucket = Bucket::with(old).await;
    assert_eq!(ensure(&bucket.1, 30).await.unwrap(), Expiry::Installed);
    let ours = OURS.replace("<Filter><Prefix>podcasts/</Prefix></Filter>", "<Prefix>podcasts/</Prefix>");
    assert_eq!(bucket.now().0, format!("{old}{ours}"));
    assert_eq!(ensure(&bucket.1, 30).await.unwrap(), Expiry::InForce);
}

#[tokio::test]
async fn what_stands_against_it_is_told_with_the_mend() {
    let cases = [
        (
            "HTTP/1.1 501 No\r\nContent-Length: 42\r\n\r\n<Error><Code>NotImplemented</Code></Error>",
            FailureKind::StorageUnavailable,
            "the object store answered 501 NotImplemented",
            "this store has no lifecycle rules: let another program delete objects below podcasts/ after 30 days",
        ),
        (
            "HTTP/1.1 403 No\r\nContent-Length: 40\r\n\r\n<Error><Code>AccessDenied</Code></Error>",
            FailureKind::KeyRefused,
            "the object store answered 403 AccessDenied",
            "allow the key s3:GetLifecycleConfiguration and s3:PutLifecycleConfiguration on the bucket, or \
             let another program delete objects below podcasts/ after 30 days",
        ),
        (
            "HTTP/1.1 404 No\r\nContent-Length: 40\r\n\r\n<Error><Code>NoSuchBucket</Code></Error>",
            FailureKind::StorageUnavailable,
            "the object store answered 404 NoSuchBucket",
            "make the bucket, or set storage.s3.bucket",
        ),
    ];
    let bucket = Bucket::with("").await;
    for (answer, kind, what, mend) in cases {
        bucket.0.lock().unwrap().refusal = Some(answer);
        for obstacle in [ensure(&bucket.1, 30).await.unwrap_err(), look(&bucket.1, 30).await.unwrap_err()] {
            assert_eq!(
                (obstacle.failure.kind, obstacle.to_string().as_str(), obstacle.mend.as_str()),
                (kind, what, mend)
            );
        }
    }
    assert_eq!(bucket.now().1, 0);
}

/// The server of the demo keeps the rules of each bucket, whoever restarts it, and no bucket's file
/// is taken for an object.
#[tokio::test]
async fn the_local_server_keeps_the_rules() {
    let folder = Folder::new();
    let start = async || {
        let server = S3Server::start(&folder.0, ([127, 0, 0, 1], 0).into()).await.unwrap();
        let store = S3Store::new(Settings {
            access_key_id: server.keys().access_key_id.clone(),
            secret_access_key: server.keys().secret_access_key.clone(),
            ..settings(server.endpoint_url())
        });
        (server, store)
    };
    let (server, store) = start().await;
    let obstacle = ensure(&store, 30).await.unwrap_err();
    assert_eq!(obstacle.to_string(), "the object store answered 404 NoSuchBucket");
    store.ready().await.unwrap();
    assert_eq!(look(&store, 30).await.unwrap(), Expiry::Missing);
    let both = tokio::join!(ensure(&store, 30), ensure(&store, 30));
    assert!(both.0.is_ok() && both.1.is_ok(), "two at once do each other no harm");
    server.stop().await;

    let (server, store) = start().await;
    assert_eq!(ensure(&store, 30).await.unwrap(), Expiry::InForce);
    assert_eq!(fs::read_dir(folder.0.join("episodes")).unwrap().count(), 0);
    server.stop().await;
}
