//! The connections of one worker that have proven nothing, and which of them gives way.
//!
//! In: each connection, from accept to the moment when it has proven itself. Out: when there is no
//! place for another, the one that has been idle for longest loses its own, and is dropped by its
//! task. One whose request is being answered is never taken.

use std::cell::{Cell, OnceCell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use tokio::time::Instant;

use super::places::{Full, Place, Places};
use crate::config::Network;
use crate::server::timeouts::ConnectionTimeouts;

/// Those of one worker, in the order in which they were accepted.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    unproven: RefCell<BTreeMap<u64, Rc<Slot>>>,
    /// How many of them have not ended their handshake.
    handshakes: Cell<usize>,
    next: Cell<u64>,
}

/// One connection's.
#[derive(Debug)]
pub(crate) struct Slot {
    number: u64,
    accepted: Instant,
    /// From the end of its handshake.
    timeouts: OnceCell<Arc<ConnectionTimeouts>>,
    /// `None`: taken away.
    place: RefCell<Option<Place>>,
    /// Its task's.
    waker: RefCell<Option<Waker>>,
}

impl Slots {
    /// A place for a connection that was just accepted, if need be another one's; and how many gave
    /// way for it. `None`: all are busy.
    pub(crate) fn enter(
        &self,
        places: &Arc<Places>,
        handshakes_max: usize,
    ) -> (Option<Rc<Slot>>, u64) {
        let mut evicted = 0;
        while self.handshakes.get() >= handshakes_max && self.evict(self.busiest_handshake()) {
            evicted += 1;
        }
        let place = loop {
            match places.take() {
                Ok(place) => break place,
                Err(Full::All | Full::Unproven) if self.evict(self.longest_idle()) => evicted += 1,
                Err(Full::All | Full::Unproven) => return (None, evicted),
            }
        };
        let number = self.next.replace(self.next.get() + 1);
        let slot = Rc::new(Slot {
            number,
            accepted: Instant::now(),
            timeouts: OnceCell::new(),
            place: RefCell::new(Some(place)),
            waker: RefCell::default(),
        });
        self.unproven.borrow_mut().insert(number, Rc::clone(&slot));
        self.handshakes.set(self.handshakes.get() + 1);
        (Some(slot), evicted)
    }

    /// Whether any could give way.
    pub(crate) fn has_idle(&self) -> bool {
        self.unproven.borrow().values().any(|slot| slot.idle_since().is_some())
    }

    /// The handshake of this one is over, and HTTP begins.
    pub(crate) fn begins_http(&self, slot: &Slot, timeouts: &Arc<ConnectionTimeouts>) {
        let is_known = self.unproven.borrow().contains_key(&slot.number);
        if slot.timeouts.set(Arc::clone(timeouts)).is_ok() && is_known {
            self.handshakes.set(self.handshakes.get().saturating_sub(1));
        }
    }

    /// This one has proven itself, or has ended: it never gives way, and takes nothing of what
    /// strangers share.
    pub(crate) fn leave(&self, slot: &Slot) {
        self.hold(slot);
        if let Some(place) = &mut *slot.place.borrow_mut() {
            place.prove();
        }
    }

    /// This one never gives way, although it has proven nothing: something else bounds it.
    pub(crate) fn hold(&self, slot: &Slot) {
        let _unless_evicted = self.remove(slot.number);
    }

    fn remove(&self, number: u64) -> Option<Rc<Slot>> {
        let slot = self.unproven.borrow_mut().remove(&number)?;
        if slot.is_in_handshake() {
            self.handshakes.set(self.handshakes.get().saturating_sub(1));
        }
        Some(slot)
    }

    fn longest_idle(&self) -> Option<u64> {
        let unproven = self.unproven.borrow();
        let idle = unproven.values().filter_map(|slot| Some((slot.idle_since()?, slot.number)));
        idle.min().map(|(_, number)| number)
    }

    /// The longest handshake of the network that has most under way: a caller from elsewhere, whose
    /// answers take a while to come, does not give way to a flood from one place.
    fn busiest_handshake(&self) -> Option<u64> {
        let unproven = self.unproven.borrow();
        let mut networks: HashMap<Option<Network>, (usize, u64)> = HashMap::new();
        for slot in unproven.values().filter(|slot| slot.is_in_handshake()) {
            // In the order in which they were accepted: the first is the longest.
            let (count, _longest) = networks.entry(slot.network()).or_insert((0, slot.number));
            *count += 1;
        }
        let busiest =
            networks.into_values().max_by_key(|(count, number)| (*count, Reverse(*number)));
        busiest.map(|(_, number)| number)
    }

    /// Takes the place of this one; answers whether there was one to take.
    fn evict(&self, number: Option<u64>) -> bool {
        let Some(slot) = number.and_then(|number| self.remove(number)) else { return false };
        drop(slot.place.take());
        if let Some(waker) = slot.waker.take() {
            waker.wake();
        }
        true
    }
}

impl Slot {
    /// Counts it among the connections of its caller's network; answers whether it may stay.
    pub(crate) fn join_network(&self, caller: std::net::IpAddr) -> bool {
        match &mut *self.place.borrow_mut() {
            Some(place) => place.join_network(caller).is_ok(),
            None => false,
        }
    }

    /// What `serving` comes to; `None` if it had to give way before.
    pub(crate) async fn unless_evicted<T>(&self, serving: impl Future<Output = T>) -> Option<T> {
        let mut serving = pin!(serving);
        poll_fn(|cx| {
            if self.place.borrow().is_none() {
                return Poll::Ready(None);
            }
            if self.waker.borrow().is_none() {
                *self.waker.borrow_mut() = Some(cx.waker().clone());
            }
            serving.as_mut().poll(cx).map(Some)
        })
        .await
    }

    fn network(&self) -> Option<Network> {
        self.place.borrow().as_ref().and_then(Place::network)
    }

    fn is_in_handshake(&self) -> bool {
        self.timeouts.get().is_none()
    }

    /// `None` while a request of it is being answered.
    fn idle_since(&self) -> Option<Instant> {
        match self.timeouts.get() {
            Some(timeouts) => timeouts.idle_since(),
            None => Some(self.accepted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fixture::load;

    #[test]
    fn at_the_limit_of_handshakes_a_flood_from_one_network_makes_way_for_itself() {
        let places = Places::new(&load("").limits);
        let slots = Slots::default();
        let enter = |caller: &str| {
            let (slot, _evicted) = slots.enter(&places, 4);
            let slot = slot.expect("there is room");
            assert!(slot.join_network(caller.parse().expect("an address")));
            slot
        };
        let genuine = enter("192.0.2.1");
        let flood: Vec<_> = (0..20).map(|_| enter("198.51.100.7")).collect();

        let is_there = |slot: &Rc<Slot>| slot.place.borrow().is_some();
        assert!(is_there(&genuine));
        let left: Vec<_> = flood.iter().map(is_there).collect();
        assert_eq!(left.iter().filter(|is_there| **is_there).count(), 3);
        assert_eq!(left.last_chunk::<3>(), Some(&[true; 3]), "the longest went first");
        assert_eq!(slots.handshakes.get(), 4);
    }
}
