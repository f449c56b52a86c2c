//! The closed list of what can be wrong in a configuration.
//!
//! Each says what is wrong and what would be right. No sentence here repeats a value that could be a
//! secret written into the wrong place.

use std::io;
use std::path::PathBuf;

use super::words::{Suggestion, Words};

/// What is wrong, as a sentence whose subject is the key.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    // The document.
    /// The configuration file itself could not be read, or is not UTF-8.
    #[error("cannot read the configuration")]
    Read {
        /// What the system said.
        source: io::Error,
    },
    /// The line is not TOML. The library's message never quotes the line, its `Display` would.
    #[error("not valid TOML: {}", error.message())]
    Syntax {
        /// Without the text it came from, which may hold a secret.
        error: toml::de::Error,
    },
    /// Nobody asked for the key.
    #[error("is not a known key{}", Suggestion(*near))]
    UnknownKey {
        /// A known key that looks alike.
        near: Option<&'static str>,
    },
    /// A key without a default is not there.
    #[error("is missing")]
    Missing,
    /// The value is of another type.
    #[error("must be {expected}, but is {found}")]
    WrongType {
        /// What would be right, with its article.
        expected: &'static str,
        /// What stands there, with its article; never the value itself.
        found: &'static str,
    },
    /// A word that is not on the list.
    #[error("must be one of {}", Words(allowed))]
    NotOneOf {
        /// The list.
        allowed: Vec<&'static str>,
    },

    // Numbers.
    /// A limit of nothing would let nothing in.
    #[error("must be greater than zero")]
    Zero,
    /// The number is outside of what makes sense.
    #[error("must be from {minimum} to {maximum}")]
    OutOfRange {
        /// The smallest that is accepted.
        minimum: u64,
        /// The largest that is accepted.
        maximum: u64,
    },
    /// A body of the largest size could never be held for callers who may take half of the memory.
    #[error("must be at least twice `limits.body_max_bytes`, which is {body_max_bytes}")]
    BodyMemoryBelowBody {
        /// The other key's value.
        body_max_bytes: i64,
    },
    /// A connect that may take longer than all of the exchange.
    #[error("must not be greater than `timeout_ms` of the same upstream, which is {timeout_ms}")]
    ConnectAboveTimeout {
        /// The other key's value.
        timeout_ms: i64,
    },
    /// A shortest time above the longest.
    #[error("must not be greater than `{key}`, which is {maximum}")]
    AboveMaximum {
        /// The other key.
        key: &'static str,
        /// Its value.
        maximum: i64,
    },

    /// A part that leaves nothing of the whole.
    #[error("must be less than `{key}`, which is {value}: proven callers need places of their own")]
    NotBelow {
        /// The whole's key.
        key: &'static str,
        /// Its value.
        value: usize,
    },
    /// Requests that could hold every connection there is for them.
    #[error(
        "must be less than `{key}`, which is {value}: `limits.site_requests_in_flight` and \
         `limits.tunnels` are {in_use} together"
    )]
    TogetherNotBelow {
        /// The whole's key.
        key: &'static str,
        /// Its value.
        value: usize,
        /// The parts together.
        in_use: usize,
    },

    // Lists, names, addresses.
    /// A list without entries.
    #[error("must have at least one entry")]
    EmptyList,
    /// A text without characters.
    #[error("must not be empty")]
    Empty,
    /// A character that would break log lines, or end a string elsewhere.
    #[error("must not have control characters")]
    ControlCharacter,
    /// Two values that must differ do not.
    #[error("must differ from `{first}`, but is the same")]
    Duplicate {
        /// The key path of the first of the two.
        first: String,
    },
    /// Not an IP address and a port.
    #[error("must be an IP address and a port, as in `[::]:8443` or `127.0.0.1:9180`")]
    NotAnAddress,
    /// Not a network in CIDR form, and not an address.
    #[error(
        "must be a network or an address, as in `10.0.0.0/8`, `2001:db8::/32` or `192.0.2.1`, \
         without bits behind the prefix"
    )]
    NotANetwork,
    /// Everybody would be trusted, or nobody served.
    #[error(
        "needs `server.trusted_proxies`: what a load balancer says is trusted from there alone"
    )]
    ProxiesMissing,
    /// The admin listener would be open to others.
    #[error("must be a loopback address, such as `127.0.0.1:9180`: it has no access control")]
    NotLoopback,

    // Files and secrets.
    /// A file that the configuration names cannot be read.
    #[error("names `{}`, which cannot be read", path.display())]
    File {
        /// Resolved against the directory of the configuration.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A directory, a pipe or a device, where a file is needed.
    #[error("names `{}`, which is not a regular file", path.display())]
    NotAFile {
        /// Resolved against the directory of the configuration.
        path: PathBuf,
    },
    /// A file, or nothing, where a directory is needed.
    #[error("names `{}`, which is not a directory", path.display())]
    NotADirectory {
        /// Resolved against the directory of the configuration.
        path: PathBuf,
    },
    /// A secret that everybody who may read the configuration could read.
    #[error(
        "must not hold the secret itself; write `{{ file = \"..\" }}`, `{{ env = \"..\" }}` or \
         `{{ credential = \"..\" }}`"
    )]
    InlineSecret,
    /// None of the three sources of a secret is named, or several.
    #[error("must name exactly one of `file`, `env` and `credential`")]
    SecretSource,
    /// Nothing is left of the secret once its newline is off; it would match anything.
    #[error(
        "names an empty secret; an app secret is in the app's dashboard, `openssl rand -hex 32` makes \
         any other"
    )]
    SecretEmpty,
    /// A secret that is longer than any secret; probably another file.
    #[error("names a secret of more than {maximum} bytes")]
    SecretTooLong {
        /// The most that is accepted.
        maximum: u64,
    },
    /// A key that could be found by trying.
    #[error(
        "names a secret of fewer than {minimum} bytes; make one with `openssl rand -hex 32`, for \
         hubgate and the application alone"
    )]
    ProofTooShort {
        /// The fewest that are accepted.
        minimum: usize,
    },
    /// A secret with another purpose, which more know than hubgate and the application.
    #[error(
        "names an app secret or a verify token, which others know; make one with `openssl rand \
         -hex 32`, for hubgate and the application alone"
    )]
    ProofNotItsOwn,
    /// The environment lacks a variable.
    #[error("names the environment variable `{name}`, which is not set")]
    VariableMissing {
        /// Its name.
        name: String,
    },
    /// The service was not started with credentials.
    #[error(
        "names a systemd credential, but `CREDENTIALS_DIRECTORY` is not set; give the unit a \
         `LoadCredential=`"
    )]
    CredentialsMissing,
    /// A credential's name that would lead out of its directory.
    #[error("must be the plain name of a credential, without `/`")]
    CredentialName,

    // Upstreams.
    /// Not one of the three kinds of addresses.
    #[error("must start with `http://`, `https://` or `unix:`")]
    UrlScheme,
    /// Something that an upstream's address cannot have.
    #[error("must not have a {part}")]
    UrlPart {
        /// What it is.
        part: &'static str,
    },
    /// No host, or not a name or an address.
    #[error("must have a host name or an IP address (IPv6 in brackets) after the scheme")]
    UrlHost,
    /// Not a port.
    #[error("must have a port from 1 to 65535 after the colon")]
    UrlPort,
    /// Not something that a socket can be bound to.
    #[error(
        "must be `unix:` and an absolute path of at most {maximum} bytes, with one slash first"
    )]
    SocketPath {
        /// The most that the system's address structure holds.
        maximum: usize,
    },
    /// Something about TLS where there is none.
    #[error("is of use only with an `https` url")]
    OnlyWithHttps,

    /// Not a name that a header can have.
    #[error("must be a header name: letters, digits, `-` and `_`")]
    HeaderNameSyntax,
    /// A header that is set, or relied on, for something else.
    #[error("must not be a header that says something else already")]
    HeaderNameTaken,
    /// Names for headers that are not sent.
    #[error("is of use only with `nginx` in `identity_headers`")]
    NamesWithoutNginx,

    // Webhooks.
    /// No upstream has that name.
    #[error("names no `[[upstream]]`; there is {}", Words(known))]
    UpstreamUnknown {
        /// The names that there are.
        known: Vec<String>,
    },
    /// A path that no request can have.
    #[error("must start with `/`")]
    PathStart,
    /// A character that does not belong to a path, or that could be written in two ways.
    #[error("must not have the character {character:?}; the path is compared byte for byte")]
    PathCharacter {
        /// The first of them.
        character: char,
    },
    /// An empty, `.` or `..` segment, which other programs on the way may take out.
    #[error("must not have the segment `{segment}`")]
    PathSegment {
        /// With the slashes that show it.
        segment: &'static str,
    },
    /// A port where only a name belongs.
    #[error("must not have a port; requests are matched by the name alone")]
    HostPort,
    /// Not a name or an address.
    #[error("must be a host name or an IP address (IPv6 in brackets)")]
    HostSyntax,
    /// Neither of the two proofs would be demanded.
    #[error("must not be `report` where no client certificate is demanded: anybody could send")]
    ReportWithoutCertificate,
    /// Not a method that a site can have.
    #[error("must be a method in upper case, neither CONNECT nor TRACE")]
    MethodInvalid,
    /// A character that no request's target can have.
    #[error("must not have the character {character:?}")]
    TargetCharacter {
        /// The first of them.
        character: char,
    },
    /// Two ways to say where an upstream is.
    #[error("must not stand beside `url`; one server is a list of one")]
    UrlAndServers,
    /// Two webhooks for the same requests.
    #[error("has the same host and path as `{first}`")]
    RouteTaken {
        /// The key path of the first of the two.
        first: String,
    },
    /// Certificates are asked for, and there is no CA to trust.
    #[error(
        "asks for a client certificate, but there is no `[client_certificate]` with \
         `trust_anchors`; add it, or write `client_certificate = \"none\"`"
    )]
    AnchorsMissing,
    /// Nothing could ever be verified.
    #[error(
        "is missing, so that no verification request could be answered; if that is meant, write \
         `verification = \"off\"`"
    )]
    TokenMissing,
    /// A token that nothing is compared with.
    #[error("is never used with `verification = \"off\"`; take out one of the two")]
    TokenUnused,
}
