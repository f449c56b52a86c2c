//! Whether every worker still works: asked of the workers themselves, not guessed.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

use crate::app::Running;
use crate::worker::WorkerCommand;

/// A worker that gave no sign of life.
#[derive(Debug, thiserror::Error)]
#[error("worker {worker} did not answer within {} ms", patience.as_millis())]
pub struct Unresponsive {
    /// Counted from zero, as in the names of the threads.
    pub worker: usize,
    /// How long it was waited for.
    pub patience: Duration,
}

impl Running {
    /// Asks every worker, and through it each of its accept loops, for an answer.
    ///
    /// A worker that is blocked answers nothing, for its loops run on the thread that is stuck. One
    /// that waits for a permit or for a free descriptor answers: a restart would not help it.
    pub async fn self_check(&self, patience: Duration) -> Result<(), Unresponsive> {
        let deadline = Instant::now() + patience;
        for (index, worker) in self.workers().iter().enumerate() {
            if timeout_at(deadline, answer_of(worker)).await.is_err() {
                self.shared.metrics.self_check_failures.inc();
                return Err(Unresponsive { worker: index, patience });
            }
        }
        Ok(())
    }
}

async fn answer_of(worker: &mpsc::UnboundedSender<WorkerCommand>) {
    loop {
        let (answer, answered) = oneshot::channel();
        if worker.send(WorkerCommand::Answer(answer)).is_ok() && answered.await.is_ok() {
            return;
        }
        // A reload closed the accept loop that was just asked, or the worker is gone for good.
        sleep(RETRY_PAUSE).await;
    }
}

/// Short beside any patience, long beside a loop.
const RETRY_PAUSE: Duration = Duration::from_millis(10);
