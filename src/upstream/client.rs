//! One worker's connections to one upstream, and exchanges over them under a deadline.
//!
//! What is repeated, and what is not: a connect that failed is tried once more, on another server
//! if there is one; a request of which a pooled connection took nothing goes out on a fresh one.
//! Once a byte may have been read, the request is not repeated (RFC 9110 section 9.2.2: a POST is
//! not idempotent) unless the operator says that the application recognises repeated events.
//!
//! A request is boxed on its way down, and so is what is rare: a future takes room for all that it
//! may ever await, once for each layer, and every request's would be copied about.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::mem::MaybeUninit;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use socket2::SockRef;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::balance;
use super::health::Load;
use super::request_body::RequestBody;
use super::target::{Opened, Server, Target};
use crate::config::{HostHeader, Repeat, UpstreamAddress};
use crate::http::stream::StreamError;
use crate::refusal::{Loudness, Refusal};

/// Pooled connections of one worker to one upstream.
pub(crate) struct Pool {
    target: Arc<Target>,
    /// For each server; the most recently used is last, and is used first, so that the others can
    /// grow old.
    idle: Vec<RefCell<Vec<Idle>>>,
    /// Connections that may be open at once, for each server.
    places: Vec<Arc<Semaphore>>,
    turn: RefCell<usize>,
}

struct Idle {
    opened: Opened,
    expires: Instant,
}

/// The connection that an answer is coming on; goes back to the pool when the answer has ended.
pub(crate) struct Lease {
    pool: Rc<Pool>,
    server: usize,
    opened: Opened,
    idle_for: Option<Duration>,
    held: Held,
}

/// What an exchange takes of a server until its answer has ended.
struct Held {
    place: OwnedSemaphorePermit,
    load: Load,
}

/// Whether a request that failed was taken by the connection at all.
enum Failed {
    /// Not one byte of it: here it is back.
    Untouched(Box<Request<RequestBody>>, Refusal),
    /// It may have been read.
    Sent(Refusal),
}

type Begun = (Response<Incoming>, Lease);

impl Pool {
    pub(crate) fn new(target: Arc<Target>) -> Self {
        let connections = target.settings.connections.get().min(Semaphore::MAX_PERMITS);
        let servers = &target.servers;
        Self {
            idle: servers.iter().map(|_| RefCell::default()).collect(),
            places: servers.iter().map(|_| Arc::new(Semaphore::new(connections))).collect(),
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

    /// Sends `request` and reads the whole answer, all within the upstream's deadline.
    pub(crate) async fn exchange(
        self: &Rc<Self>,
        request: Box<Request<RequestBody>>,
    ) -> Result<Response<Bytes>, Refusal> {
        let deadline = Instant::now() + self.target.settings.timeout;
        let may_repeat = self.target.settings.repeat == Repeat::Broken;
        let exchange = async {
            let spare = if may_repeat { again(&request) } else { None };
            match (self.exchange_once(request, 0).await, spare) {
                (Err(Refusal::UpstreamBroken), Some(spare)) => {
                    self.target.metrics.retries.inc();
                    Box::pin(self.exchange_once(spare, 1)).await
                }
                (outcome, _) => outcome,
            }
        };
        timeout_at(deadline, exchange).await.unwrap_or(Err(Refusal::UpstreamTimeout))
    }

    async fn exchange_once(
        self: &Rc<Self>,
        request: Box<Request<RequestBody>>,
        attempt: usize,
    ) -> Result<Response<Bytes>, Refusal> {
        let (response, lease) = self.begin(request, attempt).await?;
        let (head, body) = response.into_parts();
        match self.read(body).await {
            Ok(body) => {
                lease.check_in();
                Ok(Response::from_parts(head, body))
            }
            Err(refusal) => {
                lease.held.load.health().failed();
                Err(refusal)
            }
        }
    }

    /// Sends `request` and waits for the head of its answer, on whichever server takes it; the
    /// caller bounds the time.
    pub(crate) async fn begin(
        self: &Rc<Self>,
        mut request: Box<Request<RequestBody>>,
        attempt: usize,
    ) -> Result<Begun, Refusal> {
        let turn = self.next_turn();
        let mut last = Refusal::UpstreamUnreachable;
        let order = balance::order(&self.target.servers, turn);
        let indexes = order.into_iter().cycle().skip(attempt).take(self.attempts());
        for (tries_before, index) in indexes.enumerate() {
            if tries_before > 0 {
                self.target.metrics.retries.inc();
            }
            match self.begin_on(index, request).await {
                Ok(begun) => return Ok(begun),
                Err(Failed::Sent(refusal)) => return Err(refusal),
                Err(Failed::Untouched(back, refusal)) => {
                    request = back;
                    last = refusal;
                }
            }
        }
        Err(last)
    }

    fn attempts(&self) -> usize {
        self.target.servers.len().max(2)
    }

    fn next_turn(&self) -> usize {
        let mut turn = self.turn.borrow_mut();
        *turn = turn.wrapping_add(1);
        *turn
    }

    async fn begin_on(
        self: &Rc<Self>,
        index: usize,
        mut request: Box<Request<RequestBody>>,
    ) -> Result<Begun, Failed> {
        let no_such_server = Refusal::UpstreamUnreachable;
        let (Some(server), Some(places)) = (self.target.servers.get(index), self.places.get(index))
        else {
            return Err(Failed::Untouched(request, no_such_server));
        };
        let Ok(place) = Arc::clone(places).acquire_owned().await else {
            return Err(Failed::Untouched(request, no_such_server));
        };
        let held = Held { place, load: server.health.enter() };
        if self.target.settings.host_header == HostHeader::Upstream {
            request.headers_mut().insert(HOST, server.host.clone());
        }
        while let Some(pooled) = self.check_out(index).await {
            match self.send(server, pooled, request).await {
                Ok((response, opened)) => return Ok(self.lease(index, response, opened, held)),
                Err(Failed::Sent(refusal)) => return Err(Failed::Sent(refusal)),
                Err(Failed::Untouched(back, _)) => request = back,
            }
            self.target.metrics.retries.inc();
        }
        let open = Box::pin(self.target.open(server));
        let connect = timeout(self.target.settings.connect_timeout, open);
        let Ok(Ok(opened)) = connect.await else {
            server.health.unreachable();
            return Err(Failed::Untouched(request, Refusal::UpstreamUnreachable));
        };
        let (response, opened) = self.send(server, opened, request).await?;
        Ok(self.lease(index, response, opened, held))
    }

    async fn send(
        &self,
        server: &Server,
        mut opened: Opened,
        request: Box<Request<RequestBody>>,
    ) -> Result<(Response<Incoming>, Opened), Failed> {
        // Dropped by a deadline before there is an answer: that is the server's failure, too.
        let unanswered = Unanswered(Some(server));
        let outcome = match opened.sender.try_send_request(*request).await {
            Ok(response) => {
                let head = check_head(response.status(), response.headers());
                head.map(|()| (response, opened)).map_err(Failed::Sent)
            }
            Err(mut failed) => Err(match failed.take_message() {
                Some(back) => Failed::Untouched(Box::new(back), Refusal::UpstreamBroken),
                None => Failed::Sent(refusal(failed.error())),
            }),
        };
        match &outcome {
            Ok(_) => server.health.succeeded(),
            Err(Failed::Sent(refusal)) if refusal.loudness() == Loudness::Fault => {
                server.health.failed();
            }
            Err(Failed::Sent(_) | Failed::Untouched(..)) => {}
        }
        unanswered.no_more();
        outcome
    }

    fn lease(
        self: &Rc<Self>,
        server: usize,
        response: Response<Incoming>,
        opened: Opened,
        held: Held,
    ) -> Begun {
        let is_kept = !closes(response.headers()) && !response.status().is_informational();
        let idle_for = is_kept.then(|| self.idle_time(response.headers()));
        let lease = Lease { pool: Rc::clone(self), server, opened, idle_for, held };
        (response, lease)
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, Refusal> {
        // Most answers are empty or one piece, and need no collecting.
        if body.is_end_stream() {
            return Ok(Bytes::new());
        }
        let limited = Limited::new(body, self.target.settings.response_max_bytes.get());
        match limited.collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(Refusal::UpstreamMalformed),
            Err(error) => Err(error.downcast_ref().map_or(Refusal::UpstreamBroken, refusal)),
        }
    }

    /// The freshest connection that is still open; those that are not are dropped on the way.
    async fn check_out(&self, server: usize) -> Option<Opened> {
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

    fn put_back(&self, server: usize, opened: Opened, expires: Instant) {
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

impl Lease {
    /// The answer has ended: the connection may carry the next one.
    pub(crate) fn check_in(self) {
        let Self { pool, server, mut opened, idle_for, held } = self;
        let Some(idle_for) = idle_for else { return };
        let expires = Instant::now() + idle_for;
        if opened.sender.is_ready() {
            pool.put_back(server, opened, expires);
            return;
        }
        let Held { place, load } = held;
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

/// Counts a failure when it is dropped before [`Unanswered::no_more`].
struct Unanswered<'a>(Option<&'a Server>);

impl Unanswered<'_> {
    fn no_more(mut self) {
        self.0 = None;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(server) = self.0 {
            server.health.failed();
        }
    }
}

/// The same request once more, if its body can be sent again.
fn again(request: &Request<RequestBody>) -> Option<Box<Request<RequestBody>>> {
    let mut copy = Request::new(request.body().again()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(Box::new(copy))
}

/// How long a connection may take to come to rest after an exchange.
const SETTLE_TIMEOUT: Duration = Duration::from_millis(250);

/// Clocks, queues and a busy backend need this much room before its own idle close.
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
fn peek(opened: &Opened) -> Peeked {
    let mut one = [MaybeUninit::uninit()];
    match SockRef::from(&opened.socket).peek(&mut one) {
        Ok(0) => Peeked::Closed,
        Ok(_) => Peeked::Bytes,
        Err(error) if error.kind() == ErrorKind::WouldBlock => Peeked::Quiet,
        Err(_) => Peeked::Closed,
    }
}

/// Refuses a head that contradicts itself.
fn check_head(status: StatusCode, headers: &HeaderMap) -> Result<(), Refusal> {
    let has_both = headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH);
    let is_stray = status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS;
    if has_both || is_stray || headers.get_all(CONTENT_LENGTH).iter().count() > 1 {
        return Err(Refusal::UpstreamMalformed);
    }
    Ok(())
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

fn refusal(error: &hyper::Error) -> Refusal {
    // A site's request body that could not go on is its caller's doing.
    let cause = std::error::Error::source(error);
    match cause.and_then(|cause| cause.downcast_ref::<StreamError>()) {
        Some(StreamError::TooLarge) => return Refusal::BodyTooLarge,
        Some(StreamError::Idle) => return Refusal::BodyTimeout,
        Some(StreamError::Broken(_)) => return Refusal::BodyBroken,
        None => {}
    }
    if error.is_parse() || error.is_parse_too_large() || is_bad_chunk(error) {
        Refusal::UpstreamMalformed
    } else if error.is_timeout() {
        Refusal::UpstreamTimeout
    } else {
        Refusal::UpstreamBroken
    }
}

/// hyper reports chunks that are none as an I/O error.
fn is_bad_chunk(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref());
    source.is_some_and(|source: &std::io::Error| {
        matches!(source.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_that_announces_its_idle_close_is_believed() {
        assert_eq!(keep_alive_timeout(b"timeout=5"), Some(Duration::from_secs(5)));
        assert_eq!(keep_alive_timeout(b"max=100, Timeout = 72"), Some(Duration::from_secs(72)));
        assert_eq!(keep_alive_timeout(b"timeout=-1"), None);
        assert_eq!(keep_alive_timeout(b"\xff"), None);
    }

    #[test]
    fn an_answer_with_two_framings_is_refused() {
        let mut headers = HeaderMap::new();
        headers.insert(TRANSFER_ENCODING, "chunked".parse().expect("valid"));
        assert!(matches!(check_head(StatusCode::OK, &headers), Ok(())));
        headers.insert(CONTENT_LENGTH, "5".parse().expect("valid"));
        assert!(matches!(check_head(StatusCode::OK, &headers), Err(Refusal::UpstreamMalformed)));
    }
}
