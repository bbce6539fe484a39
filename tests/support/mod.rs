//! What many tests need: a database and a folder of their own, an engine with scripted steps, and
//! the one checker of what must hold after any fault.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

pub mod checker;
pub mod database;
pub mod engine;

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
