//! The board and the alert rules: they name metrics and labels that there are, and promtool is content
//! with them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use dailycast::telemetry::metrics::{ALL, Kind, Values};
use serde_json::Value;

use crate::support::{
    Folder,
    prometheus::{metric, promtool},
};

const BOARD: &str = include_str!("../../dashboards/grafana/dailycast.json");
const RULES: &str = include_str!("../../dashboards/grafana/rules.yml");
const RULE_TESTS: &str = include_str!("../../dashboards/grafana/rules_test.yml");

/// Names in PromQL that are neither metrics nor labels.
const WORDS: [&str; 19] = [
    "absent",
    "and",
    "by",
    "count",
    "histogram_quantile",
    "increase",
    "label_values",
    "max",
    "min",
    "on",
    "or",
    "rate",
    "sum",
    "time",
    "unless",
    "without",
    "d",
    "h",
    "m",
];

/// Labels that Prometheus or a histogram adds.
const ADDED: [&str; 2] = ["instance", "le"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/grafana")
}

/// Every query of the board with the panel that asks it.
fn queries(board: &Value) -> Vec<(String, String)> {
    let panels = board["panels"].as_array().unwrap().iter();
    let of = |panel: &Value| {
        let title = panel["title"].as_str().unwrap().to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets.into_iter().map(move |target| (title.clone(), target["expr"].as_str().unwrap().to_owned()))
    };
    let others = ["/annotations/list/0/expr", "/templating/list/1/definition"];
    let others = others.map(|at| (at.to_owned(), board.pointer(at).unwrap().as_str().unwrap().to_owned()));
    panels.flat_map(of).chain(others).collect()
}

/// The expressions of the rules: what follows `expr:`, up to the next key.
fn expressions() -> Vec<(String, String)> {
    let rules = RULES.split("- alert: ").skip(1);
    rules
        .map(|rule| {
            let name = rule.lines().next().unwrap().to_owned();
            let (_, rest) = rule.split_once("expr: ").unwrap();
            let end = ["\n        for:", "\n        labels:"].iter().filter_map(|key| rest.find(key)).min().unwrap();
            (name, rest[..end].trim_start_matches(">-").to_owned())
        })
        .collect()
}

/// The metrics and labels that an expression names, each metric with the labels and values of its
/// selector; a word that is none of these is a flaw.
fn flaws(expression: &str) -> Vec<String> {
    let mut flaws = Vec::new();
    let mut labels_named = BTreeSet::new();
    let mut known = BTreeSet::from(ADDED);
    let mut rest = expression;
    while let Some(at) = rest.find(|letter: char| letter.is_ascii_alphabetic() || "_\"{$".contains(letter)) {
        // A number's unit, like the h of 26h, is a word of its own.
        rest = &rest[at..];
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted.split_once('"').unwrap().1;
        } else if let Some(selector) = rest.strip_prefix('{') {
            rest = selector.split_once('}').unwrap().1;
        } else {
            let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && !"_$".contains(letter));
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            rest = after;
            match metric(word) {
                Some(metric) => {
                    known.extend(metric.labels.iter().map(|label| label.name));
                    if let Some((selector, _)) = after.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
                        flaws.extend(selector_flaws(word, selector));
                    }
                }
                None if word.starts_with('$') || WORDS.contains(&word) => {}
                None => _ = labels_named.insert(word),
            }
        }
    }
    flaws.extend(labels_named.difference(&known).map(|word| format!("{word} is no metric and no label of one")));
    flaws
}

fn selector_flaws(name: &str, selector: &str) -> Vec<String> {
    let metric = metric(name).unwrap();
    let mut flaws = Vec::new();
    for matcher in selector.split("\",").filter(|matcher| !matcher.is_empty()) {
        let (label, value) = matcher.split_once('=').unwrap();
        let (label, value) = (label.trim_end_matches('!'), value.trim_start_matches('~').trim_matches('"'));
        if ADDED.contains(&label) {
            continue;
        }
        let Some(found) = metric.labels.iter().find(|found| found.name == label) else {
            flaws.push(format!("{name} has no label {label}"));
            continue;
        };
        if let Values::OneOf(all) = found.values {
            let odd = value.split('|').filter(|value| !all().contains(value));
            flaws.extend(odd.map(|value| format!("{label} of {name} is never {value}")));
        }
    }
    flaws
}

#[test]
fn every_metric_says_what_it_is() {
    let mut names = BTreeSet::new();
    for metric in ALL {
        assert!(names.insert(metric.name), "{} is there twice", metric.name);
        assert!(metric.help.ends_with('.') && metric.help.len() > 20, "{}: {}", metric.name, metric.help);
        assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
        assert!(metric.name.starts_with("dailycast_") || metric.name.starts_with("http_server_"), "{}", metric.name);
        if let Kind::Histogram(bounds) = metric.kind {
            assert!(bounds.is_sorted() && metric.name.ends_with("_seconds"), "{}", metric.name);
        }
    }
}

#[test]
fn board_and_rules_name_what_there_is() {
    let board: Value = serde_json::from_str(BOARD).unwrap();
    let all = [queries(&board), expressions()].concat();
    let wrong = all.iter().filter(|(_, expression)| !flaws(expression).is_empty());
    let wrong: BTreeMap<_, _> = wrong.map(|(name, expression)| (name, flaws(expression))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let used: Vec<&str> = ALL.iter().map(|metric| metric.name).collect();
    let unseen: Vec<_> = used.iter().filter(|name| !all.iter().any(|(_, text)| text.contains(*name))).collect();
    assert!(unseen.len() <= 6, "so much is counted and shown nowhere: {unseen:?}");
}

#[test]
fn what_there_is_not_is_found() {
    for wrong in [
        "max(dailycast_night)",
        "sum by (learner) (dailycast_night_podcasts)",
        "dailycast_night_podcasts{status=\"ready\"}",
        "dailycast_night_podcasts{learner=\"7\"}",
        "dailycast_step_duration_seconds{step=\"script\"}",
        "avg(dailycast_workers)",
    ] {
        assert!(!flaws(wrong).is_empty(), "{wrong}");
    }
}

#[test]
fn the_board_can_be_imported_anywhere() {
    let board: Value = serde_json::from_str(BOARD).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    let mut places = BTreeMap::new();
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is there twice");
        let of = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(of("x") + of("w") <= 24, "{title} is too wide");
        for x in of("x")..of("x") + of("w") {
            for y in of("y")..of("y") + of("h") {
                assert_eq!(places.insert((x, y), title), None, "{title} lies on another panel");
            }
        }
        if panel["type"] != "row" {
            assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{title} says nothing");
            let sources = panel["targets"].as_array().unwrap().iter().map(|target| &target["datasource"]);
            assert!(sources.chain([&panel["datasource"]]).all(|source| source["uid"] == "${datasource}"), "{title}");
        }
    }
}

#[test]
fn promtool_is_content_with_the_rules() {
    for args in [["check", "rules", "rules.yml"], ["test", "rules", "rules_test.yml"]] {
        let (is_content, said) = promtool(&args, &folder(), "");
        assert!(is_content, "{args:?}: {said}");
    }
    for (name, _) in expressions() {
        let rule = RULES.split("- alert: ").find(|rule| rule.starts_with(&name)).unwrap();
        for part in ["summary: ", "description: ", "action: ", "link: https://OPS/ops", "severity: "] {
            assert!(rule.contains(part), "{name} has no {part}");
        }
        for case in ["fires", "is silent"] {
            assert!(RULE_TESTS.contains(&format!("- name: {name} {case}\n")), "{name}: no test that it {case}");
        }
    }
}

/// Each query as a rule of its own, so that promtool parses it.
#[test]
fn promtool_is_content_with_the_board() {
    let board: Value = serde_json::from_str(BOARD).unwrap();
    let mut rules = "groups:\n  - name: board\n    rules:\n".to_owned();
    let variables = [("$__rate_interval", "5m"), ("$instance", ".*")];
    for (number, (_, query)) in
        queries(&board).into_iter().filter(|(_, query)| !query.starts_with("label_")).enumerate()
    {
        let query = variables.iter().fold(query, |query, (name, value)| query.replace(name, value));
        rules.push_str(&format!(
            "      - record: board:{number}\n        expr: {}\n",
            serde_json::to_string(&query).unwrap()
        ));
    }
    let folder = Folder::new();
    std::fs::create_dir_all(&folder.0).unwrap();
    std::fs::write(folder.0.join("board.yml"), rules).unwrap();
    let (is_content, said) = promtool(&["check", "rules", "board.yml"], &folder.0, "");
    assert!(is_content, "{said}");
}
