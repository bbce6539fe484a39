//! What the answers of the speech vendors mean: every row of their tables of errors, what is billed,
//! how long speech may last, and that nothing they send brings us down.

use std::time::Duration;

use dailycast::{
    audio::{self, Limits, SAMPLE_RATE},
    machine::FailureKind,
    podcast::Failure,
    provider::{
        http::Answer,
        tts::{Spoken, azure, google, pace, polly},
    },
};
use proptest::prelude::*;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    Answer { status, headers: map, body: body.to_owned().into() }
}

fn failure(result: Result<Spoken, Failure>) -> Failure {
    let failure = result.unwrap_err();
    assert!(failure.provider.is_some() && !failure.message.contains("hunter2"), "{failure:?}");
    failure
}

const SECONDS: fn(u64) -> Option<Duration> = |seconds| Some(Duration::from_secs(seconds));

#[test]
fn pollys_errors_are_known_by_name() {
    use FailureKind::{BadRequest, KeyRefused, ModelRetired, OutOfCredit, RateLimited, Timeout, Unavailable};
    for (status, name, kind) in [
        (400, "ThrottlingException", RateLimited),
        (400, "TooManyRequestsException", RateLimited),
        (400, "TextLengthExceededException", BadRequest),
        (400, "InvalidSsmlException", BadRequest),
        (400, "InvalidSampleRateException", BadRequest),
        (400, "MarksNotSupportedForFormatException", BadRequest),
        (400, "SsmlMarksNotSupportedForTextTypeException", BadRequest),
        (400, "ValidationException", BadRequest),
        (404, "LexiconNotFoundException", BadRequest),
        (400, "EngineNotSupportedException", ModelRetired),
        (400, "LanguageNotSupportedException", ModelRetired),
        (403, "AccessDeniedException", KeyRefused),
        (403, "UnrecognizedClientException", KeyRefused),
        (403, "InvalidSignatureException", KeyRefused),
        (403, "SignatureDoesNotMatch", KeyRefused),
        (400, "ExpiredTokenException", KeyRefused),
        (403, "MissingAuthenticationTokenException", KeyRefused),
        (403, "OptInRequired", OutOfCredit),
        (500, "ServiceFailureException", Unavailable),
        (400, "ServiceUnavailableException", Unavailable),
        (400, "RequestTimeoutException", Timeout),
        (503, "NobodyKnowsThisException", Unavailable),
        (429, "NobodyKnowsThisException", RateLimited),
        (502, "NobodyKnowsThisException", Unavailable),
        (504, "NobodyKnowsThisException", Unavailable),
        (400, "NobodyKnowsThisException", BadRequest),
    ] {
        let quoted = r#""message": "hunter2""#;
        let header = format!("{name}:http://internal.amazon.com/coral/");
        for answer in [
            answer(status, &[("x-amzn-ErrorType", &header)], &format!("{{{quoted}}}")),
            answer(status, &[], &format!(r#"{{"__type": "com.amazonaws.polly#{name}", {quoted}}}"#)),
            answer(status, &[], &format!(r#"{{"code": "{name}", {quoted}}}"#)),
        ] {
            let failure = failure(polly::read(&answer, 5));
            assert_eq!(failure.kind, kind, "{status} {name}");
            assert!(failure.message.contains(name), "{failure:?}");
        }
    }
}

#[test]
fn an_unknown_voice_of_polly_is_a_retired_one() {
    let body = |place: &str| {
        format!(
            r#"{{"__type": "ValidationException", "message": "1 validation error detected: Value 'X' at '{place}' failed to satisfy constraint"}}"#
        )
    };
    assert_eq!(failure(polly::read(&answer(400, &[], &body("voiceId")), 5)).kind, FailureKind::ModelRetired);
    assert_eq!(failure(polly::read(&answer(400, &[], &body("engine")), 5)).kind, FailureKind::ModelRetired);
    assert_eq!(failure(polly::read(&answer(400, &[], &body("text")), 5)).kind, FailureKind::BadRequest);
}

fn google_error(status: u16, name: &str, message: &str, details: &str) -> Answer {
    let body = format!(
        r#"{{"error": {{"code": {status}, "status": "{name}", "message": "{message}", "details": [{details}]}}}}"#
    );
    answer(status, &[], &body)
}

#[test]
fn googles_errors_are_known_by_reason_and_status() {
    use FailureKind::{BadRequest, KeyRefused, ModelRetired, OutOfCredit, RateLimited, Timeout, Unavailable};
    let reason = |reason: &str| format!(r#"{{"@type": "x/google.rpc.ErrorInfo", "reason": "{reason}"}}"#);
    for (status, name, message, details, kind) in [
        (400, "INVALID_ARGUMENT", "input.text is longer than the limit of 5000 bytes", String::new(), BadRequest),
        (400, "INVALID_ARGUMENT", "Invalid SSML. hunter2", String::new(), BadRequest),
        (400, "INVALID_ARGUMENT", "Voice 'xx' does not exist. Is it misspelled?", String::new(), ModelRetired),
        (404, "NOT_FOUND", "no such model", String::new(), ModelRetired),
        (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", String::new(), KeyRefused),
        (400, "INVALID_ARGUMENT", "no", reason("API_KEY_INVALID"), KeyRefused),
        (401, "UNAUTHENTICATED", "no", reason("ACCESS_TOKEN_EXPIRED"), KeyRefused),
        (403, "PERMISSION_DENIED", "no", reason("SERVICE_DISABLED"), KeyRefused),
        (403, "PERMISSION_DENIED", "no", reason("BILLING_DISABLED"), OutOfCredit),
        (403, "PERMISSION_DENIED", "This API method requires billing to be enabled.", String::new(), OutOfCredit),
        (402, "RESOURCE_EXHAUSTED", "prepaid credit is used up", String::new(), OutOfCredit),
        (429, "RESOURCE_EXHAUSTED", "Quota exceeded", reason("RATE_LIMIT_EXCEEDED"), RateLimited),
        (408, "", "no", String::new(), Timeout),
        (500, "INTERNAL", "no", String::new(), Unavailable),
        (502, "", "no", String::new(), Unavailable),
        (503, "UNAVAILABLE", "no", String::new(), Unavailable),
        (504, "DEADLINE_EXCEEDED", "no", String::new(), Unavailable),
    ] {
        let one = google_error(status, name, message, &details);
        let wrapped = answer(status, &[], &format!("[{}]", String::from_utf8(one.body.to_vec()).unwrap()));
        assert_eq!(failure(google::read(&one, 5)).kind, kind, "{status} {name} {message}");
        assert_eq!(failure(google::read(&wrapped, 5)).kind, kind, "{status} {name} {message}, in a list");
    }
    let html = answer(404, &[("content-type", "text/html")], "<html>hunter2</html>");
    assert_eq!(failure(google::read(&html, 5)).kind, BadRequest, "an address that is not Google's");
}

#[test]
fn azures_errors_are_known_by_status_alone() {
    use FailureKind::{BadAnswer, BadRequest, KeyRefused, OutOfCredit, RateLimited, Timeout, Unavailable};
    for (status, kind) in [
        (400, BadRequest),
        (401, KeyRefused),
        (403, KeyRefused),
        (404, BadRequest),
        (408, Timeout),
        (415, BadRequest),
        (429, RateLimited),
        (500, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
        (504, Unavailable),
        (204, BadAnswer),
        (302, BadAnswer),
    ] {
        for body in ["", "hunter2", r#"{"error": {"code": "429", "message": "hunter2"}}"#] {
            assert_eq!(failure(azure::read(&answer(status, &[], body), 5)).kind, kind, "{status} {body}");
        }
    }
    let used_up = answer(403, &[("retry-after", "183923")], "");
    assert_eq!(failure(azure::read(&used_up, 5)).kind, OutOfCredit, "the free quota of the month");
}

#[test]
fn who_asks_for_time_gets_it() {
    let headers = [("retry-after", "7")];
    let throttled = answer(400, &[("x-amzn-errortype", "ThrottlingException"), ("retry-after", "7")], "");
    assert_eq!(failure(polly::read(&throttled, 5)).retry_after, SECONDS(7));
    assert_eq!(failure(azure::read(&answer(429, &headers, ""), 5)).retry_after, SECONDS(7));
    assert_eq!(failure(azure::read(&answer(503, &headers, ""), 5)).retry_after, SECONDS(7));
    assert_eq!(failure(azure::read(&answer(400, &headers, ""), 5)).retry_after, None);
    let delay = |text: &str| {
        let details = format!(r#"{{"reason": "X"}}, {{"@type": "x/google.rpc.RetryInfo", "retryDelay": "{text}"}}"#);
        failure(google::read(&google_error(429, "RESOURCE_EXHAUSTED", "", &details), 5)).retry_after
    };
    assert_eq!(delay("55s"), SECONDS(55));
    assert_eq!(delay("1.5s"), Some(Duration::from_millis(1500)));
    assert_eq!(delay("1000000s"), SECONDS(3600));
    for nonsense in ["", "s", "-1s", "NaNs", "infs", "5"] {
        assert_eq!(delay(nonsense), None, "{nonsense}");
    }
}

#[test]
fn polly_says_what_it_bills() {
    let billed = |headers: &[(&str, &str)]| polly::read(&answer(200, headers, "mp3"), 5).unwrap();
    let audio = ("content-type", "audio/mpeg");
    let spoken = billed(&[audio, ("x-amzn-RequestCharacters", "81"), ("x-amzn-RequestId", "a-1")]);
    assert_eq!((spoken.billed_characters, spoken.request_id.as_deref()), (81, Some("a-1")));
    assert_eq!(billed(&[audio]).billed_characters, 5, "counted where it does not say");
    for nonsense in ["", "many", "-1", "99999999999999999999"] {
        assert_eq!(billed(&[audio, ("x-amzn-requestcharacters", nonsense)]).billed_characters, 5, "{nonsense}");
    }
    let odd = billed(&[audio, ("x-amzn-requestid", "<script>")]);
    assert_eq!(odd.request_id, None);
}

#[test]
fn what_is_no_speech_is_no_good_answer_and_what_was_billed_stays_billed() {
    for body in
        ["<html>hunter2</html>", "{}", r#"{"audioContent": 7}"#, r#"{"audioContent": "§"}"#, "", "\0\0\0\0\0\0\0\0"]
    {
        assert_eq!(failure(google::read(&answer(200, &[], body), 5)).kind, FailureKind::BadAnswer, "{body}");
    }
    for media in ["text/html; charset=utf-8", "application/json"] {
        let odd = answer(200, &[("content-type", media)], "<html>hunter2</html>");
        assert_eq!(failure(azure::read(&odd, 5)).kind, FailureKind::BadAnswer);
        assert_eq!(failure(polly::read(&odd, 5)).kind, FailureKind::BadAnswer);
        let billed = answer(200, &[("content-type", media), ("x-amzn-requestcharacters", "5")], "<html></html>");
        let spoken = polly::read(&billed, 1).unwrap();
        assert_eq!(spoken.billed_characters, 5);
        audio::scan(&spoken.mp3, Limits::rate(SAMPLE_RATE)).unwrap_err();
    }
    let named = answer(200, &[], r#"{"__type": "ThrottlingException"}"#);
    assert_eq!(failure(polly::read(&named, 5)).kind, FailureKind::RateLimited);
    let media = [("content-type", "audio/mpeg")];
    for spoken in [
        polly::read(&answer(200, &media, "\0\0\0\0\0\0\0\0"), 5),
        azure::read(&answer(200, &media, "\0\0\0\0\0\0\0\0"), 5),
    ] {
        audio::scan(&spoken.unwrap().mp3, Limits::rate(SAMPLE_RATE)).unwrap_err();
    }
}

proptest! {
    #[test]
    fn nothing_that_is_answered_brings_us_down(
        status in 100_u16..1000,
        body in prop::collection::vec(any::<u8>(), 0..200),
        kind in prop::sample::select(vec!["", "audio/mpeg", "application/json", "\t"]),
        name in "[ -~]{0,20}",
        shape in prop::sample::select(vec!["{}", "[]", "[[]]", "[{\"error\": [1]}]", "{\"error\": {\"details\": [3, {\"retryDelay\": 1}]}}", "{\"voices\": [{}]}", "{\"Voices\": null}"]),
    ) {
        let headers = [("content-type", kind), ("x-amzn-errortype", &name), ("retry-after", &name)];
        for body in [body.clone(), shape.into()] {
            let mut answer = answer(status, &headers, "");
            answer.body = body.into();
            for result in [polly::read(&answer, 5), google::read(&answer, 5), azure::read(&answer, 5)] {
                prop_assert!(result.is_err() || status == 200);
            }
            let _ = (polly::read_voices(&answer), google::read_voices(&answer), azure::read_voices(&answer));
        }
    }
}

/// Words of a language, and how many a voice says in a minute at the least and at the most.
const SPOKEN: [(&str, f64, f64); 4] = [
    (
        "Welcome back to your daily podcast. Today we look at organic chemistry, where you have made good progress. ",
        110.0,
        220.0,
    ),
    (
        "Bienvenido a tu podcast diario. Hoy hablamos de la química orgánica, donde has avanzado mucho esta semana. ",
        110.0,
        220.0,
    ),
    (
        "Bienvenue dans votre podcast quotidien. Aujourd'hui, nous parlons de la chimie organique et de vos progrès. ",
        110.0,
        220.0,
    ),
    (
        "Willkommen zu deinem täglichen Podcast. Heute geht es um die organische Chemie, in der du weit gekommen bist. ",
        110.0,
        200.0,
    ),
];

#[test]
fn no_plausible_voice_is_refused_and_half_a_speech_is() {
    for (sentence, slow, quick) in SPOKEN {
        for repeats in [2, 10, 40] {
            let text = sentence.repeat(repeats);
            let words = text.split_whitespace().count() as f64;
            let plausible = pace::plausible(&text);
            for per_minute in [slow, 150.0, quick] {
                let lasts = Duration::from_secs_f64(words / per_minute * 60.0);
                assert!(plausible.contains(&lasts), "{per_minute} words a minute, {lasts:?} of {plausible:?}: {text}");
            }
            let half = Duration::from_secs_f64(words / 160.0 * 30.0);
            let is_long = repeats == 40;
            assert!(!is_long || !plausible.contains(&half), "half of it passes: {half:?} of {plausible:?}");
        }
    }
}

#[test]
fn the_same_holds_for_japanese() {
    let text =
        "毎日のポッドキャストへようこそ。今日は有機化学について話します。先週はとてもよくできました。".repeat(25);
    let letters = text.chars().filter(|letter| letter.is_alphabetic()).count() as f64;
    let plausible = pace::plausible(&text);
    for per_minute in [250.0, 300.0, 350.0, 400.0, 500.0] {
        let lasts = Duration::from_secs_f64(letters / per_minute * 60.0);
        assert!(plausible.contains(&lasts), "{per_minute} letters a minute: {lasts:?} of {plausible:?}");
    }
    let half = Duration::from_secs_f64(letters / 350.0 * 30.0);
    assert!(!plausible.contains(&half), "half of it passes: {half:?} of {plausible:?}");
}
