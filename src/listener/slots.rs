//! The connections of one worker that have proven nothing, and which of them gives way.
//!
//! In: each connection, from accept to the moment when it has proven itself. Out: when there is no
//! place for another, the one that has been idle for longest loses its own, and is dropped by its
//! task. One whose request is being answered is never taken.

use std::cell::{Cell, OnceCell, RefCell};
use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use super::places::{Full, Place, Places};
use crate::config::Network;
use crate::server::timeouts::ConnectionTimeouts;

/// Those of one worker.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    /// In the order in which they were accepted.
    handshakes: RefCell<BTreeMap<u64, Rc<Slot>>>,
    /// How many of these each network has.
    networks: RefCell<HashMap<Network, usize>>,
    /// Those that speak HTTP.
    http: RefCell<BTreeMap<u64, Rc<Slot>>>,
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
        while self.handshakes.borrow().len() >= handshakes_max
            && self.evict(self.oldest_handshake())
        {
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
        self.handshakes.borrow_mut().insert(number, Rc::clone(&slot));
        (Some(slot), evicted)
    }

    /// Whether one more connection would find a place, perhaps that of another, without taking one
    /// from a handshake that has hardly begun.
    pub(crate) fn has_room(&self, places: &Places, handshakes_max: usize) -> bool {
        self.has_room_for_handshake(handshakes_max) && (places.has_room() || self.has_idle())
    }

    /// Below the limit there is. At the limit a handshake has had its time, or belongs to a network
    /// that has many under way, which need not be waited for.
    fn has_room_for_handshake(&self, handshakes_max: usize) -> bool {
        let handshakes = self.handshakes.borrow();
        if handshakes.len() < handshakes_max {
            return true;
        }
        let Some(slot) =
            self.oldest_handshake().and_then(|number| handshakes.get(&number).cloned())
        else {
            return true;
        };
        let networks = self.networks.borrow();
        let count = slot.network().and_then(|network| networks.get(&network).copied());
        slot.accepted.elapsed() >= HANDSHAKE_SPARED
            || count.is_some_and(|count| count > handshakes_max / MANY_PARTS)
    }

    fn has_idle(&self) -> bool {
        !self.handshakes.borrow().is_empty()
            || self.http.borrow().values().any(|slot| slot.idle_since().is_some())
    }

    /// Counts this one among the connections of its caller's network; answers whether it may stay.
    pub(crate) fn join_network(&self, slot: &Slot, caller: IpAddr) -> bool {
        let joined = match &mut *slot.place.borrow_mut() {
            Some(place) => place.join_network(caller).is_ok(),
            None => false,
        };
        if joined && let Some(network) = slot.network() {
            *self.networks.borrow_mut().entry(network).or_default() += 1;
        }
        joined
    }

    /// The handshake of this one is over, and HTTP begins.
    pub(crate) fn begins_http(&self, slot: &Slot, timeouts: &Arc<ConnectionTimeouts>) {
        let Some(known) = self.remove(slot.number) else { return };
        let _only_once = slot.timeouts.set(Arc::clone(timeouts));
        self.http.borrow_mut().insert(slot.number, known);
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
        let Some(slot) = self.handshakes.borrow_mut().remove(&number) else {
            return self.http.borrow_mut().remove(&number);
        };
        if let Some(network) = slot.network()
            && let Entry::Occupied(mut count) = self.networks.borrow_mut().entry(network)
        {
            match *count.get() {
                0 | 1 => drop(count.remove()),
                several => *count.get_mut() = several - 1,
            }
        }
        Some(slot)
    }

    fn longest_idle(&self) -> Option<u64> {
        let http = self.http.borrow();
        let idle = http.values().filter_map(|slot| Some((slot.idle_since()?, slot.number)));
        let handshakes = self.handshakes.borrow();
        let oldest = handshakes.values().next().map(|slot| (slot.accepted, slot.number));
        idle.chain(oldest).min().map(|(_, number)| number)
    }

    /// One of the longest handshakes, of the network that has most under way: a caller from
    /// elsewhere, whose answers take a while to come, does not give way to a flood from one place.
    fn oldest_handshake(&self) -> Option<u64> {
        let (handshakes, networks) = (self.handshakes.borrow(), self.networks.borrow());
        let count = |slot: &Slot| slot.network().and_then(|network| networks.get(&network));
        let oldest = handshakes.values().take(COMPARED);
        let oldest = oldest.max_by_key(|slot| (count(slot), Reverse(slot.number)));
        oldest.map(|slot| slot.number)
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

    /// `None` while a request of it is being answered.
    fn idle_since(&self) -> Option<Instant> {
        match self.timeouts.get() {
            Some(timeouts) => timeouts.idle_since(),
            None => Some(self.accepted),
        }
    }
}

/// At the limit of handshakes, each has at least this much time, while new connections wait in the
/// kernel's queue: two round trips from nearly anywhere.
const HANDSHAKE_SPARED: Duration = Duration::from_millis(500);

/// A network that has more than this part of all handshakes is a flood from one place.
const MANY_PARTS: usize = 16;

/// Enough to find a flood among the longest handshakes, and few enough for every connection.
const COMPARED: usize = 16;

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
            assert!(slots.join_network(&slot, caller.parse().expect("an address")));
            slot
        };
        let genuine = enter("192.0.2.1");
        let flood: Vec<_> = (0..20).map(|_| enter("198.51.100.7")).collect();

        let is_there = |slot: &Rc<Slot>| slot.place.borrow().is_some();
        assert!(is_there(&genuine));
        let left: Vec<_> = flood.iter().map(is_there).collect();
        assert_eq!(left.iter().filter(|is_there| **is_there).count(), 3);
        assert_eq!(left.last_chunk::<3>(), Some(&[true; 3]), "the longest went first");
        assert_eq!(slots.handshakes.borrow().len(), 4);
        let count = |slot: &Rc<Slot>| {
            slot.network().and_then(|network| slots.networks.borrow().get(&network).copied())
        };
        assert_eq!((count(&genuine), flood.last().and_then(count)), (Some(1), Some(3)));
        slots.leave(&genuine);
        assert_eq!(slots.networks.borrow().len(), 1);
    }
    #[tokio::test(start_paused = true)]
    async fn handshakes_from_many_networks_are_spared_for_half_a_second_and_from_one_are_not() {
        let places = Places::new(&load("").limits);
        let enter = |slots: &Slots, caller: String| {
            let (slot, _evicted) = slots.enter(&places, 32);
            let slot = slot.expect("there is room");
            assert!(slots.join_network(&slot, caller.parse().expect("an address")));
        };
        let (many, one) = (Slots::default(), Slots::default());
        for number in 0..32 {
            assert!(many.has_room(&places, 32) && one.has_room(&places, 32));
            enter(&many, format!("192.0.2.{number}"));
            enter(&one, "198.51.100.7".to_owned());
        }

        assert!(one.has_room(&places, 32));
        assert!(!many.has_room(&places, 32));
        tokio::time::advance(HANDSHAKE_SPARED - Duration::from_millis(1)).await;
        assert!(!many.has_room(&places, 32));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(many.has_room(&places, 32));
    }
}
