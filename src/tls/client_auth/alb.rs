//! Proves the client certificate that a load balancer forwards which ended TLS.
//!
//! In: the undecorated claim of a balancer that is trusted; whoever calls this has seen to that. Out:
//! a [`VerifiedClient`] by the same rules as in a handshake. That the caller has the certificate's
//! key is taken from the balancer. So is the chain where there are no anchors: then the name, and of a
//! leaf its time and purpose, are all that is proven here.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls_pemfile::Item;
use webpki::EndEntityCert;
use x509_parser::prelude::X509Certificate;

use super::{ClientAuthError, ClientTrust, VerifiedClient};
use crate::refusal::ConnectionRefusal;
use crate::tls::certificate::{CertificateFacts, moment, parse};
use crate::tls::identity::ClientIdentity;
use crate::tls::path::Validity;
use crate::tls::public_key::must_be_usable;
use crate::tls::revocation::RevocationStatus;
use crate::tls::subject_text::{self, Malformed};

/// What a load balancer says of the client certificate that it was shown.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ForwardedCertificate<'a> {
    /// PEM of the leaf alone, whose chain the balancer proved.
    Leaf(&'a [u8]),
    /// PEM of everything that was presented, leaf first, proven by nobody yet.
    Chain(&'a [u8]),
    /// The leaf's subject after RFC 2253, whose chain the balancer proved.
    Subject(&'a str),
}

/// Why what it forwards is not accepted.
#[derive(Clone, Debug)]
pub(crate) enum ForwardedClientError {
    /// It is no certificate, or no name, or several where there can be one.
    Malformed,
    /// It is not somebody who is let in.
    Refused(ClientAuthError),
}

impl From<Malformed> for ForwardedClientError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl From<ConnectionRefusal> for ForwardedClientError {
    fn from(reason: ConnectionRefusal) -> Self {
        Self::Refused(reason.into())
    }
}

impl ClientTrust {
    /// Proves what a trusted load balancer forwards.
    pub(crate) fn prove_forwarded(
        &self,
        forwarded: ForwardedCertificate<'_>,
        now: UnixTime,
    ) -> Result<Arc<VerifiedClient>, ForwardedClientError> {
        match forwarded {
            // Nobody has proven it, so without anchors it is refused, as any chain is.
            ForwardedCertificate::Chain(pem) => {
                let chain = certificates(pem).ok_or(ForwardedClientError::Malformed)?;
                self.prove(&chain, now).map_err(ForwardedClientError::Refused)
            }
            ForwardedCertificate::Leaf(pem) => match certificates(pem).as_deref() {
                Some([leaf]) => self.prove_leaf(leaf, now).map_err(ForwardedClientError::Refused),
                Some(_) | None => Err(ForwardedClientError::Malformed),
            },
            ForwardedCertificate::Subject(text) => self.prove_subject(text),
        }
    }

    /// A leaf whose chain a load balancer has proven; it must end in an anchor, if there are any.
    pub fn prove_leaf(
        &self,
        leaf: &CertificateDer<'_>,
        now: UnixTime,
    ) -> Result<Arc<VerifiedClient>, ClientAuthError> {
        if !self.anchors().is_empty() {
            return self.prove(std::slice::from_ref(leaf), now);
        }
        let vouched = self.vouched_leaf(leaf, now).map(Arc::new);
        vouched.map_err(|reason| ClientAuthError {
            presented: CertificateFacts::read(leaf).map(Box::new),
            ..reason.into()
        })
    }

    fn vouched_leaf(
        &self,
        leaf: &CertificateDer<'_>,
        now: UnixTime,
    ) -> Result<VerifiedClient, ConnectionRefusal> {
        // It is stricter about what may follow the certificate.
        let _readable = EndEntityCert::try_from(leaf)
            .map_err(|_unreadable| ConnectionRefusal::CertificateMalformed)?;
        let certificate = parse(leaf)?;
        let valid = Validity::of(&certificate);
        valid.must_contain(moment(now))?;
        must_be_for_clients(&certificate)?;
        let common_name = self.expected_name(leaf)?;
        must_be_usable(certificate.public_key(), &self.algorithms)?;
        let facts = CertificateFacts::read(leaf).ok_or(ConnectionRefusal::CertificateMalformed)?;
        let identity = ClientIdentity::of(leaf, &[])?;
        let chain = vec![leaf.clone().into_owned()];
        Ok(self.vouched(common_name, Some(facts), identity, chain, valid))
    }

    fn prove_subject(&self, text: &str) -> Result<Arc<VerifiedClient>, ForwardedClientError> {
        let name = subject_text::only_common_name(text)?;
        if !self.anchors().is_empty() {
            // There is nothing here that could end in an anchor.
            return Err(ConnectionRefusal::UnknownAnchor.into());
        }
        let common_name = self.configured_name(&name.ok_or(ConnectionRefusal::NameNotSingle)?)?;
        let identity = ClientIdentity::of_subject(text);
        Ok(Arc::new(self.vouched(common_name, None, identity, Vec::new(), Validity::unbounded())))
    }

    fn vouched(
        &self,
        common_name: String,
        facts: Option<CertificateFacts>,
        identity: ClientIdentity,
        chain: Vec<CertificateDer<'static>>,
        valid: Validity,
    ) -> VerifiedClient {
        VerifiedClient {
            common_name,
            anchor: LOAD_BALANCER.into(),
            facts,
            identity,
            chain,
            path: None,
            valid,
            revocation: RevocationStatus::NotChecked,
            basis: self.basis.load().number,
        }
    }
}

/// In the place of the anchor's label, where a load balancer vouched.
const LOAD_BALANCER: &str = "load-balancer";

/// What webpki would look at, had it a path to look at.
fn must_be_for_clients(certificate: &X509Certificate<'_>) -> Result<(), ConnectionRefusal> {
    let is_for_clients = match certificate.extended_key_usage() {
        Ok(Some(usage)) => usage.value.client_auth || usage.value.any,
        Ok(None) => true,
        Err(_unreadable) => return Err(ConnectionRefusal::CertificateMalformed),
    };
    if is_for_clients && !certificate.is_ca() {
        Ok(())
    } else {
        Err(ConnectionRefusal::WrongPurpose)
    }
}

/// Every certificate of a PEM text that holds nothing else; at least one.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let blocks = only_blocks(pem)?;
    let mut certificates = Vec::new();
    for item in rustls_pemfile::read_all(&mut &*pem) {
        let Ok(Item::X509Certificate(certificate)) = item else { return None };
        certificates.push(certificate);
    }
    (certificates.len() == blocks && blocks > 0).then_some(certificates)
}

/// How many certificates stand in a PEM text, with nothing before, between or behind them but line
/// ends; `None` if there is anything else. The library reads past it (RFC 7468 section 2 lets it),
/// and another reader might find another certificate there.
fn only_blocks(pem: &[u8]) -> Option<usize> {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let mut blocks = 0;
    let mut is_inside = false;
    for line in pem.split(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\r").unwrap_or(line) {
            PEM_BEGINNING if !is_inside => is_inside = true,
            PEM_END if is_inside => {
                is_inside = false;
                blocks += 1;
            }
            b"" if !is_inside => {}
            text if is_inside && !text.is_empty() && text.iter().all(is_base64) => {}
            _ => return None,
        }
    }
    (!is_inside).then_some(blocks)
}

const PEM_BEGINNING: &[u8] = b"-----BEGIN CERTIFICATE-----";
const PEM_END: &[u8] = b"-----END CERTIFICATE-----";

#[cfg(test)]
mod tests {
    use super::*;
    use hubgate_testkit::pki::{Authority, Ca, Leaf};

    #[test]
    fn only_certificates_and_line_ends_stand_in_what_is_forwarded() {
        let ca = Authority::root(Ca::meta());
        let leaf = ca.issue(Leaf::meta()).leaf_only().chain_pem();
        let count = |pem: &str| certificates(pem.as_bytes()).map(|all| all.len());

        assert_eq!(count(&leaf), Some(1));
        assert_eq!(count(leaf.trim_end()), Some(1));
        assert_eq!(count(&leaf.replace('\n', "\r\n")), Some(1));
        assert_eq!(count(&format!("{leaf}{leaf}")), Some(2));
        assert_eq!(count(&format!("{leaf}\n{leaf}\n")), Some(2));

        let unknown = leaf.replace("CERTIFICATE", "TRUSTED CERTIFICATE");
        let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
        for bad in [
            String::new(),
            "\n".to_owned(),
            "x".to_owned(),
            format!("x{leaf}"),
            format!("x\n{leaf}"),
            format!(" {leaf}"),
            format!("{leaf}x"),
            format!("{leaf}subject=CN = x\n"),
            format!("{leaf}{begin}\n"),
            format!("{leaf}{end}\n"),
            format!("{leaf}x\n{leaf}"),
            // Sections that the library knows nothing of, and goes past.
            format!("{leaf}{unknown}"),
            format!("{unknown}{leaf}"),
            leaf.replace(end, &format!("{end}x")),
            leaf.replace(end, &format!("{end} ")),
            leaf.replace(begin, &format!("{begin} x")),
            leaf.replacen('\n', "\nProc-Type: 4,ENCRYPTED\n", 1),
            leaf.replacen('\n', "\n\n", 1),
            leaf.replace('\n', ""),
            leaf.replace('\n', "\r"),
        ] {
            assert_eq!(count(&bad), None, "{bad}");
        }
    }
}
