//! Why nothing came back.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustls::AlertDescription;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The URL is not one that Meta could call.
    #[error("`{url}`: {problem}")]
    Url {
        /// As given.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The client key cannot be used.
    #[error("the client key cannot be used")]
    Identity {
        /// What rustls says.
        source: rustls::Error,
    },
    /// A root certificate cannot be used.
    #[error("a root certificate cannot be used")]
    Root {
        /// What rustls says.
        source: rustls::Error,
    },
    /// The host's name has no address.
    #[error("cannot resolve `{host}`")]
    Resolve {
        /// From the URL.
        host: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// The resolver answered with an empty list.
    #[error("`{host}` has no address")]
    NoAddress {
        /// From the URL.
        host: String,
    },
    /// Nobody accepts connections there.
    #[error("cannot connect to {address}")]
    Connect {
        /// The last address tried.
        address: SocketAddr,
        /// What the kernel says.
        source: io::Error,
    },
    /// Either side refused the other in TLS; see [`SendError::tls_alert`].
    #[error("TLS failed")]
    Tls {
        /// What rustls says.
        source: rustls::Error,
    },
    /// The connection broke within TLS, without an alert.
    #[error("the connection broke during the TLS handshake")]
    Broken {
        /// What the kernel says.
        source: io::Error,
    },
    /// The server closed the connection after the handshake, without an alert.
    #[error("the server closed the connection after the TLS handshake")]
    Closed,
    /// The request could not be sent, or its answer not be read.
    #[error("the HTTP exchange failed")]
    Http {
        /// What hyper says.
        source: hyper::Error,
    },
    /// The answer's body broke off or is longer than any that we read.
    #[error("the body of the answer could not be read")]
    Answer {
        /// What reading it ended with.
        source: Box<dyn Error + Send + Sync>,
    },
    /// It took too long.
    #[error("no {waiting} within {after:?}")]
    TimedOut {
        /// What did not come.
        waiting: Waiting,
        /// How long it was waited for.
        after: Duration,
    },
}

/// What a sender waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// An open TCP connection.
    Connect,
    /// The end of the TLS handshake.
    Handshake,
    /// The last byte of the answer.
    Answer,
}

impl fmt::Display for Waiting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Connect => "TCP connection",
            Self::Handshake => "end of the TLS handshake",
            Self::Answer => "whole answer",
        })
    }
}

impl SendError {
    /// The TLS alert with which the server refused us, by its name in RFC 8446 section 6, also if
    /// it came after the handshake.
    pub fn tls_alert(&self) -> Option<&'static str> {
        let rustls::Error::AlertReceived(alert) = self.rustls()? else {
            return None;
        };
        Some(alert_name(*alert))
    }

    /// Whether we refused the server's certificate, not it ours.
    pub fn is_server_distrusted(&self) -> bool {
        matches!(self.rustls(), Some(rustls::Error::InvalidCertificate(_)))
    }

    /// Whether no connection was made at all.
    pub fn is_connect(&self) -> bool {
        matches!(self, Self::Resolve { .. } | Self::NoAddress { .. } | Self::Connect { .. })
    }

    /// Whether it took too long.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut { .. })
    }

    fn rustls(&self) -> Option<&rustls::Error> {
        match self {
            Self::Tls { source } => Some(source),
            Self::Answer { source } => rustls_cause(source.as_ref()),
            Self::Url { .. }
            | Self::Identity { .. }
            | Self::Root { .. }
            | Self::Resolve { .. }
            | Self::NoAddress { .. }
            | Self::Connect { .. }
            | Self::Broken { .. }
            | Self::Closed
            | Self::Http { .. }
            | Self::TimedOut { .. } => None,
        }
    }

    /// tokio-rustls hides what rustls says in an I/O error.
    pub(super) fn from_tls_io(error: io::Error) -> Self {
        match rustls_cause(&error) {
            Some(source) => Self::Tls { source: source.clone() },
            None => Self::Broken { source: error },
        }
    }

    /// hyper hides that once more.
    pub(super) fn from_hyper(error: hyper::Error) -> Self {
        match rustls_cause(&error) {
            Some(source) => Self::Tls { source: source.clone() },
            None => Self::Http { source: error },
        }
    }
}

/// Finds rustls's error in a chain of causes. An I/O error's `source` skips the error that it
/// carries, hence `get_ref`.
fn rustls_cause<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>() {
            Some(error) => error.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

fn alert_name(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::CloseNotify => "close_notify",
        AlertDescription::UnexpectedMessage => "unexpected_message",
        AlertDescription::BadRecordMac => "bad_record_mac",
        AlertDescription::DecryptionFailed => "decryption_failed",
        AlertDescription::RecordOverflow => "record_overflow",
        AlertDescription::DecompressionFailure => "decompression_failure",
        AlertDescription::HandshakeFailure => "handshake_failure",
        AlertDescription::NoCertificate => "no_certificate",
        AlertDescription::BadCertificate => "bad_certificate",
        AlertDescription::UnsupportedCertificate => "unsupported_certificate",
        AlertDescription::CertificateRevoked => "certificate_revoked",
        AlertDescription::CertificateExpired => "certificate_expired",
        AlertDescription::CertificateUnknown => "certificate_unknown",
        AlertDescription::IllegalParameter => "illegal_parameter",
        AlertDescription::UnknownCA => "unknown_ca",
        AlertDescription::AccessDenied => "access_denied",
        AlertDescription::DecodeError => "decode_error",
        AlertDescription::DecryptError => "decrypt_error",
        AlertDescription::ExportRestriction => "export_restriction",
        AlertDescription::ProtocolVersion => "protocol_version",
        AlertDescription::InsufficientSecurity => "insufficient_security",
        AlertDescription::InternalError => "internal_error",
        AlertDescription::InappropriateFallback => "inappropriate_fallback",
        AlertDescription::UserCanceled => "user_canceled",
        AlertDescription::NoRenegotiation => "no_renegotiation",
        AlertDescription::MissingExtension => "missing_extension",
        AlertDescription::UnsupportedExtension => "unsupported_extension",
        AlertDescription::CertificateUnobtainable => "certificate_unobtainable",
        AlertDescription::UnrecognisedName => "unrecognized_name",
        AlertDescription::BadCertificateStatusResponse => "bad_certificate_status_response",
        AlertDescription::BadCertificateHashValue => "bad_certificate_hash_value",
        AlertDescription::UnknownPSKIdentity => "unknown_psk_identity",
        AlertDescription::CertificateRequired => "certificate_required",
        AlertDescription::NoApplicationProtocol => "no_application_protocol",
        AlertDescription::EncryptedClientHelloRequired => "ech_required",
        // rustls may learn new ones in any release.
        AlertDescription::Unknown(_) | _ => "unknown",
    }
}
