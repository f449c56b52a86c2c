//! What handlers share: the state of the process, and that of the worker that serves them.
//!
//! [`ProcessState`] is one for all workers; [`WorkerState`] is one core's own, with the generation
//! as that core uses it ([`WorkerGeneration`]). Spawns nothing and accepts nothing: that is
//! [`crate::worker`].

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Instant, SystemTime};

use arc_swap::{ArcSwap, ArcSwapOption};
use tracing::error;

use crate::config::Limits;
use crate::generation::Generation;
use crate::lifecycle::{Intervals, Watcher};
use crate::listener::places::Places;
use crate::listener::slots::Slots;
use crate::refusal::Refusal;
use crate::server::body::BodyMemory;
use crate::telemetry::access::RequestId;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::refusal_log::{RefusalLog, WorkerRefusalLog};
use crate::telemetry::trace::Traces;
use crate::tls::client_auth::remembered::RememberedClients;
use crate::tls::server_config::WorkerTls;
use crate::upstream::pool::Pool;

/// What all workers of one proxy share: the current generation, counters, permits.
pub(crate) struct ProcessState {
    pub(crate) generation: ArcSwap<Generation>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) refusal_log: Arc<RefusalLog>,
    pub(crate) places: Arc<Places>,
    pub(crate) body_memory: BodyMemory,
    pub(crate) watcher: Watcher,
    pub(crate) intervals: Intervals,
    /// When this process began to serve.
    pub(crate) began: Instant,
    /// What the last reload came to, if there was one.
    pub(crate) last_reload: ArcSwapOption<LastReload>,
    requests: [AtomicUsize; RequestClass::ALL.len()],
}

/// What a request, or what became of it, counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestClass {
    /// To a webhook, by a caller that has proven itself.
    Proven,
    /// Of anybody else.
    Unproven,
    /// A WebSocket, once there is one.
    Tunnel,
    /// For the token of an ACME client.
    Acme,
}

/// What a reload came to.
#[derive(Debug)]
pub(crate) struct LastReload {
    pub(crate) at: SystemTime,
    /// Why the generation before stayed in force, a sentence each; empty if it did not.
    pub(crate) faults: Vec<String>,
}

/// A place among the requests being answered.
pub(crate) struct RequestPermit(Arc<ProcessState>, RequestClass);

/// One worker's own things.
pub(crate) struct WorkerState {
    pub(crate) shared: Arc<ProcessState>,
    pub(crate) refusal_log: Rc<WorkerRefusalLog>,
    /// Its connections that may have to give way.
    pub(crate) slots: Slots,
    current: RefCell<Rc<WorkerGeneration>>,
    /// Half of every request id of this worker; random, so that ids of two processes differ.
    id_prefix: u64,
    id_next: Cell<u64>,
    pub(crate) traces: Traces,
    /// Connections and forwards that are still running.
    busy: Cell<usize>,
}

/// A generation as this worker uses it.
pub(crate) struct WorkerGeneration {
    pub(crate) generation: Arc<Generation>,
    pub(crate) tls: WorkerTls,
    /// What load balancers said of client certificates, and was right.
    pub(crate) forwarded_clients: RefCell<RememberedClients>,
    pub(crate) pools: Vec<Rc<Pool>>,
}

/// Counts a task of this worker until it is dropped.
pub(crate) struct TaskGuard(Rc<WorkerState>);

impl ProcessState {
    pub(crate) fn new(
        generation: Generation,
        metrics: Arc<Metrics>,
        watcher: Watcher,
        intervals: Intervals,
    ) -> Self {
        Self {
            places: Places::new(&generation.config.limits),
            body_memory: BodyMemory::new(metrics.body_memory_bytes.clone()),
            generation: ArcSwap::from_pointee(generation),
            metrics,
            refusal_log: Arc::default(),
            watcher,
            intervals,
            began: Instant::now(),
            last_reload: ArcSwapOption::empty(),
            requests: Default::default(),
        }
    }

    /// The metrics as they are now, with those that are read off when they are asked for.
    pub(crate) fn render_metrics(&self) -> String {
        self.read_off_metrics();
        self.metrics.render()
    }

    /// One of these metrics.
    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        self.read_off_metrics();
        self.metrics.value(series)
    }

    fn read_off_metrics(&self) {
        let classes = [RequestClass::Proven, RequestClass::Unproven];
        let in_flight: usize = classes.map(|class| self.count(class).load(Relaxed)).iter().sum();
        self.metrics.requests_in_flight.set(u64::try_from(in_flight).unwrap_or(u64::MAX));
    }

    fn count(&self, class: RequestClass) -> &AtomicUsize {
        let [proven, unproven, tunnels, acme] = &self.requests;
        match class {
            RequestClass::Proven => proven,
            RequestClass::Unproven => unproven,
            RequestClass::Tunnel => tunnels,
            RequestClass::Acme => acme,
        }
    }
}

impl RequestClass {
    const ALL: [Self; 4] = [Self::Proven, Self::Unproven, Self::Tunnel, Self::Acme];

    fn limit(self, limits: &Limits) -> usize {
        match self {
            Self::Proven => limits.requests_in_flight.get(),
            Self::Unproven => limits.site_requests_in_flight.get(),
            Self::Tunnel => limits.tunnels.get(),
            Self::Acme => ACME_REQUESTS_MAX,
        }
    }

    fn refusal(self) -> Refusal {
        match self {
            Self::Proven | Self::Acme => Refusal::TooManyRequests,
            Self::Unproven => Refusal::TooManySiteRequests,
            Self::Tunnel => Refusal::TooManyTunnels,
        }
    }
}

/// A certificate authority asks from a handful of places, and each look at the disk is short.
const ACME_REQUESTS_MAX: usize = 32;

impl Drop for RequestPermit {
    fn drop(&mut self) {
        self.0.count(self.1).fetch_sub(1, Relaxed);
    }
}

impl WorkerGeneration {
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
        Ok(Self { generation, tls, forwarded_clients: RefCell::default(), pools })
    }

    /// The pool of an upstream; routes hold only indexes that exist.
    pub(crate) fn pool(&self, upstream: usize) -> Result<&Rc<Pool>, Refusal> {
        self.pools.get(upstream).ok_or(Refusal::UpstreamUnreachable)
    }
}

impl WorkerState {
    pub(crate) fn new(shared: Arc<ProcessState>, id_prefix: u64) -> Result<Self, rustls::Error> {
        let local = WorkerGeneration::new(shared.generation.load_full(), None)?;
        Ok(Self {
            refusal_log: Rc::new(WorkerRefusalLog(Arc::clone(&shared.refusal_log))),
            shared,
            slots: Slots::default(),
            current: RefCell::new(Rc::new(local)),
            id_prefix,
            id_next: Cell::new(0),
            traces: Traces::new()?,
            busy: Cell::new(0),
        })
    }

    /// The current generation. One atomic load, unless it was swapped since the last call.
    pub(crate) fn local(&self) -> Rc<WorkerGeneration> {
        let newest = self.shared.generation.load();
        let current = Rc::clone(&self.current.borrow());
        if Arc::ptr_eq(&newest, &current.generation) {
            return current;
        }
        match WorkerGeneration::new(Arc::clone(&newest), Some(&current)) {
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

    /// Whether a connection or a forward of this worker is still running.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.get() > 0
    }

    /// A place among the requests of a class that may be answered at once.
    pub(crate) fn admit(
        &self,
        class: RequestClass,
        limits: &Limits,
    ) -> Result<RequestPermit, Refusal> {
        let before = self.shared.count(class).fetch_add(1, Relaxed);
        let admitted = RequestPermit(Arc::clone(&self.shared), class);
        if before < class.limit(limits) { Ok(admitted) } else { Err(class.refusal()) }
    }
}

impl TaskGuard {
    pub(crate) fn new(worker: &Rc<WorkerState>) -> Self {
        worker.busy.set(worker.busy.get() + 1);
        Self(Rc::clone(worker))
    }
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        self.0.busy.set(self.0.busy.get().saturating_sub(1));
    }
}
