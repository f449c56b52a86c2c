//! The client certificate that a load balancer was shown, out of the headers of a request.
//!
//! An AWS Application Load Balancer with mutual TLS says it in one header or another, by its mode:
//! "verify" has the leaf in `X-Amzn-Mtls-Clientcert-Leaf`, and its subject beside it; "passthrough"
//! has the whole chain in `X-Amzn-Mtls-Clientcert`, unproven. Only the headers of the configured mode
//! are accepted, and only from a trusted proxy; what does not fit is refused, not overlooked.

use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, HeaderName};
use rustls::pki_types::UnixTime;

use crate::caller::Caller;
use crate::config::CertificateSource;
use crate::refusal::Refusal;
use crate::state::{ProcessState, WorkerGeneration};
use crate::telemetry::log::{self, RefusedClient};
use crate::tls::certificate::{moment, readable};
use crate::tls::client_auth::{ForwardedCertificate, ForwardedClientError, VerifiedClient};

/// What a header says, as it stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AlbHeader<'a> {
    Leaf(&'a [u8]),
    Chain(&'a [u8]),
    Subject(&'a [u8]),
}

/// Who called, by the connection or, where that is configured, by a load balancer's headers.
pub(super) fn client(
    caller: &Caller,
    caller_address: &str,
    local: &WorkerGeneration,
    shared: &ProcessState,
    headers: &HeaderMap,
    now: UnixTime,
) -> Result<Option<Arc<VerifiedClient>>, Refusal> {
    let (config, metrics) = (&local.generation.config, &shared.metrics);
    let source = config.client_certificate.as_ref().map(|section| section.source);
    let source = match source {
        None | Some(CertificateSource::Tls) => return caller.client(local, metrics, now),
        Some(source) => source,
    };
    if ![&LEAF, &CHAIN, &SUBJECT].into_iter().any(|name| headers.contains_key(name)) {
        return Ok(None);
    }
    if !config.server.trusted_proxies.contains(caller.ip) {
        return Err(Refusal::CertificateFromStranger);
    }
    let header = header(headers, source)?;
    let trust = local.generation.tls.trust().ok_or(Refusal::CertificateRefused)?;
    let mut proven = local.forwarded_clients.borrow_mut();
    if let Some(known) = proven.find(header.parts())
        && trust.is_still_valid(&known.client, now)
    {
        known.anchor.used(moment(now));
        return Ok(Some(Arc::clone(&known.client)));
    }
    let decoded;
    let forwarded = match header {
        AlbHeader::Leaf(bytes) => {
            decoded = percent_decoded(bytes).ok_or(Refusal::CertificateHeaderMalformed)?;
            ForwardedCertificate::Leaf(&decoded)
        }
        AlbHeader::Chain(bytes) => {
            decoded = percent_decoded(bytes).ok_or(Refusal::CertificateHeaderMalformed)?;
            ForwardedCertificate::Chain(&decoded)
        }
        AlbHeader::Subject(bytes) => {
            let text = str::from_utf8(bytes).ok();
            ForwardedCertificate::Subject(text.ok_or(Refusal::CertificateHeaderMalformed)?)
        }
    };
    let client = trust.prove_forwarded(forwarded, now).map_err(|forwarded_error| {
        let auth_error = match forwarded_error {
            ForwardedClientError::Malformed => return Refusal::CertificateHeaderMalformed,
            ForwardedClientError::Refused(auth_error) => auth_error,
        };
        if let Some(candidate) = &auth_error.candidate {
            metrics.candidate_matches(candidate).happened(SystemTime::now());
        }
        let subject = match forwarded {
            ForwardedCertificate::Subject(text) => Some(readable(text)),
            ForwardedCertificate::Leaf(_) | ForwardedCertificate::Chain(_) => None,
        };
        let line = auth_error.for_log();
        let subject = subject.as_deref().or(line.subject);
        let refused = RefusedClient { subject, ..line };
        log::certificate_refused(&shared.refusal_log, caller_address, &refused);
        Refusal::CertificateRefused
    })?;
    trust.saw(&client);
    let anchor = metrics.anchor(client.anchor());
    anchor.used(moment(now));
    proven.remember(header.parts(), &client, anchor);
    Ok(Some(client))
}

/// Those of a request's headers in which a load balancer may send a client certificate.
pub(super) fn headers_of(headers: &HeaderMap) -> HeaderMap {
    let mut found = HeaderMap::new();
    for name in [&LEAF, &CHAIN, &SUBJECT] {
        for value in headers.get_all(name) {
            found.append(name, value.clone());
        }
    }
    found
}

/// The one header of the mode; another mode's beside it, or anything twice, is nobody's.
fn header(headers: &HeaderMap, source: CertificateSource) -> Result<AlbHeader<'_>, Refusal> {
    let [leaf, chain, subject] = [&LEAF, &CHAIN, &SUBJECT].map(|name| {
        let mut values = headers.get_all(name).iter();
        let first = values.next().map(|value| value.as_bytes());
        if values.next().is_some() { Err(Refusal::CertificateHeaderMalformed) } else { Ok(first) }
    });
    match (source, leaf?, chain?, subject?) {
        (CertificateSource::Alb, Some(leaf), None, _) => Ok(AlbHeader::Leaf(leaf)),
        (CertificateSource::Alb, None, None, Some(subject)) => Ok(AlbHeader::Subject(subject)),
        (CertificateSource::AlbPassthrough, None, Some(chain), None) => Ok(AlbHeader::Chain(chain)),
        _ => Err(Refusal::CertificateHeaderMalformed),
    }
}

/// Undoes escapes once, whatever they stand for; `None` if one is broken.
fn percent_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let is_digits = |digits: &[u8]| digits.iter().all(u8::is_ascii_hexdigit);
    let mut escapes = text.split(|byte| *byte == b'%').skip(1);
    let is_whole = escapes.all(|escape| escape.get(..2).is_some_and(is_digits));
    is_whole.then(|| percent_encoding::percent_decode(text).collect())
}

impl<'a> AlbHeader<'a> {
    /// The header that it stands in, and what stands there.
    fn parts(self) -> (&'static HeaderName, &'a [u8]) {
        match self {
            Self::Leaf(bytes) => (&LEAF, bytes),
            Self::Chain(bytes) => (&CHAIN, bytes),
            Self::Subject(bytes) => (&SUBJECT, bytes),
        }
    }
}

static LEAF: HeaderName = HeaderName::from_static("x-amzn-mtls-clientcert-leaf");
static CHAIN: HeaderName = HeaderName::from_static("x-amzn-mtls-clientcert");
static SUBJECT: HeaderName = HeaderName::from_static("x-amzn-mtls-clientcert-subject");

#[cfg(test)]
mod tests {
    use super::percent_decoded;

    #[test]
    fn an_escape_is_undone_once_and_a_broken_one_is_none() {
        assert_eq!(percent_decoded(b"a%2Bb%2b+").as_deref(), Some(&b"a+b++"[..]));
        assert_eq!(percent_decoded(b"%2541").as_deref(), Some(&b"%41"[..]));
        assert_eq!(percent_decoded(b"%00%ff").as_deref(), Some(&b"\0\xff"[..]));
        for broken in ["%", "a%", "a%4", "%zz", "%4g1", "%%41", "%+1"] {
            assert_eq!(percent_decoded(broken.as_bytes()), None, "{broken}");
        }
    }
}
