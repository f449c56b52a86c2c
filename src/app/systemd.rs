//! The service manager: what it is told, what it hands over.
//!
//! In: the environment that it gave this process. Out: the notifications of `sd_notify(3)`, the
//! deadline of `sd_watchdog_enabled(3)`, the sockets of `sd_listen_fds(3)`. Without a service
//! manager nothing is told and nothing is handed over. Knows nothing of how the proxy works.

use std::cell::Cell;
use std::convert::Infallible;
use std::ffi::OsStr;
use std::io;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use crate::config::Environment;
use crate::listener::ListenError;

/// Tells the service manager how this process is. Once it was told of the stop, it is not told of
/// anything that came before it in life.
pub(crate) struct Notifier {
    manager: Option<(UnixDatagram, SocketAddr)>,
    is_stopping: Cell<bool>,
}

impl Notifier {
    /// Speaks to `NOTIFY_SOCKET`, or to nobody.
    pub(crate) fn new(environment: Environment<'_>) -> Self {
        let manager = environment("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let manager = manager.and_then(|name| match open(&name) {
            Ok(manager) => Some(manager),
            Err(error) => {
                warn!(%error, socket = ?name, "cannot notify the service manager");
                None
            }
        });
        Self { manager, is_stopping: Cell::new(false) }
    }

    /// Everything is served; `status` says what.
    pub(crate) fn ready(&self, status: &str) {
        if !self.is_stopping.get() {
            self.tell(&format!("READY=1\nSTATUS={}", one_line(status)));
        }
    }

    /// A reload begins; [`Notifier::ready`] ends it, whatever it came to.
    pub(crate) fn reloading(&self) {
        if !self.is_stopping.get() {
            // Without the moment, `Type=notify-reload` takes this for the end of another reload.
            let now = clock_gettime(ClockId::Monotonic);
            let now_us = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
            self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={now_us}\nSTATUS=reloading"));
        }
    }

    /// The end begins; nothing but the status is told after this.
    pub(crate) fn stopping(&self, status: &str) {
        self.is_stopping.set(true);
        self.tell(&format!("STOPPING=1\nSTATUS={}", one_line(status)));
    }

    /// What `systemctl status` shows.
    pub(crate) fn status(&self, status: &str) {
        self.tell(&format!("STATUS={}", one_line(status)));
    }

    /// Keeps the watchdog quiet for another while.
    fn alive(&self) {
        if !self.is_stopping.get() {
            self.tell("WATCHDOG=1");
        }
    }

    fn tell(&self, message: &str) {
        let Some((socket, manager)) = &self.manager else { return };
        if let Err(error) = socket.send_to_addr(message.as_bytes(), manager) {
            warn!(%error, "the service manager does not listen");
        }
    }
}

fn open(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let manager = match name.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(name)?,
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => return Err(io::Error::from(io::ErrorKind::Unsupported)),
    };
    let socket = UnixDatagram::unbound()?;
    // A manager whose queue stays full must not hold this process up.
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok((socket, manager))
}

/// For a manager that is busy.
const PATIENCE: Duration = Duration::from_secs(1);

/// A message is split at newlines, and a line that is too long makes it all be dropped.
fn one_line(text: &str) -> String {
    let line = text.lines().collect::<Vec<_>>().join("; ");
    line.chars().filter(|character| !character.is_control()).take(STATUS_CHARACTERS).collect()
}

/// Much longer than anybody reads, much shorter than a datagram.
const STATUS_CHARACTERS: usize = 1_000;

/// After how long a silence this process is to be killed, if the service manager watches it.
pub(crate) fn watchdog_timeout(environment: Environment<'_>) -> Option<Duration> {
    let number = |name| environment(name)?.to_str()?.parse::<u64>().ok();
    // It may have been meant for a parent of ours that did not clear its environment.
    if number("WATCHDOG_PID").is_some_and(|pid| pid != u64::from(std::process::id())) {
        return None;
    }
    number("WATCHDOG_USEC").filter(|timeout_us| *timeout_us > 0).map(Duration::from_micros)
}

/// Tells the watchdog twice in each `timeout` that this process is alive, if `check` finds it so.
/// `check` gets the time that it may take.
pub(crate) async fn feed_watchdog(
    notifier: &Notifier,
    timeout: Option<Duration>,
    check: impl AsyncFn(Duration) -> bool,
) -> Infallible {
    let Some(timeout) = timeout else { return std::future::pending().await };
    let mut ticks = interval(timeout / 2);
    // After a reload that took long, one sign of life is as good as two.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if check(timeout / 4).await {
            notifier.alive();
        }
    }
}

/// The sockets that the service manager bound for this process (`LISTEN_FDS`).
pub(crate) fn inherited_sockets() -> Result<Vec<TcpListener>, ListenError> {
    let mut handed = listenfd::ListenFd::from_env();
    let count = handed.len();
    let take = |index| match handed.take_tcp_listener(index) {
        Ok(Some(socket)) => Ok(socket),
        Ok(None) | Err(_) => Err(ListenError::NotListening { position: index + 1 }),
    };
    (0..count).map(take).collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    /// A service manager that can be asked what it was told.
    struct Manager(tempfile::TempDir, UnixDatagram);

    impl Manager {
        fn new() -> Self {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let socket = UnixDatagram::bind(directory.path().join("notify")).expect("a new name");
            socket.set_nonblocking(true).expect("a socket of ours");
            Self(directory, socket)
        }

        fn notifier(&self) -> Notifier {
            let path = self.0.path().join("notify").into_os_string();
            Notifier::new(&|name| (name == "NOTIFY_SOCKET").then(|| path.clone()))
        }

        fn fault_reports(&self) -> Option<String> {
            let mut bytes = [0; 4096];
            let length = self.1.recv(&mut bytes).ok()?;
            bytes.get(..length).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        }
    }

    #[test]
    fn ready_reloading_and_signs_of_life_never_follow_stopping() {
        let manager = Manager::new();
        let notifier = manager.notifier();
        notifier.ready("serving");
        notifier.stopping("draining");
        notifier.ready("serving");
        notifier.reloading();
        notifier.alive();
        notifier.status("ended");

        assert_eq!(manager.fault_reports().as_deref(), Some("READY=1\nSTATUS=serving"));
        assert_eq!(manager.fault_reports().as_deref(), Some("STOPPING=1\nSTATUS=draining"));
        assert_eq!(manager.fault_reports().as_deref(), Some("STATUS=ended"));
        assert_eq!(manager.fault_reports(), None);
    }

    #[test]
    fn a_status_is_one_short_line() {
        let manager = Manager::new();
        let notifier = manager.notifier();
        notifier.status("first\nREADY=1\r\u{7}");
        notifier.status(&"x".repeat(100_000));

        assert_eq!(manager.fault_reports().as_deref(), Some("STATUS=first; READY=1"));
        assert_eq!(manager.fault_reports().map(|told| told.len()), Some("STATUS=".len() + 1_000));
    }

    #[test]
    fn without_a_manager_nothing_is_told_and_nothing_fails() {
        for name in ["", "relative", "vsock:2:1", "/nobody/listens/here"] {
            let notifier = Notifier::new(&|_| Some(OsString::from(name)));
            notifier.ready("serving");
        }
        Notifier::new(&|_| None).ready("serving");
    }

    #[test]
    fn the_watchdog_of_another_process_is_not_fed() {
        let own = std::process::id();
        let timeout = |timeout_us: &str, pid: u32| {
            watchdog_timeout(&|name| match name {
                "WATCHDOG_USEC" => Some(OsString::from(timeout_us)),
                _ => Some(OsString::from(pid.to_string())),
            })
        };

        assert_eq!(timeout("3000000", own), Some(Duration::from_secs(3)));
        assert_eq!(timeout("3000000", own + 1), None);
        assert_eq!(timeout("0", own), None);
        assert_eq!(timeout("soon", own), None);
        assert_eq!(watchdog_timeout(&|_| None), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_is_fed_only_while_the_check_is_passed() {
        let manager = Manager::new();
        let notifier = manager.notifier();
        let is_well = Cell::new(true);
        let check = async |patience: Duration| {
            assert_eq!(patience, Duration::from_secs(1));
            is_well.get()
        };
        let feeding = feed_watchdog(&notifier, Some(Duration::from_secs(4)), check);
        tokio::pin!(feeding);
        let mut live = async |time| {
            let _never = tokio::time::timeout(Duration::from_secs(time), &mut feeding).await;
            std::iter::from_fn(|| manager.fault_reports()).count()
        };

        assert_eq!(live(5).await, 3);
        is_well.set(false);
        assert_eq!(live(8).await, 0);
        is_well.set(true);
        assert_eq!(live(4).await, 2);
    }
}
