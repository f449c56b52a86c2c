//! `X-Hubgate-Proof` on a request that is about to be sent, made anew at each attempt.

use std::time::{SystemTime, UNIX_EPOCH};

use http::uri::PathAndQuery;
use http::{HeaderName, Request};

use super::headers::X_HUBGATE_VERIFIED;
use super::request_body::RequestBody;
use crate::webhook::proof::Attempt;

/// Sets the header if the body has a proof; nothing else of the request decides. One of the
/// caller's was removed with all of `X-Hubgate-*`.
pub(super) fn prove(request: &mut Request<RequestBody>, now: SystemTime) {
    let Some(proof) = request.body().proof() else { return };
    let verified = request.headers().get(X_HUBGATE_VERIFIED);
    let value = proof.header(&Attempt {
        // A clock before 1970 makes proofs that are refused.
        time: now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        method: request.method().as_str(),
        target: request.uri().path_and_query().map_or("/", PathAndQuery::as_str),
        verified: verified.map_or(&b""[..], |value| value.as_bytes()),
    });
    request.headers_mut().insert(X_HUBGATE_PROOF, value);
}

const X_HUBGATE_PROOF: HeaderName = HeaderName::from_static("x-hubgate-proof");
