//! The way of log lines out of the process.
//!
//! Whoever logs only appends to a buffer in memory: a reader that is slow, or a pipe that is full,
//! never stops a worker, and a line costs no system call. One thread writes the buffer out, in
//! pieces, soon after; what does not fit meanwhile is dropped and counted, and the log says how
//! much it was once there is room.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// The buffer between those who log and the thread that writes.
#[derive(Clone)]
pub(super) struct Lines(Arc<LineBuffer>);

struct LineBuffer {
    waiting: Mutex<WaitingLines>,
    changed: Condvar,
}

#[derive(Default)]
struct WaitingLines {
    bytes: Vec<u8>,
    dropped: u64,
    /// Somebody should be told soon.
    is_urgent: bool,
    /// The last line has been logged.
    is_ending: bool,
    is_written_out: bool,
}

/// Writes out what is left when it is dropped.
pub struct Flush(Lines);

impl Lines {
    /// Begins to write to `output`; `lost` words how many lines did not fit.
    pub(super) fn to(
        output: impl Write + Send + 'static,
        lost: fn(u64) -> String,
    ) -> io::Result<(Self, Flush)> {
        let shared = LineBuffer { waiting: Mutex::default(), changed: Condvar::new() };
        let lines = Self(Arc::new(shared));
        let writer = lines.clone();
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer.write_out(output, lost))?;
        Ok((lines.clone(), Flush(lines)))
    }

    fn append(&self, line: &[u8], is_urgent: bool) {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.bytes.len().saturating_add(line.len()) > WAITING_MAX_BYTES {
            waiting.dropped += 1;
            return;
        }
        let was_empty = waiting.bytes.is_empty();
        waiting.bytes.extend_from_slice(line);
        let is_much = waiting.bytes.len() >= MUCH_BYTES;
        let wakes = was_empty || ((is_urgent || is_much) && !waiting.is_urgent);
        waiting.is_urgent |= is_urgent || is_much;
        drop(waiting);
        if wakes {
            self.0.changed.notify_one();
        }
    }

    fn write_out(&self, mut output: impl Write, lost: fn(u64) -> String) {
        let mut writing = Vec::new();
        loop {
            let (dropped, is_last) = self.take(&mut writing);
            if dropped > 0 {
                writing.extend_from_slice(lost(dropped).as_bytes());
            }
            // If it fails, nobody is left to be told.
            let _nobody_reads = output.write_all(&writing).and_then(|()| output.flush());
            writing.clear();
            // The memory for a burst is released after it.
            writing.shrink_to(MUCH_BYTES);
            if is_last && self.end() {
                return;
            }
        }
    }

    /// Waits for lines and takes them all into `writing`, which is empty; gives the number of those
    /// that did not fit, and whether these may be the last.
    fn take(&self, writing: &mut Vec<u8>) -> (u64, bool) {
        let LineBuffer { waiting, changed } = &*self.0;
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while waiting.bytes.is_empty() && waiting.dropped == 0 && !waiting.is_ending {
            waiting = changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        // A little later there is more to write in one call; what is urgent does not wait.
        let is_calm = |waiting: &mut WaitingLines| !waiting.is_urgent && !waiting.is_ending;
        let woken = changed.wait_timeout_while(waiting, GATHER_TIME, is_calm);
        let mut waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        std::mem::swap(writing, &mut waiting.bytes);
        waiting.is_urgent = false;
        (std::mem::take(&mut waiting.dropped), waiting.is_ending)
    }

    /// Says that all is written out, if it is.
    fn end(&self) -> bool {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.is_written_out = waiting.bytes.is_empty();
        if waiting.is_written_out {
            self.0.changed.notify_all();
        }
        waiting.is_written_out
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let Lines(shared) = &self.0;
        let mut waiting = shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.is_ending = true;
        shared.changed.notify_all();
        let is_busy = |waiting: &mut WaitingLines| !waiting.is_written_out;
        // A reader that does not read must not keep the process from ending.
        let _late = shared.changed.wait_timeout_while(waiting, FLUSH_TIMEOUT, is_busy);
    }
}

/// One event's way into the buffer.
pub(super) struct Line<'a> {
    lines: &'a Lines,
    is_urgent: bool,
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines.append(line, self.is_urgent);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { lines: self, is_urgent: true }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line<'a> {
        // Records of requests may be many; everything else is rare and should be seen at once.
        let is_record = metadata.target() == "access" && *metadata.level() > Level::WARN;
        Line { lines: self, is_urgent: !is_record }
    }
}

/// A second of records at full load; beyond that whoever reads has stopped.
const WAITING_MAX_BYTES: usize = 8 * 1024 * 1024;

/// Enough for one call.
const MUCH_BYTES: usize = 256 * 1024;

/// A person who watches the log does not notice it.
const GATHER_TIME: Duration = Duration::from_millis(50);

/// For what is left at the end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Keeps what is written, once `released` has ended.
    struct Kept {
        written: Arc<Mutex<Vec<u8>>>,
        released: mpsc::Receiver<()>,
    }

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _released = self.released.recv();
            self.written.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines() -> (Lines, Flush, Arc<Mutex<Vec<u8>>>, mpsc::Sender<()>) {
        let (hold, released) = mpsc::channel();
        let written = Arc::default();
        let output = Kept { written: Arc::clone(&written), released };
        let (lines, flush) = Lines::to(output, |lost| format!("{lost} lost\n")).expect("a thread");
        (lines, flush, written, hold)
    }

    #[test]
    fn whatever_was_logged_is_written_out_by_the_end_in_its_order() {
        let (lines, flush, written, hold) = lines();
        drop(hold);
        let expected: String = (0..1000).map(|number| format!("line {number}\n")).collect();

        for line in expected.split_inclusive('\n') {
            lines.append(line.as_bytes(), false);
        }
        drop(flush);

        assert_eq!(written.lock().expect("not poisoned").as_slice(), expected.as_bytes());
    }

    #[test]
    fn a_reader_that_does_not_read_stops_nobody_and_what_is_lost_is_told() {
        let (lines, flush, written, hold) = lines();
        let line = vec![b'x'; 1024 * 1024];
        let many = 20;

        for _ in 0..many {
            lines.append(&line, true);
        }
        drop(hold);
        drop(flush);

        let written = written.lock().expect("not poisoned");
        let kept = written.iter().filter(|byte| **byte == b'x').count() / line.len();
        assert!((1..many).contains(&kept), "{kept} of {many} were kept");
        let told = format!("{} lost\n", many - kept);
        assert!(written.windows(told.len()).any(|part| part == told.as_bytes()), "not {told}");
    }
}
