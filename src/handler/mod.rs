//! Handles one request: route, proofs, upstream, response; writes its access log entry, once.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use hyper::body::{Body as _, Incoming};
use rustls::pki_types::UnixTime;

use crate::caller::{Caller, CallerConnection};
use crate::config::{IdentityHeaders, ListenerProtocol};
use crate::path::normalize;
use crate::refusal::Refusal;
use crate::route::{self, Route, RouteTable, SiteRoute};
use crate::server::request_line;
use crate::server::respond::{self, CallerResponse, ResponseBody};
use crate::state::WorkerGeneration;
use crate::telemetry::access::{AccessLogEntry, RequestId, RequestOutcome};
use crate::tls::client_auth::VerifiedClient;
use crate::upstream::RequestBody;
use crate::upstream::headers::{TrustedHeaders, join_cookies, rewrite_request_headers};

pub(crate) mod alb;
mod redirect;
mod site;
mod tunnel;
mod webhook;
mod x_forwarded;

/// Answers one request, whatever it is.
///
/// The request's head stays in one place, here, and is lent from then on: a future that takes it by
/// value has room for it twice, and copies it.
pub(crate) fn handle(
    connected: Rc<CallerConnection>,
    request: Request<Incoming>,
) -> impl Future<Output = CallerResponse> {
    let (mut parts, body) = request.into_parts();
    async move { answer_to(&connected, &mut parts, body).await }
}

async fn answer_to(
    connected: &Rc<CallerConnection>,
    parts: &mut Parts,
    body: Incoming,
) -> CallerResponse {
    let in_flight = connected.timeouts.request_began();
    let local = connected.worker.local();
    let version = parts.version;
    let is_head = parts.method == Method::HEAD;
    let forwarded = forwarded(&connected.caller, &local, &parts.headers);
    let client = match &forwarded {
        Some(forwarded) => forwarded.address.as_str().into(),
        None => Rc::clone(&connected.caller.address),
    };
    let mut log_entry = AccessLogEntry::begun(
        client,
        connected.worker.next_request_id(),
        &parts.method,
        local.generation.config.log.access,
        Rc::clone(&connected.worker.refusal_log),
    );
    let mut is_forged = false;
    let mut answer = match respond(connected, &local, forwarded, parts, body, &mut log_entry).await
    {
        Ok(answer) => answer,
        Err(refusal) => {
            log_entry.outcome = RequestOutcome::Refused(refusal);
            is_forged = refusal.is_about_signature();
            respond::refusal(refusal)
        }
    };
    // RFC 9110 section 9.3.2: no content. hyper leaves it out over HTTP/1 alone.
    if is_head && version == Version::HTTP_2 && matches!(answer.body(), ResponseBody::Whole(_)) {
        *answer.body_mut() = ResponseBody::from(Bytes::new());
    }
    // RFC 9113 section 8.2.2: HTTP/2 has no such header.
    if version != Version::HTTP_2
        // The body of a wrong signature was read, that of a missing one was not: both close, or a
        // forger could tell them apart.
        && (is_forged || connected.timeouts.is_body_unread() || connected.timeouts.is_exhausted())
    {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    log_entry.status = Some(answer.status());
    if let ResponseBody::Streamed(body) = answer.body_mut() {
        // What is on its way is neither answered nor recorded yet.
        body.at_end(move |_passed| {
            log_entry.outcome = RequestOutcome::Passed;
            drop((log_entry, in_flight));
        });
    }
    answer
}

async fn respond(
    connected: &Rc<CallerConnection>,
    local: &Rc<WorkerGeneration>,
    forwarded: Option<ForwardedFor>,
    parts: &mut Parts,
    body: Incoming,
    log_entry: &mut AccessLogEntry,
) -> Result<CallerResponse, Refusal> {
    // Until it is read: a refusal on the way there leaves it on the line.
    connected.timeouts.set_body_unread(!body.is_end_stream());
    let routes = &local.generation.routes;
    log_entry.metrics = Some(Arc::clone(&routes.unmatched));
    // hyper counts them over HTTP/1 alone, and knows no lines.
    if parts.headers.len() > local.generation.config.limits.header_max_count.get()
        || request_line::is_too_long(&parts.method, &parts.uri)
    {
        return Err(Refusal::HeadersTooLarge);
    }
    if connected.caller.protocol == ListenerProtocol::PlainToRedirect {
        return Box::pin(redirect::handle(&connected.worker, local, parts, log_entry)).await;
    }
    if matches!(parts.method, Method::CONNECT | Method::TRACE) {
        log_entry.outcome = RequestOutcome::Refused(Refusal::MethodNotAllowed);
        return Ok(match site_asked(routes, parts) {
            Some(site) => respond::method_not_allowed(&site.settings.methods),
            None => respond::refusal(Refusal::MethodNotAllowed),
        });
    }
    log_entry.trace_id = Some(connected.worker.traces.carry(&mut parts.headers));
    let host = route::host(parts)?;
    let server_name = connected.caller.server_name.as_deref();
    if server_name.is_some_and(|name| !name.eq_ignore_ascii_case(host.host())) {
        return Err(Refusal::HostMismatch);
    }
    let path = normalize(parts.uri.path())?;
    let route = routes.find(&host, &path, parts.uri.query())?;
    if matches!(route, Route::Site(_)) && matches!(parts.method.as_str(), "COPY" | "MOVE") {
        check_destination(routes, &host, &parts.headers)?;
    }
    // Most paths are in their normal form, and are forwarded without a copy.
    let target = match (parts.uri.path_and_query(), &path) {
        (Some(target), std::borrow::Cow::Borrowed(_)) => target.clone(),
        _ => rewritten(&path, parts.uri.query())?,
    };
    let (name, metrics) = match route {
        Route::Webhook(route) => (&route.name, &route.metrics),
        Route::Site(route) => (&route.name, &route.metrics),
    };
    log_entry.route = Some(Arc::clone(name));
    log_entry.metrics = Some(Arc::clone(metrics));
    let (caller, shared) = (&connected.caller, &connected.worker.shared);
    let now = UnixTime::now();
    let client = alb::client(caller, &log_entry.client, local, shared, &parts.headers, now)?;
    log_entry.anchor = client.as_ref().map(|client| client.anchor_label());
    let routed = RoutedRequest { connected, local, forwarded, host, target, client, now };
    match route {
        Route::Webhook(route) => webhook::handle(&routed, route, parts, body, log_entry).await,
        // Boxed: it is the larger one, and most requests are events.
        Route::Site(route) => Box::pin(site::handle(&routed, route, parts, body, log_entry)).await,
    }
}

/// The site that a request with a method that nothing takes would have gone to.
fn site_asked(routes: &RouteTable, parts: &Parts) -> Option<Arc<SiteRoute>> {
    let host = route::host(parts).ok()?;
    let path = normalize(parts.uri.path()).ok()?;
    match routes.find(&host, &path, parts.uri.query()).ok()? {
        Route::Site(site) => Some(Arc::clone(site)),
        Route::Webhook(_) => None,
    }
}

/// WebDAV writes to another path than the request's own (RFC 4918 section 10.3), which must be a
/// site's, too.
fn check_destination(
    routes: &RouteTable,
    host: &Authority,
    headers: &HeaderMap,
) -> Result<(), Refusal> {
    for value in headers.get_all("destination") {
        let target = Uri::try_from(value.as_bytes()).map_err(|_invalid| Refusal::PathInvalid)?;
        let path = normalize(target.path())?;
        if matches!(routes.find(host, &path, target.query())?, Route::Webhook(_)) {
            return Err(Refusal::NoRoute);
        }
    }
    Ok(())
}

fn rewritten(path: &str, query: Option<&str>) -> Result<PathAndQuery, Refusal> {
    let target = match query {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(path),
    };
    target.map_err(|_invalid| Refusal::PathInvalid)
}

/// What a trusted proxy says of a request.
struct ForwardedFor {
    /// The caller's address.
    address: String,
    /// The same, ready for `X-Forwarded-For`.
    header: HeaderValue,
}

/// `None`: the connection itself says who called.
fn forwarded(
    caller: &Caller,
    local: &WorkerGeneration,
    headers: &HeaderMap,
) -> Option<ForwardedFor> {
    let trusted = &local.generation.config.server.trusted_proxies;
    if trusted.is_empty() {
        return None;
    }
    let ip = x_forwarded::caller(caller.ip, headers, trusted);
    if ip == caller.ip {
        return None;
    }
    let address = ip.to_string();
    Some(ForwardedFor { header: HeaderValue::try_from(&address).ok()?, address })
}

/// A request whose route is found.
struct RoutedRequest<'a> {
    connected: &'a Rc<CallerConnection>,
    local: &'a Rc<WorkerGeneration>,
    forwarded: Option<ForwardedFor>,
    host: Authority,
    /// As it was matched, and as it is forwarded.
    target: PathAndQuery,
    /// Proven, if one was presented.
    client: Option<Arc<VerifiedClient>>,
    /// When that was proven; to the second it is when the request came.
    now: UnixTime,
}

impl RoutedRequest<'_> {
    /// The request as the upstream gets it; the origin form is what a server is sent.
    fn upstream_request(
        &self,
        parts: &mut Parts,
        body: RequestBody,
        request_id: &RequestId,
        identity: &IdentityHeaders,
    ) -> Result<Box<Request<RequestBody>>, Refusal> {
        let caller = &self.connected.caller;
        let verified = body.verified(self.client.is_some());
        let (forwarded_proto, forwarded_port) =
            match caller.protocol == ListenerProtocol::PlainFromProxies {
                true => (x_forwarded::proto(&parts.headers), x_forwarded::port(&parts.headers)),
                false => (x_forwarded::HTTPS, None),
            };
        let trusted = TrustedHeaders {
            forwarded_for: match &self.forwarded {
                Some(forwarded) => &forwarded.header,
                None => &caller.forwarded_for,
            },
            forwarded_proto,
            forwarded_port: forwarded_port.as_ref().unwrap_or(&caller.forwarded_port),
            // Where there is a header, the host was read from it.
            forwarded_host: match parts.headers.get(HOST) {
                Some(value) => value.clone(),
                None => HeaderValue::try_from(self.host.as_str())
                    .map_err(|_invalid| Refusal::HostInvalid)?,
            },
            client: self.client.as_ref().map(|client| client.identity()),
            identity,
            request_id: HeaderValue::try_from(request_id.as_str())
                .map_err(|_never| Refusal::HostInvalid)?,
            verified: verified.map(HeaderValue::from_static),
        };
        if parts.version == Version::HTTP_2 {
            join_cookies(&mut parts.headers);
        }
        rewrite_request_headers(&mut parts.headers, &self.local.generation.reserved, trusted);
        // Of what is sent, not of what the caller announced: a length without its bytes would take
        // them out of the next request on that connection.
        parts.headers.remove(CONTENT_LENGTH);
        if let Some(length) = body.size_hint().exact()
            && (length > 0 || parts.method == Method::POST)
        {
            parts.headers.insert(CONTENT_LENGTH, length.into());
        }
        let mut request = Request::new(body);
        *request.method_mut() = std::mem::take(&mut parts.method);
        *request.uri_mut() = Uri::from(self.target.clone());
        *request.headers_mut() = std::mem::take(&mut parts.headers);
        Ok(Box::new(request))
    }
}
