//! Which answers are taken, and what it is called when there is none.

use std::io::ErrorKind;

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use crate::refusal::Refusal;
use crate::server::memory::{Budget, Gather};
use crate::server::respond::WholeBody;
use crate::server::stream::StreamError;

/// The whole body, if it is no longer than `max_bytes`; `None` if there is no memory for it. It is
/// read to its end either way: only then is it known to be right.
pub(super) async fn read(
    body: &mut Incoming,
    max_bytes: usize,
    budget: Budget,
) -> Result<Option<WholeBody>, Refusal> {
    let (mut gather, mut pieces, mut received) = (Gather::default(), Vec::new(), 0_usize);
    let mut held = Some(budget.hold_nothing());
    while !body.is_end_stream() {
        let left = body.size_hint().exact();
        let Some(frame) = body.frame().await else { break };
        let Ok(piece) = frame.map_err(|error| refusal(&error))?.into_data() else { continue };
        received = received.saturating_add(piece.len());
        if received > max_bytes {
            return Err(Refusal::UpstreamMalformed);
        }
        if let Some(to_hold) = &mut held {
            gather.take(&piece, left, &mut |piece| pieces.push(piece));
            if to_hold.resize(gather.memory_bytes()).is_err() {
                (held, gather) = (None, Gather::default());
                pieces.clear();
            }
        }
    }
    let Some(mut held) = held else { return Ok(None) };
    gather.finish(&mut |piece| pieces.push(piece));
    let is_held = held.resize(gather.memory_bytes());
    Ok(is_held.ok().map(|()| WholeBody::new(pieces, held)))
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
