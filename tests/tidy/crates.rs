//! What we build on: licences that go with ours, no crate that was ruled out, no big one twice.

use std::{collections::BTreeMap, process::Command};

use serde::Deserialize;

use super::assert_none;

/// Licences that ask no more of who passes on our program than to name them.
const LICENCES: [&str; 12] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates whose licence is another one, and why that is fine.
const EXCEPTIONS: [(&str, &str); 3] = [
    ("apalis-postgres", NO_NAME),    // its README says MIT or Apache-2.0
    ("mp3lame-sys", "LGPL-3.0"),     // README says what it asks of who passes on a binary
    ("mp3lame-encoder", "LGPL-3.0"), // the same
];

/// Said of a crate that brings its licence as a text without naming it.
const NO_NAME: &str = "no licence by name";

/// Crates that must not come in, by whatever way.
const BANNED: [(&str, &str); 5] = [
    ("aws-lc-rs", "we have ring; a second library of ciphers takes minutes to build and needs cmake"),
    ("aws-lc-sys", "as aws-lc-rs"),
    ("native-tls", "TLS is rustls, the same on every machine"),
    ("openssl", "TLS is rustls, the same on every machine"),
    ("openssl-sys", "TLS is rustls, the same on every machine"),
];

/// Crates that are big, or that must agree on their types, so that one version has to do.
const ONCE: [&str; 13] = [
    "chrono",
    "http",
    "hyper",
    "hyper-util",
    "poem",
    "rand",
    "reqwest",
    "ring",
    "rustls",
    "serde",
    "sqlx-core",
    "tokio",
    "tower",
];

/// Crates that are there twice all the same: the versions, and why. Each must still be needed.
const TWICE: [(&str, [&str; 2], &str); 1] =
    [("rand", ["0.10", "0.9"], "only with the feature `otlp`, whose SDK makes its random ids with the older one")];

/// What `cargo metadata` tells.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize, Clone)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// `None` for our own.
    source: Option<String>,
}

/// The crates of this kind of machine, with every feature of ours.
fn packages() -> Vec<Package> {
    let told = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--all-features", "--locked"])
        .args(["--filter-platform", &format!("{}-unknown-linux-gnu", std::env::consts::ARCH)])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let metadata: Metadata = serde_json::from_slice(&told.stdout).unwrap();
    metadata.packages.into_iter().filter(|package| package.source.is_some()).collect()
}

/// True when an expression of SPDX (or crates.io's older `MIT/Apache-2.0`) can be met with these
/// licences. `WITH` adds rights, so it changes nothing.
fn is_met(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ").replace(['(', ')'], " ");
    let is_known = |licence: &str| LICENCES.contains(&licence.split(" WITH ").next().unwrap_or(licence).trim());
    // `A AND B OR C` is taken as `A AND (B OR C)`: stricter than SPDX, never laxer.
    expression.split(" AND ").all(|part| part.split(" OR ").any(is_known))
}

fn licences(packages: &[Package]) -> Vec<String> {
    let is_fine = |package: &&Package| {
        let licence = package.license.as_deref().unwrap_or(NO_NAME);
        is_met(licence) || EXCEPTIONS.contains(&(package.name.as_str(), licence))
    };
    let unfit = packages.iter().filter(|package| !is_fine(package));
    unfit.map(|package| format!("{} {} has {:?}", package.name, package.version, package.license)).collect()
}

fn bans(packages: &[Package]) -> Vec<String> {
    let of = |package: &Package| BANNED.iter().find(|(name, _)| *name == package.name);
    packages.iter().filter_map(of).map(|(name, why)| format!("{name}: {why}")).collect()
}

fn doubles(packages: &[Package]) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages.iter().filter(|package| ONCE.contains(&package.name.as_str())) {
        versions.entry(&package.name).or_default().push(&package.version);
    }
    versions.retain(|name, versions| versions.len() > 1 && !is_excused(name, versions));
    versions.into_iter().map(|(name, versions)| format!("{name} is there as {}", versions.join(" and "))).collect()
}

fn is_excused(name: &str, versions: &[&str]) -> bool {
    let is_known = |version: &&str, all: &[&str]| all.iter().any(|known| version.starts_with(&format!("{known}.")));
    let fits = |all: &[&str]| versions.len() == all.len() && versions.iter().all(|version| is_known(version, all));
    TWICE.iter().any(|(known, all, _)| *known == name && fits(all))
}

/// Excuses for what is not there twice any more.
fn stale_excuses(packages: &[Package]) -> Vec<String> {
    let count = |name: &str| packages.iter().filter(|package| package.name == name).count();
    let stale = TWICE.iter().filter(|(name, versions, _)| count(name) < versions.len());
    stale.map(|(name, ..)| format!("{name} is there once: take its excuse away")).collect()
}

#[test]
fn what_we_build_on_is_fit_for_it() {
    let packages = packages();
    assert!(packages.len() > 100, "cargo told of {} crates", packages.len());
    assert_none(licences(&packages), "Who passes on the program must be able to meet the licence of every part.");
    assert_none(bans(&packages), "Each of these was ruled out for a reason.");
    assert_none(doubles(&packages), "Two versions build twice, and their types do not meet.");
    assert_none(stale_excuses(&packages), "An excuse that nobody needs would hide the next double.");
}

#[test]
fn what_is_unfit_is_found() {
    let package = |name: &str, version: &str, license: &str| Package {
        name: name.to_owned(),
        version: version.to_owned(),
        license: Some(license.to_owned()),
        source: Some("registry".to_owned()),
    };
    let met = ["MIT/GPL-2.0", "Apache-2.0 WITH LLVM-exception OR GPL-3.0", "(MIT OR GPL-3.0) AND Unicode-3.0"];
    assert!(met.into_iter().all(is_met));
    assert!(!["GPL-3.0", "MIT AND GPL-3.0", NO_NAME].into_iter().any(is_met));
    let unfit =
        [package("other", "1.0.0", "LGPL-3.0"), package("openssl", "1.0.0", "MIT"), package("tokio", "1.0.0", "MIT")];
    assert_eq!(licences(&unfit).len(), 1);
    assert_eq!(bans(&unfit).len(), 1);
    assert_eq!(doubles(&[unfit.to_vec(), vec![package("tokio", "2.0.0", "MIT")]].concat()).len(), 1);
    let rand = |versions: &[&str]| versions.iter().map(|version| package("rand", version, "MIT")).collect::<Vec<_>>();
    assert_eq!(doubles(&rand(&["0.9.5", "0.10.4"])).len() + stale_excuses(&rand(&["0.9.5", "0.10.4"])).len(), 0);
    assert_eq!(doubles(&rand(&["0.8.5", "0.10.4"])).len() + doubles(&rand(&["0.8.5", "0.9.5", "0.10.4"])).len(), 2);
    assert_eq!(stale_excuses(&rand(&["0.10.4"])).len(), 1);
}
