//! Settings: the reference is whole, the layers lie in order, every mistake is named at once, and
//! no secret is ever shown.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use dailycast::config::{
    Config, ConfigFile, DEFAULTS, Flag, LocalVoice, Place, Problems, Sources, SpoolKind, is_exposed,
};

/// A configuration file in a directory of its own, gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn with(text: &str) -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("dailycast-config-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("dailycast.toml"), text).unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("dailycast.toml")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn load(toml: &str, env: &[(&str, &str)], flags: Vec<Flag>) -> Result<Config, Problems> {
    let folder = Folder::with(toml);
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::load(Sources { file: ConfigFile::Given(folder.file()), env, flags })
}

/// Key, line of the file (0 for other places) and whole text of every problem.
fn problems(toml: &str, env: &[(&str, &str)]) -> Vec<(String, usize, String)> {
    let Problems(problems) = load(toml, env, Vec::new()).expect_err("these settings are wrong");
    let line = |place: &Place| match place {
        Place::File(_, line) => line.unwrap_or(0),
        _ => 0,
    };
    problems.iter().map(|problem| (problem.key.clone(), line(&problem.place), problem.to_string())).collect()
}

#[test]
fn the_reference_counts_the_connections_beside_those_that_are_set() {
    let words = format!("up to {} of its own", dailycast::store::BESIDE_CONNECTIONS);
    assert!(DEFAULTS.contains(&words), "{words}");
}

#[test]
fn defaults_are_the_promised_ones() {
    let config = load("", &[], Vec::new()).unwrap();
    assert!(config.database.url.is_none());
    assert_eq!(config.http.listen, "127.0.0.1:8080".parse::<SocketAddr>().unwrap());
    assert_eq!(config.http.rate_per_minute, 300);
    assert_eq!(config.worker.concurrency, 256);
    assert_eq!(config.worker.lease, Duration::from_secs(30));
    assert_eq!(config.worker.grace, Duration::from_secs(25));
    assert_eq!(config.night.cron.as_str(), "0 3 * * *");
    assert_eq!(config.night.time_zone, chrono_tz::UTC);
    assert_eq!(config.night.deadline.to_string(), "09:00:00");
    assert_eq!(config.night.batch_size, 100);
    assert_eq!(config.night.active_within, Duration::from_secs(14 * 86_400));
    assert_eq!(config.storage.s3.bucket, "zporta-podcasts");
    assert_eq!(config.storage.url_ttl, Duration::from_secs(3600));
    assert_eq!(config.storage.retention_days, 30);
    assert_eq!(config.spool.kind, SpoolKind::Disk);
    assert_eq!(config.academy.schema, "academy");
    assert_eq!((config.alerts.failure_rate_running, config.alerts.failure_rate_night), (0.10, 0.05));
    assert_eq!(config.budget.micro_usd_per_night, None);
    assert_eq!(config.providers.openai.base_url, "https://api.openai.com/v1");
    assert_eq!(config.providers.local_tts.voice, LocalVoice::Auto);
    assert_eq!(config.providers.local_tts.python_ja, None);
}

#[test]
fn every_default_is_explained() {
    let mut before = "";
    for line in DEFAULTS.lines() {
        if line.contains('=') && !line.starts_with('#') {
            assert!(before.starts_with('#'), "nothing explains {line:?}");
        }
        before = line;
    }
}

#[test]
fn layers_lie_in_order() {
    let file = "[http]\nlisten = \"127.0.0.1:1\"\n[database]\nurl = \"postgres://file/x\"";
    let variables = [("DATABASE_URL", "postgres://honoured/x"), ("DAILYCAST_HTTP__LISTEN", "127.0.0.1:2")];
    let flag = |value: &str| Flag { name: "--listen", key: "http.listen", value: value.to_owned() };

    assert_eq!(load(file, &[], vec![]).unwrap().http.listen.port(), 1);
    assert_eq!(load(file, &variables, vec![]).unwrap().http.listen.port(), 2);
    assert_eq!(load(file, &variables, vec![flag("127.0.0.1:3")]).unwrap().http.listen.port(), 3);

    let url = |toml, env: &[_]| load(toml, env, vec![]).unwrap().database.url.unwrap().expose().to_owned();
    assert_eq!(url("", &variables), "postgres://honoured/x");
    assert_eq!(url(file, &variables), "postgres://file/x");
    assert_eq!(url(file, &[("DAILYCAST_DATABASE__URL", "postgres://own/x")]), "postgres://own/x");
}

#[test]
fn names_that_people_already_set_are_honoured() {
    let config = load(
        "",
        &[
            ("OPENAI_API_KEY", "o"),
            ("GEMINI_API_KEY", "g"),
            ("ANTHROPIC_API_KEY", "a"),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "key"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:9000"),
            ("AWS_ENDPOINT_URL_POLLY", "http://127.0.0.1:9001"),
            ("AZURE_SPEECH_KEY", "z"),
            ("AZURE_SPEECH_REGION", "westeurope"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
        ],
        vec![],
    )
    .unwrap();
    assert_eq!(config.ops.otlp_endpoint.as_deref(), Some("http://127.0.0.1:4318"));
    let shown = |secret: &Option<dailycast::config::Secret>| secret.as_ref().unwrap().expose().to_owned();
    let providers = &config.providers;
    assert_eq!(shown(&providers.openai.api_key), "o");
    assert_eq!(shown(&providers.gemini.api_key), "g");
    assert_eq!(shown(&providers.anthropic.api_key), "a");
    assert_eq!(shown(&providers.azure_tts.key), "z");
    assert_eq!(providers.azure_tts.region.as_deref(), Some("westeurope"));
    assert_eq!((shown(&providers.polly.access_key_id), providers.polly.region.as_str()), ("id".into(), "eu-central-1"));
    assert_eq!(shown(&config.storage.s3.secret_access_key), "key");
    assert_eq!(config.storage.s3.endpoint_url.as_deref(), Some("http://127.0.0.1:9000"));
}

/// Keys of a store that is not AWS are not tried on Polly, and a file can keep AWS's from it.
#[test]
fn polly_is_lent_the_keys_of_aws_and_of_no_other_store() {
    let keys = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "key"), ("AWS_SESSION_TOKEN", "token")];
    let polly = |toml: &str, more: &[(&str, &str)]| {
        let polly = load(toml, &[&keys, more].concat(), vec![]).unwrap().providers.polly;
        let all = [polly.access_key_id, polly.secret_access_key, polly.session_token];
        let set = all.iter().filter(|key| key.is_some()).count();
        assert!(set == 0 || set == 3, "all or none: {set}");
        set == 3
    };
    let minio = "http://minio:9000";
    assert!(polly("", &[]));
    assert!(polly("", &[("AWS_ENDPOINT_URL_S3", "https://s3.eu-central-1.amazonaws.com")]));
    assert!(!polly("", &[("AWS_ENDPOINT_URL", minio)]));
    assert!(!polly("", &[("AWS_ENDPOINT_URL_S3", minio)]));
    assert!(!polly("[storage.s3]\nendpoint_url = \"http://minio:9000\"", &[]));
    assert!(polly("", &[("AWS_ENDPOINT_URL_S3", minio), ("AWS_ENDPOINT_URL_POLLY", "http://sim:1")]));
    let own = "[storage.s3]\nendpoint_url = \"http://minio:9000\"\naccess_key_id = \"a\"\nsecret_access_key = \"b\"";
    assert!(polly(own, &[]), "the store has keys of its own");
    assert!(!polly("[providers.polly]\naccess_key_id = \"\"\nsecret_access_key = \"\"", &[]));
}

/// GOOGLE_APPLICATION_CREDENTIALS is set for other programs, too.
#[test]
fn a_borrowed_file_of_google_may_be_missing() {
    let google = load("", &[("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere")], vec![]).unwrap().providers.google_tts;
    assert!(google.is_borrowed && google.credentials_file.is_some());
    let found = problems("", &[("DAILYCAST_PROVIDERS__GOOGLE_TTS__CREDENTIALS_FILE", "/nowhere")]);
    assert!(found[0].2.contains("there is no file"), "{found:?}");
}

#[test]
fn names_that_become_part_of_a_host_are_checked() {
    for bucket in ["", "ab", "Podcasts", "a_b", "a..b", "-ab", "ab-", "a/b", "evil.example/x"] {
        assert_eq!(problems(&format!("[storage.s3]\nbucket = {bucket:?}"), &[])[0].0, "storage.s3.bucket", "{bucket}");
    }
    for region in ["", "us east", "x/y", "EU"] {
        assert_eq!(problems(&format!("[storage.s3]\nregion = {region:?}"), &[])[0].0, "storage.s3.region", "{region}");
    }
    let s3 = load("[storage.s3]\nbucket = \"a.b-3\"\nregion = \"auto\"", &[], vec![]).unwrap().storage.s3;
    assert_eq!((s3.bucket.as_str(), s3.region.as_str()), ("a.b-3", "auto"));
}

#[test]
fn only_plain_http_to_a_foreign_host_is_exposed() {
    let exposed = ["http://api.example", "http://8.8.8.8:80/v1", "http://[2001:db8::1]/v1", "http://169.255.0.1"];
    let closed = [
        "https://api.example",
        "http://127.0.0.1:1/v1",
        "http://localhost:11434/v1",
        "http://ollama:11434",
        "http://10.1.2.3",
        "http://192.168.0.7",
        "http://[::1]:8080",
        "http://[fd00::1]",
        "http://host.docker.internal:1",
    ];
    assert!(exposed.into_iter().all(is_exposed));
    for address in closed {
        assert!(!is_exposed(address), "{address}");
    }
}

/// A token of temporary credentials goes with their key and with no other.
#[test]
fn a_token_of_the_environment_goes_with_its_key_only() {
    let env = [
        ("AWS_ACCESS_KEY_ID", "ASIA"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", "token"),
        ("AWS_CREDENTIAL_EXPIRATION", "2026-11-22T17:04:05+02:00"),
    ];
    let config = load("", &env, vec![]).unwrap();
    assert!(config.storage.s3.session_token.is_some() && config.providers.polly.session_token.is_some());
    let end = config.storage.s3.credentials_expire_at.unwrap();
    assert_eq!(end.to_rfc3339(), "2026-11-22T15:04:05+00:00");

    let keys = "access_key_id = \"AKIA\"\nsecret_access_key = \"other\"";
    let config = load(&format!("[storage.s3]\n{keys}"), &env, vec![]).unwrap();
    assert!(config.storage.s3.session_token.is_none() && config.storage.s3.credentials_expire_at.is_none());
    assert!(config.providers.polly.session_token.is_some(), "Polly's key is the environment's still");

    let own = format!("{keys}\nsession_token = \"own\"\ncredentials_expire_at = \"2026-11-23T00:00:00Z\"");
    let s3 = load(&format!("[storage.s3]\n{own}"), &env, vec![]).unwrap().storage.s3;
    assert_eq!(s3.session_token.unwrap().expose(), "own");
    assert_eq!(s3.credentials_expire_at.unwrap().to_rfc3339(), "2026-11-23T00:00:00+00:00");
}

#[test]
fn a_distribution_is_described_wholly_and_rightly() {
    let found = problems(
        "[storage.cloudfront]\ndomain = \"https://d1.cloudfront.net/\"\nkey_pair_id = \"K2 / x\"\n\
         [storage.s3]\ncredentials_expire_at = \"in an hour\"",
        &[],
    );
    for (key, line, words) in [
        ("storage.cloudfront.domain", 2, "without https://"),
        ("storage.cloudfront.key_pair_id", 3, "no id of a key"),
        ("storage.cloudfront.private_key_file", 2, "set all of them"),
        ("storage.s3.credentials_expire_at", 5, "\"2026-11-22T15:04:05Z\""),
    ] {
        let text = found.iter().find(|(k, l, _)| k == key && *l == line).map(|(_, _, text)| text);
        assert!(text.is_some_and(|text| text.contains(words)), "{key} in line {line}: {words:?} not in {found:#?}");
    }
    assert_eq!(found.len(), 4, "{found:#?}");
}

#[test]
fn every_mistake_is_reported_at_once_with_its_line() {
    let toml = r#"[worker]
lease = "30"
concurency = 12
[night]
cron = "0 0 3 * * *"
time_zone = "Mars/Olympus"
deadline = "25:00"
batch_size = "many"
[http]
listen = "localhost:8080"
cors_origins = ["https://a.example/path"]
[spool]
kind = "tape"
max_bytes = "8GB"
[alerts]
failure_rate_night = 5
[budget]
usd_per_night = "cheap"
[academy]
schema = "Academy; drop"
[providers.google_tts]
credentials_file = "/nowhere/at/all.json"
[storage.s3]
access_key_id = "id"
[wrker]
"#;
    let found = problems(toml, &[]);
    let expected = [
        ("academy.schema", 20, "not a plain name"),
        ("alerts.failure_rate_night", 16, "not a share"),
        ("budget.usd_per_night", 18, "not an amount"),
        ("http.cors_origins", 11, "no path"),
        ("http.listen", 10, "127.0.0.1:8080"),
        ("night.batch_size", 8, "whole number is wanted here, not a text"),
        ("night.cron", 5, "five fields"),
        ("night.deadline", 7, "not a time of day"),
        ("night.time_zone", 6, "Mars/Olympus"),
        ("providers.google_tts.credentials_file", 22, "no file"),
        ("spool.kind", 13, "\"disk\" or \"postgres\""),
        ("spool.max_bytes", 14, "GiB"),
        ("storage.s3.secret_access_key", 24, "set all of them"),
        ("worker.concurency", 3, "`worker.concurrency`"),
        ("worker.lease", 2, "\"30s\""),
        ("wrker", 25, "there is no such setting"),
    ];
    for (key, line, words) in expected {
        let text = found.iter().find(|(k, l, _)| k == key && *l == line).map(|(_, _, text)| text);
        assert!(text.is_some_and(|text| text.contains(words)), "{key} in line {line}: {words:?} not in {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    assert!(found.iter().all(|(_, _, text)| text.contains("dailycast.toml:") && text.contains("mend: ")));
}

#[test]
fn azures_key_needs_to_know_where() {
    let found = problems("", &[("AZURE_SPEECH_KEY", "hunter2")]);
    assert_eq!(found.len(), 1, "{found:?}");
    let (key, _, text) = &found[0];
    assert_eq!(key, "providers.azure_tts.key");
    assert!(text.contains("it is set, but not region or base_url") && !text.contains("hunter2"), "{text}");
    for region in ["evil.example/", "West Europe", "-x", "a@b"] {
        let found = problems("", &[("AZURE_SPEECH_KEY", "k"), ("AZURE_SPEECH_REGION", region)]);
        assert_eq!(found[0].0, "providers.azure_tts.region", "{region}: {found:?}");
    }
    assert_eq!(problems("[providers.polly]\nregion = \"\"\n", &[])[0].0, "providers.polly.region");
    load("", &[("AZURE_SPEECH_REGION", "westeurope")], vec![]).expect("a region alone is no mistake");
    load("", &[("AZURE_SPEECH_KEY", "k"), ("DAILYCAST_PROVIDERS__AZURE_TTS__BASE_URL", "http://x")], vec![]).unwrap();
}

#[test]
fn a_list_in_a_variable_is_written_with_commas_or_as_in_the_file() {
    const KEY: &str = "DAILYCAST_HTTP__CORS_ORIGINS";
    for (text, origins) in [
        ("https://a.example", &["https://a.example"][..]),
        (" https://a.example , https://b.example:8443", &["https://a.example", "https://b.example:8443"]),
        (r#"["https://a.example", "https://b.example"]"#, &["https://a.example", "https://b.example"]),
        (" ['https://a.example',] ", &["https://a.example"]),
        ("[\n  \"https://a.example\"\n]", &["https://a.example"]),
        ("[]", &[]),
    ] {
        assert_eq!(load("", &[(KEY, text)], vec![]).unwrap().http.cors_origins, origins, "{text}");
    }
    for (text, words) in [
        ("[https://a.example]", "is none of texts"),
        (r#"["https://a.example""#, "[\"one\", \"two\"]"),
        ("[1, 2]", "with each text in double quotes"),
        (r#"["https://a.example"] x"#, "is none of texts"),
        (r#"["a.example"]"#, "not a web address"),
        ("https://a.example/path", "no path"),
    ] {
        let found = problems("", &[(KEY, text)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].2.contains(KEY) && found[0].2.contains(words), "{text}: {found:?}");
    }
}

#[test]
fn a_mistake_in_a_variable_names_the_variable() {
    let found = problems("", &[("DAILYCAST_WORKER__LEASE", "1s"), ("DAILYCAST_WORKER__LEESE", "3s")]);
    let texts: Vec<_> = found.iter().map(|(_, _, text)| text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "DAILYCAST_WORKER__LEESE: worker.leese: there is no such setting\n    mend: did you mean `worker.lease`?",
            "DAILYCAST_WORKER__LEASE: worker.lease: 1s is out of bounds\n    mend: write from 2s to 1h",
        ]
    );
}

#[test]
fn one_underscore_too_few_is_noticed_and_names_of_others_are_left_alone() {
    let found = problems("", &[("DAILYCAST_DATABASE_URL", "postgres://x/y"), ("DAILYCAST_SERVICE_HOST", "10.0.0.1")]);
    assert_eq!(found.len(), 1);
    assert!(found[0].2.contains("name it DAILYCAST_DATABASE__URL"), "{}", found[0].2);
}

#[test]
fn a_setting_in_the_wrong_section_is_led_home() {
    let found = problems("[night]\nconcurrency = 3", &[]);
    assert!(found[0].2.contains("did you mean `worker.concurrency`?"), "{}", found[0].2);
}

#[test]
fn a_section_is_not_a_setting() {
    let found = problems("worker = 3", &[]);
    assert!(found[0].2.contains("write its keys under [worker]"), "{}", found[0].2);
}

#[test]
fn a_file_that_must_be_there_is_missed() {
    let missing = PathBuf::from("/nowhere/at/all.toml");
    let load = |file| Config::load(Sources { file, env: vec![], flags: vec![] });
    assert!(load(ConfigFile::IfThere(missing.clone())).is_ok());
    let text = load(ConfigFile::Given(missing)).unwrap_err().to_string();
    assert!(text.contains("/nowhere/at/all.toml: the file cannot be read"), "{text}");
}

#[test]
fn broken_toml_is_named_by_line_and_not_quoted() {
    let found = problems("[providers.openai]\napi_key = \"hunter2\nmodel = \"x\"\n", &[]);
    assert_eq!(found[0].1, 2);
    assert!(
        found.iter().all(|(_, _, text)| text.contains("not valid TOML") && !text.contains("hunter2")),
        "{found:#?}"
    );
}

#[test]
fn no_secret_is_ever_shown() {
    let secrets = [
        "[database]\nurl = \"mysql://root:hunter2@db/x\"",
        "[http]\nsigning_secret = \"hunter2\"",
        "[ops]\ntoken = \"hunter2\"",
        "[alerts]\nwebhook_url = \"hunter2\"\nsmtp_url = \"hunter2\"",
        "[providers.openai]\napi_kee = \"hunter2\"",
        "[providers.openai.api_key]\nvalue = \"hunter2\"",
        "[providers.openai]\napi_key = [\"hunter2\"]",
        "[providers.openai]\nbase_url = \"hunter2\"",
        "[providers.openai]\nbase_url = \"https://user:hunter2@api.example/v1\"",
        "[storage.s3]\nendpoint_url = \"http://hunter2@minio:9000\"",
    ];
    for toml in secrets {
        for (_, _, text) in problems(toml, &[]) {
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
    let config =
        load("", &[("OPENAI_API_KEY", "hunter2"), ("DATABASE_URL", "postgres://u:hunter2@h/d")], vec![]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn an_empty_variable_counts_as_absent() {
    let config = load("", &[("OPENAI_API_KEY", ""), ("DAILYCAST_WORKER__LEASE", "")], vec![]).unwrap();
    assert!(config.providers.openai.api_key.is_none());
    assert_eq!(config.worker.lease, Duration::from_secs(30));
}

#[test]
fn money_is_counted_in_millionths() {
    let budget = |text: &str| {
        load(&format!("[budget]\nusd_per_night = {text}"), &[], vec![]).unwrap().budget.micro_usd_per_night
    };
    assert_eq!(budget("25"), Some(25_000_000));
    assert_eq!(budget("0.25"), Some(250_000));
    assert_eq!(budget("\"1.000001\""), Some(1_000_001));
    assert_eq!(budget("\"\""), None);
}

#[test]
fn a_log_filter_is_raised_and_never_lowered() {
    assert_eq!(dailycast::telemetry::filter("warn", 0), "warn");
    assert_eq!(dailycast::telemetry::filter("warn", 1), "warn,dailycast=debug");
    assert_eq!(dailycast::telemetry::filter("warn", 9), "warn,dailycast=trace");
}
