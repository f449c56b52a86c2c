//! Keeps the revocation lists fresh that distribution points offer.
//!
//! Decides when a list is due, and whether what was fetched is taken: a list counts with its
//! issuer's signature alone, and never in place of a newer one, for plain HTTP lets anybody on the
//! way answer. A list that is already stale is taken if it is the newest: whom it names is revoked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::Uri;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};

use super::fetch::{FetchError, fetch};
use crate::config::Crl;
use crate::telemetry::metrics::CrlFetchOutcome;
use crate::tls::client_auth::ClientTrust;
use crate::tls::crl_cache;
use crate::tls::distribution_point::DistributionPoint;
use crate::tls::material::revocation_lists_in;
use crate::tls::revocation::{ListFault, RevocationList};

/// Every place that lists were fetched from, or will be.
#[derive(Default)]
pub(super) struct Refresher {
    places: HashMap<Uri, CrlSource>,
}

#[derive(Default)]
struct CrlSource {
    /// `None`: at once.
    due: Option<Instant>,
    /// In a row.
    failures: u32,
    list: Option<Arc<RevocationList>>,
}

/// How a fetch went.
pub(super) struct FetchReport {
    pub(super) source: String,
    pub(super) outcome: CrlFetchOutcome,
    /// What the cache on disk said.
    cache_error: Option<std::io::Error>,
    error: Option<FetchError>,
}

impl CrlFetchOutcome {
    fn is_failure(self) -> bool {
        match self {
            Self::Replaced | Self::Unchanged => false,
            Self::Stale
            | Self::Older
            | Self::Unreachable
            | Self::TimedOut
            | Self::BadStatus
            | Self::TooLarge
            | Self::Malformed
            | Self::ForeignIssuer
            | Self::BadSignature => true,
        }
    }
}

impl Refresher {
    /// The newest list of each place.
    pub(super) fn lists(&self) -> impl Iterator<Item = &Arc<RevocationList>> {
        self.places.values().filter_map(|place| place.list.as_ref())
    }

    /// Forgets places that no proven certificate names any more, and learns new ones.
    pub(super) fn update(&mut self, trust: &ClientTrust) -> Vec<DistributionPoint> {
        let points = trust.distribution_points();
        self.places.retain(|uri, _| points.iter().any(|point| point.uri == *uri));
        for point in &points {
            let place = self.places.entry(point.uri.clone()).or_default();
            if place.list.is_none() {
                // From the cache, or from the generation before.
                let source = point.uri.to_string();
                place.list = trust.lists().into_iter().find(|list| list.source() == source);
            }
        }
        points
    }

    /// Fetches every list that is due, side by side.
    pub(super) async fn fetch_due(
        &mut self,
        points: Vec<DistributionPoint>,
        trust: &ClientTrust,
        settings: &Crl,
    ) -> Vec<FetchReport> {
        let now = Instant::now();
        let mut fetches = JoinSet::new();
        for point in points {
            let place = self.places.entry(point.uri.clone()).or_default();
            if place.due.is_none_or(|due| due <= now) {
                // Until its report says better; a task that panics reports nothing.
                place.due = Some(now + settings.refresh_min);
                let (max_bytes, timeout) = (settings.max_bytes.get(), settings.timeout);
                fetches.spawn_local(async move {
                    let fetched = fetch(&point.uri, max_bytes, timeout).await;
                    (point, fetched)
                });
            }
        }
        let mut reports = Vec::new();
        while let Some(done) = fetches.join_next().await {
            // A task that panicked is tried again when its place is due.
            let Ok((point, fetched)) = done else { continue };
            let place = self.places.entry(point.uri.clone()).or_default();
            reports.push(place.take(&point, fetched, trust, settings));
        }
        reports
    }

    /// From now to when the next list is due; `None` if there is no place to fetch from.
    pub(super) fn until_due(&self) -> Option<Duration> {
        let now = Instant::now();
        let due = |place: &CrlSource| place.due.map_or(Duration::ZERO, |due| due - now);
        self.places.values().map(due).min()
    }
}

impl CrlSource {
    /// Judges what was fetched, and sets when it is due again.
    fn take(
        &mut self,
        point: &DistributionPoint,
        fetched: Result<Vec<u8>, FetchError>,
        trust: &ClientTrust,
        settings: &Crl,
    ) -> FetchReport {
        let now = SystemTime::now();
        let source = point.uri.to_string();
        let (judged, error) = match fetched {
            Ok(bytes) => (judge(bytes, &source, point, self.list.as_deref(), trust, now), None),
            Err(error) => (Err(outcome_of(&error)), Some(error)),
        };
        let mut cache_error = None;
        let outcome = match judged {
            Ok(list) => {
                let is_stale = list.is_stale_at(now);
                if let Some(directory) = &settings.cache {
                    cache_error = crl_cache::store(directory, &list).err();
                }
                self.list = Some(Arc::new(list));
                if is_stale { CrlFetchOutcome::Stale } else { CrlFetchOutcome::Replaced }
            }
            Err(outcome) => outcome,
        };
        self.failures = if outcome.is_failure() { self.failures.saturating_add(1) } else { 0 };
        self.due = Some(Instant::now() + self.pause(settings, now));
        FetchReport { source, outcome, cache_error, error }
    }

    fn pause(&self, settings: &Crl, now: SystemTime) -> Duration {
        let (shortest, longest) = (settings.refresh_min, settings.refresh_max);
        if self.failures > 0 {
            let doublings = (self.failures - 1).min(DOUBLINGS_MAX);
            return (shortest * 2_u32.pow(doublings)).min(longest);
        }
        let next_update = self.list.as_ref().map_or(now, |list| list.next_update());
        let left = next_update.duration_since(now).unwrap_or_default();
        (left / 4 * 3).clamp(shortest, longest)
    }
}

/// The newer list, or why there is none.
fn judge(
    bytes: Vec<u8>,
    source: &str,
    point: &DistributionPoint,
    known: Option<&RevocationList>,
    trust: &ClientTrust,
    now: SystemTime,
) -> Result<RevocationList, CrlFetchOutcome> {
    let lists = revocation_lists_in(bytes).map_err(|_not_pem| CrlFetchOutcome::Malformed)?;
    let [der] = <[Vec<u8>; 1]>::try_from(lists).map_err(|_several| CrlFetchOutcome::Malformed)?;
    let outcome = |fault| match fault {
        ListFault::Malformed => CrlFetchOutcome::Malformed,
        ListFault::ForeignIssuer => CrlFetchOutcome::ForeignIssuer,
        ListFault::BadSignature | ListFault::SignerNotAllowed => CrlFetchOutcome::BadSignature,
    };
    let list = RevocationList::parse(source.into(), true, der)
        .and_then(|list| list.signed_by(&point.issuers, trust.algorithms()))
        .map_err(outcome)?;
    match known {
        Some(known) if known.this_update() > list.this_update() => Err(CrlFetchOutcome::Older),
        Some(known) if known.der() == list.der() => {
            let is_stale = list.is_stale_at(now);
            Err(if is_stale { CrlFetchOutcome::Stale } else { CrlFetchOutcome::Unchanged })
        }
        Some(_) | None => Ok(list),
    }
}

/// Enough for any pause to reach the longest.
const DOUBLINGS_MAX: u32 = 20;

fn outcome_of(error: &FetchError) -> CrlFetchOutcome {
    match error {
        FetchError::Url | FetchError::Connect(_) | FetchError::Http(_) => {
            CrlFetchOutcome::Unreachable
        }
        FetchError::Status(_) => CrlFetchOutcome::BadStatus,
        FetchError::TooLarge => CrlFetchOutcome::TooLarge,
        FetchError::TimedOut => CrlFetchOutcome::TimedOut,
    }
}

impl FetchReport {
    /// At most one line a fetch, and fetches have a shortest pause.
    pub(super) fn log(&self) {
        let Self { source, outcome, cache_error, error } = self;
        let label = outcome.label();
        if outcome.is_failure() {
            let error = error.as_ref().map(ToString::to_string);
            warn!(source, outcome = label, error, "revocation list not refreshed");
        } else if *outcome == CrlFetchOutcome::Replaced {
            info!(source, "revocation list refreshed");
        }
        if let Some(error) = cache_error {
            warn!(source, %error, "revocation list not cached");
        }
    }
}
