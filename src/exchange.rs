//! Conducts one request: route, proofs, upstream, answer; records how it went, once.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use http::header::{CONNECTION, CONTENT_LENGTH, UPGRADE};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};

use crate::config::{Demand, Verification};
use crate::connection::Connected;
use crate::http::body::{BodyLimits, receive};
use crate::http::respond::{self, Answer};
use crate::refusal::Refusal;
use crate::route::{self, RouteTable, WebhookRoute};
use crate::telemetry::access::{Outcome, Record};
use crate::tls::client_auth::VerifiedClient;
use crate::upstream::RequestBody;
use crate::upstream::headers::{Truth, towards_caller, towards_upstream};
use crate::webhook::challenge::VerificationRequest;
use crate::webhook::signature::{Check, Claim};
use crate::worker::{Admitted, Busy, Local};

/// Answers one request, whatever it is.
pub(crate) async fn answer(connected: Rc<Connected>, request: Request<Incoming>) -> Answer {
    let in_flight = connected.pace.request_began();
    let local = connected.worker.local();
    let version = request.version();
    let is_head = request.method() == Method::HEAD;
    let mut record = Record {
        client: connected.caller.address,
        request_id: connected.worker.next_request_id(),
        method: request.method().clone(),
        route: None,
        metrics: None,
        anchor: None,
        secret: None,
        outcome: Outcome::CallerGone,
        status: None,
        bytes: 0,
        began: Instant::now(),
        upstream_time: None,
        is_written: local.generation.config.log.access,
    };
    let mut is_forged = false;
    let mut answer = match conduct(&connected, &local, request, &mut record).await {
        Ok(answer) => answer,
        Err(refusal) => {
            record.outcome = Outcome::Refused(refusal);
            is_forged = refusal.is_about_signature();
            respond::refusal(refusal)
        }
    };
    // RFC 9110 section 9.3.2: no content. hyper leaves it out over HTTP/1 alone.
    if is_head && version == Version::HTTP_2 {
        *answer.body_mut() = Full::default();
    }
    // RFC 9113 section 8.2.2: HTTP/2 has no such header.
    if version != Version::HTTP_2
        // The body of a wrong signature was read, that of a missing one was not: both close, or a
        // forger could tell them apart.
        && (is_forged || connected.pace.is_body_unread() || connected.pace.is_exhausted())
    {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    record.status = Some(answer.status());
    drop(in_flight);
    answer
}

async fn conduct(
    connected: &Rc<Connected>,
    local: &Rc<Local>,
    request: Request<Incoming>,
    record: &mut Record,
) -> Result<Answer, Refusal> {
    let (parts, body) = request.into_parts();
    // Until it is read: a refusal on the way there leaves it on the line.
    connected.pace.set_body_unread(!body.is_end_stream());
    record.metrics = Some(Arc::clone(&local.generation.routes.unmatched));
    let (host, route) = find_route(&local.generation.routes, &parts)?;
    record.route = Some(Arc::clone(&route.name));
    record.metrics = Some(Arc::clone(&route.metrics));
    let client = connected.caller.client(local)?;
    record.anchor = client.as_ref().map(|client| client.anchor_label());
    let exchange = Exchange { connected, local, route, host, client };
    exchange.conduct(parts, body, record).await
}

fn find_route<'a>(
    routes: &'a RouteTable,
    parts: &Parts,
) -> Result<(Authority, &'a Arc<WebhookRoute>), Refusal> {
    if parts.method == Method::CONNECT || parts.method == Method::TRACE {
        return Err(Refusal::MethodNotAllowed);
    }
    let host = route::host(parts)?;
    let route = routes.find(&host, parts.uri.path())?;
    if parts.headers.contains_key(UPGRADE) {
        return Err(Refusal::UpgradeNotAllowed);
    }
    Ok((host, route))
}

/// A request whose route is found.
struct Exchange<'a> {
    connected: &'a Rc<Connected>,
    local: &'a Rc<Local>,
    route: &'a WebhookRoute,
    host: Authority,
    /// Proven, if one was presented.
    client: Option<Arc<VerifiedClient>>,
}

impl Exchange<'_> {
    async fn conduct(
        self,
        parts: Parts,
        body: Incoming,
        record: &mut Record,
    ) -> Result<Answer, Refusal> {
        let route = self.route;
        match parts.method {
            Method::POST => self.event(parts, body, record).await,
            _ if route.verification == Verification::Off => Err(Refusal::VerificationOff),
            Method::GET => self.verification(parts, record).await,
            _ => Err(Refusal::MethodNotAllowed),
        }
    }

    fn demand_certificate(&self, demand: Demand) -> Result<(), Refusal> {
        match demand {
            Demand::Required if self.client.is_none() => Err(Refusal::CertificateMissing),
            Demand::Required | Demand::None => Ok(()),
        }
    }

    async fn event(
        &self,
        parts: Parts,
        body: Incoming,
        record: &mut Record,
    ) -> Result<Answer, Refusal> {
        let route = self.route;
        self.demand_certificate(route.client_certificate)?;
        let claim = Claim::read(&parts.headers)?;
        let limits = &self.local.generation.config.limits;
        let admitted = self.connected.worker.admit(limits.requests_in_flight.get())?;
        let body_limits = BodyLimits {
            max_bytes: limits.body_max_bytes.get(),
            memory_bytes: limits.body_memory_bytes.get(),
            timeout: limits.body_timeout,
        };
        let mut check = Check::begin(&route.signing_keys, claim);
        let memory = &self.connected.worker.shared.body_memory;
        let began = Instant::now();
        let held = receive(body, body_limits, memory, |frame| check.update(frame)).await?;
        self.connected.pace.set_body_unread(false);
        record.bytes = check.length();
        route.metrics.received_bytes.inc_by(u64::try_from(record.bytes).unwrap_or(u64::MAX));
        route.metrics.body_duration.observe(began.elapsed());
        let verified = check.finish(&route.signing_keys, held)?;
        let (index, label) = verified.secret.clone();
        record.secret = Some(label);
        route.metrics.event_verified(index, SystemTime::now());
        let verified_by =
            if self.client.is_some() { "client-certificate, signature" } else { "signature" };
        let mut answer =
            self.forward(parts, verified.into(), verified_by, admitted, record).await?;
        // Meta takes every status but 200 for a failure and delivers again.
        if answer.status().is_success() {
            *answer.status_mut() = StatusCode::OK;
        }
        record.outcome = Outcome::Delivered;
        Ok(answer)
    }

    async fn verification(&self, parts: Parts, record: &mut Record) -> Result<Answer, Refusal> {
        let route = self.route;
        self.demand_certificate(route.verification_client_certificate)?;
        let request = VerificationRequest::read(parts.uri.query())?;
        let proven = route.verify_tokens.check(request)?;
        record.secret = Some(Arc::clone(&proven.token));
        route.metrics.verifications.inc();
        if route.verification == Verification::Answer {
            record.outcome = Outcome::ChallengeAnswered;
            return Ok(respond::challenge(proven));
        }
        let limits = &self.local.generation.config.limits;
        let admitted = self.connected.worker.admit(limits.requests_in_flight.get())?;
        let verified_by =
            if self.client.is_some() { "client-certificate, verify-token" } else { "verify-token" };
        let answer =
            self.forward(parts, RequestBody::empty(), verified_by, admitted, record).await?;
        record.outcome = Outcome::ChallengeForwarded;
        Ok(answer)
    }

    async fn forward(
        &self,
        parts: Parts,
        body: RequestBody,
        verified_by: &'static str,
        admitted: Admitted,
        record: &mut Record,
    ) -> Result<Answer, Refusal> {
        let route = self.route;
        let pool = Rc::clone(self.local.pool(route.upstream)?);
        let request = self.upstream_request(parts, body, verified_by, record.request_id)?;
        let busy = Busy::new(&self.connected.worker);
        let began = Instant::now();
        // A task of its own: a caller that hangs up does not take a begun delivery with it.
        let exchange = tokio::task::spawn_local(async move {
            let answer = pool.exchange(request).await;
            drop((admitted, busy));
            answer
        });
        let answer = exchange.await.unwrap_or(Err(Refusal::UpstreamBroken));
        let took = began.elapsed();
        record.upstream_time = Some(took);
        route.metrics.upstream_duration.observe(took);
        let (mut head, body) = answer?.into_parts();
        towards_caller(&mut head.headers);
        head.version = Version::HTTP_11;
        head.extensions.clear();
        Ok(Response::from_parts(head, Full::new(body)))
    }

    fn upstream_request(
        &self,
        parts: Parts,
        body: RequestBody,
        verified_by: &'static str,
        request_id: u128,
    ) -> Result<Request<RequestBody>, Refusal> {
        let caller = &self.connected.caller;
        let mut headers: HeaderMap = parts.headers;
        let truth = Truth {
            forwarded_for: &caller.forwarded_for,
            forwarded_port: &caller.forwarded_port,
            forwarded_host: HeaderValue::try_from(self.host.as_str())
                .map_err(|_invalid| Refusal::HostInvalid)?,
            client_cert: self.client.as_ref().map(|client| client.client_cert()),
            request_id: HeaderValue::try_from(format!("{request_id:032x}"))
                .map_err(|_never| Refusal::HostInvalid)?,
            verified: HeaderValue::from_static(verified_by),
        };
        towards_upstream(&mut headers, truth);
        // Of what is sent, not of what the caller announced: a length without its bytes would take
        // them out of the next request on that connection.
        headers.remove(CONTENT_LENGTH);
        if parts.method == Method::POST {
            let length = body.size_hint().exact();
            headers.insert(CONTENT_LENGTH, length.unwrap_or_default().into());
        }
        let mut request = Request::new(body);
        *request.method_mut() = parts.method;
        // The path as it came, byte for byte; the origin form is what a server is sent.
        *request.uri_mut() = parts.uri.path_and_query().cloned().map_or(Uri::default(), Uri::from);
        *request.headers_mut() = headers;
        Ok(request)
    }
}
