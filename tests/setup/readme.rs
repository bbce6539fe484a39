//! The README says what is so.

use dailycast::{
    config::{Config, ConfigFile, Sources},
    machine,
};

const README: &str = include_str!("../../README.md");

#[test]
fn the_chart_is_that_of_the_machine() {
    assert!(README.contains(machine::chart().trim()), "print `machine::chart()` into README.md");
}

#[test]
fn the_sample_of_settings_is_accepted() {
    let (_, rest) = README.split_once("```toml\n").unwrap();
    let (sample, _) = rest.split_once("```").unwrap();
    let file = std::env::temp_dir().join(format!("dailycast-readme-{}.toml", std::process::id()));
    std::fs::write(&file, sample).unwrap();
    let loaded = Config::load(Sources { file: ConfigFile::Given(file.clone()), env: vec![], flags: vec![] });
    std::fs::remove_file(&file).unwrap();
    assert_eq!(loaded.unwrap().night.time_zone, chrono_tz::Europe::Berlin);
}
