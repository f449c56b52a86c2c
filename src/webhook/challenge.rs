//! Reads a verification request and compares its token.
//!
//! `GET <callback>?hub.mode=subscribe&hub.challenge=<opaque>&hub.verify_token=<token>`, parameters
//! in any order, other parameters ignored (a callback URL may have its own). Decoded once, as an
//! HTML form is (`+` is a space), and compared whole, so that nothing can hide behind `%00`.

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::proof::{Proof, ProofKey};
use crate::config::Secret;
use crate::refusal::Refusal;
use crate::server::respond::{self, CallerResponse};

/// A verification request, read but not yet proven.
#[derive(Debug)]
pub(crate) struct VerificationRequest {
    challenge: String,
    token: String,
}

/// The challenge of a request whose token was right. Only [`VerifyTokens::check`] makes one.
#[derive(Debug)]
pub(crate) struct ProvenChallenge {
    challenge: String,
    /// Label of the token that matched.
    token: Arc<str>,
    /// For the application, where it shares a secret with us.
    proof: Option<Proof>,
}

impl ProvenChallenge {
    /// Label of the token that matched.
    pub(crate) fn token(&self) -> &Arc<str> {
        &self.token
    }

    /// The proof of it for the application.
    pub(crate) fn into_proof(self) -> Option<Proof> {
        self.proof
    }

    /// The bare challenge, as the sender of the verification request expects it.
    pub(crate) fn into_answer(self) -> CallerResponse {
        respond::echo(Bytes::from(self.challenge))
    }
}

/// The tokens of one route, any of which is right.
pub(crate) struct VerifyTokens {
    tokens: Vec<VerifyToken>,
    /// For the application that answers what is proven, if it is to be told so.
    proof: Option<Arc<ProofKey>>,
}

struct VerifyToken {
    label: Arc<str>,
    /// Comparing digests hides the token's length, too. Wiped, for a short token could be guessed.
    digest: Zeroizing<[u8; 32]>,
}

impl VerificationRequest {
    /// Takes each parameter exactly once and within its length.
    pub(crate) fn read(query: Option<&str>) -> Result<Self, Refusal> {
        let mut mode = None;
        let mut challenge = None;
        let mut token = None;
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let place = match &*name {
                "hub.mode" => &mut mode,
                "hub.challenge" => &mut challenge,
                "hub.verify_token" => &mut token,
                _ => continue,
            };
            // What is not UTF-8 was replaced in decoding and could not be echoed as it came.
            let unusable =
                value.is_empty() || value.len() > VALUE_MAX_BYTES || value.contains('\u{fffd}');
            if unusable || place.replace(value.into_owned()).is_some() {
                return Err(Refusal::VerificationMalformed);
            }
        }
        let (Some(mode), Some(challenge), Some(token)) = (mode, challenge, token) else {
            return Err(Refusal::VerificationMalformed);
        };
        if mode != "subscribe" {
            return Err(Refusal::VerificationModeUnknown);
        }
        Ok(Self { challenge, token })
    }
}

impl VerifyTokens {
    pub(crate) fn new(secrets: &[Secret], proof: Option<Arc<ProofKey>>) -> Self {
        let token = |secret: &Secret| VerifyToken {
            label: secret.label().into(),
            digest: Zeroizing::new(Sha256::digest(secret.expose()).into()),
        };
        Self { tokens: secrets.iter().map(token).collect(), proof }
    }

    /// Compares with every token, in constant time.
    pub(crate) fn check(&self, request: VerificationRequest) -> Result<ProvenChallenge, Refusal> {
        let presented: [u8; 32] = Sha256::digest(request.token.as_bytes()).into();
        let mut matching = None;
        for token in &self.tokens {
            let equal: bool = token.digest.ct_eq(&presented).into();
            if equal && matching.is_none() {
                matching = Some(Arc::clone(&token.label));
            }
        }
        let token = matching.ok_or(Refusal::VerifyTokenMismatch)?;
        let proof = self.proof.as_ref().map(Proof::without_body);
        Ok(ProvenChallenge { challenge: request.challenge, token, proof })
    }
}

/// Meta's challenges have ten digits or so; this allows any that it might send.
const VALUE_MAX_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(query: &str) -> Result<(String, String), Refusal> {
        VerificationRequest::read(Some(query)).map(|request| (request.challenge, request.token))
    }

    #[test]
    fn parameters_are_taken_in_any_order_beside_others_and_decoded_once() {
        let expected = Ok(("a b%20c".to_owned(), "t+k".to_owned()));
        assert_eq!(
            read("hub.mode=subscribe&hub.challenge=a+b%2520c&hub.verify_token=t%2Bk"),
            expected
        );
        assert_eq!(
            read("x=1&hub.verify_token=t%2bk&hub%2Echallenge=a%20b%2520c&hub.mode=subscribe"),
            expected
        );
    }

    #[test]
    fn missing_doubled_empty_oversized_and_undecodable_parameters_are_malformed() {
        let long =
            format!("hub.mode=subscribe&hub.verify_token=t&hub.challenge={}", "1".repeat(1025));
        for query in [
            "",
            "hub.mode=subscribe&hub.challenge=1",
            "hub.challenge=1&hub.verify_token=t",
            "hub.mode=subscribe&hub.challenge=1&hub.challenge=1&hub.verify_token=t",
            "hub.mode=subscribe&hub.challenge=1&hub.verify_token=t&hub.verify_token=u",
            "hub.mode=subscribe&hub.challenge=&hub.verify_token=t",
            "hub.mode=subscribe&hub.challenge=1&hub.verify_token=",
            "hub.mode=subscribe&hub.challenge=%ff&hub.verify_token=t",
            &long,
        ] {
            assert_eq!(read(query), Err(Refusal::VerificationMalformed), "{query}");
        }
    }

    #[test]
    fn another_mode_is_told_apart() {
        let query = "hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=t";
        assert_eq!(read(query), Err(Refusal::VerificationModeUnknown));
    }

    proptest! {
        // The smallest input that fails stands in the panic, not in a file beside the source.
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn whatever_text_was_encoded_comes_out_as_it_was(
            challenge in "[^\u{fffd}]{1,80}",
            token in "[^\u{fffd}]{1,80}",
        ) {
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("hub.verify_token", &token)
                .append_pair("hub.challenge", &challenge)
                .append_pair("hub.mode", "subscribe")
                .finish();
            prop_assert_eq!(read(&query), Ok((challenge, token)));
        }

        #[test]
        fn no_query_is_read_unless_each_parameter_stands_in_it_once(
            parts in prop::collection::vec(
                "hub(.|%2e)mode=subscribe|hub.(challenge|verify_token)=[ -~]{0,4}|.{0,12}",
                0..8,
            ),
        ) {
            let query = parts.join("&");
            if read(&query).is_ok() {
                let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
                for name in ["hub.mode", "hub.challenge", "hub.verify_token"] {
                    prop_assert_eq!(pairs.iter().filter(|(found, _)| found == name).count(), 1);
                }
            }
        }
    }
}
