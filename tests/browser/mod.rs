//! Journeys of people with a real browser: Chromium, driven by the scripts of this folder against
//! real processes of the program. What must hold on every page is in `page.cjs`.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::process::Command;

use crate::support::ground::Ground;

/// The longest that one journey may take, on a machine with much to do.
const PATIENCE: Duration = Duration::from_secs(240);

/// Where `cargo xtask test` puts the packages, which asks who runs it.
fn packages() -> PathBuf {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    let home = std::env::var_os("HOME").unwrap_or_default();
    let own = Path::new(&home).join(".local/share/dailycast");
    let kept = if is_root { PathBuf::from("/var/lib/dailycast") } else { own };
    let packages = kept.join("browser");
    assert!(packages.join("package.json").is_file(), "the browser's packages are not installed: `cargo xtask test` installs them");
    packages
}

/// Runs the journey of a file of this folder to its end.
async fn journey(name: &str, base: &str, variables: &[(&str, &str)]) {
    let mut command = Command::new("node");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/page.cjs")).arg(name);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", std::env::temp_dir());
    command.env("BROWSER_PACKAGES", packages()).env("BASE", base).envs(variables.iter().copied());
    // Where somebody wants to see the pages: a folder that is there.
    command.envs(std::env::var_os("PICTURES").map(|folder| ("PICTURES", folder)));
    let ended = tokio::time::timeout(PATIENCE, command.stdin(Stdio::null()).kill_on_drop(true).output()).await;
    let output = ended.unwrap_or_else(|_| panic!("{name}: the journey does not end")).unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
}
