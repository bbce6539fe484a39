//! Real processes of the program, which a test may kill, freeze and resume.

use std::{fs, path::PathBuf, process::Stdio};

use tokio::process::{Child, Command};

use super::until;

/// Lines of a process's log that a failed test shows.
const SHOWN: usize = 60;

/// A running process; killed when this is dropped.
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, with both outputs going to the file `log`.
    pub fn start(mut command: Command, name: &str, log: PathBuf) -> Self {
        let file = fs::File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file).kill_on_drop(true);
        Self { child: command.spawn().unwrap(), name: name.to_owned(), log }
    }

    /// The number of a process that nobody has waited for yet.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Sends a signal by its name, like `TERM`.
    pub fn signal(&self, signal: &str) {
        let sent = std::process::Command::new("kill").args(["-s", signal, &self.pid().to_string()]).status();
        assert!(sent.unwrap().success(), "{} could not be sent SIG{signal}", self.name);
    }

    /// `kill -9`, and gone.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGSTOP; returns when it stands still.
    pub async fn freeze(&self) {
        self.signal("STOP");
        let stat = format!("/proc/{}/stat", self.pid());
        until("the process stands still", async || {
            fs::read_to_string(&stat).unwrap().rsplit_once(')').unwrap().1.starts_with(" T")
        })
        .await;
    }

    /// True when it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it ends, and tells its exit code.
    pub async fn exit_code(mut self) -> i32 {
        until(&format!("{} ends", self.name), async || self.has_ended()).await;
        self.child.wait().await.unwrap().code().unwrap_or_else(|| panic!("{} was ended by a signal", self.name))
    }

    /// Waits until its log has these words so many times.
    pub async fn until_it_says(&self, words: &str, times: usize) {
        let what = format!("{} says {words:?} {times} times", self.name);
        until(&what, async || self.says(words) >= times).await;
    }

    /// How often its log has these words.
    pub fn says(&self, words: &str) -> usize {
        self.log().matches(words).count()
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let from = lines.len().saturating_sub(SHOWN);
            eprintln!("--- the last of {} lines of {}\n{}\n---", lines.len(), self.name, lines[from..].join("\n"));
        }
    }
}
