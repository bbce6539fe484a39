//! The neural voices, `hibari` and `kokoro`: Python processes that load a model once and then answer
//! one request after the other (`serve.py` says how they talk). As many as there are seats, started
//! when wanted. One that failed, was too slow or whose caller went away in the middle is killed, and
//! the next request starts another. They end by themselves when this program does.

use std::{
    path::PathBuf,
    process::Stdio,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, ChildStdout},
    sync::OnceCell,
};

use super::{Error, MAX_SECONDS, Raw, program, samples};
use crate::audio::SAMPLE_RATE;

/// English. With its pauses it says some 150 words per minute.
pub(super) const HIBARI: Voice =
    Voice { name: "hibari", script: include_str!("hibari.py"), speed: 0.92, lufs: -25.6, patience: 1 };

/// Japanese. With its pauses it says some 340 letters per minute, and takes longer than that to speak
/// them where it has one core.
pub(super) const KOKORO: Voice =
    Voice { name: "kokoro", script: include_str!("kokoro.py"), speed: 1.1, lufs: -19.8, patience: 5 };

/// What Python runs behind the part of the voice.
const SERVE: &str = include_str!("serve.py");

/// The longest line of an answer.
const MAX_LINE_BYTES: u64 = 16 * 1024;

/// What sets a neural voice apart.
#[derive(Debug)]
pub(super) struct Voice {
    pub(super) name: &'static str,
    /// Its part of what Python runs.
    script: &'static str,
    /// Share of the voice's own pace.
    speed: f64,
    /// Usual loudness in LUFS, measured.
    lufs: f64,
    /// So many times the usual timeout is waited for a chunk.
    patience: u32,
}

/// The processes of a voice.
#[derive(Debug)]
pub(super) struct Neural {
    voice: &'static Voice,
    python: PathBuf,
    timeout: Duration,
    /// Processes that wait for a request; never more than there are seats.
    idle: Mutex<Vec<Process>>,
    usable: OnceCell<bool>,
}

#[derive(Debug)]
struct Process {
    /// Killed when dropped.
    _child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

/// A line from a process.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    ready: bool,
    samples: usize,
    error: Option<String>,
}

impl Neural {
    pub(super) fn new(voice: &'static Voice, python: PathBuf, timeout: Duration) -> Self {
        Self { voice, python, timeout: timeout * voice.patience, idle: Mutex::default(), usable: OnceCell::new() }
    }

    /// True when Python runs and has the packages. Found out once, by starting a process, because
    /// an episode must not change its voice half-way.
    pub(super) async fn is_usable(&self) -> Result<bool, Error> {
        let try_out = || async {
            match self.in_time(self.start()).await {
                Ok(process) => {
                    self.keep(process);
                    Ok(true)
                }
                Err(error @ Error::Timeout { .. }) => Err(error),
                Err(error) => {
                    tracing::warn!(voice.name = self.voice.name, error.message = %error, "this voice cannot be used");
                    Ok(false)
                }
            }
        };
        self.usable.get_or_try_init(try_out).await.copied()
    }

    /// Speaks a text in the language of the voice.
    pub(super) async fn speak(&self, text: &str) -> Result<Raw, Error> {
        // One that waited may have died meanwhile, which only shows when it is used.
        if let Some(process) = self.take() {
            match self.in_time(self.request(process, text)).await {
                Err(Error::Ended { .. }) => {}
                answer => return answer,
            }
        }
        let fresh = async { self.request(self.start().await?, text).await };
        self.in_time(fresh).await
    }

    fn take(&self) -> Option<Process> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep(&self, process: Process) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(process);
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let seconds = self.timeout.as_secs();
        let timed_out = |_| Error::Timeout { program: self.name(), seconds };
        tokio::time::timeout(self.timeout, work).await.map_err(timed_out)?
    }

    async fn start(&self) -> Result<Process, Error> {
        let mut child = program(&self.python)
            .args(["-I", "-c"])
            .arg([self.voice.script, SERVE].concat())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| Error::Start { program: self.name(), source })?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::Broken("a child process without pipes".to_owned()));
        };
        let mut process = Process { _child: child, stdin, stdout: BufReader::new(stdout) };
        match self.answer(&mut process).await? {
            Answer { ready: true, .. } => Ok(process),
            _ => Err(Error::Refused { program: self.name(), why: "it did not say that it is ready".to_owned() }),
        }
    }

    async fn request(&self, mut process: Process, text: &str) -> Result<Raw, Error> {
        let mut line = serde_json::json!({ "text": text, "speed": self.voice.speed }).to_string();
        line.push('\n');
        process.stdin.write_all(line.as_bytes()).await.map_err(|error| self.ended(error))?;
        process.stdin.flush().await.map_err(|error| self.ended(error))?;
        let answer = self.answer(&mut process).await?;
        if answer.samples > MAX_SECONDS * SAMPLE_RATE as usize {
            return Err(Error::Refused { program: self.name(), why: format!("it spoke {} samples", answer.samples) });
        }
        let mut bytes = vec![0; answer.samples * 2];
        process.stdout.read_exact(&mut bytes).await.map_err(|error| self.ended(error))?;
        self.keep(process);
        Ok(Raw { samples: samples(&bytes), rate: SAMPLE_RATE, voice_lufs: self.voice.lufs })
    }

    /// The next line of a process. One that reports an error is not used again.
    async fn answer(&self, process: &mut Process) -> Result<Answer, Error> {
        let mut line = Vec::new();
        let mut stdout = (&mut process.stdout).take(MAX_LINE_BYTES);
        stdout.read_until(b'\n', &mut line).await.map_err(|error| self.ended(error))?;
        if line.is_empty() {
            return Err(self.ended("it closed its output"));
        }
        let refused = |why: String| Error::Refused { program: self.name(), why };
        let answer: Answer = serde_json::from_slice(&line).map_err(|error| refused(error.to_string()))?;
        match answer.error {
            Some(why) => Err(refused(why)),
            None => Ok(answer),
        }
    }

    fn ended(&self, why: impl ToString) -> Error {
        Error::Ended { program: self.name(), why: why.to_string() }
    }

    fn name(&self) -> String {
        format!("the voice {} ({})", self.voice.name, self.python.display())
    }
}
