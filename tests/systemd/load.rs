//! Callers that never stop, and the count of what they got.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hubgate::error_code::WithCauses;
use hubgate_testkit::sender::{Options, Sender};
use tokio::task::JoinHandle;

use crate::harness::event;
use crate::waiting::comes_true;

/// A closed loop of callers, each of which opens a connection for every event.
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    callers: Vec<JoinHandle<Vec<String>>>,
}

/// What became of the events.
#[derive(Debug)]
pub struct Outcome {
    pub answered: usize,
    /// A line for each that was not answered with 200.
    pub failures: Vec<String>,
}

impl Load {
    pub fn start(callers: usize, options: &Options) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let callers = (0..callers).map(|_| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            let sender = Sender::new(options.clone()).unwrap();
            tokio::spawn(async move {
                let mut failures = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    match sender.send(event("{}")).await {
                        Ok(answer) if answer.status == 200 => {
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(answer) => failures.push(answer.status.to_string()),
                        Err(error) => failures.push(WithCauses(&error).to_string()),
                    }
                }
                failures
            })
        });
        let callers = callers.collect();
        Self { stop, answered, callers }
    }

    /// Waits until this many more events have been answered.
    pub async fn until_answered(&self, more: usize) {
        let target = self.answered.load(Ordering::Relaxed) + more;
        let is_reached = async || self.answered.load(Ordering::Relaxed) >= target;
        assert!(
            comes_true(is_reached).await,
            "only {} answered",
            self.answered.load(Ordering::Relaxed)
        );
    }

    pub async fn stop(self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        for caller in self.callers {
            failures.extend(caller.await.unwrap());
        }
        Outcome { answered: self.answered.load(Ordering::Relaxed), failures }
    }
}
