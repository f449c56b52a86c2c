//! The places for connections, shared by all workers: how many there are, in all, for callers who
//! have proven nothing, and for each network.
//!
//! A place is taken when a connection is accepted and given back when it is dropped; nobody waits in
//! here. Who gives way when there is none is decided by [`super::slots`].

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::config::{Limits, Network};

/// Every place there is.
#[derive(Debug)]
pub(crate) struct Places {
    all: Count,
    unproven: Count,
    per_network: AtomicUsize,
    networks: Mutex<HashMap<Network, usize>>,
    freed: Notify,
}

/// One open connection's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    is_unproven: bool,
    network: Option<Network>,
}

/// Its network has as many as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NetworkFull;

/// Which limit a new connection met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// `limits.connections`.
    All,
    /// `limits.unproven_connections`.
    Unproven,
}

/// So many of at most so many.
#[derive(Debug)]
struct Count {
    taken: AtomicUsize,
    limit: AtomicUsize,
}

impl Places {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            all: Count::new(limits.connections.get()),
            unproven: Count::new(limits.unproven_connections.get()),
            per_network: AtomicUsize::new(limits.connections_per_network.get()),
            networks: Mutex::default(),
            freed: Notify::new(),
        })
    }

    /// Puts other limits in force. Connections above a lower one stay until they end or give way.
    pub(crate) fn resize(&self, limits: &Limits) {
        self.all.limit.store(limits.connections.get(), Relaxed);
        self.unproven.limit.store(limits.unproven_connections.get(), Relaxed);
        self.per_network.store(limits.connections_per_network.get(), Relaxed);
        self.freed.notify_waiters();
    }

    /// Whether one more connection would find a place.
    pub(crate) fn has_room(&self) -> bool {
        self.all.taken.load(Relaxed) < self.all.limit.load(Relaxed)
    }

    /// A place for a connection that has proven nothing yet, as none has when it is accepted.
    pub(crate) fn take(self: &Arc<Self>) -> Result<Place, Full> {
        if !self.all.take() {
            return Err(Full::All);
        }
        if !self.unproven.take() {
            self.all.give_back();
            return Err(Full::Unproven);
        }
        Ok(Place { places: Arc::clone(self), is_unproven: true, network: None })
    }

    /// Returns when a place was given back, or the limits are others.
    pub(crate) async fn freed(&self) {
        self.freed.notified().await;
    }
}

impl Place {
    /// The connection has proven itself: from now on it takes nothing of what strangers share.
    pub(crate) fn prove(&mut self) {
        if std::mem::take(&mut self.is_unproven) {
            self.places.unproven.give_back();
        }
        self.leave_network();
    }

    /// Counts the connection among those of its caller's network.
    pub(crate) fn join_network(&mut self, caller: IpAddr) -> Result<(), NetworkFull> {
        let network = Network::of_client(caller);
        let mut networks = self.places.networks.lock().unwrap_or_else(PoisonError::into_inner);
        let count = networks.entry(network).or_default();
        if *count >= self.places.per_network.load(Relaxed) {
            return Err(NetworkFull);
        }
        *count += 1;
        self.network = Some(network);
        Ok(())
    }

    /// Where it is counted.
    pub(super) fn network(&self) -> Option<Network> {
        self.network
    }

    fn leave_network(&mut self) {
        let Some(network) = self.network.take() else { return };
        let mut networks = self.places.networks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = networks.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                networks.remove(&network);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.prove();
        self.places.all.give_back();
        self.places.freed.notify_waiters();
    }
}

impl Count {
    fn new(limit: usize) -> Self {
        Self { taken: AtomicUsize::new(0), limit: AtomicUsize::new(limit) }
    }

    fn take(&self) -> bool {
        let limit = self.limit.load(Relaxed);
        let one_more = |taken: usize| (taken < limit).then_some(taken + 1);
        self.taken.fetch_update(Relaxed, Relaxed, one_more).is_ok()
    }

    fn give_back(&self) {
        self.taken.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fixture::load;

    fn places(limits: &str) -> Arc<Places> {
        Places::new(&load(&format!("[limits]\n{limits}")).limits)
    }

    #[test]
    fn strangers_leave_places_to_whoever_proves_himself() {
        let places = places(
            "connections = 4\nunproven_connections = 3\nsite_requests_in_flight = 1\ntunnels = 1",
        );
        let mut held: Vec<_> = (0..3).map(|_| places.take().expect("is free")).collect();

        assert_eq!(places.take().map(drop), Err(Full::Unproven));
        held.first_mut().expect("is there").prove();
        held.push(places.take().expect("one stranger fewer"));
        assert_eq!(places.take().map(drop), Err(Full::All));
        assert!(!places.has_room());
        held.remove(0);
        assert!(places.has_room());
        assert_eq!(places.take().map(drop), Err(Full::Unproven), "it was a proven one's");
    }

    #[test]
    fn a_lower_limit_is_in_force_at_once() {
        let places = places("connections = 10");
        let held: Vec<_> = (0..5).map(|_| places.take().expect("is free")).collect();

        places.resize(&load("[limits]\nconnections = 4").limits);

        assert_eq!(places.take().map(drop), Err(Full::All));
        drop(held);
        assert!(places.take().is_ok());
    }

    #[test]
    fn a_network_has_its_share_until_it_gives_it_back() {
        let places = places("connections = 10\nconnections_per_network = 2");
        let of = |address: &str| {
            let mut place = places.take().expect("is free");
            place.join_network(address.parse().expect("an address")).map(|()| place)
        };
        let first = of("2001:db8::1");
        let mut second = of("2001:db8::2");
        assert!(first.is_ok() && second.is_ok());

        assert!(of("2001:db8:0:0:ffff::3").is_err());
        assert!(of("2001:db8:0:1::3").is_ok());
        assert!(of("192.0.2.1").is_ok());
        second.as_mut().expect("is there").prove();
        assert!(of("2001:db8::4").is_ok());
        drop((first, second));
        assert!(places.networks.lock().expect("not poisoned").is_empty());
    }
}
