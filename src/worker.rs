//! One core's share of the work: a thread, a runtime, sockets, and what belongs to nobody else.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tracing::error;

use crate::connection::{self, Accepted};
use crate::exchange::forwarded_client::ProvenClaims;
use crate::generation::Generation;
use crate::http::body::BodyMemory;
use crate::lifecycle::Watcher;
use crate::listener::{self, ListeningSocket, Permits};
use crate::refusal::Refusal;
use crate::reload::LastReload;
use crate::telemetry::access::RequestId;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::trace::Traces;
use crate::tls::server_config::WorkerTls;
use crate::upstream::client::Pool;

/// What all workers of one proxy share: the current generation, counters, permits.
pub(crate) struct Shared {
    pub(crate) generation: ArcSwap<Generation>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) permits: Permits,
    pub(crate) body_memory: BodyMemory,
    pub(crate) watcher: Watcher,
    /// When this process began to serve.
    pub(crate) began: Instant,
    /// What the last reload came to, if there was one.
    pub(crate) last_reload: ArcSwapOption<LastReload>,
    requests: AtomicUsize,
}

/// A place among the requests being answered.
pub(crate) struct Admitted(Arc<Shared>);

/// What a worker can be told while it runs.
pub(crate) enum Command {
    /// Accept from this socket, too.
    Listen(SocketAddr, ListeningSocket),
    /// Accept no more from the socket that was configured as this address.
    Close(SocketAddr),
    /// Answer once every accept loop has.
    Answer(oneshot::Sender<()>),
}

/// One worker's own things.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    current: RefCell<Rc<Local>>,
    /// Half of every request id of this worker; random, so that ids of two processes differ.
    id_prefix: u64,
    id_next: Cell<u64>,
    pub(crate) traces: Traces,
    /// Connections and forwards that are still running.
    busy: Cell<usize>,
}

/// A generation as this worker uses it.
pub(crate) struct Local {
    pub(crate) generation: Arc<Generation>,
    pub(crate) tls: WorkerTls,
    /// What load balancers said of client certificates, and was right.
    pub(crate) proven_claims: RefCell<ProvenClaims>,
    pools: Vec<Rc<Pool>>,
}

/// Counts a task of this worker until it is dropped.
pub(crate) struct Busy(Rc<Worker>);

impl Shared {
    pub(crate) fn new(generation: Generation, metrics: Arc<Metrics>, watcher: Watcher) -> Self {
        Self {
            permits: Permits::new(generation.config.limits.connections.get()),
            body_memory: BodyMemory::new(metrics.body_memory_bytes.clone()),
            generation: ArcSwap::from_pointee(generation),
            metrics,
            watcher,
            began: Instant::now(),
            last_reload: ArcSwapOption::empty(),
            requests: AtomicUsize::new(0),
        }
    }

    /// The metrics as they are now, with those that are read off when they are asked for.
    pub(crate) fn render_metrics(&self) -> String {
        let in_flight = self.requests.load(Ordering::Relaxed);
        self.metrics.requests_in_flight.set(u64::try_from(in_flight).unwrap_or(u64::MAX));
        self.metrics.render()
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Local {
    /// Pools to upstreams that did not change are kept, with their open connections.
    fn new(generation: Arc<Generation>, before: Option<&Self>) -> Result<Self, rustls::Error> {
        let tls = generation.tls.for_worker()?;
        let kept = |target: &_| {
            before?.pools.iter().find(|pool| pool.is_to_the_same(target)).map(Rc::clone)
        };
        let targets = generation.upstreams.iter();
        let pools = targets
            .map(|target| kept(target).unwrap_or_else(|| Rc::new(Pool::new(Arc::clone(target)))))
            .collect();
        Ok(Self { generation, tls, proven_claims: RefCell::default(), pools })
    }

    /// The pool of an upstream; routes hold only indexes that exist.
    pub(crate) fn pool(&self, upstream: usize) -> Result<&Rc<Pool>, Refusal> {
        self.pools.get(upstream).ok_or(Refusal::UpstreamUnreachable)
    }
}

impl Worker {
    fn new(shared: Arc<Shared>, id_prefix: u64) -> Result<Self, rustls::Error> {
        let local = Local::new(shared.generation.load_full(), None)?;
        Ok(Self {
            shared,
            current: RefCell::new(Rc::new(local)),
            id_prefix,
            id_next: Cell::new(0),
            traces: Traces::new()?,
            busy: Cell::new(0),
        })
    }

    /// The current generation. One atomic load, unless it was swapped since the last call.
    pub(crate) fn local(&self) -> Rc<Local> {
        let newest = self.shared.generation.load();
        let current = Rc::clone(&self.current.borrow());
        if Arc::ptr_eq(&newest, &current.generation) {
            return current;
        }
        match Local::new(Arc::clone(&newest), Some(&current)) {
            Ok(local) => {
                let local = Rc::new(local);
                *self.current.borrow_mut() = Rc::clone(&local);
                local
            }
            // It was built once as a trial when the generation was.
            Err(error) => {
                error!(%error, "worker keeps the generation before");
                current
            }
        }
    }

    pub(crate) fn next_request_id(&self) -> RequestId {
        let next = self.id_next.get();
        self.id_next.set(next.wrapping_add(1));
        RequestId::new(u128::from(self.id_prefix) << 64 | u128::from(next))
    }

    /// A place among the `limit` requests that may be answered at once.
    pub(crate) fn admit(&self, limit: usize) -> Result<Admitted, Refusal> {
        let before = self.shared.requests.fetch_add(1, Ordering::Relaxed);
        let admitted = Admitted(Arc::clone(&self.shared));
        if before < limit { Ok(admitted) } else { Err(Refusal::TooManyRequests) }
    }
}

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
    Builder::new_current_thread().enable_all().max_blocking_threads(2).build()
}

/// Obeys `commands` until draining is over. Runs on the worker's thread.
pub(crate) fn run(
    runtime: &Runtime,
    shared: Arc<Shared>,
    commands: mpsc::UnboundedReceiver<Command>,
    id_prefix: u64,
) {
    let worker = match Worker::new(shared, id_prefix) {
        Ok(worker) => Rc::new(worker),
        Err(error) => return error!(%error, "worker cannot start"),
    };
    LocalSet::new().block_on(runtime, async {
        tokio::task::spawn_local(sweep_loop(Rc::clone(&worker)));
        let watcher = worker.shared.watcher.clone();
        tokio::select! {
            () = watcher.draining() => {}
            () = obey(&worker, commands) => {}
        }
        let drain_timeout = worker.shared.generation.load().config.server.drain_timeout;
        let _deadline = tokio::time::timeout(drain_timeout, all_done(&worker)).await;
    });
}

async fn obey(worker: &Rc<Worker>, mut commands: mpsc::UnboundedReceiver<Command>) {
    // An accept loop ends when its sender is dropped.
    let mut listening: HashMap<SocketAddr, mpsc::UnboundedSender<Question>> = HashMap::new();
    while let Some(command) = commands.recv().await {
        match command {
            Command::Listen(address, socket) => {
                let (open, questions) = mpsc::unbounded_channel();
                tokio::task::spawn_local(accept_loop(
                    address,
                    socket,
                    Rc::clone(worker),
                    questions,
                ));
                listening.insert(address, open);
            }
            Command::Close(address) => drop(listening.remove(&address)),
            Command::Answer(answer) => {
                let loops = listening.values().cloned().collect();
                tokio::task::spawn_local(answer_for(loops, answer));
            }
        }
    }
}

/// Asked of an accept loop; it answers if it still runs.
type Question = oneshot::Sender<()>;

/// A loop that is gone does not answer, and then nor does the worker.
async fn answer_for(loops: Vec<mpsc::UnboundedSender<Question>>, answer: oneshot::Sender<()>) {
    for accept_loop in loops {
        let (question, answered) = oneshot::channel();
        if accept_loop.send(question).is_err() || answered.await.is_err() {
            return;
        }
    }
    let _asker_left = answer.send(());
}

/// Returns when the socket is to be closed.
async fn answer_until_closed(mut questions: mpsc::UnboundedReceiver<Question>) {
    while let Some(question) = questions.recv().await {
        let _asker_left = question.send(());
    }
}

async fn accept_loop(
    configured: SocketAddr,
    socket: ListeningSocket,
    worker: Rc<Worker>,
    questions: mpsc::UnboundedReceiver<Question>,
) {
    // Before the first await: draining waits for this loop to take what is queued.
    let _busy = Busy::new(&worker);
    let ListeningSocket { listener, is_inherited } = socket;
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return error!(%error, "cannot serve a listening socket"),
    };
    let watcher = worker.shared.watcher.clone();
    tokio::select! {
        biased;
        () = watcher.draining() => {}
        () = answer_until_closed(questions) => {}
        () = accept_all(configured, &listener, &worker) => {}
    }
    if is_inherited {
        // It stays open in other hands: what is queued is for the process that comes after this.
        return;
    }
    // The kernel resets what is queued on a closing socket: take it first, to answer it.
    let _nothing_queued =
        tokio::time::timeout(QUEUE_TIMEOUT, accept_all(configured, &listener, &worker)).await;
}

async fn accept_all(configured: SocketAddr, listener: &TcpListener, worker: &Rc<Worker>) {
    let shared = &worker.shared;
    while let Some((stream, peer, permit)) =
        listener::accept(listener, &shared.permits, &shared.metrics).await
    {
        let accepted = Accepted { stream, peer, listening: configured };
        connection::begin(worker, accepted, permit);
    }
}

/// What is queued can be accepted at once; this is for a handshake of TCP that is just ending.
const QUEUE_TIMEOUT: Duration = Duration::from_millis(20);

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
