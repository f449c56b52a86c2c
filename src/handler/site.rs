//! Handles a request to a site: it passes through as it is, streamed both ways, without proof and
//! without anything in it that could be taken for proof.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::request::Parts;
use http::{Response, StatusCode, Version};
use hyper::body::{Body as _, Incoming};
use hyper::upgrade::OnUpgrade;
use tokio::time::timeout;

use super::RoutedRequest;
use super::tunnel::{self, Conditions, Tunnel};
use crate::refusal::Refusal;
use crate::route::SiteRoute;
use crate::server::respond::{self, CallerResponse, ResponseBody};
use crate::server::stream::Streamed;
use crate::state::RequestClass;
use crate::telemetry::access::{AccessLogEntry, RequestOutcome};
use crate::upstream::RequestBody;
use crate::upstream::headers::rewrite_streamed_response_headers;
use crate::upstream::pool::Work;
use crate::upstream::websocket::WebsocketHandshake;

pub(super) async fn handle(
    routed: &RoutedRequest<'_>,
    route: &SiteRoute,
    parts: &mut Parts,
    body: Incoming,
    log_entry: &mut AccessLogEntry,
) -> Result<CallerResponse, Refusal> {
    let settings = &route.settings;
    if !settings.methods.is_empty() && !settings.methods.contains(&parts.method) {
        log_entry.outcome = RequestOutcome::Refused(Refusal::MethodNotAllowed);
        return Ok(respond::method_not_allowed(&settings.methods));
    }
    let body_max = u64::try_from(settings.body_max_bytes.get()).unwrap_or(u64::MAX);
    if body.size_hint().lower() > body_max {
        return Err(Refusal::BodyTooLarge);
    }
    let handshake = WebsocketHandshake::read(parts, !body.is_end_stream())?;
    if handshake.is_some() && !settings.websocket {
        return Err(Refusal::WebsocketNotAllowed);
    }
    let limits = &routed.local.generation.config.limits;
    let worker = &routed.connected.worker;
    let admitted = worker.admit(RequestClass::Unproven, limits)?;
    let tunnel = handshake.as_ref().map(|_| worker.admit(RequestClass::Tunnel, limits));
    let tunnel = tunnel.transpose()?;
    let caller_side = parts.extensions.remove::<OnUpgrade>();
    parts.extensions.clear();

    let body_ended = Rc::new(Cell::new(body.is_end_stream()));
    let body = passing(routed, route, body, &body_ended)?;
    let pool = routed.local.pool(settings.upstream)?;
    let identity = pool.identity_headers();
    let conditions = handshake.as_ref().map(|_| Conditions::of(routed, route, log_entry, parts));
    let mut request = routed.upstream_request(parts, body, &log_entry.request_id, identity)?;
    if let Some(handshake) = &handshake {
        handshake.ask(request.headers_mut());
    }
    let began = Instant::now();
    let begun = timeout(settings.timeout, pool.begin(request, None, Work::Site)).await;
    let took = began.elapsed();
    log_entry.upstream_time = Some(took);
    route.metrics.upstream_duration.observe(took);
    let begun = begun.map_err(|_elapsed| Refusal::UpstreamTimeout)?;
    let (mut response, lease) = begun.map_err(|lost| lost.refusal)?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let agreed = handshake.filter(|handshake| handshake.is_agreed_by(response.headers()));
        let (Some(_), Some(conditions), Some(caller), Some(admitted)) =
            (agreed, conditions, caller_side, tunnel)
        else {
            // The connection to the application ends with the lease.
            return Err(Refusal::UpstreamMalformed);
        };
        routed.connected.guard.hold();
        let lease = lease.upgraded();
        let upstream = hyper::upgrade::on(&mut *response);
        let idle_timeout = settings.idle_timeout;
        let tunnel = Tunnel { caller, upstream, idle_timeout, conditions, lease, admitted };
        tokio::task::spawn_local(tunnel.carry());
        log_entry.outcome = RequestOutcome::Upgraded;
        return Ok(tunnel::switched(*response));
    }
    let (mut head, body) = response.into_parts();
    rewrite_streamed_response_headers(&mut head.headers);
    head.version = Version::HTTP_11;
    head.extensions.clear();
    let mut body = Streamed::new(body, u64::MAX, settings.idle_timeout);
    body.at_end(move |_passed| {
        lease.check_in(tokio::time::Instant::now());
        drop(admitted);
    });
    Ok(Response::from_parts(head, ResponseBody::Streamed(body)))
}

/// The request's body on its way to the upstream.
fn passing(
    routed: &RoutedRequest<'_>,
    route: &SiteRoute,
    body: Incoming,
    ended: &Rc<Cell<bool>>,
) -> Result<RequestBody, Refusal> {
    if ended.get() {
        return Ok(RequestBody::empty());
    }
    // What may arrive ahead of the application waits here.
    let memory_bytes = routed.local.generation.config.limits.body_memory_bytes.get();
    let memory = &routed.connected.worker.shared.body_memory;
    let mut held = memory.hold_nothing(memory_bytes, false);
    held.resize(routed.connected.timeouts.window_bytes())
        .map_err(|_exhausted| Refusal::BodyMemoryExhausted)?;
    let limit = u64::try_from(route.settings.body_max_bytes.get()).unwrap_or(u64::MAX);
    let mut body = Streamed::new(body, limit, route.settings.idle_timeout);
    let (metrics, timeouts) = (Arc::clone(&route.metrics), Arc::clone(&routed.connected.timeouts));
    let ended = Rc::clone(ended);
    body.at_end(move |passed| {
        metrics.received_bytes.inc_by(passed);
        timeouts.set_body_unread(false);
        ended.set(true);
        drop(held);
    });
    Ok(RequestBody::streamed(body))
}
