//! Handles a request to a webhook: nothing passes that is not proven.

use std::rc::Rc;
use std::sync::Arc;

use http::header::{CONTENT_ENCODING, UPGRADE};
use http::request::Parts;
use http::{Method, Response, StatusCode, Version};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::RoutedRequest;
use crate::config::{Demand, Enforcement, Verification};
use crate::refusal::Refusal;
use crate::route::WebhookRoute;
use crate::server::body::{BodyLimits, receive};
use crate::server::memory::Budget;
use crate::server::respond::{CallerResponse, ResponseBody, WholeBody};
use crate::state::{RequestClass, RequestPermit, TaskGuard};
use crate::telemetry::access::{AccessLogEntry, RequestOutcome};
use crate::tls::certificate::moment;
use crate::upstream::WebhookBody;
use crate::upstream::client::Whole;
use crate::upstream::delivery::Delivery;
use crate::upstream::headers::rewrite_response_headers;
use crate::webhook::challenge::VerificationRequest;
use crate::webhook::signature::{Check, PresentedSignature};

pub(super) async fn handle(
    routed: &RoutedRequest<'_>,
    route: &WebhookRoute,
    parts: &mut Parts,
    body: Incoming,
    log_entry: &mut AccessLogEntry,
) -> Result<CallerResponse, Refusal> {
    if parts.headers.contains_key(UPGRADE) {
        return Err(Refusal::UpgradeNotAllowed);
    }
    match parts.method {
        Method::POST => event(routed, route, parts, body, log_entry).await,
        _ if route.settings.verification == Verification::Off => Err(Refusal::VerificationOff),
        Method::GET => verification(routed, route, parts, log_entry).await,
        _ => Err(Refusal::MethodNotAllowed),
    }
}

async fn event(
    routed: &RoutedRequest<'_>,
    route: &WebhookRoute,
    parts: &mut Parts,
    body: Incoming,
    log_entry: &mut AccessLogEntry,
) -> Result<CallerResponse, Refusal> {
    demand_certificate(routed, route.settings.client_certificate)?;
    let presented = PresentedSignature::read(&parts.headers);
    let reporting = match (route.settings.signature, &routed.client) {
        (Enforcement::Report, Some(client)) => Some(client),
        // Without a usable signature there is no use in reading the body.
        (Enforcement::Enforce, _) | (Enforcement::Report, None) => {
            presented.as_ref().map_err(|refusal| *refusal)?;
            None
        }
    };
    let limits = &routed.local.generation.config.limits;
    let worker = &routed.connected.worker;
    // Until it is proven, an event without a certificate is nobody's.
    let is_proven = routed.client.is_some() || routed.connected.guard.is_proven();
    let class = if is_proven { RequestClass::Proven } else { RequestClass::Unproven };
    let mut admitted = worker.admit(class, limits)?;
    let body_limits = BodyLimits {
        max_bytes: route.settings.body_max_bytes.get(),
        window_bytes: routed.connected.timeouts.window_bytes(),
        deadline: Instant::from_std(log_entry.began) + limits.body_timeout,
    };
    let mut check = Check::begin(&route.signing_keys, presented);
    let memory = &routed.connected.worker.shared.body_memory;
    let held = memory.hold_nothing(limits.body_memory_bytes.get(), is_proven);
    let held = receive(body, body_limits, held, |frame| check.update(frame)).await?;
    routed.connected.timeouts.set_body_unread(false);
    log_entry.bytes = check.length();
    let metrics = &route.metrics;
    metrics.received_bytes.inc_by(u64::try_from(log_entry.bytes).unwrap_or(u64::MAX));
    let received = Instant::now();
    metrics.body_duration.observe(received.into_std() - log_entry.began);
    let checked = match reporting {
        Some(client) => check.finish_reporting(held, client),
        None => Ok(check.finish(held)?),
    };
    let body = match checked {
        Ok(body) => {
            let (index, label) = body.secret();
            log_entry.secret = Some(Arc::clone(label));
            metrics.event_verified(index, moment(routed.now));
            routed.connected.guard.prove();
            if !is_proven {
                admitted = worker.admit(RequestClass::Proven, limits)?;
            }
            WebhookBody::from(body)
        }
        Err(body) => {
            log_entry.would_refuse = Some(body.refusal());
            metrics.would_refuse(body.refusal(), moment(routed.now));
            WebhookBody::from(body)
        }
    };
    let forward = Forward { routed, route, admitted, began: received };
    let mut answer = forward.send(parts, body, log_entry).await?;
    // Meta takes every status but 200 for a failure and delivers again.
    if answer.status().is_success() {
        *answer.status_mut() = StatusCode::OK;
    }
    log_entry.outcome = RequestOutcome::Delivered;
    Ok(answer)
}

async fn verification(
    routed: &RoutedRequest<'_>,
    route: &WebhookRoute,
    parts: &mut Parts,
    log_entry: &mut AccessLogEntry,
) -> Result<CallerResponse, Refusal> {
    demand_certificate(routed, route.settings.verification_client_certificate)?;
    let request = VerificationRequest::read(parts.uri.query())?;
    let proven = route.verify_tokens.check(request)?;
    log_entry.secret = Some(Arc::clone(proven.token()));
    route.metrics.verifications.inc();
    if route.settings.verification == Verification::Answer {
        log_entry.outcome = RequestOutcome::ChallengeAnswered;
        return Ok(proven.into_answer());
    }
    let limits = &routed.local.generation.config.limits;
    let admitted = routed.connected.worker.admit(RequestClass::Proven, limits)?;
    let forward = Forward { routed, route, admitted, began: Instant::now() };
    let answer = forward.send(parts, WebhookBody::from(proven), log_entry).await?;
    log_entry.outcome = RequestOutcome::ChallengeForwarded;
    Ok(answer)
}

fn demand_certificate(routed: &RoutedRequest<'_>, demand: Demand) -> Result<(), Refusal> {
    match demand {
        Demand::Required if routed.client.is_none() => Err(Refusal::CertificateMissing),
        Demand::Required | Demand::None => Ok(()),
    }
}

/// A proven request on its way to the application.
struct Forward<'a> {
    routed: &'a RoutedRequest<'a>,
    route: &'a WebhookRoute,
    admitted: RequestPermit,
    /// When the last of what goes there had come.
    began: Instant,
}

impl Forward<'_> {
    async fn send(
        self,
        parts: &mut Parts,
        body: WebhookBody,
        log_entry: &mut AccessLogEntry,
    ) -> Result<CallerResponse, Refusal> {
        let Self { routed, route, admitted, began } = self;
        let pool = Rc::clone(routed.local.pool(route.settings.upstream)?);
        let identity = pool.identity_headers();
        let request =
            routed.upstream_request(parts, body.into(), &log_entry.request_id, identity)?;
        let busy = TaskGuard::new(&routed.connected.worker);
        let metrics = &routed.connected.worker.shared.metrics;
        let limit = routed.local.generation.config.limits.response_memory_bytes.get();
        let memory = Budget::new(&metrics.response_memory_bytes, limit);
        // A caller that disconnects does not take a begun delivery with it.
        let delivery = Delivery::new(async move {
            let answer = pool.exchange(request, began, memory).await;
            drop((admitted, busy));
            answer
        });
        let answer = delivery.await;
        let ended = answer.as_ref().map_or_else(|_refusal| Instant::now(), |whole| whole.ended);
        let took = ended - began;
        log_entry.upstream_time = Some(took);
        route.metrics.upstream_duration.observe(took);
        let Whole { head, body, .. } = answer?;
        let (mut head, _read) = head.into_parts();
        rewrite_response_headers(&mut head.headers);
        head.version = Version::HTTP_11;
        head.extensions.clear();
        // Meta looks at the status alone; another one would have it deliver the event again.
        let body = body.unwrap_or_else(|| {
            metrics.response_bodies_omitted.inc();
            head.headers.remove(CONTENT_ENCODING);
            WholeBody::default()
        });
        Ok(Response::from_parts(head, ResponseBody::from(body)))
    }
}
