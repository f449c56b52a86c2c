//! One core's share of the work: a thread, a runtime, sockets, and what belongs to nobody else.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::LocalSet;
use tracing::error;

use crate::connection;
use crate::generation::Generation;
use crate::http::body::BodyMemory;
use crate::lifecycle::Watcher;
use crate::listener::{self, Permits};
use crate::refusal::Refusal;
use crate::telemetry::metrics::Metrics;
use crate::tls::server_config::WorkerTls;
use crate::upstream::client::Pool;

/// What all workers of one proxy share: the current generation, counters, permits.
pub(crate) struct Shared {
    pub(crate) generation: ArcSwap<Generation>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) permits: Permits,
    pub(crate) requests: Arc<Semaphore>,
    pub(crate) body_memory: BodyMemory,
    pub(crate) watcher: Watcher,
}

impl Shared {
    /// The metrics as they are now, with those that are read off when they are asked for.
    pub(crate) fn render_metrics(&self) -> String {
        let limit = self
            .generation
            .load()
            .config
            .limits
            .requests_in_flight
            .get();
        let in_flight = limit.saturating_sub(self.requests.available_permits());
        self.metrics
            .requests_in_flight
            .set(u64::try_from(in_flight).unwrap_or(u64::MAX));
        self.metrics.render()
    }
}

/// One worker's own things.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    current: RefCell<Rc<Local>>,
    /// Half of every request id of this worker; random, so that ids of two processes differ.
    id_prefix: u64,
    id_next: Cell<u64>,
    /// Connections and forwards that are still running.
    pub(crate) busy: Cell<usize>,
}

/// A generation as this worker uses it.
pub(crate) struct Local {
    pub(crate) generation: Arc<Generation>,
    pub(crate) tls: WorkerTls,
    pools: Vec<Rc<Pool>>,
}

impl Local {
    fn new(generation: Arc<Generation>) -> Result<Self, rustls::Error> {
        let tls = generation.tls.for_worker()?;
        let pools = generation
            .upstreams
            .iter()
            .map(|target| Rc::new(Pool::new(Arc::clone(target))))
            .collect();
        Ok(Self {
            generation,
            tls,
            pools,
        })
    }

    /// The pool of an upstream; routes hold only indexes that exist.
    pub(crate) fn pool(&self, upstream: usize) -> Result<&Rc<Pool>, Refusal> {
        self.pools.get(upstream).ok_or(Refusal::UpstreamUnreachable)
    }
}

impl Worker {
    fn new(shared: Arc<Shared>, id_prefix: u64) -> Result<Self, rustls::Error> {
        let local = Local::new(shared.generation.load_full())?;
        Ok(Self {
            shared,
            current: RefCell::new(Rc::new(local)),
            id_prefix,
            id_next: Cell::new(0),
            busy: Cell::new(0),
        })
    }

    /// The current generation. One atomic load, unless it was swapped since the last call.
    pub(crate) fn local(&self) -> Rc<Local> {
        let newest = self.shared.generation.load();
        if !Arc::ptr_eq(&newest, &self.current.borrow().generation) {
            match Local::new(Arc::clone(&newest)) {
                Ok(local) => *self.current.borrow_mut() = Rc::new(local),
                // It was built once as a trial when the generation was.
                Err(error) => error!(%error, "worker keeps the generation before"),
            }
        }
        Rc::clone(&self.current.borrow())
    }

    pub(crate) fn next_request_id(&self) -> u128 {
        let next = self.id_next.get();
        self.id_next.set(next.wrapping_add(1));
        u128::from(self.id_prefix) << 64 | u128::from(next)
    }

    /// A place among the requests being answered.
    pub(crate) fn admit(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.shared.requests)
            .try_acquire_owned()
            .map_err(|_full| Refusal::TooManyRequests)
    }
}

/// Counts a task of this worker until it is dropped.
pub(crate) struct Busy(Rc<Worker>);

impl Busy {
    pub(crate) fn new(worker: &Rc<Worker>) -> Self {
        worker.busy.set(worker.busy.get() + 1);
        Self(Rc::clone(worker))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.set(self.0.busy.get().saturating_sub(1));
    }
}

/// Makes the runtime of one worker, before its thread starts, so that a failure is a start error.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(2)
        .build()
}

/// Serves `listeners` until draining is over. Runs on the worker's thread.
pub(crate) fn run(
    runtime: &Runtime,
    shared: Arc<Shared>,
    listeners: Vec<std::net::TcpListener>,
    id_prefix: u64,
) {
    let drain_timeout = shared.generation.load().config.server.drain_timeout;
    let worker = match Worker::new(shared, id_prefix) {
        Ok(worker) => Rc::new(worker),
        Err(error) => return error!(%error, "worker cannot start"),
    };
    let tasks = LocalSet::new();
    tasks.block_on(runtime, async {
        let watcher = worker.shared.watcher.clone();
        for listener in listeners {
            tokio::task::spawn_local(accept_loop(listener, Rc::clone(&worker)));
        }
        tokio::task::spawn_local(sweep_loop(Rc::clone(&worker)));
        watcher.draining().await;
        let _deadline = tokio::time::timeout(drain_timeout, all_done(&worker)).await;
    });
}

async fn accept_loop(listener: std::net::TcpListener, worker: Rc<Worker>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return error!(%error, "cannot serve a listening socket"),
    };
    let shared = Arc::clone(&worker.shared);
    let accepting = async {
        while let Some((stream, peer, permit)) =
            listener::accept(&listener, &shared.permits, &shared.metrics).await
        {
            connection::begin(&worker, stream, peer, permit);
        }
    };
    tokio::select! {
        biased;
        () = shared.watcher.clone().draining() => {}
        () = accepting => {}
    }
    accept_queued(&listener, &worker).await;
}

/// The kernel resets what is queued on a closing socket: take it first, to say goodbye properly.
async fn accept_queued(listener: &TcpListener, worker: &Rc<Worker>) {
    let shared = Arc::clone(&worker.shared);
    let queued = async {
        while let Some((stream, peer, permit)) =
            listener::accept(listener, &shared.permits, &shared.metrics).await
        {
            connection::begin(worker, stream, peer, permit);
        }
    };
    let _nothing_queued = tokio::time::timeout(Duration::from_millis(1), queued).await;
}

async fn sweep_loop(worker: Rc<Worker>) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        ticks.tick().await;
        for pool in &worker.local().pools {
            pool.sweep();
        }
    }
}

/// An unused upstream connection outlives its idle time by this much at most.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

async fn all_done(worker: &Worker) {
    while worker.busy.get() > 0 {
        tokio::time::sleep(DRAIN_CHECK_INTERVAL).await;
    }
}

/// Short beside any drain, long beside a loop.
const DRAIN_CHECK_INTERVAL: Duration = Duration::from_millis(5);
