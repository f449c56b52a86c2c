//! The event notification that is posted over and over, signed once.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::pki::HOST;

/// A body, and the signature that goes with it or does not.
pub(crate) struct Request {
    body: Vec<u8>,
    signature: [u8; 32],
}

impl Request {
    /// A body of about `body_bytes` (not below what its JSON frame takes), rightly signed.
    pub(crate) fn signed(pki: &Path, body_bytes: usize) -> Self {
        let frame = r#"{"object":"page","entry":[{"id":"1","time":1767225600,"changes":[{"field":"feed","value":{"text":""}}]}]}"#;
        let (before, after) = frame.split_at(frame.find(r#"""}}]"#).unwrap() + 1);
        let filler = "x".repeat(body_bytes.saturating_sub(frame.len()));
        let body = [before, &filler, after].concat().into_bytes();

        let secret = fs::read(pki.join("app-secret")).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
        mac.update(&body);
        Self { body, signature: mac.finalize().into_bytes().into() }
    }

    /// The same with one bit of the signature turned.
    pub(crate) fn with_wrong_signature(mut self) -> Self {
        self.signature[31] ^= 1;
        self
    }

    /// Head and body as they go over the wire, with the headers that Meta sends.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        let mut head = format!(
            "POST /webhooks HTTP/1.1\r\n\
             Host: {HOST}\r\n\
             User-Agent: facebookexternalua\r\n\
             Accept: */*\r\n\
             Accept-Encoding: deflate, gzip\r\n\
             Content-Type: application/json\r\n\
             Content-Length: {}\r\n\
             X-Hub-Signature-256: sha256=",
            self.body.len()
        );
        for byte in self.signature {
            write!(head, "{byte:02x}").unwrap();
        }
        head.push_str("\r\n\r\n");
        [head.into_bytes(), self.body].concat()
    }
}
