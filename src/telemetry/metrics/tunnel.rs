//! What is counted of the connections that became WebSockets.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{Gauge, ReasonLabels, register};

/// Why a tunnel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TunnelEnd {
    /// Either side closed it, or broke off.
    Closed,
    /// Nothing moved for too long.
    Idle,
    /// The client certificate that it was opened with is no longer a proof.
    CertificateNoLongerTrusted,
    /// The proxy that said who called is no longer trusted.
    ProxyNoLongerTrusted,
    /// The site is gone, or allows no WebSocket any more, or leads elsewhere.
    RouteChanged,
}

impl TunnelEnd {
    /// Every variant, for metrics that start at zero.
    const ALL: [Self; 5] = [
        Self::Closed,
        Self::Idle,
        Self::CertificateNoLongerTrusted,
        Self::ProxyNoLongerTrusted,
        Self::RouteChanged,
    ];

    /// Metric label and log field; stable.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Idle => "idle",
            Self::CertificateNoLongerTrusted => "certificate_no_longer_trusted",
            Self::ProxyNoLongerTrusted => "proxy_no_longer_trusted",
            Self::RouteChanged => "route_changed",
        }
    }
}

/// The metrics of all tunnels.
#[derive(Debug)]
pub(crate) struct TunnelMetrics {
    pub(crate) open: Gauge,
    ended: Vec<Counter>,
}

impl TunnelMetrics {
    pub(super) fn register(r: &mut Registry) -> Self {
        let ended: Family<ReasonLabels, Counter> =
            register(r, "tunnels_ended", "WebSockets that ended, by reason");
        let open = register(r, "tunnels_open", "WebSockets open now");
        let labels = TunnelEnd::ALL.iter().map(|end| ReasonLabels { reason: end.label() });
        Self { open, ended: labels.map(|labels| ended.get_or_create_owned(&labels)).collect() }
    }

    pub(crate) fn ended(&self, end: TunnelEnd) {
        if let Some(times) = self.ended.get(end as usize) {
            times.inc();
        }
    }
}
