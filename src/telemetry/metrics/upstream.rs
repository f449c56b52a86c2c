//! What is counted of each upstream.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{Metrics, register};

/// The metrics of one upstream, looked up once.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamMetrics {
    pub(crate) connects: Counter,
    pub(crate) retries: Counter,
}

impl Metrics {
    pub(crate) fn upstream(&self, name: &str) -> UpstreamMetrics {
        let labels = UpstreamLabels { upstream: name.to_owned() };
        UpstreamMetrics {
            connects: self.upstreams.connects.get_or_create_owned(&labels),
            retries: self.upstreams.retries.get_or_create_owned(&labels),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct UpstreamFamilies {
    connects: Family<UpstreamLabels, Counter>,
    retries: Family<UpstreamLabels, Counter>,
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
        }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct UpstreamLabels {
    upstream: String,
}
