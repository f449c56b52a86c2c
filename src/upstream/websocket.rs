//! The opening handshake of a WebSocket over HTTP/1.1 (RFC 6455 section 4): how a request asks for it,
//! and how an application agrees.
//!
//! In: the head of a request or of its answer. Out: a [`WebsocketHandshake`], or why there is none.
//! It is the only upgrade that exists here: over any other protocol, HTTP/2 in plain text before all,
//! an application would take requests that nobody has looked at.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING,
    UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

use crate::refusal::Refusal;

/// A caller's half of the handshake, which is as it must be.
#[derive(Clone, Debug)]
pub(crate) struct WebsocketHandshake {
    key: HeaderValue,
}

impl WebsocketHandshake {
    /// The handshake that this request is; `None` if it is an ordinary one, whose upgrade, if it
    /// asks for one at all, is to be ignored (RFC 9110 section 7.8).
    pub(crate) fn read(request: &Parts, has_body: bool) -> Result<Option<Self>, Refusal> {
        let headers = &request.headers;
        // HTTP/1.0 and HTTP/2 have no upgrades.
        if request.version != Version::HTTP_11 || !names_websocket(headers) {
            return Ok(None);
        }
        let has_body = has_body || headers.contains_key(TRANSFER_ENCODING);
        let is_handshake = request.method == Method::GET
            && !has_body
            && connection_names_upgrade(headers)
            && only(headers, &UPGRADE).is_some_and(is_websocket)
            && only(headers, &SEC_WEBSOCKET_VERSION).is_some_and(|version| version == VERSION);
        let key = only(headers, &SEC_WEBSOCKET_KEY).filter(|key| is_handshake && is_key(key));
        match key {
            Some(key) => Ok(Some(Self { key: key.clone() })),
            None => Err(Refusal::WebsocketInvalid),
        }
    }

    /// Asks the application for it: whatever `Connection` named is gone from the request by now.
    pub(crate) fn ask(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static(WEBSOCKET));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
        headers.insert(SEC_WEBSOCKET_KEY, self.key.clone());
    }

    /// Whether the headers of a 101 agree to it and to nothing else (RFC 6455 section 4.1).
    pub(crate) fn is_agreed_by(&self, headers: &HeaderMap) -> bool {
        connection_names_upgrade(headers)
            && only(headers, &UPGRADE).is_some_and(is_websocket)
            && only(headers, &SEC_WEBSOCKET_ACCEPT).is_some_and(|accept| accept == &self.accept())
    }

    /// Tells the caller that the application agreed; its `Sec-WebSocket-Accept` is there already.
    pub(crate) fn agree(headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static(WEBSOCKET));
    }

    fn accept(&self) -> String {
        let salted = [self.key.as_bytes(), ACCEPT_SALT].concat();
        BASE64_STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &salted))
    }
}

/// Whether a WebSocket is among the protocols that are asked for, in whatever version.
fn names_websocket(headers: &HeaderMap) -> bool {
    let without_version = |protocol: &[u8]| {
        let name = protocol.split(|byte| *byte == b'/').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(WEBSOCKET.as_bytes())
    };
    items(headers, &UPGRADE).any(without_version)
}

fn connection_names_upgrade(headers: &HeaderMap) -> bool {
    items(headers, &CONNECTION).any(|option| option.eq_ignore_ascii_case(b"upgrade"))
}

/// The items of a list, over all lines of this name.
fn items<'a>(headers: &'a HeaderMap, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).iter();
    lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

/// The value, if there is one line of this name.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    lines.next().filter(|_| lines.next().is_none())
}

fn is_websocket(value: &HeaderValue) -> bool {
    value.as_bytes().eq_ignore_ascii_case(WEBSOCKET.as_bytes())
}

/// RFC 6455 section 4.1: sixteen bytes in base64.
fn is_key(value: &HeaderValue) -> bool {
    BASE64_STANDARD.decode(value.as_bytes()).is_ok_and(|bytes| bytes.len() == KEY_BYTES)
}

const WEBSOCKET: &str = "websocket";
const VERSION: &str = "13";
const KEY_BYTES: usize = 16;
/// RFC 6455 section 1.3.
const ACCEPT_SALT: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn request(headers: &[(&str, &str)]) -> Parts {
        let request = Request::builder().version(Version::HTTP_11);
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).expect("valid").into_parts().0
    }

    fn asking(upgrade: &str) -> Parts {
        request(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", upgrade),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", KEY),
        ])
    }

    #[test]
    fn the_example_of_the_rfc_is_answered_as_there() {
        let handshake = WebsocketHandshake::read(&asking("WebSocket"), false).expect("is valid");
        let handshake = handshake.expect("is one");
        assert_eq!(handshake.accept(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn upgrades_to_anything_else_are_ignored_and_lists_with_a_websocket_refused() {
        for ignored in ["h2c", "TLS/1.0", "foo", "h2c, TLS/1.0", "", "websockets", "web socket"] {
            assert!(
                matches!(WebsocketHandshake::read(&asking(ignored), false), Ok(None)),
                "{ignored}"
            );
        }
        for refused in
            ["websocket, h2c", "h2c,websocket", "websocket/13", "WEBSOCKET /13", "websocket,"]
        {
            let read = WebsocketHandshake::read(&asking(refused), false);
            assert!(matches!(read, Err(Refusal::WebsocketInvalid)), "{refused}");
        }
    }

    #[test]
    fn http_1_0_and_http_2_have_no_upgrades() {
        for version in [Version::HTTP_10, Version::HTTP_2] {
            let mut request = asking("websocket");
            request.version = version;
            assert!(matches!(WebsocketHandshake::read(&request, false), Ok(None)), "{version:?}");
        }
    }
}
