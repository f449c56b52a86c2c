//! Which answers are taken, and what it is called when there is none.

use std::io::ErrorKind;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};

use crate::refusal::Refusal;
use crate::server::stream::StreamError;

/// The whole body, if it is no longer than `max_bytes`.
pub(super) async fn read(body: &mut Incoming, max_bytes: usize) -> Result<Bytes, Refusal> {
    // Most answers are empty or one piece, and need no collecting.
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    match Limited::new(body, max_bytes).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::UpstreamMalformed),
        Err(error) => Err(error.downcast_ref().map_or(Refusal::UpstreamBroken, refusal)),
    }
}

/// Refuses a head that contradicts itself, or switches protocols unless that was asked for.
pub(super) fn check_head(
    status: StatusCode,
    headers: &HeaderMap,
    may_switch: bool,
) -> Result<(), Refusal> {
    let has_both = headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH);
    let is_asked = may_switch && status == StatusCode::SWITCHING_PROTOCOLS;
    let is_stray = status.is_informational() && !is_asked;
    if has_both || is_stray || headers.get_all(CONTENT_LENGTH).iter().count() > 1 {
        return Err(Refusal::UpstreamMalformed);
    }
    Ok(())
}

/// What a failed exchange is called.
pub(super) fn refusal(error: &hyper::Error) -> Refusal {
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
    fn an_answer_with_two_framings_is_refused() {
        let mut headers = HeaderMap::new();
        headers.insert(TRANSFER_ENCODING, "chunked".parse().expect("valid"));
        assert!(matches!(check_head(StatusCode::OK, &headers, false), Ok(())));
        headers.insert(CONTENT_LENGTH, "5".parse().expect("valid"));
        let refused = check_head(StatusCode::OK, &headers, false);
        assert!(matches!(refused, Err(Refusal::UpstreamMalformed)));
    }
}
