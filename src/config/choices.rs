//! The closed choices that a key of the file can have: each a list of words.
//!
//! Both forms of the configuration use them, the written one and the checked one.

/// Where client certificates are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// In the TLS handshake with us.
    Tls,
    /// In the headers of an AWS Application Load Balancer whose mutual TLS is in verify mode.
    Alb,
    /// The same in passthrough mode, where the balancer proves no chain.
    AlbPassthrough,
}

/// Whether revocation lists are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrlFetch {
    /// Never.
    Off,
    /// From the places named by trusted anchors and by what they proved.
    DistributionPoints,
}

/// What becomes of a caller whose revocation status no current list tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaleCrl {
    /// Refused.
    Refuse,
    /// Let in, unless an old list names it; the operator is warned.
    Warn,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text if standard error is a terminal, else JSON.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The quietest severity that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Faults that stop something.
    Error,
    /// What the operator should look at.
    Warn,
    /// What strangers are refused for, and the access record.
    Info,
    /// Noise of strangers too.
    Debug,
}

/// What becomes of an event whose signature is not right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// It is refused.
    Enforce,
    /// It is counted and logged, and passed on with a mark: for a cut-over only.
    Report,
}

/// Who answers a proven verification request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// This process, with the bare challenge.
    Answer,
    /// The application behind the route.
    Forward,
    /// Nobody: verification requests get 405.
    Off,
}

/// Whether a route asks for a client certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Without a proven one: refused.
    Required,
    /// The signature alone is the proof. A certificate that is presented must still be valid.
    None,
}

/// What becomes of callers who ask for a name that no certificate has, or for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownSni {
    /// They are shown the first certificate.
    Default,
    /// The handshake fails.
    Refuse,
}

/// Which `Host` an upstream is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostHeader {
    /// The one that the caller asked for.
    Preserve,
    /// The one of the server's own address.
    Upstream,
}

/// Whether a webhook's request is sent again after its connection broke without any answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// The application may have acted on it: the caller gets 502, and Meta delivers again.
    Never,
    /// Once, at once, on another server if there is one: for applications that recognise an event
    /// that they have seen, as Meta asks of them.
    Broken,
}

/// A dialect, as `identity_headers` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Dialect {
    /// `Client-Cert`.
    Rfc9440,
    /// `Client-Cert-Chain`, which the standard leaves open.
    Rfc9440Chain,
    /// nginx's variables, under names that everybody chooses for himself.
    Nginx,
    /// `X-Amzn-Mtls-Clientcert-*`, as AWS's load balancer sets them.
    Alb,
    /// Envoy's `X-Forwarded-Client-Cert`.
    Xfcc,
    /// `Forwarded` (RFC 7239): of the request and not of a certificate.
    Forwarded,
}
