//! How the proxy is, in one document: what `/status` answers, and what `hubgate status` reads.
//!
//! [`gather`] fills it with facts from where they are kept, [`advice`] judges them. Nothing here is
//! a secret: an app secret is known by its label. Fields are added and never change their meaning,
//! for a command of one version may read the document of another.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::lifecycle::Phase;
use crate::tls::certificate::utc;

pub(crate) mod advice;
pub(super) mod gather;

/// The whole document.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) version: String,
    /// The worst of the advice.
    pub(crate) health: Color,
    /// What is not as it should be, the worst first, each with what to do.
    pub(crate) advice: Vec<Advice>,
    pub(crate) phase: Phase,
    /// What `/ready` says.
    pub(crate) ready: bool,
    /// When this was written.
    pub(crate) now: Moment,
    pub(crate) uptime_seconds: u64,
    pub(crate) generation: GenerationView,
    /// Not there: there was none.
    pub(crate) last_reload: Option<ReloadView>,
    /// Leaf first.
    pub(crate) server_certificates: Vec<CertificateView>,
    pub(crate) anchors: Vec<AnchorView>,
    /// Not trusted, but looked out for.
    pub(crate) candidates: Vec<AnchorView>,
    /// The callers' own, as last seen, by the anchor that vouched.
    pub(crate) clients: Vec<CertificateView>,
    /// What upstreams are shown, by their names.
    pub(crate) upstream_certificates: Vec<CertificateView>,
    /// Not there: nobody looks at revocation.
    pub(crate) revocation: Option<RevocationView>,
    pub(crate) webhooks: Vec<WebhookView>,
    pub(crate) sites: Vec<SiteView>,
    pub(crate) upstreams: Vec<UpstreamView>,
    /// Connections that ended before HTTP.
    pub(crate) handshake_refusals: Vec<Refused>,
    /// Requests that no route took.
    pub(crate) unmatched_refusals: Vec<Refused>,
}

/// How it is, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Color {
    /// Nothing to do.
    Green,
    /// Worth a look by day.
    Yellow,
    /// Events are lost, or will be.
    Red,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Advice {
    pub(crate) health: Color,
    pub(crate) what: String,
    pub(crate) what_to_do: String,
}

/// A moment, for people and for arithmetic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moment {
    pub(crate) utc: String,
    pub(crate) unix_seconds: u64,
}

impl From<SystemTime> for Moment {
    fn from(moment: SystemTime) -> Self {
        let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { utc: utc(moment), unix_seconds: since.as_secs() }
    }
}

/// The generation in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct GenerationView {
    pub(crate) number: u64,
    pub(crate) age_seconds: u64,
}

/// What the last reload came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ReloadView {
    pub(crate) at: Moment,
    /// If not, the generation before stayed in force.
    pub(crate) succeeded: bool,
    /// All of them.
    pub(crate) faults: Vec<String>,
}

/// A certificate in use.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CertificateView {
    pub(crate) label: String,
    pub(crate) subject: String,
    pub(crate) sha256: String,
    pub(crate) not_before: Moment,
    pub(crate) not_after: Moment,
    /// Whole days; negative once it has ended.
    pub(crate) days_left: i64,
}

/// An anchor, or a candidate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AnchorView {
    #[serde(flatten)]
    pub(crate) certificate: CertificateView,
    /// Handshakes that it vouched for; for a candidate, those that it would have vouched for.
    pub(crate) uses: u64,
    /// For an anchor also by a request on an open connection. Not there: not since the start.
    pub(crate) last_used: Option<Moment>,
}

/// How revocation is looked at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RevocationView {
    /// Whether a caller for whom no current list speaks is refused.
    pub(crate) refuses_unknown: bool,
    pub(crate) lists: Vec<RevocationListView>,
}

/// One revocation list, or a place where there should be one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RevocationListView {
    /// A path or a URL.
    pub(crate) source: String,
    pub(crate) state: ListState,
    /// Certificates that it names.
    pub(crate) revoked: usize,
    pub(crate) this_update: Option<Moment>,
    pub(crate) next_update: Option<Moment>,
}

/// Whether a revocation list says anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ListState {
    /// It does.
    Current,
    /// It is past its nextUpdate.
    Stale,
    /// None was fetched from there yet.
    Missing,
}

/// A route that Meta calls.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WebhookView {
    pub(crate) name: String,
    pub(crate) demands_certificate: bool,
    /// Events with a wrong signature are let through.
    pub(crate) only_reports: bool,
    pub(crate) events_verified: u64,
    pub(crate) last_verified_event: Option<Moment>,
    /// Not there: nobody asked for an alarm.
    pub(crate) quiet_alarm: Option<QuietAlarm>,
    /// Verification requests whose token was right.
    pub(crate) verifications: u64,
    pub(crate) secrets: Vec<SecretView>,
    pub(crate) refusals: Vec<Refused>,
    /// What a route that only reports let through.
    pub(crate) would_refuse: Vec<Refused>,
}

/// Whether events stay away for too long.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct QuietAlarm {
    pub(crate) after_seconds: u64,
    pub(crate) is_quiet: bool,
}

/// An app secret, by its label.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SecretView {
    pub(crate) label: String,
    /// Genuine events signed with it.
    pub(crate) uses: u64,
    pub(crate) last_used: Option<Moment>,
}

/// A route that passes through.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SiteView {
    pub(crate) name: String,
    pub(crate) requests: u64,
    pub(crate) refusals: Vec<Refused>,
}

/// Something that was refused, at least once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub(crate) reason: String,
    pub(crate) times: u64,
    pub(crate) last: Option<Moment>,
    /// It is not the caller's fault.
    pub(crate) is_our_fault: bool,
    pub(crate) hint: String,
}

/// An application.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UpstreamView {
    pub(crate) name: String,
    pub(crate) servers: Vec<ServerView>,
}

/// One of its servers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ServerView {
    pub(crate) url: String,
    pub(crate) state: ServerState,
    pub(crate) failures_in_a_row: u32,
    /// Requests that it is answering.
    pub(crate) in_flight: usize,
}

/// What is known of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ServerState {
    /// Nothing speaks against it.
    Available,
    /// It failed, and the next request tries it again.
    HalfOpen,
    /// It failed, and is not tried for a while.
    Ejected,
    /// It answers health checks badly, or not at all.
    Unhealthy,
}
