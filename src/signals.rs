//! The process's signals: stop, and stop at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

/// The signals that this process obeys, caught from the moment this is made.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// SIGTERM or SIGINT.
    Stop,
}

impl Signals {
    /// Must be called within a runtime with I/O.
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next request.
    pub(crate) async fn next(&mut self) -> Request {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => info!("SIGTERM: draining"),
                _ = self.interrupt.recv() => info!("SIGINT: draining"),
                _ = self.hangup.recv() => {
                    // Unhandled, it would end the process.
                    warn!("SIGHUP: reload is not supported; restart to apply changes");
                    continue;
                }
            }
            return Request::Stop;
        }
    }
}
