//! The connection pool of one worker to one upstream: which idle connections are kept and for how
//! long, and which of them is used.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::mem::MaybeUninit;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Response};
use hyper::body::Incoming;
use socket2::SockRef;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::health::Load;
use super::target::{OpenedConnection, Target};
use crate::config::{IdentityHeaders, Upstream, UpstreamAddress};

/// Pooled connections of one worker to one upstream.
pub(crate) struct Pool {
    pub(super) target: Arc<Target>,
    /// For each server; the most recently used is last, and is used first, so that the others can
    /// grow old.
    idle: Vec<RefCell<Vec<Idle>>>,
    pub(super) places: Vec<Places>,
    pub(super) turn: RefCell<usize>,
}

/// Whose request it is. Events have connections to each server that no site can take from them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    /// A proven one, to be answered by `deadline`.
    Event { deadline: Instant },
    /// Anybody's.
    Site,
}

/// The connections to one server that may be in use at once.
pub(super) struct Places {
    events: Arc<Semaphore>,
    sites: Arc<Semaphore>,
}

/// The head of an answer, and the connection that its body comes on.
pub(super) type Begun = (Box<Response<Incoming>>, Lease);

/// One of them.
pub(super) struct Idle {
    opened: OpenedConnection,
    expires: Instant,
}

/// The connection that an answer is coming on; goes back to the pool when the answer has ended.
pub(crate) struct Lease {
    pool: Rc<Pool>,
    pub(super) server: usize,
    opened: OpenedConnection,
    idle_for: Option<Duration>,
    pub(super) guard: ServerGuard,
}

/// What an exchange takes of a server until its answer has ended.
pub(super) struct ServerGuard {
    /// `None`: bounded by something else.
    pub(super) place: Option<OwnedSemaphorePermit>,
    pub(super) load: Load,
}

impl Pool {
    pub(crate) fn new(target: Arc<Target>) -> Self {
        let servers = &target.servers;
        Self {
            idle: servers.iter().map(|_| RefCell::default()).collect(),
            places: servers.iter().map(|_| Places::new(&target.settings)).collect(),
            turn: RefCell::new(0),
            target,
        }
    }

    /// Whether a later generation's target needs no other connections than these. Over TLS it does:
    /// the roots may have changed.
    pub(crate) fn is_to_the_same(&self, target: &Target) -> bool {
        let is_tls = |server: &_| matches!(server, UpstreamAddress::Https { .. });
        let settings = &self.target.settings;
        *settings == target.settings && !settings.servers.iter().any(is_tls)
    }

    /// In which headers its application is told who called.
    pub(crate) fn identity_headers(&self) -> &IdentityHeaders {
        &self.target.settings.identity
    }

    pub(super) fn lease(
        self: &Rc<Self>,
        server: usize,
        response: Box<Response<Incoming>>,
        opened: OpenedConnection,
        guard: ServerGuard,
    ) -> Begun {
        let is_kept = !closes(response.headers()) && !response.status().is_informational();
        let idle_for = is_kept.then(|| self.idle_time(response.headers()));
        let lease = Lease { pool: Rc::clone(self), server, opened, idle_for, guard };
        (response, lease)
    }

    /// The freshest connection that is still open; those that are not are dropped on the way.
    pub(super) async fn check_out(&self, server: usize) -> Option<OpenedConnection> {
        let pooled = self.idle.get(server)?;
        loop {
            let mut idle = pooled.borrow_mut().pop()?;
            if idle.expires <= Instant::now() {
                // Every other one is older.
                pooled.borrow_mut().clear();
                return None;
            }
            match peek(&idle.opened) {
                Peeked::Quiet if idle.opened.sender.is_ready() => return Some(idle.opened),
                Peeked::Closed => {}
                // Bytes nobody asked for, or an end of the last exchange that hyper has not seen
                // yet: let it look.
                Peeked::Quiet | Peeked::Bytes => {
                    tokio::task::yield_now().await;
                    let is_ready = timeout(SETTLE_TIMEOUT, idle.opened.sender.ready()).await;
                    if matches!(is_ready, Ok(Ok(()))) && matches!(peek(&idle.opened), Peeked::Quiet)
                    {
                        return Some(idle.opened);
                    }
                }
            }
        }
    }

    fn put_back(&self, server: usize, opened: OpenedConnection, expires: Instant) {
        if let Some(pooled) = self.idle.get(server) {
            pooled.borrow_mut().push(Idle { opened, expires });
        }
    }

    /// Drops what has been idle for too long; called now and then.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        for pooled in &self.idle {
            pooled
                .borrow_mut()
                .retain(|idle| idle.expires > now && !idle.opened.sender.is_closed());
        }
    }

    /// Ours, or less if the backend announces less: one second before it closes.
    fn idle_time(&self, headers: &HeaderMap) -> Duration {
        let ours = self.target.settings.idle_timeout;
        let announced =
            headers.get("keep-alive").and_then(|value| keep_alive_timeout(value.as_bytes()));
        announced.map_or(ours, |theirs| {
            ours.min(theirs.saturating_sub(KEEP_ALIVE_MARGIN).max(theirs / 2))
        })
    }
}

impl Places {
    fn new(settings: &Upstream) -> Self {
        let places =
            |limit: NonZeroUsize| Arc::new(Semaphore::new(limit.get().min(Semaphore::MAX_PERMITS)));
        Self { events: places(settings.connections), sites: places(settings.site_connections) }
    }

    pub(super) fn of(&self, work: Work) -> &Arc<Semaphore> {
        match work {
            Work::Event { .. } => &self.events,
            Work::Site => &self.sites,
        }
    }
}

impl Lease {
    /// Whether a later generation's upstream has the server at the other end, too, and would know it
    /// by the same certificate.
    pub(crate) fn leads_to(&self, target: &Target) -> bool {
        let ours = &self.pool.target.settings;
        let server = ours.servers.get(self.server);
        let has = |server| target.settings.servers.contains(server);
        server.is_some_and(has) && ours.tls == target.settings.tls
    }

    /// The connection has become a tunnel, which takes no place from requests.
    pub(crate) fn upgraded(mut self) -> Self {
        self.guard.place = None;
        self
    }

    /// The answer has ended, `now`: the connection may carry the next one.
    pub(crate) fn check_in(self, now: Instant) {
        let Self { pool, server, mut opened, idle_for, guard } = self;
        let Some(idle_for) = idle_for else { return };
        let expires = now + idle_for;
        if opened.sender.is_ready() {
            pool.put_back(server, opened, expires);
            return;
        }
        let ServerGuard { place, load } = guard;
        drop(load);
        // The answer came before the whole request was taken, or its end is still to be seen.
        tokio::task::spawn_local(async move {
            if let Ok(Ok(())) = timeout(SETTLE_TIMEOUT, opened.sender.ready()).await {
                pool.put_back(server, opened, expires);
            }
            drop(place);
        });
    }
}

/// How long a connection may take to become idle after an exchange.
const SETTLE_TIMEOUT: Duration = Duration::from_millis(250);

/// Clocks, queues and a busy backend need this much time before its own idle close.
const KEEP_ALIVE_MARGIN: Duration = Duration::from_secs(1);

enum Peeked {
    /// Open, nothing to read: as an idle connection should be.
    Quiet,
    /// Something to read.
    Bytes,
    /// Closed or broken.
    Closed,
}

/// Asks the kernel, not the runtime: a close that arrived a moment ago is seen, too.
fn peek(opened: &OpenedConnection) -> Peeked {
    let mut one = [MaybeUninit::uninit()];
    match SockRef::from(&opened.socket).peek(&mut one) {
        Ok(0) => Peeked::Closed,
        Ok(_) => Peeked::Bytes,
        Err(error) if error.kind() == ErrorKind::WouldBlock => Peeked::Quiet,
        Err(_) => Peeked::Closed,
    }
}

fn closes(headers: &HeaderMap) -> bool {
    headers.get_all(http::header::CONNECTION).iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|o| o.trim_ascii().eq_ignore_ascii_case(b"close"))
    })
}

/// `timeout=5, max=100`, as Node and Apache send it.
fn keep_alive_timeout(value: &[u8]) -> Option<Duration> {
    let seconds = value.split(|byte| *byte == b',').find_map(|parameter| {
        let (name, seconds) = std::str::from_utf8(parameter).ok()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case("timeout").then(|| seconds.trim().parse().ok())?
    });
    seconds.map(|seconds: u32| Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keep_alive_timeout_that_a_backend_announces_is_kept() {
        assert_eq!(keep_alive_timeout(b"timeout=5"), Some(Duration::from_secs(5)));
        assert_eq!(keep_alive_timeout(b"max=100, Timeout = 72"), Some(Duration::from_secs(72)));
        assert_eq!(keep_alive_timeout(b"timeout=-1"), None);
        assert_eq!(keep_alive_timeout(b"\xff"), None);
    }
}
