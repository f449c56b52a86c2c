//! The only maker of our own answers. None says more than its status.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;

use crate::refusal::Refusal;
use crate::webhook::challenge::ProvenChallenge;

/// An answer, whole in memory.
pub(crate) type Answer = Response<Full<Bytes>>;

/// The answer to a refused request.
pub(crate) fn refusal(refusal: Refusal) -> Answer {
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

/// The bare challenge, as the sender of the verification request expects it.
pub(crate) fn challenge(proven: ProvenChallenge) -> Answer {
    let mut answer = plain(StatusCode::OK, Bytes::from(proven.challenge));
    let headers = answer.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn plain(status: StatusCode, text: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(text));
    *answer.status_mut() = status;
    let text_plain = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, text_plain);
    answer
}

fn short_text(status: StatusCode) -> &'static [u8] {
    status.canonical_reason().unwrap_or("refused").as_bytes()
}
