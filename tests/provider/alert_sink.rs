//! Who is told of alerts: what is sent, and what each refusal means.

use chrono::{TimeZone, Utc};
use dailycast::{
    machine::FailureKind,
    podcast::Failure,
    provider::alert_sink::{
        AlertSink, Message, is_final,
        mail::{Error, Mail, Server},
        webhook::Webhook,
    },
};
use serde_json::{Value, json};

use crate::support::{
    post::{Manners, PostOffice},
    vendor::{Pace, Reply, Vendor},
};

fn message() -> Message {
    Message {
        key: "alert-7-1763800000-resolved".to_owned(),
        follows: Some("alert-7-1763800000-raised".to_owned()),
        title: "over: stuck\r\nBcc: all@academy.example (学習者)".to_owned(),
        text: "3 podcasts <!channel> & more\n.\nünd über".to_owned(),
        at: Utc.with_ymd_and_hms(2026, 11, 22, 3, 30, 0).unwrap(),
        facts: json!({ "alert_id": 7, "kind": "stuck" }),
    }
}

async fn webhook(reply: Reply) -> (Vendor, Result<(), Failure>) {
    let vendor = Vendor::playing(vec![reply]).await;
    let sent = Webhook::new(format!("{}/services/hunter2", vendor.url())).unwrap().send(&message()).await;
    (vendor, sent)
}

#[tokio::test]
async fn a_webhook_gets_text_for_people_and_facts_for_machines() {
    let (vendor, sent) = webhook(Reply::text(200, "text/plain", "ok")).await;
    sent.unwrap();
    let asked = vendor.asked().remove(0);
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/services/hunter2"));
    assert_eq!(asked.header("content-type"), Some("application/json"));
    assert_eq!(asked.header("idempotency-key"), Some("alert-7-1763800000-resolved"));
    let body = asked.json();
    let text = body["text"].as_str().unwrap();
    assert!(text.contains("&lt;!channel&gt; &amp; more") && !text.contains('<'), "{text}");
    assert_eq!(body["metadata"], json!({"event_type": "dailycast_alert", "event_payload": message().facts}));
}

#[tokio::test]
async fn what_a_webhook_answers_says_whether_it_is_asked_again() {
    for (status, kind, ends) in [
        (301, FailureKind::BadRequest, true),
        (400, FailureKind::BadRequest, true),
        (403, FailureKind::KeyRefused, true),
        (404, FailureKind::BadRequest, true),
        (410, FailureKind::BadRequest, true),
        (408, FailureKind::Timeout, false),
        (429, FailureKind::RateLimited, false),
        (500, FailureKind::Unavailable, false),
        (503, FailureKind::Unavailable, false),
    ] {
        let (_, sent) = webhook(Reply::text(status, "text/plain", "hunter2").with("retry-after", "17")).await;
        let failure = sent.unwrap_err();
        assert_eq!((failure.kind, is_final(failure.kind)), (kind, ends), "{status}");
        assert_eq!(failure.retry_after.map(|wait| wait.as_secs()), Some(17), "{status}");
        assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
    }
    let failure = webhook(Reply::json(200, &Value::Null).at(Pace::Bare)).await.1.unwrap_err();
    assert!(!is_final(failure.kind), "{failure:?}");
    assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
}

/// What was taken is not sent again because of a bad body, nor is a refusal less of one.
#[tokio::test]
async fn the_status_of_a_webhook_counts_whatever_becomes_of_the_body() {
    for pace in [Pace::CutAfter(1), Pace::Padded(200 << 20)] {
        webhook(Reply::json(200, &Value::Null).at(pace)).await.1.unwrap();
        let failure = webhook(Reply::json(410, &Value::Null).at(pace)).await.1.unwrap_err();
        assert_eq!(failure.kind, FailureKind::BadRequest, "{pace:?}");
    }
}

async fn mail(manners: Manners, user: Option<&str>) -> (PostOffice, Result<(), Failure>, Result<String, Failure>) {
    let office = PostOffice::with(manners).await;
    let server = Server::new(&office.url(user), "dailycast@academy.example").unwrap();
    let mail = Mail::new(server, "ops@academy.example").unwrap();
    let sent = mail.send(&message()).await;
    let reached = mail.reach().await;
    (office, sent, reached)
}

#[tokio::test]
async fn a_mail_says_who_when_and_what_in_plain_text() {
    let (office, sent, reached) = mail(Manners::default(), None).await;
    sent.unwrap();
    assert_eq!(reached.unwrap(), "the mail server takes mail from us for ops@academy.example");
    let letters = office.letters();
    let [(to, letter)] = &letters[..] else { panic!("a look sends nothing: {letters:?}") };
    assert_eq!(to, "RCPT TO:<ops@academy.example>");
    let (head, body) = letter.split_once("\r\n\r\n").unwrap();
    // Long lines are folded.
    let head = head.replace("\r\n ", " ").replace(":  ", ": ");
    for line in [
        "From: dailycast@academy.example",
        "To: ops@academy.example",
        "Date: Sun, 22 Nov 2026 03:30:00 +0000",
        "Message-ID: <alert-7-1763800000-resolved.ops.academy.example@academy.example>",
        "References: <alert-7-1763800000-raised.ops.academy.example@academy.example>",
        "Content-Type: text/plain; charset=utf-8",
        "Auto-Submitted: auto-generated",
    ] {
        assert!(head.lines().any(|known| known == line), "{line} is not in\n{head}");
    }
    assert!(!head.lines().any(|line| line.starts_with("Bcc")), "no word becomes a header:\n{head}");
    assert!(body.contains("3 podcasts <!channel> & more") && letter.ends_with("\r\n.\r\n"), "{body}");
}

#[tokio::test]
async fn what_a_mail_server_answers_says_whether_it_is_asked_again() {
    let refuses = |answer| Manners { refuses: Some(("ops", answer)), ..Manners::default() };
    for (manners, kind) in [
        (refuses("550 5.1.1 no such mailbox hunter2"), FailureKind::BadRequest),
        (refuses("450 4.2.0 greylisted hunter2"), FailureKind::Unavailable),
        (refuses("what hunter2"), FailureKind::Unavailable),
        (Manners { cuts: true, ..Manners::default() }, FailureKind::Unavailable),
    ] {
        let (_, sent, _) = mail(manners.clone(), None).await;
        let failure = sent.unwrap_err();
        assert_eq!((failure.kind, is_final(failure.kind)), (kind, kind == FailureKind::BadRequest), "{manners:?}");
        assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
    }
}

#[tokio::test]
async fn a_password_is_told_to_the_server_and_to_nobody_else() {
    let (office, sent, reached) =
        mail(Manners { auth: Some("235 welcome"), ..Manners::default() }, Some("us%40er")).await;
    sent.unwrap();
    reached.unwrap();
    let secret = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode("\0us@er\0hunter2")
    };
    assert!(office.heard().commands.contains(&format!("AUTH PLAIN {secret}")));
    let refuses = Manners { auth: Some("535 5.7.8 no: AUTH PLAIN hunter2"), ..Manners::default() };
    let (_, sent, reached) = mail(refuses, Some("user")).await;
    for failure in [sent.unwrap_err(), reached.unwrap_err()] {
        assert_eq!(failure.kind, FailureKind::KeyRefused);
        assert_eq!(failure.message, "the mail server refused with 535");
    }
}

#[test]
fn an_address_of_a_mail_server_is_understood_or_refused_without_quoting_it() {
    let server = |url: &str| Server::new(url, "dailycast@academy.example");
    for url in [
        "smtps://user:hunter2@mail.academy.example",
        "smtp://user:hunter2@mail.academy.example:587",
        "smtp://mail.academy.example?tls=none",
        "smtp://user:hunter2@localhost:2525",
        "smtps://[2001:db8::1]:465",
    ] {
        assert!(server(url).is_ok(), "{url}");
    }
    for url in [
        "smtp://user:hunter2@mail.academy.example?tls=none",
        "smtp://user:hunter2@mail.academy.example?tls=maybe",
        "smtp://:hunter2@mail.academy.example",
        "smtp://hunter2@mail.academy.example",
        "smtps://user:hunter2@mail.academy.example?tls=none",
        "https://user:hunter2@mail.academy.example",
        "smtp://user:hun/ter2@mail.academy.example",
        "smtp://",
    ] {
        let Err(error) = server(url) else { panic!("{url} was taken") };
        assert!(!format!("{error} {error:?}").contains("hun"), "{error:?}");
    }
    assert!(matches!(Server::new("smtp://localhost", "nobody"), Err(Error::Mailbox(_))));
}

/// Waits for the sink's own patience, which is no part of what is tested.
#[tokio::test(start_paused = true)]
async fn a_mail_server_that_says_nothing_is_not_waited_for_for_ever() {
    let (_, sent, _) = mail(Manners { is_mute: true, ..Manners::default() }, None).await;
    let failure = sent.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Timeout);
}
