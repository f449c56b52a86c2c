//! The address of an upstream, out of its `url`.
//!
//! In: a text. Out: a scheme, a host and a port, or a socket. What an upstream cannot have (a path,
//! a query, a password) is refused rather than dropped. No fault repeats the text: somebody may
//! have written a password into it.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use super::fault::Fault;
use super::names::is_host;

/// Where a server of an upstream is, as its `url` says.
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
        /// A name or an address, without brackets.
        host: String,
        /// 443 unless written.
        port: u16,
    },
    /// `unix:/path/of.sock`
    Unix {
        /// An absolute path.
        path: PathBuf,
    },
}

/// As its `url` says.
impl fmt::Display for UpstreamAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = match self {
            Self::Http { host, port } => ("http", host, port),
            Self::Https { host, port } => ("https", host, port),
            Self::Unix { path } => return write!(formatter, "unix:{}", path.display()),
        };
        match host.contains(':') {
            true => write!(formatter, "{scheme}://[{host}]:{port}"),
            false => write!(formatter, "{scheme}://{host}:{port}"),
        }
    }
}

impl UpstreamAddress {
    /// Where it listens, whatever it speaks. All of loopback is one host.
    pub(super) fn place(&self) -> (String, u16) {
        match self {
            Self::Http { host, port } | Self::Https { host, port } => {
                let host = match host.parse::<IpAddr>().map(|address| address.to_canonical()) {
                    Ok(address) if address.is_loopback() => "localhost".to_owned(),
                    Ok(address) => address.to_string(),
                    Err(_name) => host.to_ascii_lowercase(),
                };
                (host, *port)
            }
            Self::Unix { path } => (path.display().to_string(), 0),
        }
    }
}

/// The address that a `url` means.
pub(super) fn parse(url: &str) -> Result<UpstreamAddress, Fault> {
    if let Some(path) = url.strip_prefix("unix:") {
        return socket(path);
    }
    let (scheme, rest) = url.split_once("://").ok_or(Fault::UrlScheme)?;
    let is_tls = match scheme.to_ascii_lowercase().as_str() {
        "http" => false,
        "https" => true,
        _ => return Err(Fault::UrlScheme),
    };
    for (mark, part) in [('@', "user name or password"), ('#', "fragment"), ('?', "query")] {
        if rest.contains(mark) {
            return Err(Fault::UrlPart { part });
        }
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !path.is_empty() {
        return Err(Fault::UrlPart { part: "path" });
    }
    let (host, port) = split_port(authority)?;
    if !is_host(host) {
        return Err(Fault::UrlHost);
    }
    let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
    Ok(if is_tls {
        UpstreamAddress::Https { host, port: port.unwrap_or(443) }
    } else {
        UpstreamAddress::Http { host, port: port.unwrap_or(80) }
    })
}

/// The host, still in its brackets if it has some, and the port.
fn split_port(authority: &str) -> Result<(&str, Option<u16>), Fault> {
    let Some((host, port)) = authority.rsplit_once(':') else {
        return Ok((authority, None));
    };
    if authority.ends_with(']') {
        return Ok((authority, None));
    }
    // `u16` would take a plus sign.
    let is_digits = port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(port) if is_digits && port != 0 => Ok((host, Some(port))),
        Ok(_) | Err(_) => Err(Fault::UrlPort),
    }
}

fn socket(path: &str) -> Result<UpstreamAddress, Fault> {
    let is_absolute = path.starts_with('/') && !path.starts_with("//") && path.len() > 1;
    if !is_absolute || path.len() > MAXIMUM_SOCKET_PATH || path.contains('\0') {
        return Err(Fault::SocketPath { maximum: MAXIMUM_SOCKET_PATH });
    }
    Ok(UpstreamAddress::Unix { path: PathBuf::from(path) })
}

/// `sun_path` of unix(7) has 108 bytes, the last of them a NUL.
const MAXIMUM_SOCKET_PATH: usize = 107;

#[cfg(test)]
mod tests {
    use super::*;

    fn http(host: &str, port: u16) -> Option<UpstreamAddress> {
        Some(UpstreamAddress::Http { host: host.to_owned(), port })
    }

    fn https(host: &str, port: u16) -> Option<UpstreamAddress> {
        Some(UpstreamAddress::Https { host: host.to_owned(), port })
    }

    #[test]
    fn addresses_are_taken_apart() {
        assert_eq!(parse("http://127.0.0.1:3000").ok(), http("127.0.0.1", 3000));
        assert_eq!(parse("http://localhost/").ok(), http("localhost", 80));
        assert_eq!(parse("HTTP://[::1]:3000/").ok(), http("::1", 3000));
        assert_eq!(parse("http://[::1]").ok(), http("::1", 80));
        assert_eq!(parse("https://App.Example").ok(), https("app.example", 443));
        let path = PathBuf::from("/run/app.sock");
        assert_eq!(parse("unix:/run/app.sock").ok(), Some(UpstreamAddress::Unix { path }));
    }

    #[test]
    fn each_fault_of_an_address_is_told_apart() {
        let long = format!("unix:/{}", "a".repeat(107));
        let cases = [
            ("", "must start with `http://`, `https://` or `unix:`"),
            ("127.0.0.1:3000", "must start with `http://`, `https://` or `unix:`"),
            ("ftp://a", "must start with `http://`, `https://` or `unix:`"),
            ("http://me:word@a", "must not have a user name or password"),
            ("http://a/#part", "must not have a fragment"),
            ("http://a?q", "must not have a query"),
            ("http://a/path", "must not have a path"),
            ("http://a//", "must not have a path"),
            ("http://", "must have a host name"),
            ("http://:80", "must have a host name"),
            ("http://::1", "must have a host name"),
            ("http://a b", "must have a host name"),
            ("http://a:", "must have a port"),
            ("http://a:0", "must have a port"),
            ("http://a:+80", "must have a port"),
            ("http://a:65536", "must have a port"),
            ("unix:run/app.sock", "must be `unix:` and an absolute path of at most 107 bytes"),
            ("unix:///run/app.sock", "must be `unix:` and an absolute path"),
            ("unix:/", "must be `unix:` and an absolute path"),
            (&long, "must be `unix:` and an absolute path"),
        ];
        for (url, sentence) in cases {
            let fault = parse(url).expect_err(url).to_string();
            assert!(fault.starts_with(sentence), "{url}: {fault}");
        }
    }
}
