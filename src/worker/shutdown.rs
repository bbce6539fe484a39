//! Stopping in order: take nothing new, finish what ends in time, hand back the rest.

use tokio_util::sync::CancellationToken;

/// The wish to stop, in two stages. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    asked: CancellationToken,
    grace_over: CancellationToken,
}

impl Shutdown {
    /// Nobody has asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks to stop: nothing new is begun from now on.
    pub fn ask(&self) {
        self.asked.cancel();
    }

    /// Ends the grace: what is still being worked on is dropped and handed back.
    pub fn end_grace(&self) {
        self.asked.cancel();
        self.grace_over.cancel();
    }

    /// True once it was asked.
    pub fn is_asked(&self) -> bool {
        self.asked.is_cancelled()
    }

    /// Returns when it was asked.
    pub async fn asked(&self) {
        self.asked.cancelled().await;
    }

    /// Returns when the grace is over.
    pub async fn grace_over(&self) {
        self.grace_over.cancelled().await;
    }

    /// True when the grace is over.
    pub fn is_grace_over(&self) -> bool {
        self.grace_over.is_cancelled()
    }

    /// A token that is cancelled when the grace is over.
    pub fn grace_token(&self) -> CancellationToken {
        self.grace_over.clone()
    }

    /// A token that is cancelled when it was asked.
    pub fn token(&self) -> CancellationToken {
        self.asked.clone()
    }

    /// Asks when the process gets SIGTERM or SIGINT, and ends the process at the second signal.
    /// The worker ends the grace.
    ///
    /// # Errors
    /// When the operating system does not let us listen for signals.
    pub fn on_signals(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            let mut next = async || {
                tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                }
            };
            let signal = next().await;
            tracing::info!(signal, "stopping; a second signal stops at once");
            shutdown.ask();
            let signal = next().await;
            tracing::warn!(signal, "stopping at once; others take over what was in hand");
            std::process::exit(1);
        });
        Ok(())
    }
}
