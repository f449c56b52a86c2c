//! One request as Meta makes it, or as somebody makes it who would like to be Meta.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use crate::events::sign;

/// One request; path and query are the URL's unless it says otherwise.
#[derive(Clone, Debug)]
pub struct Message {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    body: Bytes,
    target: Option<String>,
    query: Option<String>,
    framing: Framing,
    pace: Pace,
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By a `Content-Length`, as Meta does it.
    ContentLength,
    /// By chunks over HTTP/1.1, by the end of the stream over HTTP/2.
    Chunked,
}

/// In which pieces a body is sent, and how it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Bytes sent at once.
    pub piece: usize,
    /// Between two pieces.
    pub pause: Duration,
    /// How it ends.
    pub ending: Ending,
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With its last byte.
    Whole,
    /// After so many bytes nothing more comes, and the connection stays open.
    Stalled(usize),
    /// After so many bytes the connection (or the stream) breaks off.
    BrokenOff(usize),
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Meta takes 200 alone for success.
    pub status: StatusCode,
    /// As received.
    pub headers: HeaderMap,
    /// As received, whole.
    pub body: Bytes,
    /// From the request's first byte to the end of the answer's headers.
    pub to_headers: Duration,
    /// From the request's first byte to the answer's last.
    pub elapsed: Duration,
}

impl Message {
    /// An event notification, signed with `secret`.
    pub fn event(secret: &str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let signature = sign(secret, &body);
        Self::unsigned_event(body).header("x-hub-signature-256", &signature)
    }

    /// An event notification without its signature.
    pub fn unsigned_event(body: impl Into<Bytes>) -> Self {
        let message = Self::new(Method::POST).body(body);
        message
            .header("content-type", "application/json")
            .header("user-agent", "facebookexternalua")
            .header("accept", "*/*")
            .header("accept-encoding", "deflate, gzip")
    }

    /// A verification request.
    pub fn verification(token: &str, challenge: &str) -> Self {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("hub.mode", "subscribe")
            .append_pair("hub.challenge", challenge)
            .append_pair("hub.verify_token", token)
            .finish();
        Self::new(Method::GET)
            .query(&query)
            .header("user-agent", "facebookplatform/1.0 (+http://developers.facebook.com)")
            .header("accept", "*/*")
            .header("accept-encoding", "deflate, gzip")
    }

    /// A request without headers or body.
    pub fn new(method: Method) -> Self {
        Self {
            method,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            target: None,
            query: None,
            framing: Framing::ContentLength,
            pace: Pace { piece: usize::MAX, pause: Duration::ZERO, ending: Ending::Whole },
        }
    }

    /// With another body; headers, the signature among them, stay as they are.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// With another method.
    pub fn method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    /// With one more header, also if it is there already. Both must be ones that HTTP can carry.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("the name of a header");
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("the value of a header");
        self.headers.append(name, value);
        self
    }

    /// With this header once, whatever was there.
    pub fn with_header(self, name: &str, value: &str) -> Self {
        self.without_header(name).header(name, value)
    }

    /// Without this header.
    pub fn without_header(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// To this path (and query) in place of the URL's.
    pub fn target_path(self, target: &str) -> Self {
        Self { target: Some(target.into()), ..self }
    }

    /// With this query string, already encoded, after the path.
    pub fn query(self, query: &str) -> Self {
        Self { query: Some(query.into()), ..self }
    }

    /// With the end of its body told this way.
    pub fn framing(self, framing: Framing) -> Self {
        Self { framing, ..self }
    }

    /// Sent in these pieces.
    pub fn pace(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// Sent `piece` bytes at a time, with a pause between two pieces.
    pub fn in_pieces(self, piece: usize, pause: Duration) -> Self {
        self.pace(Pace { piece, pause, ending: Ending::Whole })
    }

    /// Ending this way.
    pub fn ending(mut self, ending: Ending) -> Self {
        self.pace.ending = ending;
        self
    }

    /// Path and query to ask for, if the URL's are `default`.
    pub(super) fn target(&self, default: &str) -> String {
        let target = self.target.as_deref().unwrap_or(default);
        match &self.query {
            None => target.into(),
            Some(query) => {
                let separator = if target.contains('?') { '&' } else { '?' };
                format!("{target}{separator}{query}")
            }
        }
    }

    /// Announced by us, because hyper leaves it out for an empty body.
    pub(super) fn announced_length(&self) -> Option<HeaderValue> {
        let has_body = self.method != Method::GET || !self.body.is_empty();
        let announced = has_body
            && self.framing == Framing::ContentLength
            && !self.headers.contains_key(header::CONTENT_LENGTH);
        announced.then(|| self.body.len().into())
    }
}

/// A body that is sent at its message's pace.
#[derive(Debug)]
pub(super) struct PacedBody {
    rest: Bytes,
    sent: usize,
    framing: Framing,
    pace: Pace,
    pause: Option<Pin<Box<Sleep>>>,
}

impl PacedBody {
    pub(super) fn of(message: &Message) -> Self {
        Self {
            rest: message.body.clone(),
            sent: 0,
            framing: message.framing,
            pace: message.pace,
            pause: None,
        }
    }

    /// How many bytes may still be sent before the body stalls or breaks off.
    fn allowance(&self) -> usize {
        match self.pace.ending {
            Ending::Whole => usize::MAX,
            Ending::Stalled(bytes) | Ending::BrokenOff(bytes) => bytes.saturating_sub(self.sent),
        }
    }
}

impl Body for PacedBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        match (self.allowance(), self.pace.ending) {
            (0, Ending::Stalled(_)) => return Poll::Pending, // until the request is dropped
            (0, Ending::BrokenOff(_)) => return Poll::Ready(Some(Err(BrokenOff))),
            _ => {}
        }
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.rest.len().min(self.pace.piece.max(1)).min(self.allowance());
        let piece = self.rest.split_to(length);
        self.sent += length;
        if !self.pace.pause.is_zero() && !self.rest.is_empty() {
            self.pause = Some(Box::pin(tokio::time::sleep(self.pace.pause)));
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.pace.ending == Ending::Whole
    }

    fn size_hint(&self) -> SizeHint {
        match (self.framing, u64::try_from(self.rest.len())) {
            (Framing::ContentLength, Ok(length)) => SizeHint::with_exact(length),
            (Framing::ContentLength | Framing::Chunked, _) => SizeHint::default(),
        }
    }
}

/// A body was told to break off here.
#[derive(Debug)]
pub(super) struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the body was told to break off here")
    }
}

impl std::error::Error for BrokenOff {}
