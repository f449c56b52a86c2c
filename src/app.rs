//! Start-up and shutdown order; knows every room.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;
use tracing::info;

use crate::admin;
use crate::config::Config;
use crate::generation::{BuildErrors, Generation};
use crate::http::body::BodyMemory;
use crate::lifecycle::{Lifecycle, Phase};
use crate::listener::{self, Permits};
use crate::telemetry::metrics::Metrics;
use crate::worker::{self, Shared};

/// Why the proxy did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Files or addresses that the configuration names cannot be used.
    #[error("the configuration names what cannot be used")]
    Build(#[from] BuildErrors),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The operating system's answer.
        source: io::Error,
    },
    /// A thread or its runtime cannot be made.
    #[error("cannot start a worker")]
    Worker(#[source] io::Error),
}

/// A proxy that serves until it is told to drain.
pub struct Running {
    addresses: Vec<SocketAddr>,
    admin_address: Option<SocketAddr>,
    shared: Arc<Shared>,
    lifecycle: Arc<Lifecycle>,
    threads: Vec<JoinHandle<()>>,
}

/// Builds everything, binds every socket, and only then starts to serve.
pub fn start(config: Config) -> Result<Running, StartError> {
    let metrics = Arc::new(Metrics::new());
    let generation = Generation::build(config, &metrics)?;
    let config = &generation.config;
    let workers = config.server.workers.get();

    let mut sockets: Vec<Vec<std::net::TcpListener>> = (0..workers).map(|_| Vec::new()).collect();
    let mut addresses = Vec::new();
    for &address in &config.server.listen {
        let bind_error = |source| StartError::Bind { address, source };
        let bound = listener::bind(address, workers).map_err(bind_error)?;
        for (listener, sockets) in bound.into_iter().zip(&mut sockets) {
            if sockets.len() == addresses.len() {
                addresses.push(listener.local_addr().map_err(bind_error)?);
            }
            sockets.push(listener);
        }
    }
    let admin_socket = match &config.admin {
        None => None,
        Some(admin) => {
            let bind_error = |source| StartError::Bind {
                address: admin.listen,
                source,
            };
            let socket = std::net::TcpListener::bind(admin.listen).map_err(bind_error)?;
            socket.set_nonblocking(true).map_err(bind_error)?;
            Some((socket.local_addr().map_err(bind_error)?, socket))
        }
    };

    let (lifecycle, watcher) = Lifecycle::new();
    let limits = &config.limits;
    let shared = Arc::new(Shared {
        permits: Permits::new(limits.connections.get()),
        requests: Arc::new(Semaphore::new(
            limits.requests_in_flight.get().min(Semaphore::MAX_PERMITS),
        )),
        body_memory: BodyMemory::new(
            metrics.body_memory_bytes.clone(),
            limits.body_memory_bytes.get(),
        ),
        metrics,
        watcher,
        generation: ArcSwap::from_pointee(generation),
    });

    let mut threads = Vec::new();
    for (index, listeners) in sockets.into_iter().enumerate() {
        let runtime = worker::runtime().map_err(StartError::Worker)?;
        let shared = Arc::clone(&shared);
        let id_prefix = random_u64().map_err(StartError::Worker)?;
        let run = move || worker::run(&runtime, shared, listeners, id_prefix);
        let thread = std::thread::Builder::new().name(format!("worker-{index}"));
        threads.push(thread.spawn(run).map_err(StartError::Worker)?);
    }
    let admin_address = admin_socket.as_ref().map(|(address, _)| *address);
    if let Some((_, socket)) = admin_socket {
        let runtime = worker::runtime().map_err(StartError::Worker)?;
        let shared = Arc::clone(&shared);
        let run = move || admin::run(&runtime, socket, &shared);
        let thread = std::thread::Builder::new().name("admin".to_owned());
        threads.push(thread.spawn(run).map_err(StartError::Worker)?);
    }
    lifecycle.advance(Phase::Serving);
    info!(addresses = ?addresses, admin = ?admin_address, workers, "serving");
    Ok(Running {
        addresses,
        admin_address,
        shared,
        lifecycle: Arc::new(lifecycle),
        threads,
    })
}

impl Running {
    /// Where callers connect; port 0 is resolved.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where the operator looks; port 0 is resolved.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// The metrics of this proxy in the OpenMetrics text format.
    pub fn metrics(&self) -> String {
        self.shared.render_metrics()
    }

    /// Takes nothing new; what is in flight is finished within `server.drain_timeout_ms`.
    pub fn drain(&self) {
        self.lifecycle.advance(Phase::Draining);
    }

    /// Returns when the last thread has ended.
    pub async fn ended(&self) {
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            tokio::time::sleep(END_CHECK_INTERVAL).await;
        }
    }

    /// Drains, and returns when the last worker has ended.
    pub fn stop(mut self) {
        self.drain();
        for thread in self.threads.drain(..) {
            // A worker that panicked has already said so on standard error.
            let _ended = thread.join();
        }
    }
}

/// How soon the end of a drain is noticed.
const END_CHECK_INTERVAL: Duration = Duration::from_millis(5);

impl Drop for Running {
    fn drop(&mut self) {
        self.drain();
    }
}

fn random_u64() -> io::Result<u64> {
    let mut bytes = [0; 8];
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider
        .secure_random
        .fill(&mut bytes)
        .map_err(|_failed| io::Error::other("no random numbers"))?;
    Ok(u64::from_ne_bytes(bytes))
}
