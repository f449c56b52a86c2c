//! The stages of a request one by one, for measuring: `benches/micro` calls these, and nobody else.
//!
//! Thin wrappers around private modules, without any logic of their own, so that what is measured is
//! what a request goes through.

use std::borrow::Cow;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::config::{Config, IdentityHeaders, Secret};
use crate::path;
use crate::route::RouteTable;
use crate::server::memory::Held;
use crate::telemetry::access::{AccessLogEntry, RequestId, RequestOutcome};
use crate::telemetry::json::JsonLine;
use crate::telemetry::metrics::{Metrics, RouteMetrics};
use crate::tls::identity::ClientIdentity;
use crate::tls::subject::only_common_name;
use crate::upstream::headers::{ReservedHeaders, TrustedHeaders, rewrite_request_headers};
use crate::webhook::signature::{Check, PresentedSignature, SigningKeys};

/// The app secrets of one route, ready to verify with.
pub struct Signatures(SigningKeys);

impl Signatures {
    /// Hashes the paddings of each secret.
    pub fn new(secrets: &[Secret]) -> Self {
        Self(SigningKeys::new(secrets, None))
    }

    /// Whether a body that came in one piece is signed as its headers say.
    pub fn verify(&self, headers: &HeaderMap, body: Bytes) -> bool {
        let mut check = Check::begin(&self.0, PresentedSignature::read(headers));
        check.update(body);
        check.finish(Held::nothing()).is_ok()
    }
}

/// Whether the subject of a certificate has this common name and no other.
pub fn has_common_name(certificate: &CertificateDer<'_>, name: &[u8]) -> bool {
    X509Certificate::from_der(certificate)
        .is_ok_and(|(_, certificate)| only_common_name(certificate.subject()) == Some(name))
}

/// Every route of a configuration.
pub struct Routes(RouteTable);

impl Routes {
    /// With metrics of their own.
    pub fn new(config: &Config) -> Self {
        Self(RouteTable::new(config, &Metrics::new()))
    }

    /// Whether one is found for this host, this normalised path, and this query.
    pub fn find(&self, host: &Authority, path: &str, query: Option<&str>) -> bool {
        self.0.find(host, path, query).is_ok()
    }
}

/// The path as it is matched and forwarded; `None` if it is refused.
pub fn normalize(path: &str) -> Option<Cow<'_, str>> {
    path::normalize(path).ok()
}

/// What is true of every request of one caller to one upstream.
pub struct Towards {
    reserved: ReservedHeaders,
    client: ClientIdentity,
    identity: IdentityHeaders,
    value: HeaderValue,
}

impl Towards {
    /// The first upstream of a configuration; `None` if the certificate cannot be read.
    pub fn upstream(config: &Config, client: &CertificateDer<'_>) -> Option<Self> {
        Some(Self {
            reserved: ReservedHeaders::of(&config.upstreams),
            client: ClientIdentity::of(client, &[]).ok()?,
            identity: config.upstreams.first()?.identity.clone(),
            value: HeaderValue::from_static("localhost"),
        })
    }

    /// Removes what only we may say, and says it.
    pub fn rewrite(&self, headers: &mut HeaderMap) {
        let trusted = TrustedHeaders {
            forwarded_for: &self.value,
            forwarded_proto: self.value.clone(),
            forwarded_port: &self.value,
            forwarded_host: self.value.clone(),
            client: Some(&self.client),
            identity: &self.identity,
            request_id: self.value.clone(),
            verified: Some(self.value.clone()),
        };
        rewrite_request_headers(headers, &self.reserved, trusted);
    }
}

/// The metrics of one webhook.
pub struct WebhookCounters(RouteMetrics);

impl WebhookCounters {
    /// Of a webhook with one app secret, at zero.
    pub fn new() -> Self {
        Self(Metrics::new().route("/webhooks", std::iter::once("app-secret")))
    }

    /// All that one delivered event raises.
    pub fn count_event(&self, now: SystemTime, took: Duration) {
        self.0.requests.inc();
        self.0.received_bytes.inc_by(1024);
        self.0.body_duration.observe(took);
        self.0.upstream_duration.observe(took);
        self.0.duration.observe(took);
        self.0.event_verified(0, now);
    }
}

impl Default for WebhookCounters {
    fn default() -> Self {
        Self::new()
    }
}

/// A log as `log.format = "json"` has it, whose lines go nowhere.
pub fn json_log() -> impl tracing::Subscriber + Send + Sync {
    tracing_subscriber::fmt().event_format(JsonLine::default()).with_writer(io::sink).finish()
}

/// Writes the access log entry of one delivered event to the log.
pub fn access_record(began: Instant) {
    drop(AccessLogEntry {
        client: "192.0.2.7:40000".into(),
        request_id: RequestId::new(7),
        trace_id: None,
        method: Method::POST,
        route: Some("/webhooks".into()),
        metrics: None,
        anchor: Some("meta".into()),
        secret: Some("app-secret".into()),
        would_refuse: None,
        outcome: RequestOutcome::Delivered,
        status: Some(StatusCode::OK),
        bytes: 1024,
        began,
        upstream_time: Some(began.elapsed()),
        is_written: true,
        refusals: Rc::default(),
    });
}
