//! What a tunnel was opened under, and the end of it when that no longer holds.
//!
//! Nothing is asked again on a tunnel, so what every request is asked for is looked at whenever it can
//! have changed: when another generation or other revocation lists are in force, and when the proof of
//! the caller's certificate ends. A caller that has proven nothing has nothing to lose but its route.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, Method};
use rustls::pki_types::UnixTime;

use super::super::{RoutedRequest, alb};
use crate::caller::CallerConnection;
use crate::config::ListenerProtocol;
use crate::lifecycle::Change;
use crate::route::{Route, SiteRoute};
use crate::state::WorkerGeneration;
use crate::telemetry::access::AccessLogEntry;
use crate::telemetry::log;
use crate::telemetry::metrics::{Metrics, TunnelEnd};
use crate::upstream::Lease;

/// What a tunnel was opened under.
pub(in crate::handler) struct Conditions {
    connected: Rc<CallerConnection>,
    /// As in the access log.
    client: Rc<str>,
    route: Arc<str>,
    host: Authority,
    /// As it was matched.
    target: PathAndQuery,
    /// Whether the application is told of the caller what a trusted proxy says.
    rests_on_proxy: bool,
    /// What a load balancer said of the client certificate.
    alb_headers: HeaderMap,
    /// When the proof of the client certificate ends; `None`: there was no certificate.
    proven_until: Option<SystemTime>,
}

impl Conditions {
    /// Those of a request; `parts` are still as they came.
    pub(in crate::handler) fn of(
        routed: &RoutedRequest<'_>,
        route: &SiteRoute,
        log_entry: &AccessLogEntry,
        parts: &Parts,
    ) -> Self {
        let caller = &routed.connected.caller;
        Self {
            connected: Rc::clone(routed.connected),
            client: Rc::clone(&log_entry.client),
            route: Arc::clone(&route.name),
            host: routed.host.clone(),
            target: routed.target.clone(),
            rests_on_proxy: routed.forwarded.is_some()
                || caller.protocol == ListenerProtocol::PlainFromProxies,
            alb_headers: match routed.client {
                Some(_) => alb::headers_of(&parts.headers),
                None => HeaderMap::new(),
            },
            proven_until: routed.client.as_ref().map(|client| client.valid_until()),
        }
    }

    pub(super) fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.connected.worker.shared.metrics)
    }

    /// Returns when one of them no longer holds, and which.
    pub(super) async fn end(&mut self, lease: &Lease) -> TunnelEnd {
        let mut watcher = self.connected.worker.shared.watcher.clone();
        let mut is_draining = false;
        loop {
            tokio::select! {
                // It tells at once of what was swapped before.
                change = watcher.changed(), if !is_draining => {
                    is_draining = change == Change::Draining;
                }
                () = until(self.proven_until) => {}
            }
            if let Err(end) = self.look(lease) {
                return end;
            }
        }
    }

    fn look(&mut self, lease: &Lease) -> Result<(), TunnelEnd> {
        let local = self.connected.worker.local();
        let trusted = &local.generation.config.server.trusted_proxies;
        if self.rests_on_proxy && !trusted.contains(self.connected.caller.ip) {
            return Err(TunnelEnd::ProxyNoLongerTrusted);
        }
        if self.proven_until.is_some() {
            self.proven_until = Some(self.prove_again(&local)?);
        }
        let (path, query) = (self.target.path(), self.target.query());
        let is_open = match local.generation.routes.find(&self.host, path, query) {
            Ok(Route::Site(site)) => {
                let settings = &site.settings;
                let upstream = local.generation.upstreams.get(settings.upstream);
                settings.websocket
                    && (settings.methods.is_empty() || settings.methods.contains(&Method::GET))
                    && upstream.is_some_and(|target| lease.leads_to(target))
            }
            Ok(Route::Webhook(_)) | Err(_) => false,
        };
        if is_open { Ok(()) } else { Err(TunnelEnd::RouteChanged) }
    }

    /// Until when the caller's certificate is a proof under the current trust, if it is one.
    fn prove_again(&self, local: &WorkerGeneration) -> Result<SystemTime, TunnelEnd> {
        let CallerConnection { worker, caller, .. } = &*self.connected;
        let (shared, now) = (&worker.shared, UnixTime::now());
        let client = alb::client(caller, &self.client, local, shared, &self.alb_headers, now);
        let client = client.ok().flatten().ok_or(TunnelEnd::CertificateNoLongerTrusted)?;
        Ok(client.valid_until())
    }

    /// Says in the log what the operator did, or the CA; strangers' doing is counted alone.
    pub(super) fn log_end(&self, end: TunnelEnd) {
        match end {
            TunnelEnd::Closed | TunnelEnd::Idle => {}
            TunnelEnd::CertificateNoLongerTrusted
            | TunnelEnd::ProxyNoLongerTrusted
            | TunnelEnd::RouteChanged => log::tunnel_ended(&self.client, &self.route, end),
        }
    }
}

/// Returns when `moment` is over by the system's clock, which may be set meanwhile.
async fn until(moment: Option<SystemTime>) {
    let Some(moment) = moment else { return std::future::pending().await };
    // The last second counts, as it does in a certificate.
    while let Ok(left) = (moment + Duration::from_secs(1)).duration_since(SystemTime::now()) {
        tokio::time::sleep(left.clamp(SHORTEST_WAIT, LONGEST_WAIT)).await;
    }
}

/// No loop, however the clock is set.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// A clock that is set forward is noticed within this.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
