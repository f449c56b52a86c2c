//! Sockets to listen on, and accepting from them without spinning or running over.
//!
//! [`sockets`] says where they come from. A connection is accepted only once there is a permit for it; until then it waits
//! in the kernel's queue.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;

use crate::telemetry::metrics::Metrics;

pub use self::sockets::{ListenError, Sockets};
pub(crate) use self::sockets::{ListeningSocket, OpenedSockets, open_unshared, probe};

mod sockets;

/// The places for connections, shared by all workers.
#[derive(Debug)]
pub(crate) struct Permits {
    places: Arc<Semaphore>,
    limit: Mutex<usize>,
}

/// One open connection's place.
#[derive(Debug)]
pub(crate) struct Permit(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

impl Permits {
    pub(crate) fn new(connections: usize) -> Self {
        let limit = connections.min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(limit)), limit: Mutex::new(limit) }
    }

    /// Changes the limit; connections above a lower one are not closed, but not replaced either.
    pub(crate) fn resize(&self, connections: usize) {
        let connections = connections.min(Semaphore::MAX_PERMITS);
        let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        if connections > *limit {
            self.places.add_permits(connections - *limit);
            *limit = connections;
        } else {
            *limit -= self.places.forget_permits(*limit - connections);
        }
    }

    async fn take(&self, metrics: &Metrics) -> Option<Permit> {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(Permit(permit));
        }
        metrics.connections_at_limit.inc();
        Arc::clone(&self.places).acquire_owned().await.ok().map(Permit)
    }
}

/// Accepts one connection; backs off while the system cannot give one.
pub(crate) async fn accept(
    listener: &TcpListener,
    permits: &Permits,
    metrics: &Metrics,
) -> Option<(TcpStream, SocketAddr, Permit)> {
    let permit = permits.take(metrics).await?;
    let mut pause = FIRST_PAUSE;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return Some((stream, peer, permit)),
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
