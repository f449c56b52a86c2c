//! The open loop: requests fall due at a given mean rate, whether or not earlier ones are answered.
//!
//! Time runs from the moment a request was due, so that waiting for a free connection counts: a
//! proxy that stalls cannot hide it by slowing the load down. Distances between requests are
//! exponential, as those of independent senders are.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use serde_json::{Value, json};

use crate::closed_loop::{ClosedLoop, Tally};
use crate::connection::{Answer, Connection, Fault};

/// Paces the plan's request at `rate` a second over the plan's connections.
pub(crate) fn run(plan: &ClosedLoop, rate: f64) -> Value {
    let mut run = Run::new(plan);
    run.establish();

    let mut schedule = Schedule::new(rate);
    let started = Instant::now();
    run.until(started + plan.warmup, &mut schedule);
    run.latencies.clear();
    let counting = Instant::now();
    let cpu_ns = plan.charged.cpu_ns();
    run.until(counting + plan.counted, &mut schedule);
    let cpu_ns = plan.charged.cpu_ns() - cpu_ns;
    let seconds = counting.elapsed().as_secs_f64();

    run.latencies.sort_unstable();
    let answers = run.latencies.len();
    let microseconds = |per_mille: usize| {
        let rank = answers * per_mille / 1000;
        run.latencies.get(rank).map(|latency| latency.as_nanos() as f64 / 1e3)
    };
    json!({
        "requests": answers,
        "errors": run.tally.errors,
        "first_error": run.tally.first_error,
        "rate": rate,
        "requests_per_second": answers as f64 / seconds,
        "unanswered": run.due.len() + run.in_flight,
        "p50_us": microseconds(500),
        "p99_us": microseconds(990),
        "p999_us": microseconds(999),
        "cpu_us_per_request": cpu_ns as f64 / 1e3 / answers as f64,
    })
}

struct Run<'a> {
    plan: &'a ClosedLoop,
    poll: Poll,
    timer: OwnedFd,
    slots: Vec<Slot>,
    /// Slots without a request, the one used last on top: as a caller's pool would do it.
    idle: Vec<usize>,
    /// When requests fell due that no connection was free for.
    due: VecDeque<Instant>,
    in_flight: usize,
    scratch: Vec<u8>,
    tally: Tally,
    latencies: Vec<Duration>,
}

struct Slot {
    connection: Option<Connection>,
    /// When the request in flight was due.
    since: Option<Instant>,
}

const TIMER: Token = Token(usize::MAX);

impl<'a> Run<'a> {
    fn new(plan: &'a ClosedLoop) -> Self {
        let poll = Poll::new().unwrap();
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK).unwrap();
        poll.registry()
            .register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)
            .unwrap();
        Self {
            plan,
            poll,
            timer,
            slots: plan.tls.iter().map(|_| Slot { connection: None, since: None }).collect(),
            idle: Vec::new(),
            due: VecDeque::new(),
            in_flight: 0,
            scratch: vec![0; 64 * 1024],
            tally: Tally::default(),
            latencies: Vec::new(),
        }
    }

    /// Opens every connection and does one request on each.
    fn establish(&mut self) {
        for slot in 0..self.slots.len() {
            self.start(slot, Instant::now());
        }
        let end = Instant::now() + Duration::from_secs(10);
        while self.in_flight > 0 && Instant::now() < end {
            self.step(Some(Duration::from_millis(50)));
        }
        assert_eq!(self.in_flight, 0, "not every connection was answered: {:?}", self.tally);
    }

    fn until(&mut self, end: Instant, schedule: &mut Schedule) {
        loop {
            let now = Instant::now();
            while schedule.next <= now {
                self.due.push_back(schedule.next);
                schedule.advance();
            }
            while let Some(since) = self.due.front().copied() {
                let Some(slot) = self.idle.pop() else { break };
                self.due.pop_front();
                self.start(slot, since);
            }
            if now >= end {
                return;
            }
            self.arm(schedule.next.min(end).saturating_duration_since(now));
            self.step(None);
        }
    }

    fn step(&mut self, timeout: Option<Duration>) {
        let mut events = Events::with_capacity(256);
        match self.poll.poll(&mut events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return,
            polled => polled.unwrap(),
        }
        for event in &events {
            if event.token() != TIMER {
                self.advance(event.token().0);
            }
        }
    }

    /// Wakes the poll after `distance`; epoll's own timeout has only milliseconds.
    fn arm(&self, distance: Duration) {
        let once = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec {
                tv_sec: 0,
                tv_nsec: distance.as_nanos().clamp(1, 999_999_999).try_into().unwrap(),
            },
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once).unwrap();
    }

    /// Sends the request that was due at `since`.
    fn start(&mut self, slot: usize, since: Instant) {
        let place = &mut self.slots[slot];
        place.since = Some(since);
        self.in_flight += 1;
        if let Some(connection) = &mut place.connection {
            connection.begin();
        } else {
            let (registry, tls) = (self.poll.registry(), &self.plan.tls[slot]);
            match Connection::open(self.plan.address, slot, tls, registry, Token(slot)) {
                Ok(connection) => place.connection = Some(connection),
                Err(fault) => return self.finish(slot, Err(fault)),
            }
        }
        self.advance(slot);
    }

    fn advance(&mut self, slot: usize) {
        let place = &mut self.slots[slot];
        let Some(connection) = &mut place.connection else {
            return;
        };
        if place.since.is_none() {
            if connection.is_closed(&mut self.scratch) {
                place.connection = None;
            }
            return;
        }
        match connection.advance(&self.plan.request, &mut self.scratch) {
            Ok(None) => {}
            Ok(Some(answer)) => self.finish(slot, Ok(answer)),
            Err(fault) => self.finish(slot, Err(fault)),
        }
    }

    fn finish(&mut self, slot: usize, outcome: Result<Answer, Fault>) {
        let place = &mut self.slots[slot];
        let since = place.since.take().expect("only a slot with a request is finished");
        match outcome {
            Ok(answer) => {
                self.latencies.push(since.elapsed());
                self.tally.answered(answer);
                if answer.last {
                    place.connection = None;
                }
            }
            Err(fault) => {
                self.tally.fail(&fault);
                place.connection = None;
            }
        }
        self.in_flight -= 1;
        self.idle.push(slot);
    }
}

/// When requests fall due. Seeded with a constant, so that every proxy meets the same sequence.
struct Schedule {
    next: Instant,
    mean: f64,
    state: u64,
}

impl Schedule {
    fn new(rate: f64) -> Self {
        Self { next: Instant::now(), mean: 1.0 / rate, state: 0x9E37_79B9_7F4A_7C15 }
    }

    fn advance(&mut self) {
        // xorshift64 (Marsaglia 2003), which is random enough to space requests.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let uniform = ((self.state >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        self.next += Duration::from_secs_f64(-uniform.ln() * self.mean);
    }
}
