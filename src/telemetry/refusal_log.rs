//! Bounds what strangers can have written down: so many lines a minute for each network and reason,
//! then one line that says how many more there were.
//!
//! In: each refusal that is about to be logged. Out: whether it is, and the lines that stand for
//! those that were not. One for the whole process, for a stranger reaches every worker. What was
//! proven is not asked about: an event has its record whatever else comes.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{Level, debug, enabled, info, warn};

use super::metrics::ConnectionCut;
use crate::config::Network;
use crate::refusal::{ConnectionRefusal, Refusal, Severity};

/// What was logged lately, and what was not.
#[derive(Debug, Default)]
pub(crate) struct RefusalLog(Mutex<HashMap<Subject, Window>>);

/// One worker's way to it, which each of its requests holds without an atomic step.
#[derive(Debug, Default)]
pub(crate) struct WorkerRefusalLog(pub(crate) Arc<RefusalLog>);

/// A line that a stranger can have written at will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RefusalLine {
    /// The record of a request that was refused.
    Request(Refusal),
    /// The record of a request that nobody waited for.
    Abandoned,
    /// Of bytes that became no request.
    NoRequest(Refusal),
    /// Of a connection that ended before HTTP.
    Connection(ConnectionRefusal),
    /// Of what a load balancer said of a client certificate.
    Certificate(ConnectionRefusal),
    /// Of a connection that was cut while HTTP was spoken.
    Cut(ConnectionCut),
}

/// Whose lines, and which. Without a network: of all that came when the table was full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Subject {
    network: Option<Network>,
    line: RefusalLine,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    written: u32,
    suppressed: u64,
}

/// At the end of a window.
#[derive(Debug, PartialEq, Eq)]
struct Suppressed {
    subject: Subject,
    count: u64,
}

impl RefusalLog {
    /// Whether this line is to be written; if not, it is counted.
    pub(crate) fn admits(&self, client: IpAddr, line: RefusalLine) -> bool {
        // What is not shown anyway neither uses up a window nor is missed.
        !line.is_shown() || self.admits_at(client, line, Instant::now())
    }

    /// Writes the lines for those that were not written in windows that have ended.
    pub(crate) fn sweep(&self) {
        let ended = self.ended(|window| window.began.elapsed() >= WINDOW);
        ended.iter().for_each(Suppressed::log);
    }

    /// The same for all windows, since there is no later.
    pub(crate) fn finish(&self) {
        self.ended(|_window| true).iter().for_each(Suppressed::log);
    }

    fn admits_at(&self, client: IpAddr, line: RefusalLine, now: Instant) -> bool {
        let mut subject = Subject { network: Some(Network::of_client(client)), line };
        let mut windows = self.lock();
        if windows.len() >= WINDOWS_MAX && !windows.contains_key(&subject) {
            subject.network = None;
        }
        let new = Window { began: now, written: 0, suppressed: 0 };
        let window = windows.entry(subject).or_insert(new);
        // A window that has ended and has nothing to tell begins anew; another is for the sweep.
        if window.suppressed == 0 && now.duration_since(window.began) >= WINDOW {
            *window = Window { began: now, written: 0, suppressed: 0 };
        }
        let is_admitted = window.written < LINES_A_WINDOW;
        if is_admitted {
            window.written += 1;
        } else {
            window.suppressed += 1;
        }
        is_admitted
    }

    /// Takes the windows that have ended, and answers with what they have to tell.
    fn ended(&self, has_ended: impl Fn(&Window) -> bool) -> Vec<Suppressed> {
        let mut windows = self.lock();
        let ended = windows.extract_if(|_subject, window| has_ended(window));
        let told = ended.filter(|(_subject, window)| window.suppressed > 0);
        told.map(|(subject, window)| Suppressed { subject, count: window.suppressed }).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Subject, Window>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RefusalLine {
    fn severity(self) -> Severity {
        match self {
            Self::Request(refusal) => refusal.severity(),
            Self::Connection(reason) | Self::Certificate(reason) => reason.severity(),
            Self::Abandoned | Self::NoRequest(_) | Self::Cut(_) => Severity::Notice,
        }
    }

    fn is_shown(self) -> bool {
        match self.severity() {
            Severity::Noise => enabled!(Level::DEBUG),
            Severity::Notice => enabled!(Level::INFO),
            Severity::Fault => enabled!(Level::WARN),
        }
    }
}

impl Suppressed {
    fn log(&self) {
        let Self { subject: Subject { network, line }, count } = self;
        let client = network.map_or("others".to_owned(), |network| network.to_string());
        let (client, suppressed) = (client.as_str(), *count);
        // `tracing` takes only a constant level, and only constant names of fields.
        macro_rules! access {
            ($level:ident, $outcome:expr, $refusal:expr, $reason:expr, $message:literal) => {
                $level!(
                    target: "access",
                    client,
                    outcome = $outcome,
                    refusal = $refusal,
                    reason = $reason,
                    suppressed,
                    $message
                )
            };
        }
        macro_rules! handshake {
            ($level:ident, $reason:expr, $message:literal) => {
                $level!(target: "handshake", client, reason = $reason.label(), suppressed, $message)
            };
        }
        let none = None::<&str>;
        match *line {
            RefusalLine::Request(refusal) => match line.severity() {
                Severity::Fault => {
                    access!(warn, "refused", refusal.label(), none, "more refused requests")
                }
                Severity::Notice | Severity::Noise => {
                    access!(info, "refused", refusal.label(), none, "more refused requests")
                }
            },
            RefusalLine::Abandoned => {
                access!(info, "caller_gone", none, none, "more requests that nobody waited for")
            }
            RefusalLine::NoRequest(refusal) => {
                access!(info, none, refusal.label(), none, "more connections without a request")
            }
            RefusalLine::Cut(cut) => {
                access!(info, none, none, cut.label(), "more connections cut")
            }
            RefusalLine::Connection(reason) => match line.severity() {
                Severity::Noise => handshake!(debug, reason, "more connections refused"),
                Severity::Notice | Severity::Fault => {
                    handshake!(info, reason, "more connections refused")
                }
            },
            RefusalLine::Certificate(reason) => {
                handshake!(info, reason, "more client certificates refused")
            }
        }
    }
}

/// The address in the text of a caller, with or without a port.
pub(super) fn address_of(client: &str) -> Option<IpAddr> {
    let with_port = client.parse::<SocketAddr>().map(|address| address.ip());
    with_port.or_else(|_no_port| client.parse()).ok()
}

/// A minute, less the time from one sweep to the next.
const WINDOW: Duration = Duration::from_secs(59);

/// One a second: enough to see who comes and with what, and a thousand times less than a stranger can
/// send. Fewer would hide single callers behind one address.
const LINES_A_WINDOW: u32 = 60;

/// A quarter of a megabyte. Beyond it, which takes more than a thousand networks or reasons a minute,
/// the others share the lines of one network.
const WINDOWS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const MISSING: RefusalLine = RefusalLine::Request(Refusal::SignatureMissing);
    const UNKNOWN: RefusalLine = RefusalLine::Connection(ConnectionRefusal::UnknownAnchor);

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn admitted(log: &RefusalLog, client: &str, line: RefusalLine, times: u32) -> u32 {
        let now = Instant::now();
        (0..times).map(|_| u32::from(log.admits_at(ip(client), line, now))).sum()
    }

    /// Network, line and count, in the order of the counts.
    fn told(log: &RefusalLog) -> Vec<(Option<String>, RefusalLine, u64)> {
        let mut told: Vec<_> = log.ended(|_window| true);
        told.sort_by_key(|told| told.count);
        let shown = told.into_iter().map(|Suppressed { subject, count }| {
            (subject.network.map(|network| network.to_string()), subject.line, count)
        });
        shown.collect()
    }

    #[test]
    fn a_network_has_its_lines_for_each_reason_and_the_rest_is_counted() {
        let log = RefusalLog::default();
        assert_eq!(admitted(&log, "192.0.2.1", MISSING, 1000), LINES_A_WINDOW);
        assert_eq!(admitted(&log, "192.0.2.1", UNKNOWN, 70), LINES_A_WINDOW);
        assert_eq!(admitted(&log, "192.0.2.2", MISSING, 3), 3);
        assert_eq!(admitted(&log, "2001:db8::1", MISSING, 60), LINES_A_WINDOW);
        assert_eq!(admitted(&log, "2001:db8::2:1", MISSING, 5), 0);
        assert_eq!(
            told(&log),
            [
                (Some("2001:db8::/64".to_owned()), MISSING, 5),
                (Some("192.0.2.1/32".to_owned()), UNKNOWN, 10),
                (Some("192.0.2.1/32".to_owned()), MISSING, 940),
            ]
        );
        assert_eq!(told(&log), []);
    }

    #[test]
    fn a_window_ends_and_the_next_one_begins() {
        let log = RefusalLog::default();
        let (began, client) = (Instant::now(), ip("192.0.2.1"));
        for _ in 0..LINES_A_WINDOW {
            assert!(log.admits_at(client, MISSING, began));
        }
        assert!(log.admits_at(client, MISSING, began + WINDOW), "nothing was suppressed");
        for _ in 1..LINES_A_WINDOW {
            assert!(log.admits_at(client, MISSING, began + WINDOW));
        }
        assert!(!log.admits_at(client, MISSING, began + WINDOW));
        assert!(!log.admits_at(client, MISSING, began + 2 * WINDOW), "it was not swept yet");
        assert_eq!(log.ended(|window| window.began == began), []);
        assert_eq!(told(&log), [(Some("192.0.2.1/32".to_owned()), MISSING, 2)]);
        assert!(log.admits_at(client, MISSING, began + 2 * WINDOW));
    }

    #[test]
    fn the_table_is_bounded_and_all_others_share_the_lines_of_one() {
        let log = RefusalLog::default();
        for number in 0..3000_u32 {
            let client = std::net::Ipv4Addr::from_bits(number).to_string();
            assert_eq!(admitted(&log, &client, MISSING, 1), u32::from(number < 1024 + 60));
        }
        assert!(log.lock().len() <= WINDOWS_MAX + 1);
        assert_eq!(told(&log), [(None, MISSING, 3000 - 1024 - 60)]);
    }

    #[test]
    fn the_address_of_a_caller_is_read_with_its_port_or_without() {
        for text in ["192.0.2.1:443", "192.0.2.1"] {
            assert_eq!(address_of(text), Some(ip("192.0.2.1")));
        }
        for text in ["[2001:db8::1]:443", "2001:db8::1"] {
            assert_eq!(address_of(text), Some(ip("2001:db8::1")));
        }
        assert_eq!(address_of("unknown"), None);
    }
}
