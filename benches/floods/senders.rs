//! Eight genuine senders: mTLS, signed events, kept-alive connections and now and then a new one.
//!
//! An event is due a little after the answer to the one before. It has failed if its status is not
//! 200, if its connection breaks or is closed, also while it waits, or if the answer takes longer
//! than five seconds, connect and handshake included. Senders can be far away: then each notices what
//! the proxy sends, and its connect, one round trip later.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use rustls::ClientConfig;
use serde_json::{Value, json};

use crate::connection::{Answer, Connection};
use crate::request::Request;
use crate::tls::{self, Identity, Sessions};

pub(crate) struct Senders {
    address: SocketAddr,
    request: Vec<u8>,
    poll: Poll,
    senders: Vec<Sender>,
    round_trip: Duration,
    scratch: Vec<u8>,
    started: Instant,
    failures: u64,
    reasons: BTreeMap<String, u64>,
    /// When each event was due, from the start, and how long its answer took.
    answers: Vec<(Duration, Duration)>,
}

struct Sender {
    tls: Arc<ClientConfig>,
    connection: Option<Connection>,
    /// Events left until it connects anew.
    left: usize,
    /// When the next event is due; of the one that waits for its answer, when that was due.
    due: Instant,
    waits: bool,
    /// When it notices what has come.
    notices: Option<Instant>,
}

impl Senders {
    pub(crate) fn new(address: SocketAddr, pki: &Path, round_trip: Duration) -> Self {
        let started = Instant::now();
        let sender = |number| {
            // Every other one resumes its sessions.
            let sessions = if number % 2 == 0 { Sessions::Kept } else { Sessions::Forgotten };
            Sender {
                tls: tls::client(pki, Identity::Right, sessions),
                connection: None,
                left: 0,
                due: started,
                waits: false,
                notices: None,
            }
        };
        Self {
            address,
            request: Request::signed(pki, 1024).into_bytes(),
            poll: Poll::new().unwrap(),
            senders: (0..SENDERS).map(sender).collect(),
            round_trip,
            scratch: vec![0; 64 * 1024],
            started,
            failures: 0,
            reasons: BTreeMap::new(),
            answers: Vec::new(),
        }
    }

    /// Sends until `ended`, and reports; what is due `before` after the start is due during the flood.
    pub(crate) fn run(mut self, before: Duration, ended: &AtomicBool) -> Value {
        let mut events = Events::with_capacity(64);
        self.started = Instant::now();
        for (number, sender) in (0..).zip(&mut self.senders) {
            sender.due = self.started + PAUSE * number / SENDERS;
        }
        loop {
            let ending = ended.load(Ordering::Relaxed);
            if ending && self.senders.iter().all(|sender| !sender.waits) {
                return self.report(before);
            }
            for number in 0..self.senders.len() {
                self.look(number, ending);
            }
            match self.poll.poll(&mut events, Some(TICK)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled.unwrap(),
            }
            for event in &events {
                self.note(event.token().0);
            }
        }
    }

    /// Sends what is due, and gives up what has taken too long.
    fn look(&mut self, number: usize, ending: bool) {
        let sender = &mut self.senders[number];
        let late = Instant::now().saturating_duration_since(sender.due);
        if sender.waits && late > PATIENCE {
            self.fail(number, &format!("no answer within {} s", PATIENCE.as_secs()));
        } else if !sender.waits && !ending && late > Duration::ZERO {
            self.send(number);
        }
        let sender = &mut self.senders[number];
        if sender.notices.is_some_and(|notices| notices <= Instant::now()) {
            sender.notices = None;
            self.advance(number);
        }
    }

    fn note(&mut self, number: usize) {
        if self.round_trip.is_zero() {
            return self.advance(number);
        }
        let notices = Instant::now() + self.round_trip;
        self.senders[number].notices.get_or_insert(notices);
    }

    fn send(&mut self, number: usize) {
        let sender = &mut self.senders[number];
        sender.waits = true;
        if sender.left == 0
            && let Some(old) = sender.connection.take()
        {
            old.close();
        }
        if let Some(connection) = &mut sender.connection {
            connection.begin();
            self.advance(number);
        } else {
            let (registry, token) = (self.poll.registry(), Token(number));
            match Connection::open(self.address, number, &sender.tls, registry, token) {
                Ok(connection) => sender.connection = Some(connection),
                Err(fault) => return self.fail(number, &fault.to_string()),
            }
            sender.left = EVENTS_A_CONNECTION;
        }
        self.senders[number].left -= 1;
    }

    fn advance(&mut self, number: usize) {
        let sender = &mut self.senders[number];
        let Some(connection) = &mut sender.connection else {
            return;
        };
        if !sender.waits {
            if connection.is_closed(&mut self.scratch) {
                self.fail(number, "closed between two events");
            }
            return;
        }
        match connection.advance(&self.request, &mut self.scratch) {
            Ok(None) => {}
            Ok(Some(answer)) => self.answered(number, answer),
            Err(fault) => self.fail(number, &fault.to_string()),
        }
    }

    fn answered(&mut self, number: usize, answer: Answer) {
        if answer.status != 200 {
            return self.fail(number, &format!("status {}", answer.status));
        }
        let (now, sender) = (Instant::now(), &mut self.senders[number]);
        self.answers.push((sender.due - self.started, now - sender.due));
        sender.waits = false;
        sender.due = now + PAUSE;
        if answer.last {
            sender.connection = None;
        }
    }

    fn fail(&mut self, number: usize, reason: &str) {
        self.failures += 1;
        *self.reasons.entry(reason.to_owned()).or_default() += 1;
        let sender = &mut self.senders[number];
        sender.connection = None;
        sender.left = 0;
        sender.waits = false;
        sender.due = Instant::now() + PAUSE;
    }

    fn report(self, before: Duration) -> Value {
        let p99_ms = |wanted: &dyn Fn(Duration) -> bool| {
            let chosen = self.answers.iter().filter(|(due, _)| wanted(*due));
            let mut times: Vec<Duration> = chosen.map(|(_, took)| *took).collect();
            times.sort_unstable();
            times.get(times.len() * 99 / 100).map(|took| took.as_secs_f64() * 1e3)
        };
        json!({
            "events": self.answers.len() as u64 + self.failures,
            "failures": self.failures,
            "reasons": self.reasons,
            "p99_before_ms": p99_ms(&|due| due < before),
            "p99_during_ms": p99_ms(&|due| due >= before),
        })
    }
}

const SENDERS: u32 = 8;

/// From an answer to the next event.
const PAUSE: Duration = Duration::from_millis(20);

/// After so many events a sender connects anew.
const EVENTS_A_CONNECTION: usize = 20;

/// Meta waits five seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// How exact due times and patience are.
const TICK: Duration = Duration::from_millis(2);
