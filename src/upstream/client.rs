//! One worker's connections to one upstream, and one exchange over them under a deadline.
//!
//! What is repeated, and what is not: a connect that failed is tried once more; a request of which
//! a pooled connection took nothing goes out on a fresh one. Once a byte may have been read, the
//! request is not repeated (RFC 9110 section 9.2.2: a POST is not idempotent); Meta delivers again.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::mem::MaybeUninit;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use socket2::SockRef;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use super::connect::{Opened, Target};
use super::request_body::RequestBody;
use crate::config::UpstreamAddress;
use crate::refusal::Refusal;

/// Pooled connections of one worker to one upstream.
pub(crate) struct Pool {
    target: Arc<Target>,
    /// The most recently used is last, and is used first, so that the others can grow old.
    idle: RefCell<Vec<Idle>>,
    places: Semaphore,
}

struct Idle {
    opened: Opened,
    expires: Instant,
}

/// Whether a request that failed was taken by the connection at all.
enum Failed {
    /// Not one byte of it: here it is back.
    Untouched(Box<Request<RequestBody>>),
    /// It may have been read.
    Sent(Refusal),
}

impl Pool {
    pub(crate) fn new(target: Arc<Target>) -> Self {
        let places = Semaphore::new(target.settings.connections.get().min(Semaphore::MAX_PERMITS));
        Self { target, idle: RefCell::default(), places }
    }

    /// Whether a later generation's target needs no other connections than these. Over TLS it does:
    /// the roots may have changed.
    pub(crate) fn is_to_the_same(&self, target: &Target) -> bool {
        let is_tls = matches!(target.settings.address, UpstreamAddress::Https { .. });
        !is_tls && self.target.settings == target.settings
    }

    /// Sends `request` and reads the whole answer, all within the upstream's deadline.
    pub(crate) async fn exchange(
        self: &Rc<Self>,
        request: Request<RequestBody>,
    ) -> Result<Response<Bytes>, Refusal> {
        let deadline = Instant::now() + self.target.settings.timeout;
        let exchange = async {
            let _place =
                self.places.acquire().await.map_err(|_closed| Refusal::UpstreamUnreachable)?;
            self.exchange_in_turn(request).await
        };
        timeout_at(deadline, exchange).await.unwrap_or(Err(Refusal::UpstreamTimeout))
    }

    async fn exchange_in_turn(
        self: &Rc<Self>,
        mut request: Request<RequestBody>,
    ) -> Result<Response<Bytes>, Refusal> {
        while let Some(pooled) = self.check_out().await {
            match self.send(pooled, request).await {
                Ok(answer) => return Ok(answer),
                Err(Failed::Sent(refusal)) => return Err(refusal),
                Err(Failed::Untouched(back)) => request = *back,
            }
            self.target.metrics.retries.inc();
        }
        let opened = match self.open().await {
            Ok(opened) => opened,
            Err(_first) => {
                self.target.metrics.retries.inc();
                self.open().await?
            }
        };
        match self.send(opened, request).await {
            Ok(answer) => Ok(answer),
            Err(Failed::Sent(refusal)) => Err(refusal),
            Err(Failed::Untouched(_)) => Err(Refusal::UpstreamBroken),
        }
    }

    async fn open(&self) -> Result<Opened, Refusal> {
        match timeout(self.target.settings.connect_timeout, self.target.open()).await {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(_)) | Err(_) => Err(Refusal::UpstreamUnreachable),
        }
    }

    async fn send(
        self: &Rc<Self>,
        mut opened: Opened,
        request: Request<RequestBody>,
    ) -> Result<Response<Bytes>, Failed> {
        let response = match opened.sender.try_send_request(request).await {
            Ok(response) => response,
            Err(mut failed) => {
                return Err(match failed.take_message() {
                    Some(back) => Failed::Untouched(Box::new(back)),
                    None => Failed::Sent(refusal(failed.error())),
                });
            }
        };
        let (head, body) = response.into_parts();
        let is_keep_alive = check_head(head.status, &head.headers).map_err(Failed::Sent)?;
        let body = self.read(body).await.map_err(Failed::Sent)?;
        if let Some(idle_for) = is_keep_alive.then(|| self.idle_time(&head.headers)) {
            self.check_in(opened, idle_for);
        }
        Ok(Response::from_parts(head, body))
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, Refusal> {
        let limited = Limited::new(body, self.target.settings.response_max_bytes.get());
        match limited.collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(Refusal::UpstreamMalformed),
            Err(error) => Err(error.downcast_ref().map_or(Refusal::UpstreamBroken, refusal)),
        }
    }

    /// The freshest connection that is still open; those that are not are dropped on the way.
    async fn check_out(&self) -> Option<Opened> {
        loop {
            let mut idle = self.idle.borrow_mut().pop()?;
            if idle.expires <= Instant::now() {
                // Every other one is older.
                self.idle.borrow_mut().clear();
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

    fn check_in(self: &Rc<Self>, mut opened: Opened, idle_for: Duration) {
        let expires = Instant::now() + idle_for;
        if opened.sender.is_ready() {
            self.idle.borrow_mut().push(Idle { opened, expires });
            return;
        }
        // The answer came before the whole request was taken, or its end is still to be seen.
        let pool = Rc::clone(self);
        tokio::task::spawn_local(async move {
            if let Ok(Ok(())) = timeout(SETTLE_TIMEOUT, opened.sender.ready()).await {
                pool.idle.borrow_mut().push(Idle { opened, expires });
            }
        });
    }

    /// Drops what has been idle for too long; called now and then.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        self.idle.borrow_mut().retain(|idle| idle.expires > now && !idle.opened.sender.is_closed());
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

/// Refuses a head that contradicts itself; says whether the connection may be used again.
fn check_head(status: StatusCode, headers: &HeaderMap) -> Result<bool, Refusal> {
    let has_both = headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH);
    if has_both || status.is_informational() || headers.get_all(CONTENT_LENGTH).iter().count() > 1 {
        return Err(Refusal::UpstreamMalformed);
    }
    let closes = headers.get_all(http::header::CONNECTION).iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|o| o.trim_ascii().eq_ignore_ascii_case(b"close"))
    });
    Ok(!closes)
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
    if error.is_parse() || error.is_parse_too_large() {
        Refusal::UpstreamMalformed
    } else if error.is_timeout() {
        Refusal::UpstreamTimeout
    } else {
        Refusal::UpstreamBroken
    }
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
        assert!(matches!(check_head(StatusCode::OK, &headers), Ok(true)));
        headers.insert(CONTENT_LENGTH, "5".parse().expect("valid"));
        assert!(matches!(check_head(StatusCode::OK, &headers), Err(Refusal::UpstreamMalformed)));
    }
}
