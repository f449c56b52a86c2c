//! One core's share of the work: a thread, a runtime, accept loops and their drain.

use std::cell::Cell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tracing::error;

use crate::connection::{self, Accepted};
use crate::listener::{self, ListeningSocket};
use crate::state::{ProcessState, TaskGuard, WorkerState};

/// What a worker can be told while it runs.
pub(crate) enum WorkerCommand {
    /// Accept from this socket, too.
    Listen(SocketAddr, ListeningSocket),
    /// Accept no more from the socket that was configured as this address.
    Close(SocketAddr),
    /// Answer once every accept loop has.
    Answer(oneshot::Sender<()>),
}

/// Makes the runtime of one worker, before its thread starts, so that a failure is a start error.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING_THREADS_MAX).build()
}

/// For names of servers, one each while it is asked for, and for files of ACME clients. A thread that
/// is not needed is not there.
const BLOCKING_THREADS_MAX: usize = 64;

/// Obeys `commands` until draining is over. Runs on the worker's thread.
pub(crate) fn run(
    runtime: &Runtime,
    shared: Arc<ProcessState>,
    commands: mpsc::UnboundedReceiver<WorkerCommand>,
    id_prefix: u64,
) {
    let refusal_log = Arc::clone(&shared.refusal_log);
    let worker = match WorkerState::new(shared, id_prefix) {
        Ok(worker) => Rc::new(worker),
        Err(error) => return error!(%error, "worker cannot start"),
    };
    LocalSet::new().block_on(runtime, async {
        tokio::task::spawn_local(sweep_loop(Rc::clone(&worker)));
        let watcher = worker.shared.watcher.clone();
        // From here on no command opens a socket. The accept loops watch for the drain themselves.
        tokio::select! {
            () = watcher.draining() => {}
            () = obey(&worker, commands) => {}
        }
        // Read now, for a reload may have changed it.
        let drain_timeout = worker.shared.generation.load().config.server.drain_timeout;
        let _deadline = tokio::time::timeout(drain_timeout, all_done(&worker)).await;
        // What is still running is cut: its tasks are dropped with the `LocalSet`.
    });
    refusal_log.finish();
}

async fn obey(worker: &Rc<WorkerState>, mut commands: mpsc::UnboundedReceiver<WorkerCommand>) {
    // An accept loop ends when its sender is dropped.
    let mut listening: HashMap<SocketAddr, mpsc::UnboundedSender<Question>> = HashMap::new();
    while let Some(command) = commands.recv().await {
        match command {
            WorkerCommand::Listen(address, socket) => {
                let (open, questions) = mpsc::unbounded_channel();
                tokio::task::spawn_local(accept_loop(
                    address,
                    socket,
                    Rc::clone(worker),
                    questions,
                ));
                listening.insert(address, open);
            }
            WorkerCommand::Close(address) => drop(listening.remove(&address)),
            WorkerCommand::Answer(answer) => {
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
    worker: Rc<WorkerState>,
    questions: mpsc::UnboundedReceiver<Question>,
) {
    // Before the first await: draining waits for this loop to take what is queued.
    let _busy = TaskGuard::new(&worker);
    let ListeningSocket { listener, is_inherited } = socket;
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return error!(%error, "cannot serve a listening socket"),
    };
    let watcher = worker.shared.watcher.clone();
    let waiting = Cell::new(None);
    // Biased: a drain, or a close, is noticed before another connection is accepted.
    tokio::select! {
        biased;
        () = watcher.draining() => {}
        () = answer_until_closed(questions) => {}
        () = accept_all(configured, &listener, &worker, &waiting) => {}
    }
    // It was accepted, and nobody else can have it.
    if let Some(accepted) = waiting.take() {
        connection::begin(&worker, accepted);
    }
    if is_inherited {
        // It stays open in other hands: what is queued is for the process that comes after this.
        return;
    }
    // The kernel resets what is queued on a closing socket: take it first, to answer it.
    let _nothing_queued =
        tokio::time::timeout(QUEUE_TIMEOUT, accept_all(configured, &listener, &worker, &waiting))
            .await;
    if let Some(accepted) = waiting.take() {
        connection::begin(&worker, accepted);
    }
}

/// Whoever was accepted and waits for a place is in `waiting` meanwhile.
async fn accept_all(
    configured: SocketAddr,
    listener: &TcpListener,
    worker: &Rc<WorkerState>,
    waiting: &Cell<Option<Accepted>>,
) {
    loop {
        let (stream, peer) = listener::accept(listener, &worker.shared.metrics).await;
        waiting.set(Some(Accepted { stream, peer, listening: configured }));
        room(worker).await;
        if let Some(accepted) = waiting.take() {
            connection::begin(worker, accepted);
        }
    }
}

/// Returns when one more connection would have a place, perhaps that of another; until then, the one
/// just accepted waits, and others in the kernel's queue.
async fn room(worker: &WorkerState) {
    let places = &worker.shared.places;
    let handshakes_max = || worker.local().generation.config.limits.handshakes.get();
    let has_room = || worker.slots.has_room(places, handshakes_max());
    if has_room() {
        return;
    }
    worker.shared.metrics.connections_at_limit.inc();
    while !has_room() {
        // Nobody tells when a connection becomes idle, or has ended its handshake.
        let _either_way = tokio::time::timeout(ROOM_CHECK_INTERVAL, places.freed()).await;
    }
}

/// Short beside what a caller waits for, long beside a loop.
const ROOM_CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// What is queued can be accepted at once; this is for a handshake of TCP that is just ending.
const QUEUE_TIMEOUT: Duration = Duration::from_millis(20);

async fn sweep_loop(worker: Rc<WorkerState>) {
    let mut ticks = tokio::time::interval(worker.shared.intervals.pool_sweep);
    loop {
        ticks.tick().await;
        for pool in &worker.local().pools {
            pool.sweep();
        }
        worker.shared.refusal_log.sweep();
    }
}

async fn all_done(worker: &WorkerState) {
    while worker.is_busy() {
        tokio::time::sleep(DRAIN_CHECK_INTERVAL).await;
    }
}

/// Short beside any drain, long beside a loop.
const DRAIN_CHECK_INTERVAL: Duration = Duration::from_millis(5);
