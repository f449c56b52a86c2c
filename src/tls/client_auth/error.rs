//! Why a caller was not accepted, in the words of the log.

use std::sync::Arc;

use crate::refusal::ConnectionRefusal;
use crate::telemetry::log::RefusedClient;
use crate::tls::certificate::CertificateFacts;

/// Why a caller was not accepted, with what it presented.
#[derive(Clone, Debug)]
pub struct ClientAuthError {
    /// The reason, from the closed list.
    pub reason: ConnectionRefusal,
    /// The leaf, if it could be read.
    pub presented: Option<Box<CertificateFacts>>,
    /// The candidate anchor under which it would have been accepted.
    pub candidate: Option<Arc<str>>,
    /// The name that was asked for in TLS, where it is unknown.
    pub server_name: Option<Box<str>>,
}

/// Nothing was presented that could be told.
impl From<ConnectionRefusal> for ClientAuthError {
    fn from(reason: ConnectionRefusal) -> Self {
        Self { reason, presented: None, candidate: None, server_name: None }
    }
}

impl ClientAuthError {
    /// In the words of a log line.
    pub(crate) fn for_log(&self) -> RefusedClient<'_> {
        let facts = self.presented.as_deref();
        RefusedClient {
            reason: self.reason,
            subject: facts.map(|facts| facts.subject.as_str()),
            issuer: facts.map(|facts| facts.issuer.as_str()),
            serial: facts.map(|facts| facts.serial.as_str()),
            sha256: facts.map(|facts| facts.sha256.as_str()),
            candidate: self.candidate.as_deref(),
            server_name: self.server_name.as_deref(),
        }
    }
}
