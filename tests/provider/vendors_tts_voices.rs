//! The vendors' lists of voices, and what `doctor` and the workflow make of them.

use dailycast::{
    cli::doctor::voices::{self, Found},
    config::{Config, ConfigFile, Sources},
    machine::FailureKind,
    provider::tts::{OfferedVoice, Speaker as _},
    workflow::{GENDERS, Workflow},
};
use serde_json::{Value, json};

use super::vendors_tts::{HandClock, Line, Server, api_key, azure, google, polly, signature};
use crate::support::Folder;

fn json_line(body: Value) -> Line {
    (200, "content-type: application/json\r\n", body.to_string().into_bytes())
}

fn offered(voice: &str, engines: &[&str]) -> OfferedVoice {
    let engines = engines.iter().map(|&engine| engine.to_owned()).collect();
    OfferedVoice { voice: voice.to_owned(), engines, locales: Vec::new(), gender: None }
}

fn of(locales: &[&str], gender: &str, voice: OfferedVoice) -> OfferedVoice {
    let locales = locales.iter().map(|&locale| locale.to_owned()).collect();
    OfferedVoice { locales, gender: Some(gender.to_owned()), ..voice }
}

#[tokio::test]
async fn pollys_voices_come_in_pages() {
    let first =
        json!({ "Voices": [{ "Id": "Joanna", "SupportedEngines": ["standard", "neural"] }], "NextToken": "a+b/c=" });
    let second = json!({ "Voices": [{ "Id": "Aditi", "SupportedEngines": ["neural"], "Gender": "Female",
        "LanguageCode": "en-IN", "AdditionalLanguageCodes": ["hi-IN"] }] });
    let server = Server::start(vec![json_line(first.clone()), json_line(second)]).await;
    let voices = polly(&server, None).voices().await.unwrap();
    assert_eq!(
        voices,
        [offered("Joanna", &["standard", "neural"]), of(&["en-IN", "hi-IN"], "female", offered("Aditi", &["neural"]))]
    );
    let asked = server.asked();
    assert_eq!((asked[0].method.as_str(), asked[0].path.as_str()), ("GET", "/v1/voices"));
    assert_eq!(asked[0].headers["authorization"], signature(&asked[0], "host;x-amz-date", ""));
    assert_eq!(asked[1].path, "/v1/voices?NextToken=a%2Bb%2Fc%3D");
    assert_eq!(asked[1].headers["authorization"], signature(&asked[1], "host;x-amz-date", "NextToken=a%2Bb%2Fc%3D"));

    let endless = Server::start(vec![json_line(first)]).await;
    let failure = polly(&endless, None).voices().await.unwrap_err();
    assert_eq!((failure.kind, endless.asked().len()), (FailureKind::BadAnswer, 20));
}

#[tokio::test]
async fn google_and_azure_list_their_voices() {
    let names = ["en-US-Neural2-F", "en-US-Chirp3-HD-Kore", "es-419-Standard-A", "cmn-CN-Wavenet-B", "Kore"];
    let list: Vec<_> =
        names.iter().map(|name| json!({ "name": name, "languageCodes": ["x"], "ssmlGender": "MALE" })).collect();
    let server = Server::start(vec![json_line(json!({ "voices": list }))]).await;
    let voices = google(&server, api_key(), HandClock::new()).voices().await.unwrap();
    assert_eq!(
        voices,
        [
            offered("en-US-Neural2-F", &["neural2"]),
            offered("en-US-Chirp3-HD-Kore", &["chirp3-hd"]),
            offered("es-419-Standard-A", &["standard"]),
            offered("cmn-CN-Wavenet-B", &["wavenet"]),
            offered("Kore", &[]),
        ]
        .map(|voice| of(&["x"], "male", voice))
    );
    let asked = &server.asked()[0];
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", "/v1/voices"));
    assert_eq!(asked.headers["x-goog-api-key"], "AIzaX");

    let list = json!([
        { "ShortName": "en-US-JennyNeural", "VoiceType": "Neural", "Locale": "en-US", "Gender": "Female",
          "SecondaryLocaleList": ["de-DE"] },
        { "ShortName": "en-US-Ava:DragonHDLatestNeural", "VoiceType": "Neural" },
        { "ShortName": "en-US-Someone" },
    ]);
    let server = Server::start(vec![json_line(list)]).await;
    let voices = azure(&server).voices().await.unwrap();
    assert_eq!(
        voices,
        [
            of(&["en-US", "de-DE"], "female", offered("en-US-JennyNeural", &["neural"])),
            offered("en-US-Ava:DragonHDLatestNeural", &["hd"]),
            offered("en-US-Someone", &[]),
        ]
    );
    let asked = &server.asked()[0];
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", "/cognitiveservices/voices/list"));
    assert_eq!(asked.headers["ocp-apim-subscription-key"], "azkey");
}

fn config(toml: &str) -> Config {
    let folder = Folder::new();
    std::fs::create_dir_all(&folder.0).unwrap();
    let file = folder.0.join("dailycast.toml");
    std::fs::write(&file, toml).unwrap();
    Config::load(Sources { file: ConfigFile::Given(file), env: Vec::new(), flags: Vec::new() }).unwrap()
}

#[tokio::test]
async fn doctor_knows_whose_key_is_good_and_which_voice_is_gone() {
    let mut workflow = Workflow::builtin().unwrap();
    let names = |provider: &str| -> Vec<String> {
        workflow.spoken_by(provider).map(|(_, choice)| choice.voice.clone()).collect()
    };
    let engines = |voice: &str| if voice == "Mizuki" { vec!["standard"] } else { vec!["standard", "neural"] };
    let voices: Vec<_> = names("polly")
        .iter()
        .filter(|voice| *voice != "Ruth")
        .map(|voice| json!({ "Id": voice, "SupportedEngines": engines(voice) }))
        .collect();
    let polly = Server::start(vec![json_line(json!({ "Voices": voices }))]).await;
    let google = Server::start(vec![(403, "", br#"{"error": {"status": "PERMISSION_DENIED"}}"#.to_vec())]).await;
    let list: Vec<_> = names("azure").iter().map(|name| json!({ "ShortName": name, "VoiceType": "Neural" })).collect();
    let azure = Server::start(vec![json_line(json!(list))]).await;
    let config = config(&format!(
        "[providers.polly]\naccess_key_id = \"id\"\nsecret_access_key = \"hunter2\"\nendpoint_url = \"{}\"\n\
         [providers.google_tts]\napi_key = \"hunter2\"\nbase_url = \"{}\"\n\
         [providers.azure_tts]\nkey = \"hunter2\"\nbase_url = \"{}\"\n",
        polly.base, google.base, azure.base
    ));
    let found = voices::check(&config, &workflow).await.unwrap();
    let told: Vec<_> = found.iter().map(|one| (one.provider, one.what.as_str(), one.mend.is_some())).collect();
    let all = format!("the key is good, and all {} voices of the workflow are on offer", list.len());
    assert_eq!(
        told,
        [
            ("polly", "the voice Ruth is not on offer", true),
            ("google", "google did not speak: status 403, PERMISSION_DENIED", true),
            ("azure", all.as_str(), false),
        ]
    );

    let mend = found[1].mend.as_deref().unwrap();
    assert!(mend.contains("providers.google_tts.api_key or credentials_file"), "{mend}");

    workflow.prefer_engine("polly", "neural");
    let found = voices::check(&config, &workflow).await.unwrap();
    assert!(
        found.iter().any(|one| one.what == "the voice Mizuki does not speak in the engine neural"),
        "the engine of the settings wins: {found:?}"
    );
}

#[tokio::test]
async fn without_keys_nobody_is_asked() {
    assert_eq!(voices::check(&config(""), &Workflow::builtin().unwrap()).await.unwrap(), []);
}

#[tokio::test]
async fn a_voice_of_another_language_or_gender_is_found() {
    let workflow = Workflow::builtin().unwrap();
    let list: Vec<_> = workflow
        .spoken_by("azure")
        .map(|(language, choice)| {
            let language = if choice.voice == "de-DE-KatjaNeural" { "da" } else { language };
            let gender = if choice.voice == "en-US-JennyNeural" { "Male" } else { &choice.gender };
            json!({ "ShortName": choice.voice, "Locale": format!("{language}-XX"), "Gender": gender })
        })
        .collect();
    let server = Server::start(vec![json_line(json!(list))]).await;
    let config = config(&format!("[providers.azure_tts]\nkey = \"k\"\nbase_url = \"{}\"\n", server.base));
    let mut found = voices::check(&config, &workflow).await.unwrap();
    found.dedup();
    let mut told: Vec<_> = found.iter().map(|Found { what, .. }| what.as_str()).collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            "the voice de-DE-KatjaNeural does not speak the language de",
            "the voice en-US-JennyNeural is male, not female"
        ]
    );
}

#[test]
fn every_vendor_has_a_voice_of_either_gender_for_every_language_and_plan() {
    let workflow = Workflow::builtin().unwrap();
    for plan in ["free", "premium", "enterprise"] {
        for provider in ["polly", "google", "azure"] {
            for language in workflow.languages().map(str::to_owned) {
                for gender in GENDERS {
                    let found = workflow.voices(plan, std::slice::from_ref(&language), Some(gender), &[provider]);
                    let (_, chain) = found.unwrap_or_else(|| panic!("{provider} has no voice for {language}, {plan}"));
                    assert_eq!(chain[0].gender, gender, "{provider}, {language}, {plan}");
                    assert!(workflow.cost_micro_usd(provider, &chain[0].engine, "character", 1_000_000) > 0);
                }
            }
        }
    }
}

#[test]
fn the_engine_of_the_settings_wins_and_has_its_price() {
    let mut workflow = Workflow::builtin().unwrap();
    for (engine, dollars) in [("standard", 4), ("neural", 16), ("generative", 30), ("long-form", 100)] {
        workflow.prefer_engine("polly", engine);
        assert!(workflow.spoken_by("polly").all(|(_, choice)| choice.engine == engine));
        assert_eq!(workflow.cost_micro_usd("polly", engine, "character", 1_000_000), dollars * 1_000_000);
    }
    assert!(workflow.spoken_by("google").all(|(_, choice)| choice.engine != "long-form"));
}
