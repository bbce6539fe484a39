//! What many tests need: a database and a folder of their own, an engine with scripted steps, and
//! the one checker of what must hold after any fault.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

pub mod checker;
pub mod database;
pub mod disk;
pub mod engine;
pub mod filter;
pub mod gate;
pub mod ground;
pub mod objects;
pub mod post;
pub mod postgres;
pub mod process;
pub mod prometheus;
pub mod proxy;
pub mod traces;
pub mod vendor;

/// True when root runs the tests.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

/// Where `cargo xtask test` puts what is not ours, by name: it asks who runs it.
pub fn installed(name: &str) -> PathBuf {
    let home = std::env::var_os("HOME").unwrap_or_default();
    let own = Path::new(&home).join(".local/share/dailycast");
    if is_root() { Path::new("/var/lib/dailycast").join(name) } else { own.join(name) }
}

/// The Python of an environment, `vendors` or `readers`.
pub fn python(environment: &str) -> PathBuf {
    let python = installed(environment).join("bin/python");
    assert!(python.is_file(), "{} is missing: `cargo xtask test` installs it", python.display());
    python
}

/// What others read in a file of a `kind`: `vtt` or `mp3`.
pub fn read_by_others(kind: &str, file: &Path) -> serde_json::Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers/transcript.py");
    let read = Command::new(python("readers")).args([script, kind]).arg(file).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    serde_json::from_slice(&read.stdout).unwrap()
}

/// Waits for a condition. The bound is no part of any test: it only ends one that would hang.
pub async fn until(what: &str, holds: impl AsyncFnMut() -> bool) {
    until_within(Duration::from_secs(180), what, holds).await;
}

/// The same with a bound of its own.
pub async fn until_within(bound: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(bound, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited {bound:?} until {what}");
}

/// A client for what a test asks by itself, past any proxy of the environment. The program brings
/// its own TLS, so none is the default.
pub fn web() -> reqwest::ClientBuilder {
    // Who comes second finds the same one.
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().no_proxy()
}

/// A folder that only one test knows, gone when the test is over; the test makes it.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("dailycast-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        // A killed run whose process number came round again may have left one.
        fs::remove_dir_all(&dir).ok();
        Self(dir)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}
