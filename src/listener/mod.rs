//! Sockets to listen on, and accepting from them without spinning or running over.
//!
//! [`sockets`] says where they come from, [`places`] how many connections there may be, and
//! [`slots`] which of them gives way to another.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tracing::warn;

use crate::telemetry::metrics::Metrics;

pub use self::sockets::{ListenError, Sockets};
pub(crate) use self::sockets::{ListeningSocket, OpenedSockets, open_unshared, probe};

pub(crate) mod places;
pub(crate) mod slots;
mod sockets;

/// Accepts one connection; backs off while the system cannot give one.
pub(crate) async fn accept(listener: &TcpListener, metrics: &Metrics) -> (TcpStream, SocketAddr) {
    let mut pause = FIRST_PAUSE;
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // The caller was gone before we came: the next one is not to blame.
            Err(error) if is_about_one_connection(&error) => {
                metrics.accept_errors.inc();
            }
            Err(error) => {
                metrics.accept_errors.inc();
                // Logged when it begins, not each time: the pause grows to its longest and stays.
                if pause == FIRST_PAUSE {
                    warn!(%error, "cannot accept connections; trying again");
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// Out of descriptors or memory does not pass in less.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// An operator who raised the limit should not have to wait for longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
