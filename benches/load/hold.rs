//! Opens connections that do one request each and then stay, and weighs the proxy.

use std::io::ErrorKind;
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use serde_json::{Value, json};

use crate::Target;
use crate::closed_loop::Tally;
use crate::connection::Connection;
use crate::cost::Charged;
use crate::request::Request;
use crate::tls::{self, Identity, Sessions};

/// Holds `wanted` connections, for as long as the answer lives; says what one weighs, and whether
/// the weight grows evenly.
pub(crate) fn run(target: &Target, wanted: usize) -> (Value, Hold<'_>) {
    let charged = Charged::new(&target.pids);
    let mut hold = Hold {
        target,
        poll: Poll::new().unwrap(),
        tls: tls::client(&target.pki, Identity::Right, Sessions::Forgotten),
        request: Request::signed(&target.pki, 1024).into_bytes(),
        held: Vec::new(),
        scratch: vec![0; 64 * 1024],
        tally: Tally::default(),
    };
    let mut weights = vec![charged.resident_bytes()];
    for quarter in 1..=4 {
        hold.grow_to(wanted * quarter / 4);
        thread::sleep(SETTLE);
        weights.push(charged.resident_bytes());
    }
    let lost = hold.lost();
    let per_connection = |from: usize, to: usize| {
        let quarters = to - from;
        (weights[to] as f64 - weights[from] as f64) / (wanted * quarters / 4) as f64
    };
    let said = json!({
        "connections": wanted,
        "errors": hold.tally.errors + lost,
        "first_error": hold.tally.first_error,
        "lost": lost,
        "resident_bytes": weights,
        "bytes_per_connection": per_connection(0, 4),
        "bytes_per_connection_first_half": per_connection(0, 2),
        "bytes_per_connection_second_half": per_connection(2, 4),
    });
    (said, hold)
}

/// Connections that stay until it is dropped.
pub(crate) struct Hold<'a> {
    target: &'a Target,
    poll: Poll,
    tls: std::sync::Arc<rustls::ClientConfig>,
    request: Vec<u8>,
    held: Vec<Held>,
    scratch: Vec<u8>,
    tally: Tally,
}

struct Held {
    connection: Connection,
    answered: bool,
}

impl Hold<'_> {
    /// Opens more, a few at a time, until `wanted` have had their answer.
    fn grow_to(&mut self, wanted: usize) {
        let mut events = Events::with_capacity(256);
        let mut settled = self.held.len();
        let end = Instant::now() + GROWTH_TIMEOUT;
        while settled < wanted && Instant::now() < end {
            while self.held.len() < wanted && self.held.len() - settled < AT_ONCE {
                self.open();
            }
            match self.poll.poll(&mut events, Some(Duration::from_millis(100))) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled.unwrap(),
            }
            for event in &events {
                settled += usize::from(self.advance(event.token().0));
            }
        }
        assert!(settled >= wanted, "{settled} of {wanted} connections stand: {:?}", self.tally);
    }

    fn open(&mut self) {
        let key = self.held.len();
        let (address, registry) = (self.target.connect, self.poll.registry());
        let connection = Connection::open(address, key, &self.tls, registry, Token(key)).unwrap();
        self.held.push(Held { connection, answered: false });
    }

    /// Carries one on; `true` when it gets its answer or fails.
    fn advance(&mut self, key: usize) -> bool {
        let held = &mut self.held[key];
        if held.answered {
            return false; // closed by the proxy; counted by `lost`
        }
        match held.connection.advance(&self.request, &mut self.scratch) {
            Ok(None) => return false,
            Ok(Some(answer)) => self.tally.answered(answer),
            Err(fault) => self.tally.fail(&fault),
        }
        held.answered = true;
        true
    }

    /// How many of them the proxy has closed.
    fn lost(&mut self) -> u64 {
        let scratch = &mut self.scratch;
        self.held.iter_mut().map(|held| u64::from(held.connection.is_closed(scratch))).sum()
    }
}

/// Handshakes at a time.
const AT_ONCE: usize = 16;

/// For a proxy to give back what the last requests used.
const SETTLE: Duration = Duration::from_millis(500);

/// For a quarter of the connections; a proxy that takes longer has stopped.
const GROWTH_TIMEOUT: Duration = Duration::from_secs(120);
