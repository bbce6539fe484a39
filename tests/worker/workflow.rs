//! The definition in `workflows/`: it holds, and every kind of fault is told with file and line.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::NaiveDate;
use dailycast::machine::Status;
use dailycast::provider::tts::local;
use dailycast::workflow::{Error, Thinking, Violation, Workflow};

/// A directory with files of a definition, gone with its owner.
struct Dir(PathBuf);

impl Dir {
    fn with(files: &[(&str, &str)]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("dailycast-workflow-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = Self(std::env::temp_dir().join(name));
        for (file, text) in files {
            let path = dir.0.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    fn violations(&self) -> Vec<Violation> {
        match Workflow::load(&self.0) {
            Err(Error::Invalid(violations)) => violations,
            other => panic!("not refused: {other:?}"),
        }
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn builtin() -> Workflow {
    Workflow::builtin().unwrap_or_else(|error| panic!("{error}"))
}

fn original(file: &str) -> String {
    std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("workflows").join(file)).unwrap()
}

/// Replaces `old` by `new` once in a file and expects a violation in the first line that changed,
/// whose message holds `said`.
fn refused(file: &str, old: &str, new: &str, said: &str) {
    let text = original(file);
    assert!(text.contains(old), "{file} has no {old:?}");
    let changed = text.replacen(old, new, 1);
    let line = 1 + text.lines().zip(changed.lines()).take_while(|(before, after)| before == after).count();
    let dir = Dir::with(&[(file, &changed)]);
    let told: Vec<_> = dir.violations().iter().map(ToString::to_string).collect();
    let wanted = format!("{file}:{line}: ");
    assert!(
        told.iter().any(|violation| violation.starts_with(&wanted) && violation.contains(said)),
        "wanted {wanted}…{said}, told:\n{}",
        told.join("\n")
    );
}

#[test]
fn the_compiled_in_definition_holds() {
    let workflow = builtin();
    for status in Status::ALL {
        assert_eq!(workflow.step(status).is_none(), status.is_final(), "{status}");
        assert_eq!(workflow.retry(status).is_none(), status.is_final(), "{status}");
    }
    assert_eq!(workflow.retry(Status::PendingUpload).unwrap().first_delay, Duration::from_secs(300));
    assert_eq!(workflow.crash_limit, 3);
    assert_eq!(workflow.languages().collect::<Vec<_>>(), ["de", "en", "es", "fr", "ja"]);
}

#[test]
fn an_empty_directory_changes_nothing() {
    let dir = Dir::with(&[("notes.md", "not a part of it")]);
    assert_eq!(Workflow::load(&dir.0).unwrap().to_json(), builtin().to_json());
}

#[test]
fn a_missing_directory_is_named() {
    let error = Workflow::load(&PathBuf::from("/nowhere/at/all")).unwrap_err();
    assert_eq!(error.to_string(), "the workflow directory /nowhere/at/all cannot be read");
}

#[test]
fn plans_order_the_chains() {
    let workflow = builtin();
    for (plan, first) in [("free", "polly"), ("basic", "polly"), ("premium", "google"), ("enterprise", "azure")] {
        assert_eq!(workflow.plan(plan).speech[0], first);
        assert_eq!(workflow.plan(plan).speech.last().unwrap(), "local");
        assert_eq!(workflow.script_chain(plan), ["openai", "gemini", "anthropic", "template"]);
    }
    assert_eq!(workflow.plan("unheard of"), workflow.plan("free"));
}

#[test]
fn voices_follow_plan_language_gender_and_what_is_there() {
    let workflow = builtin();
    let languages = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
    let all = ["polly", "google", "azure", "local"];

    let (language, chain) = workflow.voices("premium", &languages(&["ja", "en"]), None, &all).unwrap();
    assert_eq!(language, "ja");
    let told: Vec<_> = chain.iter().map(|link| (link.provider.as_str(), link.voice.as_str())).collect();
    assert_eq!(told, [("google", "ja-JP-Neural2-B"), ("azure", "ja-JP-NanamiNeural"), ("polly", "Kazuha")]);

    let (language, chain) = workflow.voices("free", &languages(&["ja", "es"]), None, &["local"]).unwrap();
    assert_eq!((language.as_str(), chain[0].voice.as_str(), chain[0].engine.as_str()), ("es", "espeak", "formant"));

    let (_, chain) = workflow.voices("free", &[], None, &["local"]).unwrap();
    assert_eq!((chain[0].voice.as_str(), chain[0].engine.as_str()), ("hibari", "neural"));
    let (_, chain) = workflow.voices("basic", &[], Some("male"), &["polly"]).unwrap();
    assert_eq!((chain[0].voice.as_str(), chain[0].gender.as_str()), ("Matthew", "male"));

    assert_eq!(workflow.voices("free", &languages(&["ja"]), None, &["local"]), None);
    assert_eq!(workflow.voices("free", &languages(&["ko"]), None, &all), None);
    assert_eq!(workflow.voices("free", &[], None, &[]), None);
}

#[test]
fn a_voice_that_not_every_machine_has_counts_where_it_is_installed() {
    let languages = ["ja".to_owned(), "en".to_owned()];
    let heard = |workflow: &Workflow| {
        let (language, chain) = workflow.voices("free", &languages, None, &["local"]).unwrap();
        (language, chain[0].voice.clone())
    };
    let mut workflow = builtin();
    workflow.install_voices("local", |_, _| false);
    workflow.install_voices("polly", |_, _| true);
    assert_eq!(heard(&workflow), ("en".to_owned(), "hibari".to_owned()));
    workflow.install_voices("local", |language, voice| (language, voice) == ("ja", local::KOKORO));
    assert_eq!(heard(&workflow), ("ja".to_owned(), "kokoro".to_owned()));
    let (_, chain) = workflow.voices("free", &languages, None, &["local", "polly"]).unwrap();
    assert_eq!(chain.len(), 2, "who is asked first stays so: {chain:?}");
    assert_eq!(chain[0].provider, "polly");
}

#[test]
fn models_follow_the_date() {
    let workflow = builtin();
    let on = |year, month, day| workflow.model("openai", NaiveDate::from_ymd_opt(year, month, day).unwrap()).unwrap();
    assert_eq!((on(2026, 10, 1).id.as_str(), on(2026, 10, 1).notice), ("gpt-4o-mini", None));
    assert!(on(2026, 12, 1).notice.unwrap().contains("retires on 2027-01-14"));
    assert_eq!(on(2027, 1, 13).id, "gpt-4o-mini");
    assert_eq!(on(2027, 1, 14).id, "gpt-6-luna");
    assert!(on(2027, 1, 14).notice.unwrap().contains("gpt-6-luna is asked instead"));
    assert_eq!(workflow.model("polly", NaiveDate::default()), None);
}

#[test]
fn what_the_settings_prefer_wins() {
    let mut workflow = builtin();
    let on = |workflow: &Workflow, month| workflow.model("openai", NaiveDate::from_ymd_opt(2027, month, 14).unwrap());
    workflow.prefer_model("openai", "gpt-4o-mini");
    let late = on(&workflow, 6).unwrap();
    assert_eq!((late.id.as_str(), late.successor.as_deref()), ("gpt-4o-mini", Some("gpt-6-luna")));
    assert!(late.notice.unwrap().contains("set providers.openai.model to gpt-6-luna, or leave it out"));
    workflow.prefer_model("openai", "gpt-6-luna");
    let luna = on(&workflow, 1).unwrap();
    assert_eq!((luna.is_listed, luna.thinking, luna.notice), (true, Some(Thinking::Effort), None));
    workflow.prefer_model("openai", "llama3.2");
    let llama = on(&workflow, 1).unwrap();
    assert_eq!((llama.id.as_str(), llama.is_listed, llama.thinking), ("llama3.2", false, None));
    let gemini = workflow.model("gemini", NaiveDate::default()).unwrap();
    assert_eq!((gemini.id.as_str(), gemini.thinking), ("gemini-2.5-flash-lite", Some(Thinking::Budget)));
    assert_eq!(workflow.to_json()["preferred_models"]["openai"], "llama3.2");

    let engine =
        |workflow: &Workflow, provider| workflow.voices("basic", &[], None, &[provider]).unwrap().1[0].engine.clone();
    workflow.prefer_engine("polly", "generative");
    assert_eq!((engine(&workflow, "polly").as_str(), engine(&workflow, "google").as_str()), ("generative", "neural2"));
}

#[test]
fn prices_are_exact() {
    let workflow = builtin();
    let cost = |provider, model, unit, amount| workflow.cost_micro_usd(provider, model, unit, amount);
    assert_eq!(cost("openai", "gpt-4o-mini", "input_token", 1_000_000), 150_000);
    assert_eq!(cost("openai", "gpt-4o-mini", "output_token", 1_000), 600);
    assert_eq!(cost("openai", "gpt-4o-mini-2024-07-18", "input_token", 10), 2, "1.5 is rounded up");
    assert_eq!(cost("polly", "neural", "character", 4_000), 64_000);
    assert_eq!(cost("azure", "neural", "character", 1), 15);
    assert_eq!(cost("openai", "unheard-of", "output_token", 1_000_000), 600_000, "the dearest");
    assert_eq!(cost("local", "formant", "character", 1_000_000), 0);
    assert_eq!(cost("nobody", "x", "character", 1), 0);
    assert_eq!(cost("polly", "neural", "character", u64::MAX), i64::MAX);
}

#[test]
fn faults_in_the_steps_are_told() {
    let file = "daily_podcast.toml";
    refused(
        file,
        "crash_limit = 3",
        "crash_limit = 3\ncrash_limits = 3",
        "unknown key \"crash_limits\"; known are name, crash_limit",
    );
    refused(file, "crash_limit = 3", "crash_limit = \"3\"", "must be a whole number, not string");
    refused(file, "crash_limit = 3", "crash_limit = 0", "from 1 to 100");
    refused(file, "time_limit = \"5m\"", "time_limit = \"3 minutes\"", "such as \"90s\" or \"5m\"");
    refused(file, "factor = 2.0", "factor = 0.5", "from 1 to 100");
    refused(file, "jitter = 0.25", "jitter = 1.5", "from 0 to 1");
    refused(file, "[status.script_generated]", "[status.completed]", "no step works on the status \"completed\"");
    refused(
        file,
        "[status.pending]",
        "[status.pending]\nusual = \"1s\"",
        "status \"pending\" has the unknown key \"usual\"; known are max_attempts",
    );
    refused(file, "[script]\n", "[script]\nround = 2\n", "[script] has the unknown key \"round\"; known are rounds");
    refused(file, "prompts/system.txt", "prompts/sytem.txt", "there is no file \"prompts/sytem.txt\"; known are");
    refused(file, "unit = \"words\"", "unit = \"syllables\"", "unknown unit \"syllables\"; known are words, letters");
    refused(file, "[language.en]", "[language.english]", "no language tag");
}

#[test]
fn faults_between_values_are_told() {
    let file = "daily_podcast.toml";
    let section = |old: &str, new: &str, head: &str, said: &str| {
        let text = original(file).replacen(old, new, 1);
        let line = 1 + text[..text.find(head).unwrap()].matches('\n').count();
        let told: Vec<_> = Dir::with(&[(file, &text)]).violations().iter().map(ToString::to_string).collect();
        assert!(told.iter().any(|v| v.starts_with(&format!("{file}:{line}: ")) && v.contains(said)), "{told:?}");
    };
    section("rounds = 2", "rounds = 9", "[script]", "the template would never write");
    section("target = \"240s\"", "target = \"2m\"", "[script]", "must grow in this order");
    section("first_delay = \"30s\"", "first_delay = \"1h\"", "[status.pending]", "longer than \"max_delay\"");
    section("usual_time = \"20s\"", "usual_time = \"1h\"", "[status.pending]", "longer than \"time_limit\"");
    section("max_attempts = 4\n", "", "[status.pending]", "status \"pending\" lacks \"max_attempts\"");
}

#[test]
fn faults_in_plans_are_told() {
    let file = "plans.toml";
    refused(file, "default_plan = \"free\"", "default_plan = \"gratis\"", "unknown; known are basic, enterprise, free");
    let script = "script = [\"openai\", \"gemini\", \"anthropic\", \"template\"]";
    refused(
        file,
        script,
        "script = [\"openai\", \"gemni\", \"template\"]",
        "unknown provider \"gemni\"; known are openai",
    );
    refused(file, script, "script = [\"openai\", \"openai\", \"template\"]", "names \"openai\" twice");
    refused(
        file,
        "[plan.free]\nscript = [\"openai\", \"gemini\", \"anthropic\", \"template\"]",
        "[plan.free]\nscript = [\"openai\"]",
        "must end with \"template\"",
    );
    refused(
        file,
        "tier = \"premium\"",
        "tier = \"gold\"",
        "unknown tier \"gold\"; known are standard, premium, custom",
    );
    refused(
        file,
        "tier = \"premium\"",
        "tier = \"premium\"\n[plan.premium.extra]",
        "plan \"premium\" has the unknown key \"extra\"; known are script",
    );
    refused(file, "speech = [", "speech = 3 # [", "must be a list of strings, not integer");
}

#[test]
fn faults_in_voices_models_and_prices_are_told() {
    refused("voices.toml", "default_gender = \"female\"", "default_gender = \"any\"", "known are female, male");
    refused("voices.toml", "only_if_installed = true", "only_if_installed = 1", "true or false");
    refused("voices.toml", "default_language = \"en\"", "default_language = \"ko\"", "\"ko\" has no section");
    refused(
        "voices.toml",
        "[[voice]]\nprovider = \"polly\"\nlanguage = \"ja\"",
        "[[voice]]\nprovider = \"polly\"\nlanguage = \"ko\"",
        "speaks \"ko\"",
    );
    refused("voices.toml", "tiers = [\"standard\"]", "tiers = [\"cheap\"]", "unknown tier \"cheap\"");
    refused(
        "models.toml",
        "openai = \"gpt-4o-mini\"",
        "openai = \"gpt-5-nano\"",
        "no model of openai; known are gpt-4o-mini",
    );
    refused("models.toml", "successor = \"gpt-6-luna\"", "successor = \"claude-haiku-5-5\"", "no model of openai");
    let said = "openai has no \"thinking\" \"switch\"; known are effort";
    refused("models.toml", "thinking = \"effort\"", "thinking = \"switch\"", said);
    refused("models.toml", "retires_on = 2027-01-14", "retires_on = \"2027-01-14\"", "must be a date");
    refused("prices.toml", "usd_per_million = \"0.15\"", "usd_per_million = \"0,15\"", "is no price");
    refused("prices.toml", "usd_per_million = \"0.15\"", "usd_per_million = 0.15", "must be a string, not float");
    refused("prices.toml", "unit = \"input_token\"", "unit = \"word\"", "unknown unit \"word\"");
}

#[test]
fn what_one_file_says_of_another_is_checked() {
    let without = |file: &str, section: &str, needle: &str| -> String {
        let kept = original(file);
        let kept: Vec<_> = kept.split(section).filter(|entry| !entry.contains(needle)).collect();
        kept.join(section)
    };
    let prices = without("prices.toml", "[[price]]", "\"gpt-6-luna\"");
    let told = Dir::with(&[("prices.toml", &prices)]).violations();
    assert!(
        told.iter().any(|v| v.file == "models.toml" && v.message.contains("\"gpt-6-luna\" has no price")),
        "{told:?}"
    );

    let voices = original("voices.toml").replacen("engine = \"standard\"", "engine = \"loud\"", 1);
    let told = Dir::with(&[("voices.toml", &voices)]).violations();
    assert!(
        told.iter().any(|v| v.file == "voices.toml" && v.message.contains("\"loud\", which has no price")),
        "{told:?}"
    );

    let voices = without("voices.toml", "[[voice]]", "provider = \"azure\"\nlanguage = \"en\"");
    let told = Dir::with(&[("voices.toml", &voices)]).violations();
    assert!(told.iter().any(|v| v.file == "plans.toml" && v.line > 1 && v.message.contains("\"azure\"")), "{told:?}");

    let circle = original("models.toml").replacen(
        "id = \"gpt-6-luna\"",
        "id = \"gpt-6-luna\"\nretires_on = 2027-02-01\nsuccessor = \"gpt-4o-mini\"",
        1,
    );
    let told = Dir::with(&[("models.toml", &circle)]).violations();
    assert!(told.iter().any(|v| v.message.contains("go in a circle")), "{told:?}");
}

#[test]
fn faults_in_prompts_are_told() {
    refused("prompts/user.txt", "{{ facts }}", "{{ fact }}", "unknown placeholder \"fact\"; known are language");
    refused("prompts/user.txt", "{{ facts }}", "{{ facts | }}", "syntax error");
    refused("prompts/user.txt", "{{ facts }}", "{{ facts.week.day }}", "fails on samples/");
    refused("prompts/template.es.toml", "Qué bien tenerte aquí", "Eres {{ email }}", "unknown placeholder \"email\"");
    refused(
        "prompts/template.en.toml",
        "[say]",
        "[say]\ngreting = [\"Hi\"]",
        "[say] has the unknown key \"greting\"; known are greeting",
    );
    refused("prompts/template.en.toml", "stop = \".\"", "stop = \"\"", "is empty");
}

#[test]
fn a_template_of_the_wrong_length_is_refused() {
    let text = original("prompts/template.en.toml");
    let (before, lessons) = text.split_once("lesson = [").unwrap();
    let (_, after) = lessons.split_once("]\n\nclosing").unwrap();
    let text = format!("{before}lesson = [\"Sleep well.\"]\n\nclosing{after}");
    let told = Dir::with(&[("prompts/template.en.toml", &text)]).violations();
    assert!(told.iter().any(|v| v.message.contains("makes an episode of")), "{told:?}");
}

#[test]
fn broken_files_are_told_together() {
    let dir = Dir::with(&[
        ("plans.toml", "default_plan = \n"),
        ("models.toml", "warn_before_days = 9999\n"),
        ("plan.toml", ""),
        ("samples/broken.json", "{\n\"nmae\": 1}"),
    ]);
    let error = Workflow::load(&dir.0).unwrap_err().to_string();
    for wanted in [
        "plans.toml:1: this is not TOML",
        "models.toml:1: \"warn_before_days\" of the file must be a whole number from 0 to 365",
        "plan.toml: no workflow has this file; known are daily_podcast.toml",
        "samples/broken.json:2: this is no sample: unknown field `nmae`",
    ] {
        assert!(error.contains(wanted), "{wanted}\nis not in\n{error}");
    }
}

#[test]
fn it_can_be_shown() {
    let workflow = builtin();
    let shown = workflow.to_json();
    assert_eq!(shown["status"]["pending"]["first_delay_s"], 30);
    assert_eq!(shown["plans"]["premium"]["speech"][0], "google");
    let chart = workflow.to_mermaid();
    assert!(chart.starts_with("flowchart LR\n"));
    assert!(chart.contains("premium_speech_google[google] --> premium_speech_azure[azure]"));
}

#[test]
fn faults_in_the_limits_are_told() {
    let file = "providers.toml";
    refused(file, "[provider.openai]", "[provider.openia]", "\"openia\" is no provider with limits; known are openai");
    refused(file, "calls_per_minute = 500", "calls_per_minute = 0", "from 1 to");
    refused(file, "burst = 50\n", "burst = 501\n", "from 1 to 500");
    refused(file, "open_after = 8", "open_after = 8\nopens = 2", "has the unknown key \"opens\"");
    let changed = original(file).replace("[provider.azure]", "[provider.azur]").replacen(
        "first_rest = \"30s\"",
        "first_rest = \"11m\"",
        1,
    );
    let told: Vec<_> = Dir::with(&[(file, &changed)]).violations().iter().map(ToString::to_string).collect();
    for said in ["[provider.azure] is missing", "the longest rest of \"openai\" is shorter than its first"] {
        assert!(told.iter().any(|violation| violation.contains(said)), "{told:?}");
    }
    let limits = builtin().limits()["openai"].at_rate(7);
    assert_eq!((limits.calls_per_minute, limits.burst), (7, 7), "no burst is more than a minute's calls");
}
