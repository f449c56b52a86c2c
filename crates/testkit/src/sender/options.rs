//! Where a sender connects, as whom, and which servers it trusts.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::{HeaderValue, Uri};
use rustls::pki_types::{CertificateDer, ServerName};

use super::SendError;
use crate::pki::{Authority, Identity};

/// Where to connect and as whom; begin with [`Options::to`].
#[derive(Clone, Debug)]
pub struct Options {
    /// `Host` or `:authority`, as in the URL unless changed.
    pub(super) authority: HeaderValue,
    pub(super) port: u16,
    /// Path and query of the URL.
    pub(super) target: String,
    pub(super) server_name: ServerName<'static>,
    pub(super) address: Option<SocketAddr>,
    pub(super) source: Option<IpAddr>,
    /// Sent before TLS begins.
    pub(super) preamble: Vec<u8>,
    pub(super) trust: Trust,
    pub(super) identity: Option<Identity>,
    pub(super) tls: Tls,
    pub(super) http: Http,
    pub(super) timeout: Duration,
    pub(super) resumption: bool,
}

/// Which server certificates are trusted.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Those under the public roots, as Meta does it.
    PublicRoots,
    /// Those under these roots.
    Roots(Vec<CertificateDer<'static>>),
    /// Every one.
    Anything,
}

/// Which versions of TLS are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// 1.2 and 1.3.
    Both,
    /// 1.2 alone.
    Only12,
    /// 1.3 alone.
    Only13,
}

/// Which version of HTTP is offered and spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http {
    /// HTTP/1.1, as Meta speaks it.
    One,
    /// HTTP/2.
    Two,
}

impl Options {
    /// To an `https` URL, as Meta does: HTTP/1.1, either TLS version, the public roots. No client
    /// certificate yet.
    pub fn to(url: &str) -> Result<Self, SendError> {
        let wrong = |problem| SendError::Url { url: url.into(), problem };
        let uri: Uri = url.parse().map_err(|_| wrong("not a URL"))?;
        if uri.scheme_str() != Some("https") {
            return Err(wrong("Meta calls https URLs only"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("a callback URL has no user name"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let server_name = ServerName::try_from(host.to_owned())
            .map_err(|_| wrong("the host is neither a name nor an address"))?;
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        Ok(Self {
            authority: HeaderValue::from_str(authority.as_str())
                .map_err(|_| wrong("the host does not fit into a header"))?,
            port: authority.port_u16().unwrap_or(443),
            target: target.to_owned(),
            server_name,
            address: None,
            source: None,
            preamble: Vec::new(),
            trust: Trust::PublicRoots,
            identity: None,
            tls: Tls::Both,
            http: Http::One,
            timeout: Duration::from_secs(20),
            resumption: true,
        })
    }

    /// To a path of a server on this machine whose certificate is for `localhost`.
    pub fn to_local(address: SocketAddr, path: &str) -> Result<Self, SendError> {
        let options = Self::to(&format!("https://localhost:{}{path}", address.port()))?;
        Ok(options.address(address))
    }

    /// Trusts servers under this authority, and no other.
    pub fn trusting(self, authority: &Authority) -> Self {
        self.trust(Trust::Roots(vec![authority.certificate().clone()]))
    }

    /// Which server certificates are trusted.
    pub fn trust(self, trust: Trust) -> Self {
        Self { trust, ..self }
    }

    /// Presents this client certificate when asked.
    pub fn identity(self, identity: Identity) -> Self {
        Self { identity: Some(identity), ..self }
    }

    /// Presents none.
    pub fn without_identity(self) -> Self {
        Self { identity: None, ..self }
    }

    /// Connects here, whatever the URL's host resolves to.
    pub fn address(self, address: SocketAddr) -> Self {
        Self { address: Some(address), ..self }
    }

    /// Connects from this address of the machine, not from the one that its routes choose.
    pub fn source(self, source: IpAddr) -> Self {
        Self { source: Some(source), ..self }
    }

    /// Sends these bytes before TLS begins, as a load balancer does.
    pub fn preamble(self, preamble: impl Into<Vec<u8>>) -> Self {
        Self { preamble: preamble.into(), ..self }
    }

    /// The name asked for in TLS and expected in the server's certificate.
    pub fn server_name(self, server_name: ServerName<'static>) -> Self {
        Self { server_name, ..self }
    }

    /// What `Host` or `:authority` says.
    pub fn authority(self, authority: HeaderValue) -> Self {
        Self { authority, ..self }
    }

    /// Which versions of TLS are offered.
    pub fn tls(self, tls: Tls) -> Self {
        Self { tls, ..self }
    }

    /// Which version of HTTP is spoken.
    pub fn http(self, http: Http) -> Self {
        Self { http, ..self }
    }

    /// How long connect, handshake and exchange may take, each; then it is
    /// [`SendError::TimedOut`].
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Keeps no tickets: every handshake is a full one.
    pub fn without_resumption(self) -> Self {
        Self { resumption: false, ..self }
    }

    /// The name or address that the server's certificate must be for.
    pub fn expected_name(&self) -> &ServerName<'static> {
        &self.server_name
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Path and query of the URL.
    pub fn target(&self) -> &str {
        &self.target
    }

    pub(super) fn server_name_text(&self) -> String {
        self.server_name.to_str().into_owned()
    }
}
