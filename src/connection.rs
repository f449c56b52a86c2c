//! Serves one connection: permit, TLS handshake, HTTP; records how it went, once.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::SystemTime;

use http::HeaderValue;
use rustls::HandshakeKind;
use rustls::pki_types::UnixTime;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};

use crate::caller::{Caller, CallerConnection, ConnectionGuard, Proven};
use crate::config::ListenerProtocol;
use crate::handler;
use crate::lifecycle::Change;
use crate::proxy_protocol::Endpoints;
use crate::refusal::ConnectionRefusal;
use crate::server::caller_io::{CallerIo, CallerStream};
use crate::server::drive::{End, serve};
use crate::server::linger;
use crate::server::timeouts::ConnectionTimeouts;
use crate::state::WorkerState;
use crate::telemetry::log;
use crate::telemetry::metrics::GaugeGuard;
use crate::tls::client_auth::ClientAuthError;
use crate::tls::server_config::FailedHandshake;

/// Returns when no further request should be taken: its caller is no longer trusted, or the
/// process drains and this connection has had its first request, or time enough for it. So a caller
/// that was accepted just before the drain is still answered.
async fn must_go(caller: Rc<Caller>, worker: Rc<WorkerState>, timeouts: Arc<ConnectionTimeouts>) {
    let mut watcher = worker.shared.watcher.clone();
    // A swap may take away what this caller was let in by: the redirect, its subnet among the
    // trusted proxies, its anchor, or, with a new revocation list, its certificate.
    while watcher.changed().await == Change::Swapped {
        let (local, metrics) = (worker.local(), &worker.shared.metrics);
        let config = &local.generation.config;
        let is_served = match caller.protocol {
            ListenerProtocol::Tls => true,
            ListenerProtocol::PlainFromProxies => config.server.trusted_proxies.contains(caller.ip),
            ListenerProtocol::PlainToRedirect => config.redirect.is_some(),
        };
        if !is_served || caller.prove_again(&local, metrics, UnixTime::now()).is_err() {
            return;
        }
    }
    // The process drains.
    let mut enough = pin!(sleep(worker.shared.intervals.first_request));
    // `has_begun` wakes nobody, and need not: the task that reads the request also polls this.
    poll_fn(|context| match timeouts.has_begun() {
        true => Poll::Ready(()),
        false => enough.as_mut().poll(context),
    })
    .await;
}

/// A connection as it was accepted.
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    /// The address that was connected to, as it was configured.
    pub(crate) listening: SocketAddr,
}

/// Serves an accepted connection in a task of its own.
///
/// If there is no place for it, the connection gives way that has been idle for longest and has
/// proven nothing; if there is none of these either, it is closed.
pub(crate) fn begin(worker: &Rc<WorkerState>, accepted: Accepted) {
    let metrics = &worker.shared.metrics;
    metrics.connections.inc();
    let local = worker.local();
    let handshakes_max = local.generation.config.limits.handshakes.get();
    let (slot, evicted) = worker.slots.enter(&worker.shared.places, handshakes_max);
    metrics.connections_evicted.inc_by(evicted);
    let Some(slot) = slot else {
        metrics.handshake_refused(ConnectionRefusal::ConnectionsFull, SystemTime::now());
        return;
    };
    let guard = ConnectionGuard::new(worker, Rc::clone(&slot));
    let worker = Rc::clone(worker);
    tokio::task::spawn_local(async move {
        let _given_way = slot.unless_evicted(handle(worker, accepted, guard)).await;
    });
}

async fn handle(worker: Rc<WorkerState>, accepted: Accepted, guard: ConnectionGuard) {
    let Accepted { stream, peer, listening } = accepted;
    let protocol = worker.local().generation.config.protocol_at(listening);
    // An answer is one write; it must not wait for the one before to be acknowledged.
    let port =
        stream.set_nodelay(true).and_then(|()| stream.local_addr()).map_or(0, |local| local.port());
    let mut endpoints = Endpoints::of(peer, port);
    // Boxed: its memory is released when it is done.
    let (stream, client) =
        match Box::pin(handshake(&worker, stream, protocol, &mut endpoints, &guard)).await {
            Ok(done) => done,
            Err(RefusedHandshake { auth_error, stream }) => {
                let (metrics, now) = (&worker.shared.metrics, SystemTime::now());
                metrics.handshake_refused(auth_error.reason, now);
                if let Some(candidate) = &auth_error.candidate {
                    metrics.candidate_matches(candidate).happened(now);
                }
                log::connection_refused(
                    &worker.shared.refusal_log,
                    endpoints.caller,
                    &auth_error.for_log(),
                );
                if let Some(stream) = stream {
                    Box::pin(linger::close(stream, worker.shared.intervals.alert_linger)).await;
                }
                return;
            }
        };
    let is_h2 = stream.is_h2();
    // Not kept: a connection must not hold its first generation, with its pools, until it ends.
    let local = worker.local();
    let limits = local.generation.config.limits.clone();
    let proxies = &local.generation.config.server.trusted_proxies;
    let speaks_for_many = proxies.contains(endpoints.caller.ip());
    drop(local);
    if client.is_some() {
        guard.prove();
    }
    let server_name = stream.server_name().filter(|_| !speaks_for_many).map(Into::into);
    let intervals = &worker.shared.intervals;
    let timeouts = ConnectionTimeouts::new(&limits, intervals, is_h2, speaks_for_many);
    let timeouts = Arc::new(timeouts);
    worker.slots.begins_http(&guard.slot, &timeouts);
    let forwarded_for = HeaderValue::try_from(endpoints.caller.ip().to_string());
    let caller = Rc::new(Caller {
        ip: endpoints.caller.ip(),
        protocol,
        server_name,
        address: endpoints.caller.to_string().into(),
        proven: RefCell::new(client),
        forwarded_for: forwarded_for.unwrap_or(HeaderValue::from_static("unknown")),
        forwarded_port: HeaderValue::from(endpoints.port),
    });
    let connected = Rc::new(CallerConnection {
        caller: Rc::clone(&caller),
        worker: Rc::clone(&worker),
        timeouts: Arc::clone(&timeouts),
        guard,
    });
    let io = CallerIo::new(stream, Arc::clone(&timeouts), &limits);
    let draining = must_go(Rc::clone(&caller), Rc::clone(&worker), Arc::clone(&timeouts));
    let metrics = &worker.shared.metrics;
    let parked = || GaugeGuard::new(metrics, |metrics| &metrics.connections_parked);
    let answer = move |request| handler::handle(Rc::clone(&connected), request);
    let ended = serve(io, timeouts, &limits, metrics, answer, draining, parked).await;
    match ended {
        Some(End::Refused(refusal)) => {
            worker.local().generation.routes.unmatched.refused(refusal, SystemTime::now());
            log::no_request(&worker.shared.refusal_log, endpoints.caller, refusal);
        }
        Some(End::Cut(cut)) => {
            metrics.connection_cut(cut);
            log::connection_cut(&worker.shared.refusal_log, endpoints.caller, cut);
        }
        None => {}
    }
}

/// A handshake that ended without a caller to serve.
struct RefusedHandshake {
    auth_error: ClientAuthError,
    /// To be closed gently; `None` if time is over anyway.
    stream: Option<TcpStream>,
}

impl RefusedHandshake {
    fn too_late() -> Self {
        Self { auth_error: ConnectionRefusal::HandshakeTimeout.into(), stream: None }
    }
}

async fn handshake(
    worker: &WorkerState,
    mut stream: TcpStream,
    protocol: ListenerProtocol,
    endpoints: &mut Endpoints,
    guard: &ConnectionGuard,
) -> Result<(CallerStream, Option<Proven>), RefusedHandshake> {
    let local = worker.local();
    let config = &local.generation.config;
    let deadline = Instant::now() + config.limits.handshake_timeout;
    let trusted = &config.server.proxy_protocol_from;
    if !trusted.is_empty() {
        match timeout_at(deadline, endpoints.announced(&mut stream, trusted)).await {
            Ok(Ok(announced)) => *endpoints = announced,
            Ok(Err(reason)) => {
                return Err(RefusedHandshake { auth_error: reason.into(), stream: Some(stream) });
            }
            Err(_elapsed) => return Err(RefusedHandshake::too_late()),
        }
    }
    let is_trusted_proxy = config.server.trusted_proxies.contains(endpoints.caller.ip());
    if is_trusted_proxy {
        guard.prove();
    } else if !worker.slots.join_network(&guard.slot, endpoints.caller.ip()) {
        // Not lingering: it would hold what it is refused for.
        let auth_error = ConnectionRefusal::NetworkFull.into();
        return Err(RefusedHandshake { auth_error, stream: None });
    }
    if protocol == ListenerProtocol::PlainToRedirect {
        return Ok((CallerStream::Plain(stream), None));
    }
    if protocol == ListenerProtocol::PlainFromProxies {
        if is_trusted_proxy {
            return Ok((CallerStream::Plain(stream), None));
        }
        let auth_error = ConnectionRefusal::PlainFromStranger.into();
        return Err(RefusedHandshake { auth_error, stream: Some(stream) });
    }
    let tls = match timeout_at(deadline, local.tls.accept(stream)).await {
        Ok(Ok(tls)) => Box::new(tls),
        Ok(Err(FailedHandshake { auth_error, stream })) => {
            return Err(RefusedHandshake { auth_error, stream });
        }
        Err(_elapsed) => return Err(RefusedHandshake::too_late()),
    };
    // Resumed or not: what the session says of its peer is proven again, now, under this trust.
    let client = match local.tls.prove(tls.get_ref().1) {
        Ok(client) => client,
        Err(auth_error) => {
            return Err(RefusedHandshake { auth_error, stream: Some(tls.into_inner().0) });
        }
    };
    let session = tls.get_ref().1;
    let metrics = &worker.shared.metrics;
    match session.handshake_kind() {
        Some(HandshakeKind::Resumed) => metrics.handshakes_resumed.inc(),
        _ => metrics.handshakes_full.inc(),
    };
    if let (Some(client), Some(trust)) = (&client, local.generation.tls.trust()) {
        trust.saw(client);
    }
    let proven = client.map(|client| {
        let anchor = metrics.anchor(client.anchor());
        anchor.handshakes.inc();
        anchor.used(SystemTime::now());
        Proven { generation: local.generation.number, client, anchor }
    });
    Ok((CallerStream::Tls(tls), proven))
}
