//! Which explanation belongs to which code.
#![warn(clippy::wildcard_enum_match_arm)]

use super::catalogue::Explanation;
use super::{config_faults as config, start_faults as start};
use crate::error_code::ErrorCode;

pub(super) fn explanation(code: ErrorCode) -> Explanation {
    match code {
        ErrorCode::ConfigUnreadable => config::UNREADABLE,
        ErrorCode::ConfigSyntax => config::SYNTAX,
        ErrorCode::ConfigUnknownKey => config::UNKNOWN_KEY,
        ErrorCode::ConfigMissingKey => config::MISSING_KEY,
        ErrorCode::ConfigWrongType => config::WRONG_TYPE,
        ErrorCode::ConfigUnknownWord => config::UNKNOWN_WORD,
        ErrorCode::ConfigOutOfRange => config::OUT_OF_RANGE,
        ErrorCode::ConfigLimitsContradict => config::LIMITS_CONTRADICT,
        ErrorCode::ConfigEmpty => config::EMPTY,
        ErrorCode::ConfigControlCharacter => config::CONTROL_CHARACTER,
        ErrorCode::ConfigDuplicate => config::DUPLICATE,
        ErrorCode::ConfigContradiction => config::CONTRADICTION,
        ErrorCode::ConfigAddressInvalid => config::ADDRESS_INVALID,
        ErrorCode::ConfigNotLoopback => config::NOT_LOOPBACK,
        ErrorCode::ConfigUrlInvalid => config::URL_INVALID,
        ErrorCode::ConfigPathInvalid => config::PATH_INVALID,
        ErrorCode::ConfigHostInvalid => config::HOST_INVALID,
        ErrorCode::ConfigMethodInvalid => config::METHOD_INVALID,
        ErrorCode::ConfigUpstreamUnknown => config::UPSTREAM_UNKNOWN,
        ErrorCode::ConfigFileUnusable => config::FILE_UNUSABLE,
        ErrorCode::ConfigSecretInline => config::SECRET_INLINE,
        ErrorCode::ConfigSecretSource => config::SECRET_SOURCE,
        ErrorCode::ConfigSecretInvalid => config::SECRET_INVALID,
        ErrorCode::ConfigVariableMissing => config::VARIABLE_MISSING,
        ErrorCode::ConfigCredentialsMissing => config::CREDENTIALS_MISSING,
        ErrorCode::ConfigAnchorsMissing => config::ANCHORS_MISSING,
        ErrorCode::ConfigTokenMissing => config::TOKEN_MISSING,
        ErrorCode::ConfigProofMissing => config::PROOF_MISSING,
        ErrorCode::StartFileUnreadable => start::FILE_UNREADABLE,
        ErrorCode::StartPemInvalid => start::PEM_INVALID,
        ErrorCode::StartCertificateAbsent => start::CERTIFICATE_ABSENT,
        ErrorCode::StartCertificateUnreadable => start::CERTIFICATE_UNREADABLE,
        ErrorCode::StartKeyAbsent => start::KEY_ABSENT,
        ErrorCode::StartKeyUnsupported => start::KEY_UNSUPPORTED,
        ErrorCode::StartKeyMismatch => start::KEY_MISMATCH,
        ErrorCode::StartChainOrder => start::CHAIN_ORDER,
        ErrorCode::StartAnchorNotCa => start::ANCHOR_NOT_CA,
        ErrorCode::StartAnchorLabelTaken => start::ANCHOR_LABEL_TAKEN,
        ErrorCode::StartCrlTooLarge => start::CRL_TOO_LARGE,
        ErrorCode::StartCrlUnusable => start::CRL_UNUSABLE,
        ErrorCode::StartTlsUnusable => start::TLS_UNUSABLE,
        ErrorCode::StartUpstreamCa => start::UPSTREAM_CA,
        ErrorCode::StartUpstreamHost => start::UPSTREAM_HOST,
        ErrorCode::StartListenFailed => start::LISTEN_FAILED,
        ErrorCode::StartSocketNotListening => start::SOCKET_NOT_LISTENING,
        ErrorCode::StartSocketMissing => start::SOCKET_MISSING,
        ErrorCode::StartSocketNotNamed => start::SOCKET_NOT_NAMED,
        ErrorCode::StartThreadFailed => start::THREAD_FAILED,
    }
}
