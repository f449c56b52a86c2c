//! Which headers the application sees: the caller's own, less what only we may say, plus what we
//! proved; and which of its headers the caller sees.

use std::collections::HashSet;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, FORWARDED,
    HOST, TRAILER, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::forwarded_header::forwarded;
use crate::config::{IdentityHeaders, IdentityPart, Upstream};
use crate::telemetry::trace::{TRACEPARENT, TRACESTATE};
use crate::tls::identity::ClientIdentity;
use crate::webhook::signature::SIGNATURE_HEADER;

mod reserved;

pub use reserved::{HeaderClaim, RESERVED_HEADERS, ReservedHeader};

/// What is true of a request; every header here is set by us and by nobody else.
pub(crate) struct TrustedHeaders<'a> {
    /// Address of the caller.
    pub(crate) forwarded_for: &'a HeaderValue,
    /// `https`, or what a trusted proxy says.
    pub(crate) forwarded_proto: HeaderValue,
    /// Port that it connected to.
    pub(crate) forwarded_port: &'a HeaderValue,
    /// Host that it asked for.
    pub(crate) forwarded_host: HeaderValue,
    /// The proven client certificate, if there is one.
    pub(crate) client: Option<&'a ClientIdentity>,
    /// In which headers the application reads that.
    pub(crate) identity: &'a IdentityHeaders,
    /// Our name for this request.
    pub(crate) request_id: HeaderValue,
    /// What was proven.
    pub(crate) verified: Option<HeaderValue>,
}

/// Rewrites headers to the application; `reserved` ones are removed for every upstream alike.
pub(crate) fn rewrite_request_headers(
    headers: &mut HeaderMap,
    reserved: &ReservedHeaders,
    trusted: TrustedHeaders<'_>,
) {
    remove(headers, |name| {
        reserved.has(name)
            || !is_harmless(name)
                && (is_hop_by_hop(name) || is_reserved(name.as_str()) || *name == EXPECT)
    });
    set_identity(headers, &trusted);
    headers.insert(HOST, trusted.forwarded_host.clone());
    headers.insert(X_FORWARDED_FOR, trusted.forwarded_for.clone());
    headers.insert(X_FORWARDED_PROTO, trusted.forwarded_proto);
    headers.insert(X_FORWARDED_HOST, trusted.forwarded_host);
    headers.insert(X_FORWARDED_PORT, trusted.forwarded_port.clone());
    headers.insert(X_REQUEST_ID, trusted.request_id);
    if let Some(verified) = trusted.verified {
        headers.insert(X_HUBGATE_VERIFIED, verified);
    }
}

/// In the application's own dialects.
fn set_identity(headers: &mut HeaderMap, trusted: &TrustedHeaders<'_>) {
    for (name, part) in &trusted.identity.certificate {
        let value = match (trusted.client, part) {
            (Some(client), part) => client.value(*part).cloned(),
            (None, IdentityPart::Verify) => Some(HeaderValue::from_static("NONE")),
            (None, _) => None,
        };
        if let Some(value) = value {
            headers.insert(name.clone(), value);
        }
    }
    if trusted.identity.forwarded
        && let Some(value) =
            forwarded(trusted.forwarded_for, &trusted.forwarded_host, &trusted.forwarded_proto)
    {
        headers.insert(FORWARDED, value);
    }
}

/// Names of the operator's own choice under which any application is told who called. No caller may
/// use them, whichever upstream its request goes to.
#[derive(Debug, Default)]
pub(crate) struct ReservedHeaders(HashSet<Box<str>>);

impl ReservedHeaders {
    /// Less those that are reserved anyway, so that there are none unless names were chosen.
    pub(crate) fn of(upstreams: &[Upstream]) -> Self {
        let names = upstreams.iter().flat_map(|upstream| upstream.identity.folded_names());
        Self(names.filter(|name| !is_reserved(name)).collect())
    }

    fn has(&self, name: &HeaderName) -> bool {
        !self.0.is_empty() && self.0.contains(name.as_str())
    }
}

/// Joins the lines into which HTTP/2 may split a `Cookie`, for an application takes one (RFC 9113
/// section 8.2.3).
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let (Some(first), Some(second)) = (lines.next(), lines.next()) else { return };
    let mut joined = first.to_vec();
    for line in std::iter::once(second).chain(lines) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(line);
    }
    // Valid values make a valid one.
    if let Ok(joined) = HeaderValue::from_maybe_shared(Bytes::from(joined)) {
        headers.insert(COOKIE, joined);
    }
}

/// Headers to the caller: end-to-end ones only.
pub(crate) fn rewrite_response_headers(headers: &mut HeaderMap) {
    // Our length is written from the body that we send.
    remove(headers, |name| is_hop_by_hop(name) || *name == CONTENT_LENGTH);
}

/// Headers to the caller of a site: the length stays, since it may be that of a body that a HEAD
/// did not ask for, and trailers stay announced.
pub(crate) fn rewrite_streamed_response_headers(headers: &mut HeaderMap) {
    let trailer = headers.remove(TRAILER);
    remove(headers, is_hop_by_hop);
    if let Some(trailer) = trailer {
        headers.insert(TRAILER, trailer);
    }
}

/// Removes what `is_unwanted` names, and whatever `Connection` names (RFC 9110 section 7.6.1). One
/// pass over what is there: there are fewer headers in a request than names to look for.
fn remove(headers: &mut HeaderMap, is_unwanted: impl Fn(&HeaderName) -> bool) {
    if headers.contains_key(CONNECTION) {
        for name in named_by_connection(headers) {
            headers.remove(name);
        }
    }
    let unwanted: Vec<HeaderName> =
        headers.keys().filter(|name| is_unwanted(name)).cloned().collect();
    for name in unwanted {
        headers.remove(name);
    }
}

/// What nearly every request has, and no rule here is about: known by number, where the rules look at
/// each letter.
fn is_harmless(name: &HeaderName) -> bool {
    [ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, CONTENT_LENGTH, HOST, USER_AGENT].contains(name)
}

/// The fixed ones of RFC 9110 section 7.6.1, and those that are treated so, `HTTP2-Settings` of RFC
/// 7540 section 3.2.1 among them. Names are lower case.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "http2-settings"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Options of `Connection` that name a header, save those that a sender must not make us drop. What
/// we set is set after that.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let options = headers.get_all(CONNECTION).iter();
    let options = options.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    options
        .filter_map(|option| HeaderName::from_bytes(option.trim_ascii()).ok())
        .filter(|name| !KEPT.contains(name))
        .collect()
}

/// What proves a request, what frames it, and the trace that is promised to each.
const KEPT: [HeaderName; 6] =
    [SIGNATURE_HEADER, HOST, CONTENT_LENGTH, CONTENT_TYPE, TRACEPARENT, TRACESTATE];

/// What a sender has no business to say: who it is, whom it came through, what was proven.
///
/// Names are lower case here. One with an underscore, or another character that is neither letter,
/// digit nor hyphen, reaches a CGI-style application under the same name as one with a hyphen, so
/// none passes (nginx drops them by default, too).
fn is_reserved(name: &str) -> bool {
    is_folded(name) || reserved::is_reserved(name)
}

/// Whether some application reads the name as another. Looks at every byte, which goes by many at
/// once; to stop at the first would not.
fn is_folded(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() | (byte == b'-');
    name.bytes().fold(false, |is_folded, byte| is_folded | !is_plain(byte))
}

pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(crate) const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(super) const X_HUBGATE_VERIFIED: HeaderName = HeaderName::from_static("x-hubgate-verified");

#[cfg(test)]
mod tests;
