//! Start-up and shutdown order; knows every module.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::info;

use crate::admin;
use crate::config::Config;
use crate::error_code::{ErrorCode, FaultReport};
use crate::generation::{BuildErrors, Generation};
use crate::lifecycle::{Intervals, Lifecycle, Phase};
use crate::listener::{ListenError, ListeningSocket, OpenedSockets, Sockets};
use crate::maintenance;
use crate::state::ProcessState;
use crate::telemetry::metrics::Metrics;
use crate::worker::{self, WorkerCommand};

pub mod reload;
mod self_check;
pub(crate) mod signals;
pub(crate) mod systemd;
pub(crate) mod watch;

/// Why the proxy did not start, or did not take a new configuration.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Files or addresses that the configuration names cannot be used.
    #[error("the configuration names what cannot be used")]
    Build(#[from] BuildErrors),
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A thread or its runtime cannot be made.
    #[error("cannot start a worker")]
    Worker(#[source] io::Error),
}

impl StartError {
    /// Every fault.
    pub fn fault_reports(&self) -> Vec<FaultReport> {
        match self {
            Self::Build(errors) => errors.fault_reports(),
            Self::Listen(error) => error.fault_reports(),
            Self::Worker(_) => vec![FaultReport::of(ErrorCode::StartThreadFailed, self)],
        }
    }
}

/// A proxy that serves until it is told to drain.
pub struct Running {
    admin_address: Option<SocketAddr>,
    pub(crate) shared: Arc<ProcessState>,
    lifecycle: Lifecycle,
    threads: Vec<JoinHandle<()>>,
    workers: Vec<mpsc::UnboundedSender<WorkerCommand>>,
    listening: Mutex<Vec<Listening>>,
    sockets: Sockets,
}

/// An address that is accepted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listening {
    /// As configured; port 0 asks for any.
    pub(crate) configured: SocketAddr,
    /// As the kernel gave it.
    pub(crate) bound: SocketAddr,
}

/// Builds everything, binds every socket, and only then starts to serve.
pub fn start(config: Config) -> Result<Running, StartError> {
    start_with(config, Sockets::default(), Intervals::default())
}

/// As [`start`], with sockets that another process bound, or beside one that listens, and with
/// these times.
pub fn start_with(
    config: Config,
    sockets: Sockets,
    intervals: Intervals,
) -> Result<Running, StartError> {
    // What can fail because of the configuration comes first, while nothing runs yet.
    let metrics = Arc::new(Metrics::new());
    let generation = Generation::build(1, config, &metrics)?;
    metrics.generation.set(1);
    maintenance::show(&generation, &metrics);
    let (config, worker_count) = (&generation.config, generation.config.server.workers.get());
    let addresses = sockets.addresses(&config.addresses(), config.server.inherit)?;
    let bound = open_all(&sockets, &addresses, worker_count)?;
    let admin_socket = match &config.admin {
        Some(admin) => bind_admin(&sockets, admin.listen)?,
        None => None,
    };
    let (lifecycle, watcher) = Lifecycle::new();
    let shared = Arc::new(ProcessState::new(generation, metrics, watcher, intervals));
    // From here on an error drops this, which drains, so that threads already started end.
    let mut running = Running {
        admin_address: admin_socket.as_ref().map(|(address, _)| *address),
        shared: Arc::clone(&shared),
        lifecycle,
        threads: Vec::new(),
        workers: Vec::new(),
        listening: Mutex::default(),
        sockets,
    };
    // Each worker holds a sender until it ends; nothing is ever sent. So the admin listener, which
    // has the receiver, answers until the last worker has drained.
    let (worker_alive, workers_gone) = mpsc::channel(1);
    for index in 0..worker_count {
        let worker_alive = worker_alive.clone();
        let runtime = worker::runtime().map_err(StartError::Worker)?;
        let id_prefix = random_u64().map_err(StartError::Worker)?;
        let (sender, commands) = mpsc::unbounded_channel();
        running.workers.push(sender);
        let shared = Arc::clone(&shared);
        running.spawn(format!("worker-{index}"), move || {
            worker::run(&runtime, shared, commands, id_prefix);
            drop(worker_alive);
        })?;
    }
    // Only the workers' own senders are left.
    drop(worker_alive);
    let runtime = worker::runtime().map_err(StartError::Worker)?;
    let (maintained, swaps) = (Arc::clone(&shared), running.lifecycle.swaps());
    running
        .spawn("maintenance".to_owned(), move || maintenance::run(&runtime, &maintained, &swaps))?;
    if let Some((_, socket)) = admin_socket {
        let runtime = worker::runtime().map_err(StartError::Worker)?;
        running.spawn("admin".to_owned(), move || {
            admin::run(&runtime, socket, &shared, workers_gone);
        })?;
    }
    // The workers have their sockets before anybody is told that the process serves.
    running.listen(bound);
    running.lifecycle.advance(Phase::Serving);
    let (addresses, admin) = (running.addresses(), running.admin_address);
    info!(?addresses, ?admin, workers = worker_count, "serving");
    Ok(running)
}

impl Running {
    /// Where callers connect, in the order of the configuration; port 0 is resolved.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listening().iter().map(|listening| listening.bound).collect()
    }

    /// Where the operator looks; port 0 is resolved.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// The number of the generation in force.
    pub fn generation(&self) -> u64 {
        self.shared.generation.load().number
    }

    /// The files that the configuration in force names.
    pub fn files(&self) -> Vec<PathBuf> {
        self.shared.generation.load().config.files()
    }

    /// How often to look whether one of them has changed, if that is wanted.
    pub fn watch_interval(&self) -> Option<Duration> {
        let reload = &self.shared.generation.load().config.reload;
        reload.watch.then_some(reload.watch_interval)
    }

    /// The metrics of this proxy in the OpenMetrics text format.
    pub fn metrics(&self) -> String {
        self.shared.render_metrics()
    }

    /// The value of one series of [`Running::metrics`], named with its labels as there.
    pub fn metric(&self, series: &str) -> Option<f64> {
        self.shared.metric(series)
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

    /// Drains, and returns when the last thread has ended.
    pub fn stop(mut self) {
        self.drain();
        for thread in self.threads.drain(..) {
            // A worker that panicked has already said so on standard error.
            let _ended = thread.join();
        }
    }

    /// Puts a built generation in force. Whatever could fail has been done.
    pub(crate) fn swap(&self, generation: Generation, opened: Vec<Bound>, order: &[SocketAddr]) {
        self.shared.places.resize(&generation.config.limits);
        self.shared.metrics.generation.set(generation.number);
        maintenance::show(&generation, &self.shared.metrics);
        for target in &generation.upstreams {
            target.take_over_health();
        }
        // Stored before the watchers are woken, since they look at the generation at once.
        self.shared.generation.store(Arc::new(generation));
        self.lifecycle.swapped();
        // New sockets open before old ones close, and after the swap: a connection to a new address
        // must find the generation that knows it.
        self.listen(opened);
        let mut listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        for closed in listening.extract_if(.., |one| !order.contains(&one.configured)) {
            self.tell_workers(|| WorkerCommand::Close(closed.configured));
        }
        listening.sort_by_key(|listening| order.iter().position(|a| *a == listening.configured));
    }

    pub(crate) fn listening(&self) -> Vec<Listening> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What listening sockets are made with.
    pub(crate) fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    pub(crate) fn workers(&self) -> &[mpsc::UnboundedSender<WorkerCommand>] {
        &self.workers
    }

    fn listen(&self, sockets: Vec<Bound>) {
        for Bound { listening, sockets } in sockets {
            for (worker, socket) in self.workers.iter().zip(sockets) {
                // A worker that is gone takes no sockets, and says so itself.
                let _sent = worker.send(WorkerCommand::Listen(listening.configured, socket));
            }
            self.listening.lock().unwrap_or_else(PoisonError::into_inner).push(listening);
        }
    }

    fn tell_workers(&self, command: impl Fn() -> WorkerCommand) {
        for worker in &self.workers {
            let _sent = worker.send(command());
        }
    }

    fn spawn(
        &mut self,
        name: String,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<(), StartError> {
        let thread = std::thread::Builder::new().name(name);
        self.threads.push(thread.spawn(run).map_err(StartError::Worker)?);
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.drain();
    }
}

/// How soon the end of a drain is noticed.
const END_CHECK_INTERVAL: Duration = Duration::from_millis(5);

/// One address with a socket for each worker.
pub(crate) struct Bound {
    listening: Listening,
    sockets: Vec<ListeningSocket>,
}

/// Opens every address, or none.
pub(crate) fn open_all(
    sockets: &Sockets,
    addresses: &[SocketAddr],
    worker_count: usize,
) -> Result<Vec<Bound>, ListenError> {
    let open = |&configured| {
        let OpenedSockets { bound, sockets } = sockets.open(configured, worker_count)?;
        Ok(Bound { listening: Listening { configured, bound }, sockets })
    };
    addresses.iter().map(open).collect()
}

/// With `SO_REUSEPORT`, too, so that a process beside this one can take over.
fn bind_admin(
    sockets: &Sockets,
    address: SocketAddr,
) -> Result<Option<(SocketAddr, ListeningSocket)>, ListenError> {
    let OpenedSockets { bound, sockets } = sockets.open(address, 1)?;
    Ok(sockets.into_iter().next().map(|socket| (bound, socket)))
}

fn random_u64() -> io::Result<u64> {
    let mut bytes = [0; 8];
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let filled = provider.secure_random.fill(&mut bytes);
    filled.map_err(|_failed| io::Error::other("no random numbers"))?;
    Ok(u64::from_ne_bytes(bytes))
}
