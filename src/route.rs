//! Finds the route of a request: exact path, then host before no host. No route is never a guess.

use std::collections::HashMap;
use std::sync::Arc;

use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;

use crate::config::{Config, Demand, Verification};
use crate::refusal::Refusal;
use crate::telemetry::metrics::{Metrics, RouteMetrics};
use crate::webhook::challenge::VerifyTokens;
use crate::webhook::signature::SigningKeys;

/// Every route; looking one up costs the same however many there are.
pub(crate) struct RouteTable {
    by_path: HashMap<Box<str>, Vec<Entry>>,
    /// Counts what matched nothing.
    pub(crate) unmatched: Arc<RouteMetrics>,
}

struct Entry {
    host: Option<Box<str>>,
    route: Arc<WebhookRoute>,
}

/// One webhook, ready to use.
pub(crate) struct WebhookRoute {
    pub(crate) name: Arc<str>,
    /// Index of its upstream.
    pub(crate) upstream: usize,
    pub(crate) signing_keys: SigningKeys,
    pub(crate) verify_tokens: VerifyTokens,
    pub(crate) verification: Verification,
    pub(crate) client_certificate: Demand,
    pub(crate) verification_client_certificate: Demand,
    pub(crate) metrics: Arc<RouteMetrics>,
}

impl RouteTable {
    pub(crate) fn new(config: &Config, metrics: &Metrics) -> Self {
        let mut by_path: HashMap<Box<str>, Vec<Entry>> = HashMap::new();
        for webhook in &config.webhooks {
            let labels = webhook.app_secrets.iter().map(|secret| secret.label());
            let route = Arc::new(WebhookRoute {
                name: webhook.name.as_str().into(),
                upstream: webhook.upstream,
                signing_keys: SigningKeys::new(&webhook.app_secrets),
                verify_tokens: VerifyTokens::new(&webhook.verify_tokens),
                verification: webhook.verification,
                client_certificate: webhook.client_certificate,
                verification_client_certificate: webhook.verification_client_certificate,
                metrics: Arc::new(metrics.route(&webhook.name, labels)),
            });
            let entries = by_path.entry(webhook.path.as_str().into()).or_default();
            entries.push(Entry { host: webhook.host.as_deref().map(Into::into), route });
        }
        for entries in by_path.values_mut() {
            entries.sort_by_key(|entry| entry.host.is_none());
        }
        let unmatched = Arc::new(
            metrics.route(crate::telemetry::metrics::NO_ROUTE, std::iter::empty::<&str>()),
        );
        Self { by_path, unmatched }
    }

    /// The route for this host (as [`host`] gives it) and path, byte for byte.
    pub(crate) fn find(&self, host: &Authority, path: &str) -> Result<&Arc<WebhookRoute>, Refusal> {
        let entries = self.by_path.get(path).ok_or(Refusal::NoRoute)?;
        let fits = |entry: &&Entry| {
            entry.host.as_deref().is_none_or(|expected| expected.eq_ignore_ascii_case(host.host()))
        };
        entries.iter().find(fits).map(|entry| &entry.route).ok_or(Refusal::NoRoute)
    }
}

/// The one host that a request is for (RFC 9112 section 3.2, RFC 9113 section 8.3.1).
///
/// hyper takes requests without `Host`, with several, or with one that contradicts the target.
pub(crate) fn host(request: &Parts) -> Result<Authority, Refusal> {
    let mut hosts = request.headers.get_all(HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(Refusal::HostInvalid);
    }
    let header = match first {
        Some(value) => Some(parse(value.as_bytes())?),
        None => None,
    };
    match (header, request.uri.authority()) {
        (Some(header), None) => Ok(header),
        (None, Some(target)) if request.version == http::Version::HTTP_2 => {
            parse(target.as_str().as_bytes())
        }
        (Some(header), Some(target)) if header == *target => Ok(header),
        _ => Err(Refusal::HostInvalid),
    }
}

fn parse(value: &[u8]) -> Result<Authority, Refusal> {
    let authority = Authority::try_from(value).map_err(|_invalid| Refusal::HostInvalid)?;
    if authority.host().is_empty() || authority.as_str().contains('@') {
        return Err(Refusal::HostInvalid);
    }
    Ok(authority)
}
