//! Handles one request in plain HTTP: sent to https of the same host, or answered with the token
//! that an ACME client has put there.
//!
//! In: a request at one of the addresses of `[redirect]`. Out: our own answer. Knows neither routes
//! nor upstreams, so nothing that comes this way reaches an application.

use std::rc::Rc;
use std::sync::Arc;

use http::header::{CONNECTION, HeaderValue};
use http::uri::Authority;
use http::{Method, Request, Uri};
use hyper::body::{Body as _, Incoming};

use crate::caller::CallerConnection;
use crate::refusal::Refusal;
use crate::route;
use crate::server::respond::{self, Answer};
use crate::state::WorkerGeneration;
use crate::telemetry::access::{AccessLogEntry, Outcome};

mod acme;

/// Answers one request, whatever it is.
pub(crate) async fn handle(connected: Rc<CallerConnection>, request: Request<Incoming>) -> Answer {
    let _in_flight = connected.timeouts.request_began();
    let local = connected.worker.local();
    let mut log_entry = AccessLogEntry::begun(
        Rc::clone(&connected.caller.address),
        connected.worker.next_request_id(),
        request.method(),
        local.generation.config.log.access,
    );
    let mut answer = match respond(&connected, &local, request, &mut log_entry).await {
        Ok(answer) => answer,
        Err(refusal) => {
            log_entry.outcome = Outcome::Refused(refusal);
            respond::refusal(refusal)
        }
    };
    if connected.timeouts.is_body_unread() || connected.timeouts.is_exhausted() {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    log_entry.status = Some(answer.status());
    answer
}

async fn respond(
    connected: &CallerConnection,
    local: &WorkerGeneration,
    request: Request<Incoming>,
    log_entry: &mut AccessLogEntry,
) -> Result<Answer, Refusal> {
    // No body is of any use here, so none is read.
    connected.timeouts.set_body_unread(!request.body().is_end_stream());
    // Gone since this connection was accepted.
    let redirect = local.generation.redirect.as_ref().ok_or(Refusal::NoRoute)?;
    log_entry.route = Some(Arc::clone(&redirect.name));
    log_entry.metrics = Some(Arc::clone(&redirect.metrics));
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Refusal::MethodNotAllowed);
    }
    let (parts, _unread) = request.into_parts();
    let host = route::host(&parts)?;
    let is_read = matches!(parts.method, Method::GET | Method::HEAD);
    if is_read
        && let Some(directory) = &redirect.settings.acme_directory
        && let Some(token) = parts.uri.path().strip_prefix(acme::PATH)
    {
        let in_flight_max = local.generation.config.limits.requests_in_flight;
        let _admitted = connected.worker.admit(in_flight_max.get())?;
        let found = acme::look_up(directory, token).await.ok_or(Refusal::NoRoute)?;
        log_entry.outcome = Outcome::AcmeAnswered;
        return Ok(respond::echo(found));
    }
    let location = location(&host, redirect.settings.https_port.get(), &parts.uri)?;
    log_entry.outcome = Outcome::Redirected;
    Ok(respond::redirect(location, is_read))
}

/// The same request over https. What the caller asked for is sent back to the caller alone, and with
/// a scheme of its own, so it leads nobody else anywhere.
fn location(host: &Authority, port: u16, asked: &Uri) -> Result<HeaderValue, Refusal> {
    let target = asked.path_and_query().map_or("/", |target| target.as_str());
    if !target.starts_with('/') {
        return Err(Refusal::PathInvalid);
    }
    let host = host.host();
    let location = match port {
        443 => format!("https://{host}{target}"),
        port => format!("https://{host}:{port}{target}"),
    };
    HeaderValue::try_from(location).map_err(|_invalid| Refusal::PathInvalid)
}
