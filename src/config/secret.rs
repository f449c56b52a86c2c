//! Secrets: values that do not show themselves.
//!
//! In: lists of secrets as written. Out: their bytes under their labels, never shown by a `Debug`,
//! a `Display` or an error. Where the bytes come from is for [`super::secret_source`].

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::fault::Fault;
use super::findings::{At, Findings};
use super::secret_source::{self, Environment, SecretSource};
use super::{file, names};

/// An app secret or a verify token. Clones share its bytes, and the last one wipes them.
#[derive(Clone)]
pub struct Secret {
    label: String,
    source: SecretSource,
    bytes: Arc<Zeroizing<Box<[u8]>>>,
}

impl Secret {
    /// A secret that did not come from a configuration; it must not be empty.
    pub fn new(label: impl Into<String>, source: SecretSource, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes: Vec<u8> = bytes.into();
        debug_assert!(!bytes.is_empty(), "an empty secret would match anything");
        let bytes = Zeroizing::new(bytes.into_boxed_slice());
        Self { label: label.into(), source, bytes: Arc::new(bytes) }
    }

    /// What logs and metrics call it; unique within its list.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Where it came from.
    pub fn source(&self) -> &SecretSource {
        &self.source
    }

    /// The secret itself, for a comparison or a key and nothing else.
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }

    /// Every secret of a list that can be used.
    pub(super) fn check_all(
        written: &[file::RawSecret],
        environment: Environment<'_>,
        findings: &mut Findings,
    ) -> Vec<Self> {
        let mut secrets: Vec<(Self, &At)> = Vec::new();
        for secret in written {
            secrets.extend(Self::check(secret, environment, findings));
        }
        findings.must_differ(secrets.iter().map(|(secret, at)| (&secret.label, *at)));
        secrets.into_iter().map(|(secret, _)| secret).collect()
    }

    /// With the place of its label, or of what the label was taken from.
    fn check<'a>(
        written: &'a file::RawSecret,
        environment: Environment<'_>,
        findings: &mut Findings,
    ) -> Option<(Self, &'a At)> {
        let label =
            written.label.as_ref().map(|label| (names::visible(label, findings), &label.at));
        let (place, read) = match (&written.file, &written.env, &written.credential) {
            (Some(file), None, None) => {
                (file, secret_source::from_file(&findings.resolve(&file.value)))
            }
            (None, Some(env), None) => {
                (env, secret_source::from_environment(&env.value, environment))
            }
            (None, None, Some(name)) => {
                (name, secret_source::from_credential(&name.value, environment))
            }
            (_, _, _) => {
                findings.fault(&written.at, Fault::SecretSource);
                return None;
            }
        };
        match read {
            Ok((source, bytes)) => {
                let (label, at) = label.unwrap_or_else(|| (Some(source.name()), &place.at));
                Some((Self { label: label?, source, bytes: Arc::new(bytes) }, at))
            }
            Err(fault) => {
                findings.fault(&place.at, fault);
                None
            }
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Secret")
            .field("label", &self.label)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fixture::{Fixture, faults, load};

    /// With `secrets` from line 5 on.
    fn webhook(secrets: &str) -> String {
        format!(
            "[[webhook]]\npath = \"/\"\nupstream = \"app\"\n\
             verify_token = {{ file = \"token\" }}\napp_secrets = {secrets}"
        )
    }

    fn secrets(text: &str) -> Vec<Secret> {
        let webhooks = load(&webhook(text)).webhooks;
        webhooks.into_iter().flat_map(|webhook| webhook.app_secrets).collect()
    }

    #[test]
    fn each_source_is_read_and_one_newline_trimmed() {
        let secrets = secrets(
            r#"[
                { file = "secret" },
                { env = "APP_SECRET" },
                { credential = "token", label = "new" },
            ]"#,
        );

        let shown: Vec<_> =
            secrets.iter().map(|secret| (secret.label(), secret.expose())).collect();
        let expected: [(&str, &[u8]); 3] = [
            ("secret", b"0123456789abcdef0123456789abcdef"),
            ("APP_SECRET", b"fedcba9876543210fedcba9876543210"),
            ("new", b"a credential"),
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        let shown = format!("{:?}", secrets(r#"[{ file = "secret" }]"#));

        assert!(shown.contains("label: \"secret\""), "{shown}");
        assert!(!shown.contains("0123456789"), "{shown}");
    }

    #[test]
    fn an_inline_secret_is_refused_and_not_repeated() {
        let texts = [r#""swordfish""#, r#"["swordfish"]"#, r#"[{ file = "secret" }, "swordfish"]"#];
        for text in texts {
            let faults = faults(&webhook(text));
            let [fault] = faults.as_slice() else { unreachable!("{faults:?}") };
            assert!(fault.starts_with("5: `webhook[0].app_secrets"), "{fault}");
            assert!(fault.contains("must not hold the secret itself"), "{fault}");
            assert!(!fault.contains("swordfish"), "{fault}");
        }
    }

    #[test]
    fn a_secret_on_a_line_that_is_not_toml_is_not_repeated() {
        for text in ["[swordfish]", "\"swordfish", "[{ file = swordfish }]", "swordfish = 1"] {
            let errors = Fixture::new().load(&webhook(text)).expect_err("is not TOML");
            let shown = format!("{errors} {errors:?}");
            assert!(shown.contains("hubgate.toml:5"), "{shown}");
            assert!(!shown.contains("swordfish"), "{shown}");
        }
    }

    #[test]
    fn exactly_one_source_is_named() {
        let text = r#"[
            {},
            { file = "secret", env = "APP_SECRET" },
            7]"#;

        assert_eq!(
            faults(&webhook(text)),
            [
                "6: `webhook[0].app_secrets[0]`: must name exactly one of `file`, `env` and \
                 `credential`",
                "7: `webhook[0].app_secrets[1]`: must name exactly one of `file`, `env` and \
                 `credential`",
                "8: `webhook[0].app_secrets[2]`: must be a table, but is a whole number",
            ]
        );
    }

    #[test]
    fn empty_long_and_absent_secrets_are_refused() {
        let fixture = Fixture::new();
        fixture.write("empty", "\n");
        fixture.write("long", &"a".repeat(4_097));
        fixture.write("longest", &"a".repeat(4_096));
        let text = r#"[
            { file = "empty" },
            { file = "long" },
            { file = "absent" },
            { env = "EMPTY" },
            { env = "ABSENT" },
            { credential = "absent" },
            { credential = "../secret" },
            { file = "longest" }]"#;

        assert_eq!(
            fixture.faults(&webhook(text)),
            [
                "6: `webhook[0].app_secrets[0].file`: names an empty secret; an app \
                 secret is in the app's dashboard, `openssl rand -hex 32` makes any other",
                "7: `webhook[0].app_secrets[1].file`: names a secret of more than 4096 bytes",
                "8: `webhook[0].app_secrets[2].file`: names `absent`, which cannot be read: No \
                 such file or directory (os error 2)",
                "9: `webhook[0].app_secrets[3].env`: names an empty secret; an app \
                 secret is in the app's dashboard, `openssl rand -hex 32` makes any other",
                "10: `webhook[0].app_secrets[4].env`: names the environment variable `ABSENT`, \
                 which is not set",
                "11: `webhook[0].app_secrets[5].credential`: names `credentials/absent`, which \
                 cannot be read: No such file or directory (os error 2)",
                "12: `webhook[0].app_secrets[6].credential`: must be the plain name of a \
                 credential, without `/`",
            ]
        );
    }

    #[test]
    fn labels_of_one_list_differ() {
        let text = r#"[
            { file = "secret" },
            { env = "APP_SECRET", label = "secret" },
            { file = "secret", label = "" }]"#;

        assert_eq!(
            faults(&webhook(text)),
            [
                "7: `webhook[0].app_secrets[1].label`: must differ from \
                 `webhook[0].app_secrets[0].file`, but is the same",
                "8: `webhook[0].app_secrets[2].label`: must not be empty",
            ]
        );
    }
}
