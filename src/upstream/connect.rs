//! Opens a connection to an upstream: name, socket, TLS, HTTP/1.1.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::request_body::RequestBody;
use crate::config::{Upstream, UpstreamAddress};
use crate::telemetry::metrics::{Metrics, UpstreamMetrics};
use crate::tls::material::{MaterialError, read_certificates};

/// One upstream, ready to be connected to.
pub(crate) struct Target {
    pub(crate) settings: Upstream,
    pub(crate) metrics: UpstreamMetrics,
    way: Way,
}

enum Way {
    Tcp { host: String, port: u16 },
    Tls { host: String, port: u16, name: ServerName<'static>, connector: TlsConnector },
    Unix(PathBuf),
}

/// An open connection: hyper's handle, and the socket itself, to ask whether it was closed.
pub(super) struct Opened {
    pub(super) sender: SendRequest<RequestBody>,
    pub(super) socket: OwnedFd,
}

/// Why an upstream cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The CA file is not usable.
    #[error("upstream `{upstream}`: its `ca` is not usable")]
    Ca {
        /// Name of the upstream.
        upstream: String,
        /// What is wrong with the file.
        source: MaterialError,
    },
    /// A certificate in the CA file is not usable as a root.
    #[error("upstream `{upstream}`: a certificate in `{path}` cannot be a root")]
    Root {
        /// Name of the upstream.
        upstream: String,
        /// The file.
        path: PathBuf,
        /// The library's answer.
        source: rustls::Error,
    },
    /// The TLS library does not take these settings.
    #[error("upstream `{upstream}`: TLS cannot be set up")]
    Tls {
        /// Name of the upstream.
        upstream: String,
        /// The library's answer.
        source: rustls::Error,
    },
    /// The host of the URL can stand in no certificate.
    #[error("upstream `{upstream}`: `{host}` is neither a DNS name nor an IP address")]
    Host {
        /// Name of the upstream.
        upstream: String,
        /// As written in the URL.
        host: String,
    },
}

impl Target {
    pub(crate) fn new(
        settings: &Upstream,
        metrics: &Metrics,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, TargetError> {
        let way = match &settings.address {
            UpstreamAddress::Http { host, port } => Way::Tcp { host: host.clone(), port: *port },
            UpstreamAddress::Unix { path } => Way::Unix(path.clone()),
            UpstreamAddress::Https { host, port, ca } => {
                let name = ServerName::try_from(host.clone()).map_err(|_invalid| {
                    TargetError::Host { upstream: settings.name.clone(), host: host.clone() }
                })?;
                let roots = roots(settings, ca.as_ref())?;
                let connector = connector(roots, provider).map_err(|source| TargetError::Tls {
                    upstream: settings.name.clone(),
                    source,
                })?;
                Way::Tls { host: host.clone(), port: *port, name, connector }
            }
        };
        Ok(Self { settings: settings.clone(), metrics: metrics.upstream(&settings.name), way })
    }

    /// Opens one connection; the caller bounds the time.
    pub(super) async fn open(&self) -> io::Result<Opened> {
        let opened = match &self.way {
            Way::Tcp { host, port } => {
                let stream = connect_tcp(host, *port).await?;
                let socket = stream.as_fd().try_clone_to_owned()?;
                Opened { sender: speak_http(stream, self.largest_read()).await?, socket }
            }
            Way::Tls { host, port, name, connector } => {
                let stream = connect_tcp(host, *port).await?;
                let socket = stream.as_fd().try_clone_to_owned()?;
                let stream = connector.connect(name.clone(), stream).await?;
                Opened { sender: speak_http(stream, self.largest_read()).await?, socket }
            }
            Way::Unix(path) => {
                let stream = UnixStream::connect(path).await?;
                let socket = stream.as_fd().try_clone_to_owned()?;
                Opened { sender: speak_http(stream, self.largest_read()).await?, socket }
            }
        };
        self.metrics.connects.inc();
        Ok(opened)
    }

    /// hyper must not buffer more than an answer may be long, and takes no less than 8 KiB.
    fn largest_read(&self) -> usize {
        self.settings.response_max_bytes.get().clamp(16 * 1024, 256 * 1024)
    }
}

async fn connect_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    // An address is taken as it is; a name is asked for anew with each connection.
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn speak_http<S>(stream: S, largest_read: usize) -> io::Result<SendRequest<RequestBody>>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(largest_read).max_headers(RESPONSE_HEADERS_MAX);
    let (sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // Its errors reach whoever waits for an answer; the task ends with the last handle.
    tokio::task::spawn_local(async move {
        let _told_to_the_requester = connection.await;
    });
    Ok(sender)
}

/// An application that sends more header fields than this is broken.
const RESPONSE_HEADERS_MAX: usize = 100;

fn roots(settings: &Upstream, ca: Option<&PathBuf>) -> Result<RootCertStore, TargetError> {
    let Some(path) = ca else {
        return Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
    };
    let upstream = || settings.name.clone();
    let certificates = read_certificates(path)
        .map_err(|source| TargetError::Ca { upstream: upstream(), source })?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|source| TargetError::Root {
            upstream: upstream(),
            path: path.clone(),
            source,
        })?;
    }
    Ok(roots)
}

fn connector(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<TlsConnector, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
