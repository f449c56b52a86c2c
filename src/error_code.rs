//! The closed list of codes for whatever keeps a configuration from being put in force.
//!
//! Each error type says beside its own definition which code its variants have, and tells its
//! faults one by one, each with its code and its causes in one sentence. Codes are stable;
//! `hubgate explain` knows each. What strangers are refused for has its labels in
//! [`crate::refusal`].
#![warn(clippy::wildcard_enum_match_arm)]

use std::error::Error;
use std::fmt;

/// Declares the list once: variants, labels, and all of them in order.
macro_rules! error_codes {
    ($($variant:ident = $label:literal),+ $(,)?) => {
        /// The kind of a fault, under a name that does not change.
        #[expect(missing_docs, reason = "each label says it, and `hubgate explain` says more")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($variant),+
        }

        impl ErrorCode {
            /// Every code: first the configuration's, then those of what it names.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// What stands in `error[..]` and in the log field `code`; stable.
            pub fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label),+
                }
            }
        }
    };
}

error_codes! {
    // The document and its values.
    ConfigUnreadable = "config_unreadable",
    ConfigSyntax = "config_syntax",
    ConfigUnknownKey = "config_unknown_key",
    ConfigMissingKey = "config_missing_key",
    ConfigWrongType = "config_wrong_type",
    ConfigUnknownWord = "config_unknown_word",
    ConfigOutOfRange = "config_out_of_range",
    ConfigLimitsContradict = "config_limits_contradict",
    ConfigEmpty = "config_empty",
    ConfigControlCharacter = "config_control_character",
    ConfigDuplicate = "config_duplicate",
    ConfigContradiction = "config_contradiction",
    ConfigAddressInvalid = "config_address_invalid",
    ConfigNetworkInvalid = "config_network_invalid",
    ConfigNotLoopback = "config_not_loopback",
    ConfigUrlInvalid = "config_url_invalid",
    ConfigPathInvalid = "config_path_invalid",
    ConfigHostInvalid = "config_host_invalid",
    ConfigMethodInvalid = "config_method_invalid",
    ConfigHeaderNameInvalid = "config_header_name_invalid",
    ConfigUpstreamUnknown = "config_upstream_unknown",
    // The files and secrets that it names.
    ConfigFileUnusable = "config_file_unusable",
    ConfigSecretInline = "config_secret_inline",
    ConfigSecretSource = "config_secret_source",
    ConfigSecretInvalid = "config_secret_invalid",
    ConfigVariableMissing = "config_variable_missing",
    ConfigCredentialsMissing = "config_credentials_missing",
    // What would leave a check without anything to check against.
    ConfigAnchorsMissing = "config_anchors_missing",
    ConfigProxiesMissing = "config_proxies_missing",
    ConfigTokenMissing = "config_token_missing",
    ConfigProofMissing = "config_proof_missing",
    // Certificates, keys, lists.
    StartFileUnreadable = "start_file_unreadable",
    StartPemInvalid = "start_pem_invalid",
    StartCertificateAbsent = "start_certificate_absent",
    StartCertificateUnreadable = "start_certificate_unreadable",
    StartKeyAbsent = "start_key_absent",
    StartKeyUnsupported = "start_key_unsupported",
    StartKeyMismatch = "start_key_mismatch",
    StartChainOrder = "start_chain_order",
    StartAnchorNotCa = "start_anchor_not_ca",
    StartAnchorLabelTaken = "start_anchor_label_taken",
    StartCrlTooLarge = "start_crl_too_large",
    StartCrlUnusable = "start_crl_unusable",
    StartTlsUnusable = "start_tls_unusable",
    // Upstreams.
    StartUpstreamCa = "start_upstream_ca",
    StartUpstreamHost = "start_upstream_host",
    // Sockets and threads.
    StartListenFailed = "start_listen_failed",
    StartSocketNotListening = "start_socket_not_listening",
    StartSocketMissing = "start_socket_missing",
    StartSocketNotNamed = "start_socket_not_named",
    StartThreadFailed = "start_thread_failed",
}

/// An error and the chain of its causes, in one line.
#[derive(Clone, Copy, Debug)]
pub struct WithCauses<'e>(pub &'e dyn Error);

impl fmt::Display for WithCauses<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)?;
        let causes = std::iter::successors(self.0.source(), |cause| (*cause).source());
        for cause in causes {
            write!(formatter, ": {cause}")?;
        }
        Ok(())
    }
}

/// One fault, as the operator is told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultReport {
    /// Its kind.
    pub code: ErrorCode,
    /// Where it is, what it is, and its causes.
    pub sentence: String,
}

impl FaultReport {
    pub(crate) fn of(code: ErrorCode, error: &dyn Error) -> Self {
        Self { code, sentence: WithCauses(error).to_string() }
    }
}

impl fmt::Display for FaultReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "error[{}]: {}", self.code.label(), self.sentence)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::refusal::{ConnectionRefusal, Refusal};

    #[test]
    fn an_error_is_shown_with_each_of_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Caused(&'static str, #[source] Option<Box<Caused>>);

        let error = Caused(
            "no start",
            Some(Box::new(Caused("no file", Some(Box::new(Caused("gone", None)))))),
        );
        assert_eq!(WithCauses(&error).to_string(), "no start: no file: gone");
    }

    #[test]
    fn no_code_is_used_twice_and_none_is_a_refusals_label() {
        let mut labels: HashSet<_> = ConnectionRefusal::ALL
            .iter()
            .map(|connection_refusal| connection_refusal.label())
            .collect();
        labels.extend(Refusal::ALL.iter().map(|refusal| refusal.label()));
        for code in ErrorCode::ALL {
            assert!(labels.insert(code.label()), "{}", code.label());
        }
    }
}
