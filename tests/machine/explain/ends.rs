//! What is said of a podcast that is finished.

use dailycast::{
    explain::{Facts, Tone},
    machine::{FailureKind, Status},
};

use super::{facts, helps, says};

fn failed(kind: FailureKind, message: &str) -> Facts {
    Facts {
        attempt: 5,
        error_kind: Some(kind),
        error_message: Some(message.to_owned()),
        provider: Some("polly".to_owned()),
        has_script: true,
        ..facts(Status::Failed)
    }
}

#[test]
fn what_was_made_says_by_whom() {
    says(&facts(Status::Completed), "completed", Tone::Well, "It is made and can be heard.");
    let fallback = facts(Status::CompletedWithFallback);
    let said = says(
        &fallback,
        "completed_with_fallback",
        Tone::Well,
        "It is made; the template wrote its script: no model was asked.",
    );
    helps(
        &said,
        "regenerate",
        "Regenerate the script",
        "A model is asked for a new script, which is then spoken: script and speech are billed.",
    );
    let call = |who: &str, how: &str| (who.to_owned(), how.to_owned());
    let refusals = vec![call("openai", "timeout"), call("gemini", "bad_answer"), call("anthropic", "broken_off")];
    says(
        &Facts { refusals, ..fallback },
        "completed_with_fallback",
        Tone::Well,
        "It is made; the template wrote its script: OpenAI did not answer in time; the answer of Gemini could not be \
         used; Anthropic failed (broken_off).",
    );
}

#[test]
fn what_was_given_up_says_why_and_where_a_requeue_goes_on() {
    let exhausted = failed(FailureKind::Timeout, "no answer after 60 s; all attempts were used");
    let said = says(
        &exhausted,
        "attempts_exhausted",
        Tone::Failed,
        "It failed 5 times; the last time Amazon Polly did not answer in time (no answer after 60 s).",
    );
    helps(&said, "requeue", "Requeue from the speech", "It resumes at the speech; script kept; the speech is billed.");
    says(
        &failed(FailureKind::Internal, "the step panicked; all attempts were used"),
        "attempts_exhausted",
        Tone::Failed,
        "It failed 5 times; the last time a defect of this program: the step panicked.",
    );
    says(
        &failed(FailureKind::RateLimited, "429; the next try would come after the deadline"),
        "deadline_too_close",
        Tone::Failed,
        "It was given up, since the next try would come after its deadline: Amazon Polly asked us to slow down (429).",
    );
    says(
        &failed(FailureKind::AudioLost, "the audio was lost 4 times; trying again would not help"),
        "given_up",
        Tone::Failed,
        "It was given up: the finished audio is gone or damaged (the audio was lost 4 times).",
    );
    let upload = Facts { has_audio: true, ..failed(FailureKind::StorageUnavailable, "503; all attempts were used") };
    let said = says(
        &upload,
        "attempts_exhausted",
        Tone::Failed,
        "It failed 5 times; the last time the object store could not be reached or refused the audio (503).",
    );
    helps(
        &said,
        "requeue",
        "Requeue from the upload",
        "It resumes at the upload; script and audio kept; nothing is billed twice.",
    );
    let script = Facts { has_script: false, ..failed(FailureKind::OutOfCredit, "") };
    let said =
        says(&script, "given_up", Tone::Failed, "It was given up: the account at Amazon Polly has no credit left.");
    helps(
        &said,
        "requeue",
        "Requeue from the script",
        "First add credit at the provider. It begins with the script; script and speech are billed.",
    );
}

#[test]
fn ends_of_their_own_have_words_of_their_own() {
    for (message, sentence) in [
        ("cancelled by user 7", "Cancelled by user 7 at 03:20."),
        ("cancelled by user 7: wrong voice", "Cancelled by user 7 at 03:20: 'wrong voice'."),
        ("", "Cancelled by an operator at 03:20."),
        ("asked for by phone", "Cancelled by an operator at 03:20: asked for by phone."),
    ] {
        says(&failed(FailureKind::Cancelled, message), "cancelled", Tone::Failed, sentence);
    }
    says(
        &failed(FailureKind::DeadlinePassed, "x"),
        "deadline_passed",
        Tone::Failed,
        "Its deadline 09:00 passed before it was done.",
    );
    let gone = says(
        &failed(FailureKind::LearnerGone, "x"),
        "learner_gone",
        Tone::Failed,
        "The learner is no longer in the academy; there is nobody to make it for.",
    );
    assert_eq!(gone.remedy, None, "a requeue would fail again");
    says(
        &failed(FailureKind::NoVoice, "no voice for ja"),
        "no_voice",
        Tone::Failed,
        "No provider that is set up has a voice for the learner's languages.",
    );
    says(
        &Facts { crashes: 3, ..failed(FailureKind::WorkerCrashed, "x") },
        "worker_crashed",
        Tone::Failed,
        "Its worker died 3 times while it was in flight, the last time alone.",
    );
    says(
        &failed(FailureKind::WorkerCrashed, "x"),
        "worker_crashed",
        Tone::Failed,
        "It brought down its worker again and again, the last time alone.",
    );
}
