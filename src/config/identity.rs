//! `identity_headers` of an upstream: the dialects in which its application reads who called.

use http::HeaderName;

use super::choices::Dialect;
use super::fault::Fault;
use super::file;
use super::findings::Findings;

/// In which headers an application is told who called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityHeaders {
    /// What of a client certificate goes into which header.
    pub certificate: Vec<(HeaderName, IdentityPart)>,
    /// Whether there is a `Forwarded` (RFC 7239).
    pub forwarded: bool,
}

/// What of a client certificate a header carries, and in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityPart {
    /// The leaf after RFC 9440.
    ClientCert,
    /// The certificates between leaf and anchor after RFC 9440.
    ClientCertChain,
    /// `SUCCESS`, or `NONE` where no certificate was presented.
    Verify,
    /// The subject's distinguished name after RFC 2253.
    Subject,
    /// The issuer's distinguished name after RFC 2253.
    Issuer,
    /// The serial number in hexadecimal digits.
    Serial,
    /// SHA-1 of the leaf in hexadecimal digits.
    Fingerprint,
    /// The leaf in PEM, percent-encoded but for the unreserved characters.
    EscapedPem,
    /// `NotBefore=..;NotAfter=..`
    Validity,
    /// The leaf in PEM, percent-encoded but for `+`, `=` and `/`, too.
    AlbLeaf,
    /// Envoy's element, with hash, certificate and subject.
    ForwardedClientCert,
}

impl IdentityHeaders {
    pub(super) fn check(written: &file::RawUpstream, findings: &mut Findings) -> Self {
        let dialects = &written.identity_headers;
        findings.must_differ(dialects.iter().map(|dialect| (dialect.value, &dialect.at)));
        let names = written.identity_header_names.as_ref();
        let has = |wanted| dialects.iter().any(|dialect| dialect.value == wanted);
        if let Some(names) = names.filter(|_| !has(Dialect::Nginx)) {
            findings.fault(&names.at, Fault::NamesWithoutNginx);
        }
        let own = names.map(|names| own_names(&names.value, findings));
        let mut certificate = Vec::new();
        for dialect in dialects {
            certificate.extend(match dialect.value {
                Dialect::Rfc9440 => fixed(&RFC_9440),
                Dialect::Rfc9440Chain => fixed(&RFC_9440_CHAIN),
                Dialect::Nginx => own.clone().unwrap_or_else(|| fixed(&NGINX)),
                Dialect::Alb => fixed(&ALB),
                Dialect::Xfcc => fixed(&XFCC),
                Dialect::Forwarded => Vec::new(),
            });
        }
        Self { certificate, forwarded: has(Dialect::Forwarded) }
    }

    /// The names that no caller may use, with `-` for `_`, as some applications read them.
    pub(crate) fn folded_names(&self) -> impl Iterator<Item = Box<str>> {
        self.certificate.iter().map(|(name, _)| folded(name).into())
    }
}

fn own_names(
    written: &file::IdentityHeaderNames,
    findings: &mut Findings,
) -> Vec<(HeaderName, IdentityPart)> {
    let parts = [
        (&written.verify, IdentityPart::Verify),
        (&written.subject, IdentityPart::Subject),
        (&written.issuer, IdentityPart::Issuer),
        (&written.serial, IdentityPart::Serial),
        (&written.fingerprint, IdentityPart::Fingerprint),
        (&written.certificate, IdentityPart::EscapedPem),
    ];
    let mut names = Vec::new();
    let mut places = Vec::new();
    for (text, part) in parts {
        let Some(text) = text else { continue };
        match identity_name(&text.value) {
            Ok(name) => {
                places.push((folded(&name), &text.at));
                names.push((name, part));
            }
            Err(fault) => findings.fault(&text.at, fault),
        }
    }
    findings.must_differ(places);
    names
}

/// Whether an application may be told who called under this name.
pub fn is_identity_name(text: &str) -> bool {
    identity_name(text).is_ok()
}

fn identity_name(text: &str) -> Result<HeaderName, Fault> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    match HeaderName::from_bytes(text.as_bytes()) {
        Ok(name) if !name.as_str().bytes().all(is_plain) => Err(Fault::HeaderNameSyntax),
        Ok(name) if is_taken(&folded(&name)) => Err(Fault::HeaderNameTaken),
        Ok(name) => Ok(name),
        Err(_invalid) => Err(Fault::HeaderNameSyntax),
    }
}

/// As a CGI-style application sees it, which takes `_` for `-`.
fn folded(name: &HeaderName) -> String {
    name.as_str().replace('_', "-")
}

/// Whether a header of this name, in lower case, has a meaning of its own: for HTTP, for the proof,
/// for tracing, or because it is set to something else.
fn is_taken(name: &str) -> bool {
    TAKEN.contains(&name) || TAKEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

const TAKEN: [&str; 24] = [
    "authorization",
    "cache-control",
    "connection",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "from",
    "host",
    "keep-alive",
    "max-forwards",
    "origin",
    "pragma",
    "range",
    "referer",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-real-ip",
];

const TAKEN_PREFIXES: [&str; 13] = [
    "accept",
    "access-control-",
    "client-cert",
    "content-",
    "if-",
    "proxy-",
    "sec-",
    "upgrade-",
    "x-amzn-mtls-",
    "x-forwarded-",
    "x-hub-",
    "x-hubgate-",
    "x-request-id",
];

fn fixed(names: &[(&'static str, IdentityPart)]) -> Vec<(HeaderName, IdentityPart)> {
    names.iter().map(|(name, part)| (HeaderName::from_static(name), *part)).collect()
}

const RFC_9440: [(&str, IdentityPart); 1] = [("client-cert", IdentityPart::ClientCert)];

const RFC_9440_CHAIN: [(&str, IdentityPart); 1] =
    [("client-cert-chain", IdentityPart::ClientCertChain)];

const NGINX: [(&str, IdentityPart); 5] = [
    ("x-ssl-client-verify", IdentityPart::Verify),
    ("x-ssl-client-s-dn", IdentityPart::Subject),
    ("x-ssl-client-i-dn", IdentityPart::Issuer),
    ("x-ssl-client-serial", IdentityPart::Serial),
    ("x-ssl-client-fingerprint", IdentityPart::Fingerprint),
];

const ALB: [(&str, IdentityPart); 5] = [
    ("x-amzn-mtls-clientcert-serial-number", IdentityPart::Serial),
    ("x-amzn-mtls-clientcert-issuer", IdentityPart::Issuer),
    ("x-amzn-mtls-clientcert-subject", IdentityPart::Subject),
    ("x-amzn-mtls-clientcert-validity", IdentityPart::Validity),
    ("x-amzn-mtls-clientcert-leaf", IdentityPart::AlbLeaf),
];

const XFCC: [(&str, IdentityPart); 1] =
    [("x-forwarded-client-cert", IdentityPart::ForwardedClientCert)];

#[cfg(test)]
mod tests {
    use crate::config::fixture::{faults, load};

    fn upstream(rest: &str) -> String {
        format!("[[upstream]]\nname = \"app\"\nurl = \"http://a\"\n{rest}")
    }

    fn headers(rest: &str) -> Vec<String> {
        let config = load(&upstream(rest));
        let identity = &config.upstreams.first().expect("is there").identity;
        identity.certificate.iter().map(|(name, _)| name.to_string()).collect()
    }

    #[test]
    fn without_a_word_the_dialect_is_rfc_9440() {
        assert_eq!(headers(""), ["client-cert"]);
    }

    #[test]
    fn names_of_ones_own_are_the_only_ones_that_are_sent() {
        assert_eq!(
            headers(
                "identity_headers = [\"nginx\"]\n\
                 identity_header_names = { subject = \"X-Client-DN\", verify = \"SSL_VERIFY\" }"
            ),
            ["ssl_verify", "x-client-dn"]
        );
        assert_eq!(headers("identity_headers = [\"nginx\"]").len(), 5);
    }

    #[test]
    fn a_name_that_says_something_else_is_refused_however_it_is_spelled() {
        let nginx = "identity_headers = [\"nginx\"]\nidentity_header_names.verify = ";
        for name in [
            "Host",
            "Content-Length",
            "content_type",
            "Connection",
            "Transfer-Encoding",
            "X-Forwarded-For",
            "x_forwarded_client_cert",
            "X-Hub-Signature-256",
            "X-Hubgate-Verified",
            "Client-Cert",
            "Authorization",
            "X-Request-Id",
        ] {
            assert_eq!(
                faults(&upstream(&format!("{nginx}\"{name}\""))),
                ["5: `upstream[0].identity_header_names.verify`: must not be a header that says \
                  something else already"],
                "{name}"
            );
        }
        for name in ["", "a b", "a:b", "a.b", "\u{e9}"] {
            assert_eq!(
                faults(&upstream(&format!("{nginx}\"{name}\""))),
                ["5: `upstream[0].identity_header_names.verify`: must be a header name: letters, \
                  digits, `-` and `_`"],
                "{name}"
            );
        }
    }

    #[test]
    fn names_must_differ_and_be_of_use() {
        let names = "identity_header_names = { verify = \"X-A_B\", serial = \"x_a-b\" }";
        assert_eq!(
            faults(&upstream(&format!("identity_headers = [\"nginx\", \"nginx\"]\n{names}"))),
            [
                "4: `upstream[0].identity_headers[1]`: must differ from \
                 `upstream[0].identity_headers[0]`, but is the same",
                "5: `upstream[0].identity_header_names.serial`: must differ from \
                 `upstream[0].identity_header_names.verify`, but is the same",
            ]
        );
        assert_eq!(
            faults(&upstream("identity_header_names = { verify = \"X-A\" }")),
            ["4: `upstream[0].identity_header_names`: is of use only with `nginx` in \
              `identity_headers`"]
        );
    }
}
