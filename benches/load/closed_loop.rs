//! The closed loop: each of N connections sends its next request when it has its answer.
//!
//! So the proxy is busy all the time, and the rate is what it can do. Counts start after a warm-up;
//! errors count from the beginning.

use std::fmt::Display;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use rustls::ClientConfig;
use serde_json::{Value, json};

use crate::Reuse;
use crate::connection::{Answer, Connection, Fault};
use crate::cost::Charged;

/// What is to be done.
pub(crate) struct ClosedLoop {
    pub(crate) address: SocketAddr,
    /// One configuration a connection, so that each resumes its own sessions.
    pub(crate) tls: Vec<Arc<ClientConfig>>,
    pub(crate) request: Vec<u8>,
    pub(crate) reuse: Reuse,
    pub(crate) warmup: Duration,
    pub(crate) counted: Duration,
    pub(crate) charged: Charged,
}

/// What has happened so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) answers: u64,
    pub(crate) errors: u64,
    pub(crate) full_handshakes: u64,
    pub(crate) resumed_handshakes: u64,
    pub(crate) first_error: Option<String>,
}

impl Tally {
    pub(crate) fn fail(&mut self, error: &dyn Display) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| error.to_string());
    }

    /// Counts an answer, which must be a 200.
    pub(crate) fn answered(&mut self, answer: Answer) {
        self.answers += 1;
        if answer.status != 200 {
            self.fail(&format_args!("status {}", answer.status));
        }
    }

    fn handshaken(&mut self, connection: &Connection) {
        if connection.resumed() {
            self.resumed_handshakes += 1;
        } else {
            self.full_handshakes += 1;
        }
    }
}

impl ClosedLoop {
    /// Runs it and reports in one line.
    pub(crate) fn run(&self) -> Value {
        let mut run = Run::new(self);
        let started = Instant::now();
        run.until(started + self.warmup);

        let (counting, answers) = (Instant::now(), run.tally.answers);
        let (full, resumed) = (run.tally.full_handshakes, run.tally.resumed_handshakes);
        let cpu_ns = self.charged.cpu_ns();
        run.until(counting + self.counted);
        let cpu_ns = self.charged.cpu_ns() - cpu_ns;
        let seconds = counting.elapsed().as_secs_f64();
        let answers = run.tally.answers - answers;
        let full = run.tally.full_handshakes - full;
        let resumed = run.tally.resumed_handshakes - resumed;
        // A few tickets may be stale when a key rotates; more would make the figure another one.
        if self.reuse == Reuse::ResumedHandshake && full * 100 > resumed {
            run.tally.fail(&format_args!("{full} sessions were not resumed, {resumed} were"));
        }

        json!({
            "requests": answers,
            "errors": run.tally.errors,
            "first_error": run.tally.first_error,
            "seconds": seconds,
            "requests_per_second": answers as f64 / seconds,
            "cpu_us_per_request": cpu_ns as f64 / 1e3 / answers as f64,
            "cpu_share": cpu_ns as f64 / 1e9 / seconds,
            "full_handshakes": full,
            "resumed_handshakes": resumed,
        })
    }
}

struct Run<'a> {
    plan: &'a ClosedLoop,
    poll: Poll,
    connections: Vec<Option<Connection>>,
    scratch: Vec<u8>,
    tally: Tally,
}

impl<'a> Run<'a> {
    fn new(plan: &'a ClosedLoop) -> Self {
        Self {
            plan,
            poll: Poll::new().unwrap(),
            connections: plan.tls.iter().map(|_| None).collect(),
            scratch: vec![0; 64 * 1024],
            tally: Tally::default(),
        }
    }

    fn until(&mut self, end: Instant) {
        let mut events = Events::with_capacity(1024);
        loop {
            for slot in 0..self.connections.len() {
                if self.connections[slot].is_none() {
                    self.open(slot);
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            match self.poll.poll(&mut events, Some(left.min(RETRY_AFTER))) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled.unwrap(),
            }
            for event in &events {
                self.advance(event.token().0);
            }
        }
    }

    fn open(&mut self, slot: usize) {
        let (registry, tls) = (self.poll.registry(), &self.plan.tls[slot]);
        match Connection::open(self.plan.address, slot, tls, registry, Token(slot)) {
            Ok(connection) => self.connections[slot] = Some(connection),
            Err(fault) => self.tally.fail(&fault),
        }
    }

    /// Carries one connection on; where its request was answered, the next one begins at once.
    fn advance(&mut self, slot: usize) {
        while let Some(connection) = &mut self.connections[slot] {
            match connection.advance(&self.plan.request, &mut self.scratch) {
                Ok(None) => return,
                Ok(Some(answer)) => self.answered(slot, answer),
                Err(fault) => self.failed(slot, &fault),
            }
        }
    }

    fn answered(&mut self, slot: usize, answer: Answer) {
        self.tally.answered(answer);
        let Some(connection) = &mut self.connections[slot] else {
            return;
        };
        if self.plan.reuse == Reuse::KeepAlive && !answer.last {
            connection.begin();
        } else if let Some(connection) = self.connections[slot].take() {
            self.tally.handshaken(&connection);
            connection.close();
            self.open(slot);
        }
    }

    fn failed(&mut self, slot: usize, fault: &Fault) {
        self.tally.fail(fault);
        self.connections[slot] = None;
    }
}

/// How long a connection that could not be opened waits for its next attempt.
const RETRY_AFTER: Duration = Duration::from_millis(50);
