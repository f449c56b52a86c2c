//! Proves that an event notification was signed with one of a route's app secrets.
//!
//! In: the headers, then the body's frames as they arrive. Out: a [`VerifiedBody`], which only
//! [`Check::finish`] makes and which holds exactly the frames that were hashed. Nothing is parsed:
//! Meta signs bytes (HMAC-SHA256 keyed with the app secret's text), not JSON.

use std::sync::Arc;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName};
use sha2::Sha256;

use super::proof::{BodyHash, Proof, ProofKey};
use crate::config::Secret;
use crate::refusal::Refusal;
use crate::server::memory::Held;
use crate::tls::client_auth::VerifiedClient;

/// The header that carries the signature. `X-Hub-Signature`, its SHA-1 elder, proves nothing here.
pub(crate) const SIGNATURE_HEADER: HeaderName = HeaderName::from_static("x-hub-signature-256");

/// The app secrets of one route, each ready to hash; never empty.
pub(crate) struct SigningKeys {
    keys: Vec<SigningKey>,
    /// For the application that gets what is verified, if it is to be told so.
    proof: Option<Arc<ProofKey>>,
}

struct SigningKey {
    label: Arc<str>,
    /// Both paddings are hashed already: a clone starts at the first byte of the body. Wiped when
    /// dropped, and so is each clone.
    keyed: Hmac<Sha256>,
}

/// The signature that a sender presented: the 32 bytes of `sha256=<64 lower-case hex digits>`.
#[derive(Debug)]
pub(crate) struct PresentedSignature([u8; 32]);

/// A body on its way through the hash, with the keys of one route from its beginning to its end.
pub(crate) struct Check<'k> {
    keys: &'k SigningKeys,
    presented: Result<PresentedSignature, Refusal>,
    running: Vec<Hmac<Sha256>>,
    /// Only where a proof is made of it.
    hash: Option<BodyHash>,
    frames: Vec<Bytes>,
    length: usize,
}

/// A body whose signature has been checked. Only [`Check::finish`] makes one, so holding it is the
/// proof.
#[derive(Debug)]
pub(crate) struct VerifiedBody {
    frames: Frames,
    /// Which secret it was: index into the route's list, and label.
    secret: (usize, Arc<str>),
    /// For the application, where it shares a secret with us.
    proof: Option<Proof>,
}

impl VerifiedBody {
    /// Which secret it was signed with: index into the route's list, and label.
    pub(crate) fn secret(&self) -> (usize, &Arc<str>) {
        (self.secret.0, &self.secret.1)
    }

    /// The bytes as they were hashed, and the proof of them for the application.
    pub(crate) fn into_parts(self) -> (Frames, Option<Proof>) {
        (self.frames, self.proof)
    }
}

/// A body whose signature is not right, on a route that only reports it. Only
/// [`Check::finish_reporting`] makes one, for a caller whose certificate is proven.
#[derive(Debug)]
pub(crate) struct ReportedBody {
    frames: Frames,
    /// What it would be refused for.
    refusal: Refusal,
}

impl ReportedBody {
    /// What it would be refused for.
    pub(crate) fn refusal(&self) -> Refusal {
        self.refusal
    }

    /// The bytes as they came.
    pub(crate) fn into_frames(self) -> Frames {
        self.frames
    }
}

/// The bytes as they were hashed, in the pieces in which they arrived.
#[derive(Debug)]
pub(crate) struct Frames {
    pub(crate) pieces: Vec<Bytes>,
    /// All of them together.
    pub(crate) length: usize,
    /// Their share of the shared budget, released with them.
    _held: Held,
}

impl SigningKeys {
    pub(crate) fn new(secrets: &[Secret], proof: Option<Arc<ProofKey>>) -> Self {
        let key = |secret: &Secret| SigningKey {
            label: secret.label().into(),
            keyed: Hmac::new_from_slice(secret.expose()).expect("HMAC takes keys of any length"),
        };
        Self { keys: secrets.iter().map(key).collect(), proof }
    }
}

impl PresentedSignature {
    /// Takes the one signature header, in the one form that Meta sends.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut values = headers.get_all(SIGNATURE_HEADER).iter();
        let only = values.next().ok_or(Refusal::SignatureMissing)?;
        if values.next().is_some() {
            return Err(Refusal::SignatureMalformed);
        }
        Self::parse(only.as_bytes()).ok_or(Refusal::SignatureMalformed)
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let digits: &[u8; 64] = value.strip_prefix(b"sha256=")?.try_into().ok()?;
        let mut presented = [0; 32];
        base16ct::lower::decode(digits, &mut presented).ok()?;
        Some(Self(presented))
    }
}

impl<'k> Check<'k> {
    /// Without a usable signature the body can only be reported, never verified.
    pub(crate) fn begin(
        keys: &'k SigningKeys,
        presented: Result<PresentedSignature, Refusal>,
    ) -> Self {
        let running = keys.keys.iter().map(|key| key.keyed.clone()).collect();
        let hash = keys.proof.as_ref().map(BodyHash::begin);
        Self { keys, presented, running, hash, frames: Vec::with_capacity(1), length: 0 }
    }

    /// Hashes one frame and keeps it.
    pub(crate) fn update(&mut self, frame: Bytes) {
        for mac in &mut self.running {
            mac.update(&frame);
        }
        if let Some(hash) = &mut self.hash {
            hash.update(&frame);
        }
        self.length += frame.len();
        self.frames.push(frame);
    }

    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// The body is whole: compares in constant time with what each secret makes of it.
    pub(crate) fn finish(self, held: Held) -> Result<VerifiedBody, Refusal> {
        let (verified, frames) = self.compare(held);
        let (secret, proof) = verified?;
        Ok(VerifiedBody { frames, secret, proof })
    }

    /// As [`Check::finish`], but gives back the body of a proven client even so.
    pub(crate) fn finish_reporting(
        self,
        held: Held,
        _proven: &VerifiedClient,
    ) -> Result<VerifiedBody, ReportedBody> {
        match self.compare(held) {
            (Ok((secret, proof)), frames) => Ok(VerifiedBody { frames, secret, proof }),
            (Err(refusal), frames) => Err(ReportedBody { frames, refusal }),
        }
    }

    fn compare(self, held: Held) -> (Result<Match, Refusal>, Frames) {
        let frames = Frames { pieces: self.frames, length: self.length, _held: held };
        let presented = match self.presented {
            Ok(PresentedSignature(presented)) => presented.into(),
            Err(refusal) => return (Err(refusal), frames),
        };
        let mut matching = None;
        // No early end: the time says nothing about which secret, if any, it was.
        for (index, (mac, key)) in self.running.into_iter().zip(&self.keys.keys).enumerate() {
            if mac.verify(&presented).is_ok() && matching.is_none() {
                matching = Some((index, Arc::clone(&key.label)));
            }
        }
        // The hash of a body that nobody signed is dropped, so that no proof can come of it.
        let verified = matching.map(|secret| (secret, self.hash.map(BodyHash::finish)));
        (verified.ok_or(Refusal::SignatureMismatch), frames)
    }
}

/// Which secret it was, and the proof of it for the application.
type Match = ((usize, Arc<str>), Option<Proof>);

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::config::SecretSource;

    /// One case of `tests/fixtures/signatures.json`; its README says what each key means.
    #[derive(Deserialize)]
    struct Case {
        name: String,
        app_secrets: Vec<String>,
        body: String,
        headers: Vec<String>,
        outcome: String,
        matched_secret: Option<usize>,
    }

    impl Case {
        /// The whole check, the body arriving `piece` bytes at a time.
        fn run(&self, piece: usize) -> Result<VerifiedBody, Refusal> {
            let secrets = self.app_secrets.iter().enumerate().map(|(index, secret)| {
                Secret::new(index.to_string(), SecretSource::Made, secret.as_str())
            });
            let keys = SigningKeys::new(&secrets.collect::<Vec<_>>(), None);
            let mut headers = HeaderMap::new();
            for value in &self.headers {
                let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header's value");
                headers.append(SIGNATURE_HEADER, value);
            }
            let mut check = Check::begin(&keys, Ok(PresentedSignature::read(&headers)?));
            for frame in self.body.as_bytes().chunks(piece) {
                check.update(Bytes::copy_from_slice(frame));
            }
            check.finish(Held::nothing())
        }
    }

    #[test]
    fn what_is_derived_from_a_secret_is_wiped_when_dropped() {
        fn is_wiped<T: zeroize::ZeroizeOnDrop>() {}
        // An HMAC is two of these, and the buffer of one.
        is_wiped::<Sha256>();
    }

    #[test]
    fn every_case_of_the_fixture_has_its_outcome_however_its_body_is_cut() {
        let fixture = include_str!("../../tests/fixtures/signatures.json");
        let cases: Vec<Case> = serde_json::from_str(fixture).expect("the fixture");
        for case in cases {
            for piece in [usize::MAX, 64, 1] {
                match case.run(piece) {
                    Ok(verified) => {
                        assert_eq!(case.outcome, "verified", "{}", case.name);
                        assert_eq!(Some(verified.secret.0), case.matched_secret, "{}", case.name);
                        assert_eq!(verified.frames.pieces.concat(), case.body.as_bytes());
                        assert_eq!(verified.frames.length, case.body.len());
                    }
                    Err(refusal) => assert_eq!(refusal.label(), case.outcome, "{}", case.name),
                }
            }
        }
    }

    proptest! {
        // The smallest input that fails stands in the panic, not in a file beside the source.
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn a_claim_is_read_from_its_one_spelling_and_from_no_other(
            value in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..100),
                "(sha256=|SHA256=|sha1=|)[0-9a-fA-F ]{62,66}".prop_map(String::into_bytes),
                "sha256=[0-9a-f]{64}".prop_map(String::into_bytes),
            ],
        ) {
            let digits = value.strip_prefix(b"sha256=").filter(|digits| digits.len() == 64);
            let is_hex = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
            let digits = digits.filter(|digits| digits.iter().all(is_hex));

            let read = PresentedSignature::parse(&value).map(|PresentedSignature(bytes)| bytes);

            let spelled = read.map(|bytes| bytes.map(|byte| format!("{byte:02x}")).concat());
            prop_assert_eq!(spelled.as_deref().map(str::as_bytes), digits);
        }
    }
}
