//! Finds the programs of an installed Postgres, and the account that may run them. Debian keeps
//! them off the PATH, one folder per major version.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::Error;

/// Where Debian and Ubuntu keep `VERSION/bin`.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The folder of `initdb`, `pg_ctl` and `postgres`: of the major `version` when a data folder
/// asks for one, else the newest.
pub(super) fn find(version: Option<&str>) -> Result<PathBuf, Error> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(DEBIAN)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin)| is_complete(bin))
        .collect();
    found.sort();
    if found.is_empty() {
        found.extend(by_pg_config());
    }
    let fits = |(major, bin): (u32, PathBuf)| version.is_none_or(|wanted| wanted == major.to_string()).then_some(bin);
    found.into_iter().rev().find_map(fits).ok_or_else(|| Error::NoPostgres {
        version: version.map(str::to_owned),
        package: version.map_or_else(|| "postgresql".to_owned(), |version| format!("postgresql-{version}")),
        looked: format!("{DEBIAN}/*/bin and where pg_config points"),
    })
}

/// True when the three programs that a cluster needs are there.
fn is_complete(bin: &Path) -> bool {
    ["initdb", "pg_ctl", "postgres"].iter().all(|program| bin.join(program).is_file())
}

/// Other systems have `pg_config` on the PATH. The `-dev` package alone has it too, without a
/// server, hence the look at the programs.
fn by_pg_config() -> Option<(u32, PathBuf)> {
    let ask = |what: &str| {
        let answer = Command::new("pg_config").arg(what).stdin(Stdio::null()).output().ok()?;
        String::from_utf8(answer.stdout).ok()
    };
    let bin = PathBuf::from(ask("--bindir")?.trim());
    let version = ask("--version")?;
    let digits = version.trim_start_matches(|c: char| !c.is_ascii_digit());
    let major = digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    is_complete(&bin).then_some((major, bin))
}

/// The account that a root caller lends a cluster to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Account {
    /// User `postgres` when the caller is root, `None` when the caller can run Postgres itself.
    pub(super) fn to_drop_to(caller: u32) -> Result<Option<Self>, Error> {
        if caller != 0 {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd").map_err(Error::file("read", "/etc/passwd"))?;
        users.lines().find_map(Self::from_passwd_line).map(Some).ok_or(Error::NoAccount)
    }

    fn from_passwd_line(line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        (fields.next()? == "postgres").then_some(())?;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Self { uid, gid })
    }
}
