//! Handles one request in plain HTTP: sent to https of the same host, or answered with the token
//! that an ACME client has put there.
//!
//! In: a request at one of the addresses of `[redirect]`. Out: our own answer. Knows neither routes
//! nor upstreams, so nothing that comes this way reaches an application.

use std::sync::Arc;

use http::header::HeaderValue;
use http::request::Parts;
use http::uri::Authority;
use http::{Method, Uri};

use crate::refusal::Refusal;
use crate::route;
use crate::server::respond::{self, CallerResponse};
use crate::state::{RequestClass, WorkerGeneration, WorkerState};
use crate::telemetry::access::{AccessLogEntry, RequestOutcome};

mod acme;

/// A body is of no use here, so none is read.
pub(super) async fn handle(
    worker: &WorkerState,
    local: &WorkerGeneration,
    parts: &Parts,
    log_entry: &mut AccessLogEntry,
) -> Result<CallerResponse, Refusal> {
    // Gone since this connection was accepted.
    let redirect = local.generation.redirect.as_ref().ok_or(Refusal::NoRoute)?;
    log_entry.route = Some(Arc::clone(&redirect.name));
    log_entry.metrics = Some(Arc::clone(&redirect.metrics));
    if matches!(parts.method, Method::CONNECT | Method::TRACE) {
        log_entry.outcome = RequestOutcome::Refused(Refusal::MethodNotAllowed);
        return Ok(respond::method_not_allowed(&[]));
    }
    let host = route::host(parts)?;
    let is_read = matches!(parts.method, Method::GET | Method::HEAD);
    if is_read
        && let Some(directory) = &redirect.settings.acme_directory
        && let Some(token) = parts.uri.path().strip_prefix(acme::PATH)
    {
        let _admitted = worker.admit(RequestClass::Acme, &local.generation.config.limits)?;
        let found = acme::look_up(directory, token).await.ok_or(Refusal::NoRoute)?;
        log_entry.outcome = RequestOutcome::AcmeAnswered;
        return Ok(respond::echo(found));
    }
    let location = location(&host, redirect.settings.https_port.get(), &parts.uri)?;
    log_entry.outcome = RequestOutcome::Redirected;
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
