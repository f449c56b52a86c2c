//! Probes which TLS versions a server speaks, and what it presents.

use rustls::pki_types::CertificateDer;

use super::diagnostic::Diagnostic;
use crate::error_code::WithCauses;
use hubgate_testkit::sender::{Options, SendError, Sender, Tls, Trust};

/// What a handshake with each version found.
#[derive(Default)]
pub(super) struct TlsProbe {
    /// Leaf first, from whichever handshake came so far.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// The server asked for a client certificate.
    pub(super) asks_for_certificate: bool,
}

/// Does a handshake with each version and disconnects. Accepts any certificate: it is judged after.
pub(super) async fn probe(
    options: &Options,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<TlsProbe, SendError> {
    let mut probe = TlsProbe::default();
    let mut versions = Vec::new();
    let mut failures = Vec::new();
    for (tls, version) in [(Tls::Only13, "1.3"), (Tls::Only12, "1.2")] {
        let options = options.clone().trust(Trust::Anything).tls(tls).without_resumption();
        let sender = Sender::new(options)?;
        let outcome = sender.handshake().await;
        probe.asks_for_certificate |= sender.certificate_was_requested();
        let chain = sender.presented_chain();
        // A server that has presented itself speaks the version, whatever it objected to later.
        match outcome {
            Err(error) if chain.is_empty() => failures.push((version, error)),
            Ok(_) | Err(_) => versions.push(version),
        }
        if probe.chain.is_empty() {
            probe.chain = chain;
        }
    }
    diagnostics.push(judge(&versions, &failures));
    Ok(probe)
}

fn judge(versions: &[&str], failures: &[(&str, SendError)]) -> Diagnostic {
    let protocol = versions.join(" and ");
    let Some((version, error)) = failures.first() else {
        return Diagnostic::good(WHAT, protocol);
    };
    let why = because(error);
    if versions.is_empty() {
        return Diagnostic::wrong(WHAT, format!("neither 1.3 nor 1.2: {why}"))
            .curl(35, "SSL connect error")
            .remedy("is that a TLS server? a plain HTTP port, or a load balancer, answers so");
    }
    let diagnostic = Diagnostic::warning(WHAT, format!("{protocol}, not {version}: {why}"));
    diagnostic.remedy("hubgate speaks both; what stands in front of it does not")
}

fn because(error: &SendError) -> String {
    match error.tls_alert() {
        Some(alert) => format!("alert {alert}"),
        None => WithCauses(error).to_string(),
    }
}

const WHAT: &str = "TLS";
