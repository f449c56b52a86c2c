//! Why an upstream cannot be used.

use std::path::PathBuf;

use crate::error_code::ErrorCode;
use crate::tls::material::MaterialError;

/// Why an upstream cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The CA file is not usable.
    #[error("upstream `{upstream}`: its `ca` is not usable")]
    Ca {
        /// Name of the upstream.
        upstream: String,
        /// What is wrong with the file.
        source: MaterialError,
    },
    /// A certificate in the CA file is not usable as a root.
    #[error("upstream `{upstream}`: a certificate in `{path}` cannot be a root")]
    Root {
        /// Name of the upstream.
        upstream: String,
        /// The file.
        path: PathBuf,
        /// The library's answer.
        source: rustls::Error,
    },
    /// What it would be shown is not usable.
    #[error("upstream `{upstream}`: its `client_certificate` is not usable")]
    Identity {
        /// Name of the upstream.
        upstream: String,
        /// What is wrong with the files.
        source: MaterialError,
    },
    /// The TLS library does not take these settings.
    #[error("upstream `{upstream}`: TLS cannot be set up")]
    Tls {
        /// Name of the upstream.
        upstream: String,
        /// The library's answer.
        source: rustls::Error,
    },
    /// The name to verify can stand in no certificate.
    #[error("upstream `{upstream}`: `{host}` is neither a DNS name nor an IP address")]
    Host {
        /// Name of the upstream.
        upstream: String,
        /// As written.
        host: String,
    },
}

impl TargetError {
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Ca { .. } | Self::Root { .. } => ErrorCode::StartUpstreamCa,
            Self::Identity { source, .. } => source.code(),
            Self::Tls { .. } => ErrorCode::StartTlsUnusable,
            Self::Host { .. } => ErrorCode::StartUpstreamHost,
        }
    }
}
