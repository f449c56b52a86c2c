//! Notices the end of what is in use, before it comes: certificates, and revocation lists.
//!
//! A pure look at facts and a clock that the caller reads. In: what is in use now. Out: what to
//! warn of, once for each threshold crossed, however often one looks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::generation::Generation;
use crate::telemetry::metrics::CertificateKind;
use crate::tls::certificate::CertificateFacts;
use crate::tls::client_auth::VerifiedClient;
use crate::tls::revocation::{RevocationList, RevocationStatus};

/// A certificate that is in use.
#[derive(Clone, Debug)]
pub(crate) struct InUse {
    pub(crate) kind: CertificateKind,
    /// Of the anchor, for a client the one that vouched; an own chain is counted, from the upstream's
    /// name on where it is shown to one.
    pub(crate) label: Arc<str>,
    pub(crate) facts: CertificateFacts,
}

/// What was warned of already.
#[derive(Default)]
pub(super) struct Calendar {
    /// By SHA-256: the lowest threshold in days that was warned of.
    warned: HashMap<String, u64>,
    /// By source: the issue of the list that was called stale.
    stale: HashMap<String, SystemTime>,
    /// SHA-256 of the clients that were let in unchecked.
    unchecked: Vec<String>,
}

impl CertificateKind {
    /// What the operator does about it.
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::Server => "renew it, replace the files of server.certificate, and reload",
            Self::Anchor | Self::Candidate => {
                "get its successor from the CA and add it to client_certificate.trust_anchors"
            }
            Self::Upstream => {
                "renew it, replace the files of upstream.client_certificate, and reload"
            }
            Self::Client => {
                "Meta renews it; should the new one come from another CA, refusals will say unknown_anchor"
            }
        }
    }
}

/// A chain that is shown: its leaf, and those above it by their number.
fn chain<'a>(
    kind: CertificateKind,
    facts: &'a [CertificateFacts],
    leaf: &'a str,
    place: &'a str,
) -> impl Iterator<Item = InUse> + 'a {
    facts.iter().enumerate().map(move |(index, facts)| {
        let label = if index == 0 { leaf.into() } else { format!("{place}issuer-{index}").into() };
        InUse { kind, label, facts: facts.clone() }
    })
}

/// Every certificate that the generation uses.
pub(crate) fn in_use(generation: &Generation) -> Vec<InUse> {
    let mut found = Vec::new();
    for (number, identity) in generation.tls.identities().iter().enumerate() {
        // The first is often the only one, and its labels stay when others come.
        let place = if number == 0 { String::new() } else { format!("{}-", number + 1) };
        found.extend(chain(
            CertificateKind::Server,
            &identity.facts,
            &format!("{place}leaf"),
            &place,
        ));
    }
    for upstream in &generation.upstreams {
        let name = &upstream.settings.name;
        found.extend(chain(CertificateKind::Upstream, &upstream.shown, name, &format!("{name}-")));
    }
    let Some(trust) = generation.tls.trust() else { return found };
    for (kind, anchors) in [
        (CertificateKind::Anchor, trust.anchors()),
        (CertificateKind::Candidate, trust.candidates()),
    ] {
        found.extend(anchors.iter().map(|anchor| InUse {
            kind,
            label: Arc::clone(&anchor.label),
            facts: anchor.facts.clone(),
        }));
    }
    found.extend(trust.last_seen().filter_map(|(anchor, client)| {
        let (label, facts) = (Arc::clone(&anchor.label), client?.facts()?.clone());
        Some(InUse { kind: CertificateKind::Client, label, facts })
    }));
    found
}

impl Calendar {
    /// The certificates that have crossed a threshold since it was warned of them; the end itself
    /// is the last one.
    pub(super) fn look<'a>(
        &mut self,
        in_use: &'a [InUse],
        days: &[u64],
        now: SystemTime,
    ) -> Vec<&'a InUse> {
        let mut due = Vec::new();
        for used in in_use {
            let Some(crossed) = crossed(used.facts.not_after, days, now) else { continue };
            let sha256 = &used.facts.sha256;
            if self.warned.get(sha256).is_none_or(|warned| crossed < *warned) {
                self.warned.insert(sha256.clone(), crossed);
                due.push(used);
            }
        }
        if self.warned.len() > REMEMBERED_MAX {
            self.warned.retain(|sha256, _| in_use.iter().any(|used| used.facts.sha256 == *sha256));
        }
        due
    }

    /// The lists that have become stale since it was warned of them.
    pub(super) fn gone_stale<'a>(
        &mut self,
        lists: &'a [Arc<RevocationList>],
        now: SystemTime,
    ) -> Vec<&'a RevocationList> {
        let mut gone = Vec::new();
        self.stale.retain(|source, _| lists.iter().any(|list| list.source() == source));
        for list in lists.iter().filter(|list| list.is_stale_at(now)) {
            let before = self.stale.insert(list.source().to_owned(), list.this_update());
            if before != Some(list.this_update()) {
                gone.push(list.as_ref());
            }
        }
        gone
    }

    /// The clients that were let in although no list speaks for them, each once.
    pub(super) fn let_in_unchecked(
        &mut self,
        seen: impl Iterator<Item = Arc<VerifiedClient>>,
    ) -> Vec<Arc<VerifiedClient>> {
        let unchecked: Vec<_> =
            seen.filter(|client| client.revocation() == RevocationStatus::Unknown).collect();
        let shas: Vec<_> = unchecked.iter().filter_map(|client| sha256(client)).collect();
        let before = std::mem::replace(&mut self.unchecked, shas);
        let is_new = |client: &Arc<VerifiedClient>| {
            sha256(client).is_some_and(|sha256| !before.contains(&sha256))
        };
        unchecked.into_iter().filter(is_new).collect()
    }
}

fn sha256(client: &VerifiedClient) -> Option<String> {
    client.facts().map(|facts| facts.sha256.clone())
}

/// The lowest of the thresholds in days that lie behind `now`; 0 is the end itself.
fn crossed(end: SystemTime, days: &[u64], now: SystemTime) -> Option<u64> {
    let Ok(left) = end.duration_since(now) else { return Some(0) };
    days.iter().copied().filter(|days| left <= Duration::from_secs(days * DAY_SECONDS)).min()
}

/// The whole days of a time.
pub(super) fn whole_days(time: &Duration) -> u64 {
    time.as_secs() / DAY_SECONDS
}

/// Let's Encrypt's clients renew 30 days before the end; later, something is wrong with them.
pub(crate) const RENEWAL_DAYS: i64 = 14;

/// A change of CA takes a while to be announced, downloaded and compared.
pub(crate) const SUCCESSION_DAYS: i64 = 60;

const DAY_SECONDS: u64 = 24 * 60 * 60;

/// Clients come and go; more than this are not in use together.
const REMEMBERED_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use hubgate_testkit::pki::{Authority, Ca, Leaf};

    const DAYS: [u64; 4] = [60, 30, 7, 1];

    fn used(days: u64) -> (InUse, SystemTime) {
        let now = SystemTime::now();
        let leaf = Leaf::meta().valid(now..now + Duration::from_secs(days * DAY_SECONDS));
        let leaf = Authority::root(Ca::meta()).issue(leaf);
        let facts = CertificateFacts::read(leaf.leaf()).expect("is a certificate");
        let end = facts.not_after;
        (InUse { kind: CertificateKind::Client, label: "meta".into(), facts }, end)
    }

    #[test]
    fn each_threshold_is_warned_of_once_however_often_one_looks() {
        let (used, end) = used(90);
        let used = [used];
        let mut calendar = Calendar::default();
        let mut warned_at = Vec::new();
        // Every six hours, from ninety days before the end to two days after it.
        for quarter in 0..(92 * 4) {
            let now = end - Duration::from_secs(90 * DAY_SECONDS)
                + Duration::from_secs(quarter * DAY_SECONDS / 4);
            for _ in calendar.look(&used, &DAYS, now) {
                warned_at.push(90.0 - quarter as f64 / 4.0);
            }
        }
        assert_eq!(warned_at, [60.0, 30.0, 7.0, 1.0, -0.25]);
    }

    #[test]
    fn a_certificate_that_is_found_late_is_warned_of_once_not_for_each_threshold_behind() {
        let (used, end) = used(5);
        let used = [used];
        let mut calendar = Calendar::default();
        let now = end - Duration::from_secs(3 * DAY_SECONDS);

        assert_eq!(calendar.look(&used, &DAYS, now).len(), 1);
        assert_eq!(calendar.look(&used, &DAYS, now).len(), 0);
    }

    #[test]
    fn a_successor_is_warned_of_on_its_own() {
        let ((one, end), (other, _)) = (used(5), used(5));
        let mut calendar = Calendar::default();
        let now = end - Duration::from_secs(3 * DAY_SECONDS);

        assert_eq!(calendar.look(std::slice::from_ref(&one), &DAYS, now).len(), 1);
        assert_eq!(calendar.look(&[other], &DAYS, now).len(), 1);
        // Both in use by turns, as during a renewal.
        assert_eq!(calendar.look(&[one], &DAYS, now).len(), 0);
    }

    #[test]
    fn a_list_is_called_stale_once_an_issue() {
        let ca = Authority::root(Ca::meta());
        let now = SystemTime::now();
        let issue = |age: u64| {
            let begin = now - Duration::from_secs(age);
            let list = ca.revoke(&[], begin..begin + Duration::from_secs(60));
            let list = RevocationList::parse("list".into(), false, list.der().to_vec());
            Arc::new(list.expect("is a list"))
        };
        let mut calendar = Calendar::default();
        let (current, old, newer) = (issue(0), issue(3_600), issue(1_800));

        assert_eq!(calendar.gone_stale(&[current], now).len(), 0);
        assert_eq!(calendar.gone_stale(&[Arc::clone(&old)], now).len(), 1);
        assert_eq!(calendar.gone_stale(&[old], now).len(), 0);
        assert_eq!(calendar.gone_stale(&[newer], now).len(), 1);
    }
}
