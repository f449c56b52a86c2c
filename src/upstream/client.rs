//! One worker's connections to one upstream, and exchanges over them under a deadline.
//!
//! What is repeated, and what is not: a connect that failed is tried once more, on another server
//! if there is one; a request of which a pooled connection took nothing goes out on a fresh one.
//! Once a byte may have been read, the request is not repeated (RFC 9110 section 9.2.2: a POST is
//! not idempotent) unless the operator says that the application recognises repeated events; then
//! it goes to another server than the one that broke, if there is one.
//!
//! A request is boxed on its way down, an answer on its way up, and so is what is rare: a future
//! takes memory for all that it may ever await, once for each layer, and every request's would be
//! copied about.

use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use http::header::{HOST, UPGRADE};
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout, timeout_at};

use super::health::Health;
use super::pool::{Begun, Pool, ServerGuard, Work};
use super::proof::prove;
use super::request_body::RequestBody;
use super::target::{OpenedConnection, UpstreamServer};
use super::{answer, balance};
use crate::config::{HostHeader, Repeat};
use crate::refusal::{Refusal, Severity};
use crate::server::memory::Budget;
use crate::server::respond::WholeBody;

/// Whether a request that failed was taken by the connection at all.
enum Failed {
    /// Not one byte of it: here it is back.
    Untouched(Box<Request<RequestBody>>, Refusal),
    /// It may have been read.
    Sent(Refusal),
}

/// A request without an answer.
pub(crate) struct Lost {
    pub(crate) refusal: Refusal,
    /// The one that may have read it.
    server: Option<usize>,
}

/// An answer that is whole; the body of its head has been read.
pub(crate) struct Whole {
    pub(crate) head: Box<Response<Incoming>>,
    /// `None`: there was no memory for it.
    pub(crate) body: Option<WholeBody>,
    /// When its last byte had come.
    pub(crate) ended: Instant,
}

impl Pool {
    /// Sends `request` and reads the whole answer, all within the upstream's time after `began`.
    pub(crate) async fn exchange(
        self: &Rc<Self>,
        request: Box<Request<RequestBody>>,
        began: Instant,
        memory: Budget,
    ) -> Result<Whole, Refusal> {
        let deadline = began + self.target.settings.timeout;
        let may_repeat = self.target.settings.repeat == Repeat::Broken;
        let exchange = async {
            let spare = if may_repeat { again(&request) } else { None };
            let lost = match self.exchange_once(request, None, deadline, memory.clone()).await {
                Ok(response) => return Ok(response),
                Err(lost) => lost,
            };
            match (lost.refusal, spare) {
                (Refusal::UpstreamBroken, Some(spare)) => {
                    self.target.metrics.retries.inc();
                    let repeated = self.exchange_once(spare, lost.server, deadline, memory);
                    let repeated = Box::pin(repeated).await;
                    repeated.map_err(|lost| lost.refusal)
                }
                (refusal, _) => Err(refusal),
            }
        };
        timeout_at(deadline, exchange).await.unwrap_or(Err(Refusal::UpstreamTimeout))
    }

    async fn exchange_once(
        self: &Rc<Self>,
        request: Box<Request<RequestBody>>,
        had_it_before: Option<usize>,
        deadline: Instant,
        memory: Budget,
    ) -> Result<Whole, Lost> {
        let work = Work::Event { deadline };
        let (mut head, lease) = self.begin(request, had_it_before, work).await?;
        let max_bytes = self.target.settings.response_max_bytes.get();
        let unanswered = Unanswered::new(lease.guard.load.health(), work);
        let read = answer::read(head.body_mut(), max_bytes, memory).await;
        unanswered.no_more();
        match read {
            Ok(body) => {
                let ended = Instant::now();
                lease.check_in(ended);
                Ok(Whole { head, body, ended })
            }
            Err(refusal) => {
                lease.guard.load.health().failed();
                Err(Lost { refusal, server: Some(lease.server) })
            }
        }
    }

    /// Sends `request` and waits for the head of its answer, on whichever server takes it: last of
    /// all on the one that had it before. The caller bounds the time.
    pub(crate) async fn begin(
        self: &Rc<Self>,
        mut request: Box<Request<RequestBody>>,
        had_it_before: Option<usize>,
        work: Work,
    ) -> Result<Begun, Lost> {
        let turn = self.next_turn();
        let mut last = Refusal::UpstreamUnreachable;
        let order = balance::order(&self.target.servers, turn, had_it_before);
        for (tries_before, index) in order.into_iter().enumerate() {
            if tries_before > 0 {
                self.target.metrics.retries.inc();
            }
            match self.begin_on(index, request, work).await {
                Ok(begun) => return Ok(begun),
                Err(Failed::Sent(refusal)) => return Err(Lost { refusal, server: Some(index) }),
                Err(Failed::Untouched(back, refusal)) => {
                    request = back;
                    last = refusal;
                }
            }
        }
        Err(Lost { refusal: last, server: None })
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
        work: Work,
    ) -> Result<Begun, Failed> {
        let no_such_server = Refusal::UpstreamUnreachable;
        let (Some(server), Some(places)) = (self.target.servers.get(index), self.places.get(index))
        else {
            return Err(Failed::Untouched(request, no_such_server));
        };
        let Ok(place) = Arc::clone(places.of(work)).acquire_owned().await else {
            return Err(Failed::Untouched(request, no_such_server));
        };
        let guard = ServerGuard { place: Some(place), load: server.health.enter() };
        if self.target.settings.host_header == HostHeader::Upstream {
            request.headers_mut().insert(HOST, server.host.clone());
        }
        while let Some(mut pooled) = self.check_out(index).await {
            match self.send(server, &mut pooled, request, work).await {
                Ok(response) => return Ok(self.lease(index, response, pooled, guard)),
                Err(Failed::Sent(refusal)) => return Err(Failed::Sent(refusal)),
                Err(Failed::Untouched(back, _)) => request = back,
            }
            self.target.metrics.retries.inc();
        }
        let open = Box::pin(self.target.open(server));
        let connect = timeout(self.target.settings.connect_timeout, open);
        let Ok(Ok(mut opened)) = connect.await else {
            server.health.unreachable();
            return Err(Failed::Untouched(request, Refusal::UpstreamUnreachable));
        };
        let response = self.send(server, &mut opened, request, work).await?;
        Ok(self.lease(index, response, opened, guard))
    }

    async fn send(
        &self,
        server: &UpstreamServer,
        opened: &mut OpenedConnection,
        mut request: Box<Request<RequestBody>>,
        work: Work,
    ) -> Result<Box<Response<Incoming>>, Failed> {
        prove(&mut request, SystemTime::now());
        let unanswered = Unanswered::new(&server.health, work);
        let may_switch = request.headers().contains_key(UPGRADE);
        let outcome = match opened.sender.try_send_request(*request).await {
            Ok(response) => {
                let (status, headers) = (response.status(), response.headers());
                let head = answer::check_head(status, headers, may_switch);
                head.map(|()| Box::new(response)).map_err(Failed::Sent)
            }
            Err(mut failed) => Err(match failed.take_message() {
                Some(back) => Failed::Untouched(Box::new(back), Refusal::UpstreamBroken),
                None => Failed::Sent(answer::refusal(failed.error())),
            }),
        };
        match &outcome {
            Ok(_) => server.health.succeeded(),
            Err(Failed::Sent(refusal)) if refusal.severity() == Severity::Fault => {
                server.health.failed();
            }
            Err(Failed::Sent(_) | Failed::Untouched(..)) => {}
        }
        unanswered.no_more();
        outcome
    }
}

/// Counts a failure when it is dropped at the deadline, before [`Unanswered::no_more`]: an event
/// that was not answered in time is the server's failure. One whose caller went away is not, and a
/// site may be as slow as it likes.
struct Unanswered<'a>(Option<(&'a Health, Instant)>);

impl<'a> Unanswered<'a> {
    fn new(health: &'a Health, work: Work) -> Self {
        Self(match work {
            Work::Event { deadline } => Some((health, deadline)),
            Work::Site => None,
        })
    }

    fn no_more(mut self) {
        self.0 = None;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some((health, deadline)) = self.0
            && Instant::now() >= deadline
        {
            health.failed();
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
