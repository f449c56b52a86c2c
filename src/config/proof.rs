//! `proof` in `[[upstream]]`: the secret that hubgate and an application share.

use subtle::ConstantTimeEq as _;

use super::fault::Fault;
use super::file;
use super::findings::Findings;
use super::secret::Secret;
use super::secret_source::Environment;

/// A secret that only hubgate and the application know, long enough to make proofs with.
#[derive(Clone, Debug)]
pub struct ProofSecret(Secret);

impl ProofSecret {
    /// The secret, for a key and nothing else.
    pub fn secret(&self) -> &Secret {
        &self.0
    }

    /// Whether it is one that has another purpose, too.
    pub(super) fn is(&self, other: &Secret) -> bool {
        is_same(&self.0, other)
    }

    pub(super) fn check(
        written: &file::RawSecret,
        environment: Environment<'_>,
        findings: &mut Findings,
    ) -> Option<Self> {
        let list = std::slice::from_ref(written);
        let secret = Secret::check_all(list, environment, findings).pop()?;
        if secret.expose().len() < MINIMUM_BYTES {
            findings.fault(&written.at, Fault::ProofTooShort { minimum: MINIMUM_BYTES });
            return None;
        }
        Some(Self(secret))
    }
}

/// The same secret from the same place. A changed one makes another upstream.
impl PartialEq for ProofSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.source() == other.0.source() && is_same(&self.0, &other.0)
    }
}

impl Eq for ProofSecret {}

fn is_same(one: &Secret, other: &Secret) -> bool {
    one.expose().ct_eq(other.expose()).into()
}

/// As many as SHA-256 gives: a shorter key is weaker than the hash (RFC 2104 section 3).
const MINIMUM_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use crate::config::fixture::Fixture;

    /// With the proof on line 4.
    fn upstream(proof: &str) -> String {
        format!("[[upstream]]\nname = \"app\"\nurl = \"http://127.0.0.1\"\nproof = {proof}")
    }

    #[test]
    fn a_proof_has_a_secret_from_any_source_of_its_own_and_of_32_bytes_at_least() {
        let fixture = Fixture::new();
        fixture.write("proof", &format!("{}\n", "p".repeat(32)));
        fixture.write("credentials/proof", &"c".repeat(64));
        let sources = [
            ("{ file = \"proof\" }", "p".repeat(32)),
            ("{ credential = \"proof\", label = \"to-app\" }", "c".repeat(64)),
            ("{ env = \"APP_SECRET\" }", "fedcba9876543210fedcba9876543210".to_owned()),
        ];
        for (source, bytes) in sources {
            let config = fixture.load(&upstream(source)).expect("has no fault");
            let proof = config.upstreams.first().and_then(|upstream| upstream.proof.clone());
            assert_eq!(proof.expect("is there").secret().expose(), bytes.as_bytes());
        }
        let without = fixture.load("").expect("has no fault");
        assert!(without.upstreams.iter().all(|upstream| upstream.proof.is_none()));
    }

    #[test]
    fn what_is_short_empty_inline_or_known_to_others_is_refused_and_not_repeated() {
        let fixture = Fixture::new();
        fixture.write("short", &"p".repeat(31));
        fixture.write("empty", "\n");
        let short = "names a secret of fewer than 32 bytes; make one with `openssl rand -hex 32`, \
                     for hubgate and the application alone";
        let taken = "names an app secret or a verify token, which others know; make one with \
                     `openssl rand -hex 32`, for hubgate and the application alone";
        let empty = "names an empty secret; an app secret is in the app's dashboard, `openssl rand \
                     -hex 32` makes any other";
        for (proof, place, sentence) in [
            ("{ file = \"short\" }", "upstream[0].proof", short),
            ("{ file = \"empty\" }", "upstream[0].proof.file", empty),
            ("{ file = \"secret\" }", "upstream[0].proof", taken),
            ("{}", "upstream[0].proof", "must name exactly one of `file`, `env` and `credential`"),
        ] {
            let expected = [format!("4: `{place}`: {sentence}")];
            assert_eq!(fixture.faults(&upstream(proof)), expected, "{proof}");
        }
        let [inline] = &fixture.faults(&upstream("\"swordfish\""))[..] else {
            unreachable!("one fault")
        };
        assert!(inline.contains("must not hold the secret itself"), "{inline}");
        assert!(!inline.contains("swordfish"), "{inline}");
    }

    #[test]
    fn another_secret_in_the_same_place_is_another_upstream() {
        let fixture = Fixture::new();
        let load = |bytes: &str| {
            fixture.write("proof", bytes);
            fixture.load(&upstream("{ file = \"proof\" }")).expect("has no fault").upstreams
        };
        let first = load(&"p".repeat(32));

        assert_eq!(first, load(&"p".repeat(32)));
        assert_ne!(first, load(&"q".repeat(32)));
        assert!(!format!("{first:?}").contains("ppp"), "{first:?}");
    }
}
