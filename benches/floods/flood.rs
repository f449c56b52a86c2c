//! Plays a flood: keeps its connections open and does on each what the plan says, for a time.
//!
//! In: a plan. Out: what it achieved. A connection that the proxy closes is opened again.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::Args;
use mio::event::Event;
use mio::{Events, Poll, Token};
use serde_json::{Value, json};

use crate::http1;
use crate::stranger::{Layer, Stranger};

/// What a flood consists of.
pub(crate) struct Plan {
    /// What is counted: frames, handshakes.
    pub(crate) unit: &'static str,
    /// Open at once.
    pub(crate) connections: usize,
    /// Of these, being opened at once.
    pub(crate) opening: usize,
    pub(crate) layer: Layer,
    /// How much the kernel may receive for a stranger; its default if `None`.
    pub(crate) receive_buffer_bytes: Option<usize>,
    /// What the connection of this number does.
    pub(crate) script: Box<dyn Fn(usize) -> Script>,
}

/// What is done on one connection.
pub(crate) struct Script {
    /// Sent as soon as it stands.
    pub(crate) first: Vec<u8>,
    pub(crate) then: Then,
}

pub(crate) enum Then {
    /// Reads what comes, and sends nothing more.
    Hold,
    /// Does not even read.
    Stop,
    /// Closes, and another connection takes its place.
    Close,
    /// The same with a RST.
    Reset,
    /// Sends the first bytes again after each answer (HTTP/1.1).
    Again,
    /// Sends these bytes each second.
    Drip(Vec<u8>),
    /// Sends as fast as the proxy takes it: puts the next bytes into the buffer, and says how many
    /// units they are.
    Stream(More),
}

pub(crate) type More = Box<dyn FnMut(&mut Vec<u8>) -> u64>;

/// How much of a plan may be.
#[derive(Args)]
pub(crate) struct Bounds {
    /// Connections at once, in place of the flood's own number where that is more.
    #[arg(long, default_value_t = usize::MAX)]
    most_connections: usize,
    /// Addresses to connect from.
    #[arg(long, default_value_t = 62_500)]
    addresses: usize,
}

/// Runs the plan within bounds.
pub(crate) fn run(plan: Plan, address: SocketAddr, during: Duration, bounds: &Bounds) -> Value {
    let connections = plan.connections.min(bounds.most_connections);
    let mut flood = Flood {
        plan,
        address,
        addresses: bounds.addresses,
        poll: Poll::new().unwrap(),
        places: (0..connections).map(|_| None).collect(),
        vacant: (0..connections).rev().collect(),
        ready: VecDeque::new(),
        scratch: vec![0; 64 * 1024],
        batch: Vec::new(),
        opening: 0,
        started: 0,
        opened: 0,
        cut: 0,
        units: 0,
        statuses: BTreeMap::new(),
        first_error: None,
    };
    let started = Instant::now();
    flood.until(started + during);
    let held = flood.places.iter().flatten().filter(|place| place.open).count();
    json!({
        "unit": flood.plan.unit,
        "units": flood.units,
        "units_per_second": flood.units as f64 / started.elapsed().as_secs_f64(),
        "connections": connections,
        "opened": flood.opened,
        "cut": flood.cut,
        "held": held,
        "statuses": flood.statuses,
        "first_error": flood.first_error,
    })
}

struct Flood {
    plan: Plan,
    address: SocketAddr,
    addresses: usize,
    poll: Poll,
    places: Vec<Option<Place>>,
    /// Places without a connection.
    vacant: Vec<usize>,
    /// Places that have something to do, each at most once.
    ready: VecDeque<usize>,
    scratch: Vec<u8>,
    batch: Vec<u8>,
    opening: usize,
    /// Connections ever, which is the number of the next one.
    started: usize,
    opened: u64,
    cut: u64,
    units: u64,
    statuses: BTreeMap<String, u64>,
    first_error: Option<String>,
}

struct Place {
    stranger: Stranger,
    script: Script,
    open: bool,
    queued: bool,
    /// The kernel says that the proxy has closed.
    hung_up: bool,
    /// Of an HTTP/1.1 answer, what has come.
    received: Vec<u8>,
}

/// What is to become of a connection after a turn.
enum Next {
    /// It waits for the socket.
    Wait,
    /// It can go on at once.
    GoOn,
    /// It has done what it was for.
    Close,
}

impl Flood {
    fn until(&mut self, end: Instant) {
        let mut events = Events::with_capacity(1024);
        let mut tick = Instant::now();
        let mut ticks = 0;
        while Instant::now() < end {
            self.open_vacant();
            if Instant::now() >= tick {
                self.drip(ticks % TICKS_A_SECOND);
                ticks += 1;
                tick += Duration::from_secs(1) / TICKS_A_SECOND;
            }
            let timeout = if self.ready.is_empty() { TURN } else { Duration::ZERO };
            match self.poll.poll(&mut events, Some(timeout)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled.unwrap(),
            }
            for event in &events {
                self.note(event);
            }
            for _ in 0..self.ready.len().min(CONNECTIONS_A_TURN) {
                if let Some(number) = self.ready.pop_front() {
                    self.turn(number);
                }
            }
        }
    }

    fn open_vacant(&mut self) {
        while self.opening < self.plan.opening
            && let Some(number) = self.vacant.pop()
        {
            self.started += 1;
            let opened = Stranger::open(
                self.address,
                self.started % self.addresses,
                &self.plan.layer,
                self.plan.receive_buffer_bytes,
                self.poll.registry(),
                Token(number),
            );
            match opened {
                Ok(stranger) => {
                    self.opening += 1;
                    self.places[number] = Some(Place {
                        stranger,
                        script: (self.plan.script)(self.started),
                        open: false,
                        queued: false,
                        hung_up: false,
                        received: Vec::new(),
                    });
                }
                Err(error) => {
                    self.first_error.get_or_insert_with(|| error.to_string());
                    return self.vacant.push(number);
                }
            }
        }
    }

    fn note(&mut self, event: &Event) {
        let number = event.token().0;
        if let Some(place) = &mut self.places[number] {
            place.hung_up |= event.is_error() || event.is_read_closed();
            if !place.queued {
                place.queued = true;
                self.ready.push_back(number);
            }
        }
    }

    /// A tenth of the connections, each tenth once a second.
    fn drip(&mut self, tick: u32) {
        let (tick, step) = (tick as usize, TICKS_A_SECOND as usize);
        for number in (tick..self.places.len()).step_by(step) {
            let Some(place) = &mut self.places[number] else { continue };
            if place.open
                && let Then::Drip(piece) = &place.script.then
                && place.stranger.has_sent()
            {
                self.units += 1;
                place.stranger.push(piece);
                // A failure shows at the next event.
                let _failed = place.stranger.send();
            }
        }
    }

    fn turn(&mut self, number: usize) {
        let Some(mut place) = self.places[number].take() else {
            return;
        };
        place.queued = false;
        let next = self.advance(&mut place);
        if next.is_err() && !place.open {
            self.opening -= 1;
        }
        match next {
            Ok(Next::Wait) => self.places[number] = Some(place),
            Ok(Next::GoOn) => {
                place.queued = true;
                self.ready.push_back(number);
                self.places[number] = Some(place);
            }
            Ok(Next::Close) => {
                if matches!(place.script.then, Then::Reset) {
                    place.stranger.reset();
                }
                self.vacant.push(number);
            }
            Err(error) => {
                self.cut += 1;
                self.first_error.get_or_insert_with(|| error.to_string());
                self.vacant.push(number);
            }
        }
    }

    /// Reads, and sends what is due; an error if the proxy has ended the connection.
    fn advance(&mut self, place: &mut Place) -> io::Result<Next> {
        let reads = !place.open || !matches!(place.script.then, Then::Stop);
        let closed = if reads {
            place.stranger.receive(&mut self.scratch, &mut place.received)
        } else {
            Ok(place.hung_up)
        };
        let answers = self.take_answers(place);
        if matches!(place.script.then, Then::Again) {
            self.units += answers;
        }
        let closed = closed?;
        if !closed {
            place.stranger.send()?;
        }
        let opens = !place.open && place.stranger.is_open();
        if opens && (closed || place.stranger.has_sent()) {
            place.open = true;
            self.opening -= 1;
            self.opened += 1;
        }
        if closed {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if !place.open {
            return Ok(Next::Wait);
        }
        if opens {
            place.stranger.push(&place.script.first);
            place.stranger.send()?;
        }
        match &mut place.script.then {
            Then::Hold | Then::Stop | Then::Drip(_) => Ok(Next::Wait),
            Then::Close | Then::Reset if place.stranger.has_sent() => {
                self.units += 1;
                Ok(Next::Close)
            }
            Then::Close | Then::Reset => Ok(Next::Wait),
            Then::Again => {
                if answers > 0 {
                    place.stranger.push(&place.script.first);
                    place.stranger.send()?;
                }
                Ok(Next::Wait)
            }
            Then::Stream(more) => {
                if !place.stranger.has_sent() {
                    return Ok(Next::Wait);
                }
                self.batch.clear();
                self.units += more(&mut self.batch);
                place.stranger.push(&self.batch);
                place.stranger.send()?;
                Ok(if place.stranger.has_sent() { Next::GoOn } else { Next::Wait })
            }
        }
    }

    /// Counts the answers that are whole, by status; what is not HTTP/1.1 is dropped.
    fn take_answers(&mut self, place: &mut Place) -> u64 {
        let mut answers = 0;
        while place.received.starts_with(b"HTTP/1.1 ") {
            let received = &place.received;
            let Some(length) = http1::head_length(received) else { return answers };
            let body_length = http1::content_length(&received[..length]).unwrap_or(0);
            if received.len() < length + body_length {
                return answers;
            }
            let status = String::from_utf8_lossy(&received[9..12]).into_owned();
            *self.statuses.entry(status).or_default() += 1;
            place.received.drain(..length + body_length);
            answers += 1;
        }
        place.received.clear();
        answers
    }
}

/// How long to wait for an event when there is nothing to do.
const TURN: Duration = Duration::from_millis(20);

/// Between two looks at the clock and at new connections.
const CONNECTIONS_A_TURN: usize = 256;

/// Pieces that are sent once a second go out in so many parts of it.
const TICKS_A_SECOND: u32 = 10;
