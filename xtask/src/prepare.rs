//! Keeps `.sqlx/`: what the SQL macros learned from a real database, so that a clean checkout
//! builds without one. The macros write it themselves while they are compiled online.

use std::{collections::BTreeMap, ffi::OsString, fs, io, path::Path};

use crate::{Problem, call, cargo, root, succeeds};

/// Sources whose change makes cargo compile every macro again.
const CRATE_ROOTS: [&str; 2] = ["src/lib.rs", "tests/main.rs"];

/// The files of a folder by name.
type Files = BTreeMap<OsString, Vec<u8>>;

/// Compiles everything against the database at `DATABASE_URL` and replaces `.sqlx/`, or, with
/// `--check`, says whether it is stale.
pub fn run(options: &[OsString]) -> Result<(), Problem> {
    let is_check = match options {
        [] => false,
        [option] if option == "--check" => true,
        _ => return Err("prepare knows one option, --check".to_owned()),
    };
    if std::env::var_os("DATABASE_URL").is_none_or(|url| url.is_empty()) {
        return Err("set DATABASE_URL to a migrated database with the learner views on its search path".to_owned());
    }
    let kept = root().join(".sqlx");
    let fresh = std::env::temp_dir().join(format!("dailycast-sqlx-{}", std::process::id()));
    fs::create_dir_all(&fresh).map_err(cannot("make", &fresh))?;
    let learned = learn(&fresh).and_then(|()| read(&fresh).map_err(cannot("read", &fresh)));
    fs::remove_dir_all(&fresh).map_err(cannot("remove", &fresh))?;
    let learned = learned?;
    if learned.is_empty() {
        return Err("no query was compiled: .sqlx is left as it is".to_owned());
    }
    let known = if kept.exists() { read(&kept).map_err(cannot("read", &kept))? } else { Files::new() };
    if learned == known {
        eprintln!("xtask: .sqlx is up to date, {} queries", known.len());
        return Ok(());
    }
    if is_check {
        return Err(".sqlx is stale: run `cargo xtask prepare` and commit it".to_owned());
    }
    replace(&kept, &known, &learned).map_err(cannot("write", &kept))?;
    eprintln!("xtask: .sqlx now has {} queries, it had {}", learned.len(), known.len());
    Ok(())
}

/// Has the macros write what they learn into `fresh`. Dependencies have macros, too, and bring
/// their own data; they are built first, without the database, which lacks their types.
fn learn(fresh: &Path) -> Result<(), Problem> {
    const CHECK: [&str; 4] = ["check", "--package", "dailycast", "--all-targets"];
    // What is not in .sqlx yet fails here, and that is why we are called.
    succeeds(cargo().args(CHECK).env_remove("DATABASE_URL").env("SQLX_OFFLINE", "true"));
    for source in CRATE_ROOTS.map(|source| root().join(source)) {
        fs::read(&source).and_then(|text| fs::write(&source, text)).map_err(cannot("touch", &source))?;
    }
    call(cargo().args(CHECK).env("SQLX_OFFLINE", "false").env("SQLX_OFFLINE_DIR", fresh))
}

fn read(dir: &Path) -> io::Result<Files> {
    fs::read_dir(dir)?
        .map(|entry| {
            let entry = entry?;
            Ok((entry.file_name(), fs::read(entry.path())?))
        })
        .collect()
}

fn replace(dir: &Path, known: &Files, learned: &Files) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    for name in known.keys().filter(|name| !learned.contains_key(*name)) {
        fs::remove_file(dir.join(name))?;
    }
    for (name, text) in learned {
        fs::write(dir.join(name), text)?;
    }
    Ok(())
}

fn cannot(what: &str, path: &Path) -> impl Fn(io::Error) -> Problem {
    move |error| format!("cannot {what} {}: {error}", path.display())
}
