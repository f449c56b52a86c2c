//! Puts [`ClientTrust`] into rustls' handshake.
//!
//! rustls takes an error from a closed list and answers with the TLS alert of that entry; it has no
//! room for what was presented, which is what the operator needs. So the reason is also left in
//! a slot. One verifier belongs to one worker, whose thread runs the handshake step and reads the
//! slot with nothing in between, so the slot never holds another connection's reason.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::certificate::CertificateFacts;
use super::client_auth::{ClientAuthError, ClientTrust};
use crate::refusal::ConnectionRefusal;

/// One worker's verifier.
#[derive(Debug)]
pub(super) struct WorkerVerifier {
    trust: Arc<ClientTrust>,
    mandatory: bool,
    last: Mutex<Option<ClientAuthError>>,
}

impl WorkerVerifier {
    pub(super) fn new(trust: Arc<ClientTrust>, mandatory: bool) -> Self {
        Self { trust, mandatory, last: Mutex::new(None) }
    }

    /// Takes the reason for which the handshake just failed, if this verifier was it.
    pub(super) fn take_error(&self) -> Option<ClientAuthError> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The signature of the handshake is not that of the leaf's key, which was found usable, though
    /// it may be of another kind: the caller does not have the key.
    fn without_key(&self, error: Error, leaf: &CertificateDer<'_>) -> Error {
        let Error::InvalidCertificate(_) = error else { return error };
        let presented = CertificateFacts::read(leaf).map(Box::new);
        self.leave(ClientAuthError { presented, ..ConnectionRefusal::BadSignature.into() });
        Error::InvalidCertificate(CertificateError::BadSignature)
    }

    fn leave(&self, auth_error: ClientAuthError) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(auth_error);
    }
}

impl ClientCertVerifier for WorkerVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    /// None, on purpose: a sender that obeys hints would present nothing after a change of CA, and
    /// the log could not say which certificate it has now.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain: Vec<_> = std::iter::once(end_entity).chain(intermediates).cloned().collect();
        match self.trust.prove(&chain, now) {
            Ok(_client) => Ok(ClientCertVerified::assertion()),
            Err(auth_error) => {
                let error = certificate_error(auth_error.reason);
                self.leave(auth_error);
                Err(Error::InvalidCertificate(error))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verified = verify_tls12_signature(message, cert, dss, self.trust.algorithms());
        verified.map_err(|error| self.without_key(error, cert))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verified = verify_tls13_signature(message, cert, dss, self.trust.algorithms());
        verified.map_err(|error| self.without_key(error, cert))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.algorithms().supported_schemes()
    }
}

/// The rustls error whose alert (RFC 8446 section 6.2) fits the reason.
fn certificate_error(reason: ConnectionRefusal) -> CertificateError {
    match reason {
        ConnectionRefusal::CertificateExpired => CertificateError::Expired,
        ConnectionRefusal::CertificateNotYetValid => CertificateError::NotValidYet,
        ConnectionRefusal::UnknownAnchor => CertificateError::UnknownIssuer,
        ConnectionRefusal::BadSignature => CertificateError::BadSignature,
        // "unsupported_certificate".
        ConnectionRefusal::WrongPurpose
        | ConnectionRefusal::KeyTooWeak
        | ConnectionRefusal::KeyUnsupported
        | ConnectionRefusal::SignatureUnsupported => CertificateError::InvalidPurpose,
        ConnectionRefusal::CertificateRevoked => CertificateError::Revoked,
        ConnectionRefusal::RevocationUnknown => CertificateError::UnknownRevocationStatus,
        ConnectionRefusal::CertificateMalformed => CertificateError::BadEncoding,
        // "access_denied": the certificate may be valid, its bearer is not let in.
        ConnectionRefusal::NameMismatch
        | ConnectionRefusal::NameNotSingle
        | ConnectionRefusal::ChainTooDeep
        | ConnectionRefusal::CertificateMissing
        | ConnectionRefusal::HandshakeTimeout
        | ConnectionRefusal::HandshakeFailed
        | ConnectionRefusal::ServerNameUnknown
        | ConnectionRefusal::ProxyHeaderMissing
        | ConnectionRefusal::ProxyHeaderMalformed
        | ConnectionRefusal::ProxyHeaderFromStranger
        | ConnectionRefusal::ConnectionsFull
        | ConnectionRefusal::NetworkFull
        | ConnectionRefusal::PlainFromStranger
        | ConnectionRefusal::AlertReceived => CertificateError::ApplicationVerificationFailure,
    }
}
