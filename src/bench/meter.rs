//! What a run costs in processor time and memory, read from `/proc`.

use std::fs;

/// Clock ticks a second in `/proc/PID/stat`; fixed at 100 by Linux's interface to user space
/// (`USER_HZ`, see proc(5)).
const TICK_MS: f64 = 10.0;

/// Processor time of this process, in milliseconds.
pub fn own_cpu_ms() -> f64 {
    cpu_ms("self", false).unwrap_or_default()
}

/// Processor time of this thread, in milliseconds.
pub fn thread_cpu_ms() -> f64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split(' ').next().and_then(|field| field.parse::<f64>().ok());
    nanos.unwrap_or_default() / 1e6
}

/// Processor time of a whole Postgres server, in milliseconds: of the server process, its living
/// children and those that ended. `backend_pid` is any of its backends. `None` when the server
/// runs on another host.
pub fn server_cpu_ms(backend_pid: i32) -> Option<f64> {
    let server = parent(&backend_pid.to_string())?;
    let mut total = cpu_ms(&server, true)?;
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        if pid.bytes().all(|byte| byte.is_ascii_digit()) && parent(&pid).as_deref() == Some(&server) {
            total += cpu_ms(&pid, false).unwrap_or_default();
        }
    }
    Some(total)
}

/// The most memory this process ever had, in bytes.
pub fn max_rss_bytes() -> u64 {
    memory("VmHWM:")
}

/// The memory this process has now, in bytes.
pub fn rss_bytes() -> u64 {
    memory("VmRSS:")
}

fn memory(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|rest| rest.trim().split(' ').next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

/// The machine in a few words: processors and their kind, memory, and the server's version.
pub fn machine(server: &str) -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZeroUsize::get);
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown processor", |(_, name)| name.trim());
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().split(' ').next()?.parse().ok());
    format!("{cores} x {model}, {} GiB of memory, PostgreSQL {server}", kib.unwrap_or(0_u64) >> 20)
}

/// Fields of `/proc/PID/stat` behind the command's name: the first is the state.
fn fields(pid: &str) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.split_ascii_whitespace().map(str::to_owned).collect())
}

fn parent(pid: &str) -> Option<String> {
    fields(pid)?.get(1).cloned()
}

fn cpu_ms(pid: &str, with_ended_children: bool) -> Option<f64> {
    let fields = fields(pid)?;
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    let own = ticks(11) + ticks(12);
    let children = if with_ended_children { ticks(13) + ticks(14) } else { 0.0 };
    Some((own + children) * TICK_MS)
}
