//! What is counted of each upstream.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{Metrics, register};
use crate::telemetry::metrics::shown::Shown;

/// The metrics of one upstream, looked up once.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamMetrics {
    pub(crate) connects: Counter,
    pub(crate) retries: Counter,
}

impl Metrics {
    /// Every server with health checks: its upstream, its address, and how it is.
    pub(crate) fn show_server_health<'a>(
        &self,
        servers: impl Iterator<Item = (&'a str, String, bool)>,
    ) {
        self.upstreams.server_healthy.show(servers.map(|(upstream, server, is_healthy)| {
            (ServerLabels { upstream: upstream.to_owned(), server }, u64::from(is_healthy))
        }));
    }

    pub(crate) fn upstream(&self, name: &str) -> UpstreamMetrics {
        let labels = UpstreamLabels { upstream: name.to_owned() };
        UpstreamMetrics {
            connects: self.upstreams.connects.get_or_create_owned(&labels),
            retries: self.upstreams.retries.get_or_create_owned(&labels),
        }
    }
}

#[derive(Debug)]
pub(super) struct UpstreamFamilies {
    connects: Family<UpstreamLabels, Counter>,
    retries: Family<UpstreamLabels, Counter>,
    server_healthy: Shown<ServerLabels>,
}

impl UpstreamFamilies {
    pub(super) fn register(r: &mut Registry) -> Self {
        Self {
            connects: register(r, "upstream_connects", "Connections opened to an upstream"),
            retries: register(
                r,
                "upstream_retries",
                "Requests sent on a second connection because the first took nothing of them",
            ),
            server_healthy: Shown::register(
                r,
                "upstream_server_healthy",
                "Whether a server answers its health checks: 1, or 0; only where there are any",
            ),
        }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct UpstreamLabels {
    upstream: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ServerLabels {
    upstream: String,
    server: String,
}
