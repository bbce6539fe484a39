//! What a scrape says, held against the list of metrics; and promtool, which judges it as Prometheus
//! would.

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use dailycast::telemetry::metrics::{ALL, Kind, Metric, Values};

/// Where routes are made, and what comes before those that are written there.
const ROUTES: [(&str, &[&str]); 5] = [
    (include_str!("../../src/http/routes.rs"), &[""]),
    (include_str!("../../src/http/docs/mod.rs"), &[""]),
    (include_str!("../../src/http/feed/mod.rs"), &[""]),
    (include_str!("../../src/http/study/mod.rs"), &[""]),
    (include_str!("../../src/http/ops/mod.rs"), &["/ops", "/api/ops"]),
];

/// What is added to the name of a histogram.
const PARTS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// One line of a scrape.
#[derive(Debug, Clone)]
pub struct Line {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// The lines of a scrape; no label of ours holds a quote.
pub fn lines(scrape: &str) -> Vec<Line> {
    let one = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let pairs = labels.trim_end_matches('}').split("\",").filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (key, value) = pair.split_once("=\"").unwrap();
            (key.to_owned(), value.trim_end_matches('"').to_owned())
        };
        Line { name: name.to_owned(), labels: pairs.map(pair).collect(), value: value.parse().unwrap() }
    };
    scrape.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(one).collect()
}

/// The value of the one series of this name and these labels.
pub fn value(scrape: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let is_it = |line: &&Line| {
        line.name == name && labels.iter().all(|(key, value)| line.labels.get(*key).is_some_and(|it| it == value))
    };
    let found: Vec<Line> = lines(scrape).iter().filter(is_it).cloned().collect();
    assert!(found.len() < 2, "{name} {labels:?} is ambiguous: {found:?}");
    found.first().map(|line| line.value)
}

/// The metric of a series' name, which may be a part of a histogram.
pub fn metric(name: &str) -> Option<&'static Metric> {
    let is_it = |metric: &&&Metric| match metric.kind {
        Kind::Histogram(_) => PARTS.iter().any(|part| name.strip_suffix(part) == Some(metric.name)),
        Kind::Counter | Kind::Gauge => metric.name == name,
    };
    ALL.iter().find(is_it).copied()
}

/// Every pattern that there is.
fn patterns() -> Vec<String> {
    let of = |(source, prefixes): &(&str, &'static [&str])| {
        let routes = source.split(".at(").skip(1).map(|rest| rest.trim_start().trim_start_matches('"'));
        let routes: Vec<&str> = routes.filter_map(|rest| rest.split('"').next()).collect();
        prefixes
            .iter()
            .flat_map(move |prefix| {
                let routes = routes.clone();
                routes.into_iter().map(move |route| format!("{prefix}{route}").trim_end_matches('/').to_owned())
            })
            .collect::<Vec<_>>()
    };
    ROUTES.iter().flat_map(of).chain(["none".to_owned()]).collect()
}

/// What a scrape says that the list of metrics does not allow.
pub fn flaws(scrape: &str) -> Vec<String> {
    let patterns = patterns();
    let mut flaws = Vec::new();
    for line in lines(scrape) {
        let Some(metric) = metric(&line.name) else {
            flaws.push(format!("{} is no metric", line.name));
            continue;
        };
        for (key, value) in line.labels.iter().filter(|(key, _)| *key != "le") {
            let Some(label) = metric.labels.iter().find(|label| label.name == key) else {
                flaws.push(format!("{} has no label {key}", line.name));
                continue;
            };
            let is_fine = match label.values {
                Values::OneOf(all) => all().contains(&value.as_str()),
                Values::Route => patterns.iter().any(|pattern| pattern == value.trim_end_matches('/')),
                Values::Version => value == env!("CARGO_PKG_VERSION"),
            };
            if !is_fine {
                flaws.push(format!("{} says {key}={value:?}", line.name));
            }
        }
    }
    flaws
}

/// Runs promtool, where `cargo xtask test` puts it or on the PATH; what it says, and whether it is
/// content.
pub fn promtool(args: &[&str], dir: &Path, input: &str) -> (bool, String) {
    let mut command = Command::new(program());
    command.args(args).current_dir(dir).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool is not installed: `cargo xtask test` installs it");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

fn program() -> PathBuf {
    Some(super::installed("promtool")).filter(|program| program.is_file()).unwrap_or("promtool".into())
}
