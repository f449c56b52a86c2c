//! What moves in a trust while its configuration stays: the lists in force, and who was seen.
//!
//! [`crate::maintenance`] takes the news, the places to fetch lists from and the lists from here; a
//! request only ever notes a client.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::pki_types::UnixTime;
use tokio::sync::watch;

use super::{Basis, ClientTrust, VerifiedClient};
use crate::config::Crl;
use crate::tls::anchor::Anchor;
use crate::tls::distribution_point::{self, DistributionPoint};
use crate::tls::revocation::{ListFault, RevocationList};

impl ClientTrust {
    /// Notes a client that has just been proven by a handshake.
    pub(crate) fn saw(&self, client: &Arc<VerifiedClient>) {
        let Some(last) = client.path.as_ref().and_then(|path| self.last_seen.get(path.anchor))
        else {
            return;
        };
        if last.load().as_ref().is_some_and(|last| Arc::ptr_eq(last, client)) {
            return;
        }
        last.store(Some(Arc::clone(client)));
        self.news.send_replace(());
    }

    /// Changes when another client is seen, or one whose list is not there.
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// Puts a list in force in place of an older one about the same certificates. Whether that
    /// changed anything: then every proof is to be made again.
    pub(crate) fn install(&self, list: &Arc<RevocationList>) -> bool {
        let mut changed = false;
        self.basis.rcu(|basis| {
            let same = basis.lists.iter().find(|known| known.is_about_the_same(list));
            changed = same.is_none_or(|known| {
                known.this_update() <= list.this_update() && known.der() != list.der()
            });
            if !changed {
                return Arc::clone(basis);
            }
            let others = basis.lists.iter().filter(|known| !known.is_about_the_same(list));
            let lists = std::iter::once(list).chain(others).cloned().collect();
            Arc::new(Basis { number: basis.number + 1, lists, proven: ArcSwap::default() })
        });
        changed
    }

    /// Takes over what `before` learned and the configuration does not say: fetched lists that may
    /// still speak, and the clients that were seen, if they are still trusted.
    pub(crate) fn inherit(&self, before: &Self, now: UnixTime) {
        let fetches = self.crl.as_ref().is_some_and(Crl::is_fetched);
        for list in before.basis.load().lists.iter().filter(|list| fetches && list.is_fetched()) {
            if self.vouches_for(list) {
                self.install(list);
            }
        }
        for (_, client) in before.last_seen() {
            if let Some(Ok(client)) = client.map(|client| self.prove(client.chain(), now)) {
                self.saw(&client);
            }
        }
    }

    /// Whether the list is signed by the anchor of its issuer's name, if there is one. Lists of
    /// intermediates are kept: their signature is checked whenever they are asked.
    fn vouches_for(&self, list: &RevocationList) -> bool {
        let mut named =
            self.all_anchors().filter(|anchor| anchor.is_named(list.issuer())).peekable();
        named.peek().is_none() || named.any(|anchor| list.is_signed_by(anchor))
    }

    /// A list from a file, proven if its issuer is an anchor here.
    pub(crate) fn accept(&self, list: RevocationList) -> Result<RevocationList, ListFault> {
        let issuers: Vec<_> = self
            .all_anchors()
            .filter(|anchor| anchor.is_named(list.issuer()))
            .map(|anchor| anchor.der.clone())
            .collect();
        if issuers.is_empty() { Ok(list) } else { list.signed_by(&issuers, &self.algorithms) }
    }

    fn all_anchors(&self) -> impl Iterator<Item = &Anchor> {
        self.anchors().iter().chain(self.candidates())
    }

    /// The URLs that lists are fetched from; none unless lists are fetched.
    pub fn places(&self) -> Vec<String> {
        if !self.crl.as_ref().is_some_and(Crl::is_fetched) {
            return Vec::new();
        }
        self.distribution_points().iter().map(|point| point.uri.to_string()).collect()
    }

    /// Where lists are found, as far as that is known from proven certificates.
    pub(crate) fn distribution_points(&self) -> Vec<DistributionPoint> {
        let mut points = Vec::new();
        for anchor in self.anchors() {
            if distribution_point::is_self_issued(&anchor.der) {
                distribution_point::collect(&anchor.der, &anchor.der, &mut points);
            }
        }
        let seen: Vec<_> = self.last_seen.iter().filter_map(ArcSwapOption::load_full).collect();
        let unjudged = self.unjudged.load_full();
        for path in seen.iter().filter_map(|client| client.path.as_ref()).chain(unjudged.as_deref())
        {
            let Some(anchor) = self.anchors().get(path.anchor) else { continue };
            let certificates = &path.certificates;
            let issuers = certificates.iter().skip(1).chain(std::iter::once(&anchor.der));
            for (certificate, issuer) in certificates.iter().zip(issuers) {
                distribution_point::collect(certificate, issuer, &mut points);
            }
        }
        points
    }
}
