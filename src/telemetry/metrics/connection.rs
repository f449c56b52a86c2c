//! What is counted of connections that are cut after their handshake.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{ReasonLabels, register};

/// Why a connection was cut while HTTP was spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ConnectionCut {
    /// The caller took nothing of an answer for too long.
    WriteTimeout,
    /// The caller sent too many HTTP/2 frames that bring nothing.
    ControlFrames,
}

impl ConnectionCut {
    /// Every variant, for metrics that start at zero.
    const ALL: [Self; 2] = [Self::WriteTimeout, Self::ControlFrames];

    /// Metric label and log field; stable.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::WriteTimeout => "write_timeout",
            Self::ControlFrames => "control_frames",
        }
    }
}

/// One counter for each reason, in the order of [`ConnectionCut::ALL`].
pub(super) fn register_cuts(r: &mut Registry) -> Vec<Counter> {
    let cuts: Family<ReasonLabels, Counter> =
        register(r, "connections_cut", "Connections cut while HTTP was spoken, by reason");
    let labels = ConnectionCut::ALL.iter().map(|cut| ReasonLabels { reason: cut.label() });
    labels.map(|labels| cuts.get_or_create_owned(&labels)).collect()
}
