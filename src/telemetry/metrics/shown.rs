//! Gauges whose labels come and go, such as those of the certificates in use.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::Gauge;

/// A family of gauges that is shown whole, again and again; what is gone from it goes.
#[derive(Debug)]
pub(super) struct Shown<L> {
    family: Family<L, Gauge>,
    labels: Mutex<HashSet<L>>,
}

impl<L> Shown<L>
where
    L: Clone + Hash + Eq + EncodeLabelSet + Debug + Send + Sync + 'static,
{
    /// Registers the family, which is empty until something is shown.
    pub(super) fn register(registry: &mut Registry, name: &str, help: &str) -> Self {
        let family = Family::default();
        registry.register(name, help, family.clone());
        Self { family, labels: Mutex::default() }
    }

    /// Sets these, and takes the others away. Of two with the same labels the later counts.
    pub(super) fn show(&self, values: impl Iterator<Item = (L, u64)>) {
        let values: HashMap<L, u64> = values.collect();
        let mut labels = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        for (labels, value) in &values {
            self.family.get_or_create(labels).set(*value);
        }
        for gone in labels.iter().filter(|labels| !values.contains_key(labels)) {
            self.family.remove(gone);
        }
        *labels = values.into_keys().collect();
    }
}
