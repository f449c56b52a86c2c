//! Finds the route of a request: exact path before prefix, longer prefix before shorter, a host
//! before none. No route is never a guess.

use std::collections::HashMap;
use std::sync::Arc;

use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;

use crate::config::{Config, Site, Webhook};
use crate::path::reserved::ReservedPaths;
use crate::refusal::Refusal;
use crate::telemetry::metrics::{Metrics, NO_ROUTE, RouteMetrics};
use crate::webhook::challenge::VerifyTokens;
use crate::webhook::proof::ProofKey;
use crate::webhook::signature::SigningKeys;

#[cfg(test)]
mod confusion;
pub(crate) mod redirect;

/// Every route; looking one up costs the same however many there are.
pub(crate) struct RouteTable {
    exact: HashMap<Box<str>, Vec<HostRoute>>,
    prefixes: HashMap<Box<str>, Vec<HostRoute>>,
    /// In bytes: what is longer is none of them, and is not looked for.
    longest_prefix: usize,
    /// In the order of the configuration, for whoever looks at all of them.
    pub(crate) webhooks: Vec<Arc<WebhookRoute>>,
    pub(crate) sites: Vec<Arc<SiteRoute>>,
    /// Counts what matched nothing.
    pub(crate) unmatched: Arc<RouteMetrics>,
}

struct HostRoute {
    host: Option<Box<str>>,
    route: Route,
}

/// Where a request goes.
#[derive(Clone)]
pub(crate) enum Route {
    /// To a webhook, once it is proven.
    Webhook(Arc<WebhookRoute>),
    /// Through a site, as it is.
    Site(Arc<SiteRoute>),
}

/// One webhook, ready to use.
pub(crate) struct WebhookRoute {
    pub(crate) settings: Webhook,
    pub(crate) name: Arc<str>,
    pub(crate) signing_keys: SigningKeys,
    pub(crate) verify_tokens: VerifyTokens,
    pub(crate) metrics: Arc<RouteMetrics>,
}

/// One site, ready to use.
pub(crate) struct SiteRoute {
    pub(crate) settings: Site,
    /// What it does not carry, however an application reads it: the webhooks' paths, on whatever
    /// host, and its exceptions.
    reserved: ReservedPaths,
    pub(crate) name: Arc<str>,
    pub(crate) metrics: Arc<RouteMetrics>,
}

impl SiteRoute {
    fn may_carry(&self, path: &str, query: Option<&str>) -> bool {
        !self.settings.excepts(path) && !self.reserved.has(path, query)
    }
}

impl RouteTable {
    pub(crate) fn new(config: &Config, metrics: &Metrics) -> Self {
        let nothing_signed = std::iter::empty::<&str>;
        let mut table = Self {
            exact: HashMap::new(),
            prefixes: HashMap::new(),
            longest_prefix: 0,
            webhooks: Vec::new(),
            sites: Vec::new(),
            unmatched: Arc::new(metrics.route(NO_ROUTE, nothing_signed())),
        };
        for webhook in &config.webhooks {
            let upstream = config.upstreams.get(webhook.upstream);
            let proof = upstream.and_then(|upstream| upstream.proof.as_ref());
            let proof = proof.map(|secret| Arc::new(ProofKey::new(secret.secret())));
            let labels = webhook.app_secrets.iter().map(|secret| secret.label());
            let route = Arc::new(WebhookRoute {
                name: webhook.name.as_str().into(),
                signing_keys: SigningKeys::new(&webhook.app_secrets, proof.clone()),
                verify_tokens: VerifyTokens::new(&webhook.verify_tokens, proof),
                metrics: Arc::new(metrics.route(&webhook.name, labels)),
                settings: webhook.clone(),
            });
            table.webhooks.push(Arc::clone(&route));
            let route = Route::Webhook(route);
            insert(&mut table.exact, &webhook.path, webhook.host.as_deref(), route);
        }
        let webhooks = || config.webhooks.iter().map(|webhook| &*webhook.path);
        for site in &config.sites {
            let except = site.except.iter().map(String::as_str);
            let route = Arc::new(SiteRoute {
                name: site.name.as_str().into(),
                metrics: Arc::new(metrics.route(&site.name, nothing_signed())),
                reserved: ReservedPaths::new(webhooks()).with_starts(except),
                settings: site.clone(),
            });
            table.sites.push(Arc::clone(&route));
            if site.is_prefix {
                table.longest_prefix = table.longest_prefix.max(site.path.len());
            }
            let route = Route::Site(route);
            let paths = if site.is_prefix { &mut table.prefixes } else { &mut table.exact };
            insert(paths, &site.path, site.host.as_deref(), route);
        }
        table
    }

    /// The route for this host (as [`host`] gives it), this normalised path, and this query, which
    /// some applications take their path from.
    pub(crate) fn find(
        &self,
        host: &Authority,
        path: &str,
        query: Option<&str>,
    ) -> Result<&Route, Refusal> {
        let exact = fitting(&self.exact, path, host);
        match exact.or_else(|| self.find_prefix(host, path)) {
            Some(Route::Site(site)) if !site.may_carry(path, query) => Err(Refusal::NoRoute),
            Some(route) => Ok(route),
            None => Err(Refusal::NoRoute),
        }
    }

    /// Prefixes match by whole segments: `/app` has `/app` and `/app/x` below it, not `/apple`.
    fn find_prefix(&self, host: &Authority, path: &str) -> Option<&Route> {
        if self.prefixes.is_empty() {
            return None;
        }
        starts(path, self.longest_prefix).find_map(|prefix| fitting(&self.prefixes, prefix, host))
    }
}

/// What a path is below, the longest first, with and without the slash; itself among it. Nothing
/// longer than `longest`, or a path of many slashes would be read as often as it has some.
fn starts(path: &str, longest: usize) -> impl Iterator<Item = &str> {
    let ends = path.rmatch_indices('/').flat_map(|(slash, _)| [slash + 1, slash]);
    std::iter::once(path.len())
        .chain(ends)
        .filter(move |end| *end <= longest)
        .filter_map(|end| path.get(..end))
}

fn insert(
    paths: &mut HashMap<Box<str>, Vec<HostRoute>>,
    path: &str,
    host: Option<&str>,
    route: Route,
) {
    let entries = paths.entry(path.into()).or_default();
    entries.push(HostRoute { host: host.map(Into::into), route });
    entries.sort_by_key(|entry| entry.host.is_none());
}

fn fitting<'a>(
    paths: &'a HashMap<Box<str>, Vec<HostRoute>>,
    path: &str,
    host: &Authority,
) -> Option<&'a Route> {
    let fits = |entry: &&HostRoute| {
        let expected = entry.host.as_deref();
        expected.is_none_or(|expected| expected.eq_ignore_ascii_case(host.host()))
    };
    paths.get(path)?.iter().find(fits).map(|entry| &entry.route)
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
    let host = authority.host();
    // The library takes any text for a port.
    let has_bad_port = authority.as_str().len() != host.len() && authority.port().is_none();
    if host.is_empty() || authority.as_str().contains('@') || has_bad_port {
        return Err(Refusal::HostInvalid);
    }
    Ok(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_below_its_segments_and_only_those_that_a_prefix_can_be_are_looked_at() {
        let starts = |path, longest| starts(path, longest).collect::<Vec<_>>();
        assert_eq!(starts("/a/b", 9), ["/a/b", "/a/", "/a", "/", ""]);
        assert_eq!(starts("/a/b", 2), ["/a", "/", ""]);
        assert_eq!(starts(&"/a".repeat(16_000), 3), ["/a/", "/a", "/", ""]);
    }
}
