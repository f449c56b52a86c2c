//! Which stable code each fault of a configuration has.
#![warn(clippy::wildcard_enum_match_arm)]

use super::error::ConfigErrors;
use super::fault::Fault;
use crate::error_code::{ErrorCode, FaultReport};

impl Fault {
    /// Several faults with one remedy share a code; the sentence tells them apart.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Read { .. } => ErrorCode::ConfigUnreadable,
            Self::Syntax { .. } => ErrorCode::ConfigSyntax,
            Self::UnknownKey { .. } => ErrorCode::ConfigUnknownKey,
            Self::Missing => ErrorCode::ConfigMissingKey,
            Self::WrongType { .. } => ErrorCode::ConfigWrongType,
            Self::NotOneOf { .. } => ErrorCode::ConfigUnknownWord,
            Self::Zero | Self::OutOfRange { .. } => ErrorCode::ConfigOutOfRange,
            Self::BodyMemoryBelowBody { .. }
            | Self::ConnectAboveTimeout { .. }
            | Self::NotBelow { .. }
            | Self::TogetherNotBelow { .. }
            | Self::AboveMaximum { .. } => ErrorCode::ConfigLimitsContradict,
            Self::EmptyList | Self::Empty => ErrorCode::ConfigEmpty,
            Self::ControlCharacter => ErrorCode::ConfigControlCharacter,
            Self::Duplicate { .. } | Self::RouteTaken { .. } => ErrorCode::ConfigDuplicate,
            Self::NotAnAddress => ErrorCode::ConfigAddressInvalid,
            Self::NotANetwork => ErrorCode::ConfigNetworkInvalid,
            Self::ProxiesMissing => ErrorCode::ConfigProxiesMissing,
            Self::NotLoopback => ErrorCode::ConfigNotLoopback,
            Self::File { .. } | Self::NotAFile { .. } | Self::NotADirectory { .. } => {
                ErrorCode::ConfigFileUnusable
            }
            Self::InlineSecret => ErrorCode::ConfigSecretInline,
            Self::SecretSource | Self::CredentialName => ErrorCode::ConfigSecretSource,
            Self::SecretEmpty
            | Self::SecretTooLong { .. }
            | Self::ProofTooShort { .. }
            | Self::ProofNotItsOwn => ErrorCode::ConfigSecretInvalid,
            Self::VariableMissing { .. } => ErrorCode::ConfigVariableMissing,
            Self::CredentialsMissing => ErrorCode::ConfigCredentialsMissing,
            Self::UrlScheme
            | Self::UrlPart { .. }
            | Self::UrlHost
            | Self::UrlPort
            | Self::SocketPath { .. } => ErrorCode::ConfigUrlInvalid,
            Self::OnlyWithHttps
            | Self::UrlAndServers
            | Self::TokenUnused
            | Self::NamesWithoutNginx => ErrorCode::ConfigContradiction,
            Self::HeaderNameSyntax | Self::HeaderNameTaken => ErrorCode::ConfigHeaderNameInvalid,
            Self::UpstreamUnknown { .. } => ErrorCode::ConfigUpstreamUnknown,
            Self::PathStart
            | Self::PathCharacter { .. }
            | Self::PathSegment { .. }
            | Self::TargetCharacter { .. } => ErrorCode::ConfigPathInvalid,
            Self::HostPort | Self::HostSyntax => ErrorCode::ConfigHostInvalid,
            Self::MethodInvalid => ErrorCode::ConfigMethodInvalid,
            Self::ReportWithoutCertificate => ErrorCode::ConfigProofMissing,
            Self::AnchorsMissing => ErrorCode::ConfigAnchorsMissing,
            Self::TokenMissing => ErrorCode::ConfigTokenMissing,
        }
    }
}

impl ConfigErrors {
    /// Every fault, in the order of the file.
    pub fn fault_reports(&self) -> Vec<FaultReport> {
        self.iter().map(|error| FaultReport::of(error.fault.code(), error)).collect()
    }
}
