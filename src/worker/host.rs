//! Which process on which host this is, so that another one on the same host can tell whether it
//! still runs. Read from `/proc`; where there is none, nobody is proved dead this way.

use std::fs;

use crate::store::workers::{Registration, Silent};

use super::Settings;

/// The identity of this process.
pub fn registration(settings: &Settings) -> Registration {
    let pid = std::process::id();
    Registration {
        name: settings.name.clone(),
        host: host_name(),
        boot_id: boot_id(),
        pid: i32::try_from(pid).unwrap_or_default(),
        pid_started: started(pid).unwrap_or_default(),
        concurrency: i32::try_from(settings.concurrency).unwrap_or(i32::MAX),
        lease: settings.lease,
        beat: settings.beat(),
    }
}

/// The host's name, or `localhost`.
pub fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}

/// The boot and the namespace in which process ids mean something: containers may share a host's
/// name and boot and still not see each other's processes. Empty when either is unknown.
fn boot_id() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let namespace = fs::read_link("/proc/self/ns/pid");
    match (boot, namespace) {
        (Ok(boot), Ok(namespace)) => format!("{} {}", boot.trim(), namespace.display()),
        _ => String::new(),
    }
}

/// When a process started, in clock ticks since boot: field 22 of `/proc/PID/stat` (proc(5)),
/// counted behind the command's name, which may itself hold blanks and brackets. A process that
/// has ended and only waits to be collected does not count as running.
fn started(pid: u32) -> Option<i64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// True when the process was on this host, in this boot, and is gone: a proof that needs no wait.
pub fn is_gone(silent: &Silent) -> bool {
    let here = !silent.boot_id.is_empty() && silent.boot_id == boot_id() && silent.host == host_name();
    here && u32::try_from(silent.pid).is_ok_and(|pid| started(pid) != Some(silent.pid_started))
}
