//! A disk that is soon full. Only root may mount one; other users' tests that need it are skipped.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A disk in memory, unmounted when this is dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// A disk of so many MiB at `dir`. `None` where none may be mounted, which must not happen to
    /// root where `CI` is set: nobody reads there what was skipped.
    pub fn mounted(dir: &Path, mib: u32) -> Option<Self> {
        fs::create_dir_all(dir).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]).arg(dir);
        let is_mounted = mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        assert!(is_mounted || env::var_os("CI").is_none() || !super::is_root(), "root cannot mount a small disk");
        if !is_mounted {
            eprintln!("not tested: only root may mount a small disk");
        }
        is_mounted.then(|| Self(dir.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the last process that uses it may just be ending.
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(unmounted.unwrap().success() || std::thread::panicking(), "{} is still mounted", self.0.display());
    }
}
