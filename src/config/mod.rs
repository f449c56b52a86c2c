//! The configuration, checked: every value here is usable as it stands.
//!
//! In: the path of a TOML file. Out: a [`Config`], or every fault of the file at once.
//! [`file`] is the form as written, this is the form as meant; rules that join two keys live in
//! the conversion, once, and nothing validates later. Secrets are read here, because an empty or
//! unreadable one is a fault of the configuration; certificates are only known to be readable
//! (what they hold is for [`crate::tls::material`]).

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::error::{ConfigError, ConfigErrors};
pub use self::secret::{Secret, SecretSource};

mod error;
mod file;
mod secret;

/// Everything the operator decided.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where callers connect, and what they are shown.
    pub server: Server,
    /// Whom to believe. `None` only if no route demands a client certificate.
    pub client_certificate: Option<ClientCertificate>,
    /// What one caller, and all of them together, may use.
    pub limits: Limits,
    /// The applications behind us; names are unique.
    pub upstreams: Vec<Upstream>,
    /// The routes that Meta calls; no two match the same request.
    pub webhooks: Vec<Webhook>,
    /// The operator's own window.
    pub admin: Option<Admin>,
    /// What is written down, and how.
    pub log: Log,
}

/// `[server]`, checked.
#[derive(Clone, Debug)]
pub struct Server {
    /// Addresses to bind; at least one.
    pub listen: Vec<SocketAddr>,
    /// PEM file with the server's leaf first and its intermediates after it.
    pub certificate: PathBuf,
    /// PEM file with the leaf's private key; may be the same file.
    pub private_key: PathBuf,
    /// Threads that serve callers, each with its own runtime and sockets.
    pub workers: NonZeroUsize,
    /// From the stop signal to the moment when connections still busy are dropped.
    pub drain_timeout: Duration,
}

/// `[client_certificate]`, checked.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// PEM files, each with one anchor or more; at least one file.
    pub trust_anchors: Vec<TrustAnchor>,
    /// Subject common names that are let in, compared byte for byte; at least one.
    pub common_names: Vec<String>,
    /// How many certificates may be presented above the leaf.
    pub verify_depth: usize,
}

/// One file of trust anchors.
#[derive(Clone, Debug)]
pub struct TrustAnchor {
    /// What logs and metrics call the anchors of this file; unique.
    pub label: String,
    /// Where the PEM is.
    pub path: PathBuf,
}

/// `[limits]`, checked. Each has its reason in `config.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections held at once, in all; one more waits in the kernel's queue.
    pub connections: NonZeroUsize,
    /// From accept to the end of the TLS handshake; then the connection is dropped.
    pub handshake_timeout: Duration,
    /// From the first byte of a request to the end of its headers; then the connection is dropped.
    pub header_timeout: Duration,
    /// Header fields in one request; one more is refused with 431.
    pub header_max_count: NonZeroUsize,
    /// Bytes of request line and headers; more are refused with 431.
    pub header_max_bytes: NonZeroUsize,
    /// From the end of the headers to the last byte of the body; then the request gets 408.
    pub body_timeout: Duration,
    /// Largest accepted request body; one byte more is refused with 413.
    pub body_max_bytes: NonZeroUsize,
    /// Request bodies held in memory at once, in all; a request that needs more gets 503.
    pub body_memory_bytes: NonZeroUsize,
    /// From the end of one answer to the first byte of the next request; then it is closed.
    pub keep_alive_timeout: Duration,
    /// Requests on one connection; the last one's answer closes it.
    pub requests_per_connection: NonZeroUsize,
    /// Requests being answered at once, in all; one more gets 503.
    pub requests_in_flight: NonZeroUsize,
    /// HTTP/2 streams open at once on one connection.
    pub h2_concurrent_streams: u32,
    /// HTTP/2 streams that a caller may reset before the connection is closed.
    pub h2_pending_resets: usize,
}

/// One `[[upstream]]`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// What routes, logs and metrics call it.
    pub name: String,
    /// Where it is.
    pub address: UpstreamAddress,
    /// From the start of a connect (and of its TLS handshake) to giving it up.
    pub connect_timeout: Duration,
    /// From the moment a request is ready to be sent to the last byte of its answer, in all.
    pub timeout: Duration,
    /// How long an unused connection is kept; below the backend's own keep-alive time.
    pub idle_timeout: Duration,
    /// Connections to it at once, of one worker; a request that finds none waits for one.
    pub connections: NonZeroUsize,
    /// Largest answer to a webhook that is passed on; more is a 502.
    pub response_max_bytes: NonZeroUsize,
}

/// Where an upstream is, as its `url` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamAddress {
    /// `http://host:port`
    Http {
        /// A name or an address, without brackets.
        host: String,
        /// 80 unless written.
        port: u16,
    },
    /// `https://host:port`, verified against the public roots or a CA of one's own.
    Https {
        /// A name or an address, without brackets; also the name in its certificate.
        host: String,
        /// 443 unless written.
        port: u16,
        /// PEM file of the roots to trust in place of the public ones.
        ca: Option<PathBuf>,
    },
    /// `unix:/path/of.sock`
    Unix {
        /// An absolute path.
        path: PathBuf,
    },
}

/// One `[[webhook]]`, checked.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// What logs and metrics call it; unique. `path`, or host and path, unless written.
    pub name: String,
    /// The callback path, compared byte for byte with the request's.
    pub path: String,
    /// Only requests for this host (lower case, no port), or any.
    pub host: Option<String>,
    /// Index into [`Config::upstreams`].
    pub upstream: usize,
    /// Secrets, any of which may have signed; at least one, labels unique.
    pub app_secrets: Vec<Secret>,
    /// Tokens, any of which a verification request may carry; empty = never verified.
    pub verify_tokens: Vec<Secret>,
    /// Who answers a verification request whose token is right.
    pub verification: Verification,
    /// Whether events must come with a proven client certificate.
    pub client_certificate: Demand,
    /// Whether verification requests must, too.
    pub verification_client_certificate: Demand,
}

/// Who answers a proven verification request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// This process, with the bare challenge.
    Answer,
    /// The application behind the route.
    Forward,
}

/// Whether a route asks for a client certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Without a proven one: refused.
    Required,
    /// The signature alone is the proof. A certificate that is presented must still be valid.
    None,
}

/// `[admin]`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// A loopback address.
    pub listen: SocketAddr,
}

/// `[log]`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// The quietest severity that is written.
    pub level: LogLevel,
    /// Whether each request leaves a record.
    pub access: bool,
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

impl Config {
    /// Reads, parses and checks the file at `path`; on failure names every fault found.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        todo!()
    }
}
