//! The only maker of our own answers. None says more than its status.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};

use super::memory::Held;
use super::stream::{StreamError, Streamed};
use crate::refusal::Refusal;

/// What a caller gets.
pub(crate) type CallerResponse = Response<ResponseBody>;

/// Its body: whole in memory, or on its way through.
pub(crate) enum ResponseBody {
    Whole(WholeBody),
    Streamed(Streamed),
}

/// A body that is in memory, in pieces as they came.
#[derive(Default)]
pub(crate) struct WholeBody {
    next: Bytes,
    more: std::vec::IntoIter<Bytes>,
    left: usize,
    /// What those pieces take that have not gone out; `None` for our own few words.
    held: Option<Held>,
}

impl WholeBody {
    pub(crate) fn new(pieces: Vec<Bytes>, held: Held) -> Self {
        let left = pieces.iter().map(Bytes::len).sum();
        let mut more = pieces.into_iter();
        Self { next: more.next().unwrap_or_default(), more, left, held: Some(held) }
    }
}

impl From<WholeBody> for ResponseBody {
    fn from(body: WholeBody) -> Self {
        Self::Whole(body)
    }
}

impl From<Bytes> for ResponseBody {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(WholeBody { left: bytes.len(), next: bytes, ..WholeBody::default() })
    }
}

impl ResponseBody {
    /// What a piece takes that goes out, for as long as somebody has it.
    pub(super) fn held_for(&mut self, piece: &Bytes) -> Option<Held> {
        match self {
            // The last one takes all that is left.
            Self::Whole(WholeBody { left: 0, held, .. }) => held.take(),
            Self::Whole(body) => body.held.as_mut().map(|held| held.split_to(piece.len())),
            Self::Streamed(_) => None,
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        match &mut *self {
            Self::Whole(body) => {
                let more = body.more.next().unwrap_or_default();
                let next = std::mem::replace(&mut body.next, more);
                body.left -= next.len();
                Poll::Ready((!next.is_empty()).then(|| Ok(Frame::data(next))))
            }
            Self::Streamed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.left == 0,
            Self::Streamed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(u64::try_from(body.left).unwrap_or(u64::MAX)),
            Self::Streamed(body) => body.size_hint(),
        }
    }
}

/// The answer to a refused request.
pub(crate) fn refusal(refusal: Refusal) -> CallerResponse {
    let status = refusal.status();
    let mut answer = plain(status, Bytes::from_static(short_text(status)));
    // RFC 9110 section 15.5.6: what the route takes.
    if refusal == Refusal::MethodNotAllowed {
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
    }
    if refusal == Refusal::VerificationOff {
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    }
    answer
}

/// The answer to a method that a route does not take which takes these; none stands for any but
/// CONNECT and TRACE.
pub(crate) fn method_not_allowed(methods: &[Method]) -> CallerResponse {
    let mut answer = refusal(Refusal::MethodNotAllowed);
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    let names = if names.is_empty() { USUAL_METHODS } else { &names };
    // A method is a token, so the value is always valid.
    if let Ok(allowed) = HeaderValue::try_from(names.join(", ")) {
        answer.headers_mut().insert(ALLOW, allowed);
    }
    answer
}

/// Those of RFC 9110 and RFC 5789 that everything takes which takes any.
const USUAL_METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Sends the caller elsewhere; one that did not only want to read comes with the same method and
/// body (RFC 9110 section 15.4.9).
pub(crate) fn redirect(location: HeaderValue, is_read: bool) -> CallerResponse {
    let status = match is_read {
        true => StatusCode::MOVED_PERMANENTLY,
        false => StatusCode::PERMANENT_REDIRECT,
    };
    let mut answer = plain(status, Bytes::from_static(short_text(status)));
    answer.headers_mut().insert(LOCATION, location);
    answer
}

/// Somebody else's text, for one reader and never as anything but text.
pub(crate) fn echo(text: Bytes) -> CallerResponse {
    let mut answer = plain(StatusCode::OK, text);
    let headers = answer.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn plain(status: StatusCode, text: Bytes) -> CallerResponse {
    let mut answer = Response::new(ResponseBody::from(text));
    *answer.status_mut() = status;
    let text_plain = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, text_plain);
    answer
}

fn short_text(status: StatusCode) -> &'static [u8] {
    status.canonical_reason().unwrap_or("refused").as_bytes()
}
