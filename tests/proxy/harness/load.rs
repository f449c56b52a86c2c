//! Callers that never stop, as Meta does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use hubgate_testkit::sender::{Connection, Options, SendError, Sender};
use tokio::task::JoinHandle;

use super::world::event;
use crate::waiting::comes_true;

/// A closed loop of callers, each on a connection that it keeps, and opens anew if it was closed.
/// No two events are the same.
pub struct Load {
    stop: Arc<AtomicBool>,
    counts: Arc<Counts>,
    callers: Vec<JoinHandle<Vec<String>>>,
}

#[derive(Default)]
struct Counts {
    answered: AtomicUsize,
    delivered_again: AtomicUsize,
}

impl Load {
    /// Whatever is not answered with 200 is a failure.
    pub fn start(callers: usize, options: &Options) -> Self {
        Self::with_deliveries(1, callers, options)
    }

    /// As Meta does: what is not answered with 200 is delivered again, and a failure only after
    /// many deliveries.
    pub fn delivering_again(callers: usize, options: &Options) -> Self {
        Self::with_deliveries(DELIVERIES, callers, options)
    }

    fn with_deliveries(deliveries: usize, callers: usize, options: &Options) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let counts = Arc::new(Counts::default());
        let callers = (0..callers).map(|number| {
            let sender = Sender::new(options.clone()).unwrap();
            let caller = Caller { number, deliveries, counts: Arc::clone(&counts) };
            tokio::spawn(caller.call(sender, Arc::clone(&stop)))
        });
        let callers = callers.collect();
        Self { stop, counts, callers }
    }

    pub fn answered(&self) -> usize {
        self.counts.answered.load(Relaxed)
    }

    /// How many deliveries followed one that was not answered with 200.
    pub fn delivered_again(&self) -> usize {
        self.counts.delivered_again.load(Relaxed)
    }

    pub async fn until_answered(&self, more: usize) {
        let target = self.answered() + more;
        self.until(|load| load.answered() >= target).await;
    }

    pub async fn until(&self, is_reached: impl Fn(&Self) -> bool) {
        let is_reached = comes_true(async || is_reached(self)).await;
        assert!(is_reached, "not reached with {} answered", self.answered());
    }

    /// How many were answered with 200, and what became of the others.
    pub async fn stop(self) -> (usize, Vec<String>) {
        self.stop.store(true, Relaxed);
        let mut failures = Vec::new();
        for caller in self.callers {
            failures.extend(caller.await.unwrap());
        }
        (self.counts.answered.load(Relaxed), failures)
    }
}

struct Caller {
    number: usize,
    deliveries: usize,
    counts: Arc<Counts>,
}

impl Caller {
    async fn call(self, sender: Sender, stop: Arc<AtomicBool>) -> Vec<String> {
        let mut failures = Vec::new();
        let mut event = 0;
        while !stop.load(Relaxed) {
            let connection = match sender.connect().await {
                Ok(connection) => connection,
                Err(error) => {
                    failures.push(error.to_string());
                    continue;
                }
            };
            // Some connections are short, so that handshakes go on all the time.
            for _ in 0..20 {
                if stop.load(Relaxed) {
                    break;
                }
                event += 1;
                let body = format!("{{\"id\":\"{}-{event}\"}}", self.number);
                match self.deliver(&connection, body).await {
                    Ok(200) => {
                        self.counts.answered.fetch_add(1, Relaxed);
                    }
                    Ok(status) => failures.push(status.to_string()),
                    Err(error) => {
                        failures.push(error.to_string());
                        break;
                    }
                }
            }
            connection.close().await;
        }
        failures
    }

    /// The status of the last delivery.
    async fn deliver(&self, connection: &Connection, body: String) -> Result<u16, SendError> {
        let mut status = connection.request(event(body.clone())).await?.status.as_u16();
        for _ in 1..self.deliveries {
            if status == 200 {
                break;
            }
            self.counts.delivered_again.fetch_add(1, Relaxed);
            status = connection.request(event(body.clone())).await?.status.as_u16();
        }
        Ok(status)
    }
}

/// Meta goes on for days.
const DELIVERIES: usize = 20;
