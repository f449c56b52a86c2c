//! What tells an application that hubgate proved a request, and that nobody but hubgate can make.
//!
//! In: the secret that hubgate and the application share. Out: a [`Proof`], which only the checks
//! of this module's neighbours make, each where it makes its own: of a body whose signature is
//! right, and of a challenge whose token is. Whatever has no [`Proof`] goes out without the header.
//!
//! The value is `t=<unix seconds>,v1=<64 hex digits>`: HMAC-SHA256 over `v1`, the time, the method,
//! the path with its query as sent, the words of `X-Hubgate-Verified` and the SHA-256 of the body
//! in hex, joined by newlines, of which none of them can have one.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderValue;
use sha2::{Digest, Sha256};

use crate::config::Secret;

/// The secret, ready to hash; one for all requests to an upstream.
pub(crate) struct ProofKey {
    /// Both paddings are hashed already: a clone starts at the first byte of the message.
    keyed: Hmac<Sha256>,
}

/// A body on its way through the hash.
pub(super) struct BodyHash {
    key: Arc<ProofKey>,
    running: Sha256,
}

/// Everything that the header needs and that does not change from one attempt to the next.
#[derive(Clone)]
pub(crate) struct Proof {
    key: Arc<ProofKey>,
    /// SHA-256 in hex.
    body: [u8; 64],
}

/// What an attempt at a request looks like to the application.
pub(crate) struct Attempt<'a> {
    /// Seconds since 1970.
    pub(crate) time: u64,
    pub(crate) method: &'a str,
    /// Path and query, as they are sent.
    pub(crate) target: &'a str,
    /// The value of `X-Hubgate-Verified`.
    pub(crate) verified: &'a [u8],
}

impl ProofKey {
    pub(crate) fn new(secret: &Secret) -> Self {
        let keyed = Hmac::new_from_slice(secret.expose()).expect("HMAC takes keys of any length");
        Self { keyed }
    }
}

impl BodyHash {
    pub(super) fn begin(key: &Arc<ProofKey>) -> Self {
        Self { key: Arc::clone(key), running: Sha256::new() }
    }

    pub(super) fn update(&mut self, frame: &[u8]) {
        self.running.update(frame);
    }

    /// For a body that its check has proven; for an unproven one this is dropped.
    pub(super) fn finish(self) -> Proof {
        Proof { key: self.key, body: hex(&self.running.finalize()) }
    }
}

impl Proof {
    /// Of a proven request that has no body.
    pub(super) fn without_body(key: &Arc<ProofKey>) -> Self {
        BodyHash::begin(key).finish()
    }

    /// The value of `X-Hubgate-Proof` for one attempt.
    pub(crate) fn header(&self, attempt: &Attempt<'_>) -> HeaderValue {
        let time = attempt.time.to_string();
        let mut mac = self.key.keyed.clone();
        let lines = [time.as_bytes(), attempt.method.as_bytes(), attempt.target.as_bytes()];
        mac.update(VERSION);
        for line in lines.into_iter().chain([attempt.verified, &self.body]) {
            mac.update(b"\n");
            mac.update(line);
        }
        let digits = hex(&mac.finalize().into_bytes());
        let value = [b"t=", time.as_bytes(), b",", VERSION, b"=", &digits].concat();
        let mut value = HeaderValue::try_from(value).expect("digits and commas");
        value.set_sensitive(true);
        value
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Proof").finish_non_exhaustive()
    }
}

fn hex(bytes: &[u8]) -> [u8; 64] {
    let mut digits = [0; 64];
    let _fits = base16ct::lower::encode(bytes, &mut digits);
    digits
}

/// Of the message and of its place in the header.
const VERSION: &[u8] = b"v1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SecretSource;

    fn key() -> Arc<ProofKey> {
        let secret = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        Arc::new(ProofKey::new(&Secret::new("proof", SecretSource::Made, secret)))
    }

    /// As Python's `hmac` and `hashlib` have it.
    #[test]
    fn the_header_is_what_another_program_makes_of_the_same_lines_however_the_body_is_cut() {
        let event = Attempt {
            time: 1_790_000_000,
            method: "POST",
            target: "/webhooks?app=7",
            verified: b"client-certificate, signature",
        };
        for piece in [1, 5, 64] {
            let mut hash = BodyHash::begin(&key());
            br#"{"object":"page"}"#.chunks(piece).for_each(|frame| hash.update(frame));
            assert_eq!(
                hash.finish().header(&event),
                "t=1790000000,v1=eb5cd495af698bd9c72c199b2d042fa297b9129463c608010761ded7b70a6ce2"
            );
        }
        let verification = Attempt {
            time: 1_790_000_001,
            method: "GET",
            target: "/webhooks?hub.mode=subscribe",
            verified: b"verify-token",
        };
        assert_eq!(
            Proof::without_body(&key()).header(&verification),
            "t=1790000001,v1=9539c315a4d7b7a382e1c7f38071e31e5c4702be399bb8fecc9e33c673727298"
        );
    }

    #[test]
    fn every_line_counts_and_the_secret_does_too() {
        let attempt = |time, method, target, verified| Attempt { time, method, target, verified };
        let of = |secret: &str, body: &[u8], attempt: Attempt<'_>| {
            let secret = Secret::new("proof", SecretSource::Made, secret);
            let mut hash = BodyHash::begin(&Arc::new(ProofKey::new(&secret)));
            hash.update(body);
            let header = hash.finish().header(&attempt);
            let value = header.to_str().expect("is ASCII").to_owned();
            value.split_once(",v1=").expect("has a second part").1.to_owned()
        };
        let secret = "s".repeat(32);
        let all = [
            of(&secret, b"{}", attempt(1, "POST", "/a", b"signature")),
            of(&"S".repeat(32), b"{}", attempt(1, "POST", "/a", b"signature")),
            of(&secret, b"[]", attempt(1, "POST", "/a", b"signature")),
            of(&secret, b"{}", attempt(2, "POST", "/a", b"signature")),
            of(&secret, b"{}", attempt(1, "PUT", "/a", b"signature")),
            of(&secret, b"{}", attempt(1, "POST", "/b", b"signature")),
            of(&secret, b"{}", attempt(1, "POST", "/a?", b"signature")),
            of(&secret, b"{}", attempt(1, "POST", "/a", b"client-certificate, signature")),
        ];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len(), "{all:#?}");
    }

    #[test]
    fn neither_a_proof_nor_its_header_shows_itself() {
        let proof = Proof::without_body(&key());
        let attempt = Attempt { time: 1, method: "GET", target: "/", verified: b"" };
        assert_eq!(format!("{proof:?} {:?}", proof.header(&attempt)), "Proof { .. } Sensitive");
    }
}
