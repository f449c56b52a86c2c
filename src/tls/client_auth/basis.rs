//! What proofs depend on: the revocation lists in force, with the proofs made under them.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::VerifiedClient;
use crate::tls::revocation::RevocationList;

/// The lists in force, and what was proven under them: replaced together, so that no proof
/// outlives the lists that it depends on.
#[derive(Debug, Default)]
pub(super) struct Basis {
    /// Counts replacements.
    pub(super) number: u64,
    pub(super) lists: Vec<Arc<RevocationList>>,
    pub(super) proven: ArcSwap<Vec<Arc<VerifiedClient>>>,
}

impl Basis {
    /// The newest proofs are kept; only a genuine sender's chain ever gets here, so a handful do.
    pub(super) fn remember(&self, client: &Arc<VerifiedClient>) {
        self.proven.rcu(|proven| {
            let others = proven.iter().filter(|known| known.chain != client.chain);
            std::iter::once(client).chain(others).take(PROOFS_MAX).cloned().collect::<Vec<_>>()
        });
    }
}

/// Meta sends from a handful of certificates; more would be a new world.
const PROOFS_MAX: usize = 16;
