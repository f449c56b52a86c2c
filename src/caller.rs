//! Who calls, as far as it was proven, and the connection that its requests come on.
//!
//! The proof of a client certificate is kept with the caller and made again whenever the generation,
//! the revocation lists or the time say so.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;
use rustls::pki_types::UnixTime;

use crate::config::ListenerProtocol;
use crate::listener::slots::Slot;
use crate::refusal::Refusal;
use crate::server::timeouts::ConnectionTimeouts;
use crate::state::{TaskGuard, WorkerGeneration, WorkerState};
use crate::telemetry::metrics::{AnchorMetrics, GaugeGuard, Metrics};
use crate::tls::certificate::moment;
use crate::tls::client_auth::VerifiedClient;

/// Who is on the other end, as far as it was proven.
pub(crate) struct Caller {
    /// Who is at the other end, if no trusted proxy says otherwise of a request.
    pub(crate) ip: IpAddr,
    /// What it speaks; plain HTTP either as a trusted proxy or to be sent to https.
    pub(crate) protocol: ListenerProtocol,
    /// The host that the TLS connection was opened for (SNI); requests for another one are refused.
    /// `None` if the caller did not say, or if it is a proxy that speaks for many callers.
    pub(crate) server_name: Option<Box<str>>,
    /// Address and port, as they are logged.
    pub(crate) address: Rc<str>,
    pub(crate) proven: RefCell<Option<Proven>>,
    /// Ready for `X-Forwarded-For` and `X-Forwarded-Port`.
    pub(crate) forwarded_for: HeaderValue,
    pub(crate) forwarded_port: HeaderValue,
}

/// A client certificate, proven under the trust of one generation.
pub(crate) struct Proven {
    /// The generation that was current when it was last looked at.
    pub(crate) generation: u64,
    pub(crate) client: Arc<VerifiedClient>,
    pub(crate) anchor: AnchorMetrics,
}

/// One connection, as its requests see it.
pub(crate) struct CallerConnection {
    pub(crate) worker: Rc<WorkerState>,
    pub(crate) caller: Rc<Caller>,
    pub(crate) timeouts: Arc<ConnectionTimeouts>,
    /// Its places among all connections and this worker's; an upgraded connection outlives HTTP.
    pub(crate) guard: ConnectionGuard,
}

pub(crate) struct ConnectionGuard {
    worker: Rc<WorkerState>,
    pub(crate) slot: Rc<Slot>,
    is_proven: Cell<bool>,
    _busy: TaskGuard,
    _open: GaugeGuard,
}

impl ConnectionGuard {
    pub(crate) fn new(worker: &Rc<WorkerState>, slot: Rc<Slot>) -> Self {
        let open = GaugeGuard::new(&worker.shared.metrics, |metrics| &metrics.connections_open);
        Self {
            worker: Rc::clone(worker),
            slot,
            is_proven: Cell::new(false),
            _busy: TaskGuard::new(worker),
            _open: open,
        }
    }

    /// Its caller has proven itself, or is a trusted proxy: it no longer shares what strangers
    /// have, and never gives way to another connection.
    pub(crate) fn prove(&self) {
        if !self.is_proven.replace(true) {
            self.worker.slots.leave(&self.slot);
        }
    }

    /// It has become a tunnel, which is bounded by itself and is nobody's to take away.
    pub(crate) fn hold(&self) {
        self.worker.slots.hold(&self.slot);
    }

    /// Whether its caller has proven itself.
    pub(crate) fn is_proven(&self) -> bool {
        self.is_proven.get()
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.worker.slots.leave(&self.slot);
    }
}

impl Caller {
    /// The client certificate, if there is one, proven at `now` under the current generation;
    /// its anchor counts as used.
    pub(crate) fn client(
        &self,
        local: &WorkerGeneration,
        metrics: &Metrics,
        now: UnixTime,
    ) -> Result<Option<Arc<VerifiedClient>>, Refusal> {
        self.prove_again(local, metrics, now)?;
        let proven = self.proven.borrow();
        let Some(proven) = &*proven else { return Ok(None) };
        proven.anchor.used(moment(now));
        Ok(Some(Arc::clone(&proven.client)))
    }

    /// Whether what this caller presented, if anything, is still a proof.
    pub(crate) fn prove_again(
        &self,
        local: &WorkerGeneration,
        metrics: &Metrics,
        now: UnixTime,
    ) -> Result<(), Refusal> {
        let mut proven = self.proven.borrow_mut();
        let Some(proven) = &mut *proven else { return Ok(()) };
        let generation = local.generation.number;
        let trust = local.generation.tls.trust().ok_or(Refusal::CertificateNoLongerTrusted)?;
        if proven.generation != generation || !trust.is_still_valid(&proven.client, now) {
            let again = trust.prove(proven.client.chain(), now);
            let client = again.map_err(|_auth_error| Refusal::CertificateNoLongerTrusted)?;
            let anchor = metrics.anchor(client.anchor());
            *proven = Proven { generation, client, anchor };
        }
        Ok(())
    }
}
