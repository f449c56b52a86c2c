//! The servers of an upstream, and how a connection to one is opened: name, socket, TLS, HTTP/1.1.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderValue;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::health::Health;
use super::request_body::RequestBody;
use super::resolve::Name;
use super::target_error::TargetError;
use super::tls::UpstreamTlsConnector;
use crate::config::{Upstream, UpstreamAddress};
use crate::telemetry::metrics::{Metrics, UpstreamMetrics};
use crate::tls::certificate::CertificateFacts;

/// One upstream, ready to be connected to; shared by all workers.
pub(crate) struct Target {
    pub(crate) settings: Upstream,
    pub(crate) metrics: UpstreamMetrics,
    pub(crate) servers: Vec<UpstreamServer>,
    /// The certificates that it is shown if it asks; leaf first.
    pub(crate) shown: Vec<CertificateFacts>,
}

/// One of the servers of an upstream.
pub(crate) struct UpstreamServer {
    /// Its `Host`, for those who want their own.
    pub(crate) host: HeaderValue,
    pub(crate) health: Arc<Health>,
    transport: Transport,
}

enum Transport {
    Tcp(Name),
    Tls { address: Name, name: ServerName<'static>, connector: TlsConnector },
    Unix(PathBuf),
}

/// An open connection: hyper's handle, and the socket itself, to ask whether it was closed.
pub(super) struct OpenedConnection {
    pub(super) sender: SendRequest<RequestBody>,
    pub(super) socket: OwnedFd,
}

impl Target {
    pub(crate) fn new(
        settings: &Upstream,
        metrics: &Metrics,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, TargetError> {
        let is_tls = |server: &_| matches!(server, UpstreamAddress::Https { .. });
        let tls = settings.servers.iter().any(is_tls);
        let tls = tls.then(|| UpstreamTlsConnector::new(settings, provider)).transpose()?;
        let server = |address| UpstreamServer::new(settings, address, tls.as_ref());
        Ok(Self {
            servers: settings.servers.iter().map(server).collect::<Result<_, _>>()?,
            shown: tls.map_or_else(Vec::new, |tls| tls.shown),
            settings: settings.clone(),
            metrics: metrics.upstream(&settings.name),
        })
    }

    /// Servers that stay have one state, whichever generation's pool a request takes: a worker
    /// keeps its pool over a reload where it can.
    pub(crate) fn keep_health_of(&mut self, before: &Self) {
        for (server, address) in self.servers.iter_mut().zip(&self.settings.servers) {
            let mut known = before.settings.servers.iter().zip(&before.servers);
            if let Some((_, same)) = known.find(|(known, _)| *known == address) {
                server.health = Arc::clone(&same.health);
            }
        }
    }

    /// Puts what was shared with the generation before in force: without a health check, nobody
    /// would ever say that a server is healthy again.
    pub(crate) fn take_over_health(&self) {
        if self.settings.health_check.is_none() {
            for server in &self.servers {
                server.health.set_healthy(true);
            }
        }
    }

    /// Opens a connection to `server` that carries no requests of callers.
    pub(super) async fn open_aside(&self, server: &UpstreamServer) -> io::Result<OpenedConnection> {
        server.open(self.largest_read()).await
    }

    /// Opens one connection to `server`; the caller bounds the time.
    pub(super) async fn open(&self, server: &UpstreamServer) -> io::Result<OpenedConnection> {
        let opened = server.open(self.largest_read()).await?;
        self.metrics.connects.inc();
        Ok(opened)
    }

    /// hyper must not buffer more than an answer may be long, and takes no less than 8 KiB.
    fn largest_read(&self) -> usize {
        self.settings.response_max_bytes.get().clamp(16 * 1024, 256 * 1024)
    }
}

impl UpstreamServer {
    fn new(
        settings: &Upstream,
        address: &UpstreamAddress,
        tls: Option<&UpstreamTlsConnector>,
    ) -> Result<Self, TargetError> {
        let upstream = || settings.name.clone();
        let (host, transport) = match address {
            UpstreamAddress::Http { host, port } => {
                let shown = authority(host, *port, 80);
                let transport = Transport::Tcp(Name::new(host, *port));
                (shown, transport)
            }
            UpstreamAddress::Unix { path } => {
                ("localhost".to_owned(), Transport::Unix(path.clone()))
            }
            UpstreamAddress::Https { host, port } => {
                let shown = authority(host, *port, 443);
                let name = settings.tls.server_name.as_ref().unwrap_or(host);
                let bad_name = || TargetError::Host { upstream: upstream(), host: name.to_owned() };
                let connector = tls.map(|tls| tls.connector.clone()).ok_or_else(bad_name)?;
                let name = ServerName::try_from(name.clone()).map_err(|_invalid| bad_name())?;
                (shown, Transport::Tls { address: Name::new(host, *port), name, connector })
            }
        };
        let host = HeaderValue::try_from(&host)
            .map_err(|_invalid| TargetError::Host { upstream: upstream(), host })?;
        Ok(Self { host, health: Arc::new(Health::new()), transport })
    }

    async fn open(&self, largest_read: usize) -> io::Result<OpenedConnection> {
        match &self.transport {
            Transport::Tcp(address) => {
                let stream = connect_tcp(address).await?;
                let socket = stream.as_fd().try_clone_to_owned()?;
                Ok(OpenedConnection { sender: speak_http(stream, largest_read).await?, socket })
            }
            Transport::Tls { address, name, connector } => {
                let stream = connect_tcp(address).await?;
                let socket = stream.as_fd().try_clone_to_owned()?;
                let stream = connector.connect(name.clone(), stream).await?;
                Ok(OpenedConnection { sender: speak_http(stream, largest_read).await?, socket })
            }
            Transport::Unix(path) => {
                let stream = UnixStream::connect(path).await?;
                let socket = stream.as_fd().try_clone_to_owned()?;
                Ok(OpenedConnection { sender: speak_http(stream, largest_read).await?, socket })
            }
        }
    }
}

/// Host and port as they stand in a URL.
fn authority(host: &str, port: u16, default_port: u16) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    if port == default_port { host } else { format!("{host}:{port}") }
}

async fn connect_tcp(address: &Name) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(&*address.addresses().await?).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn speak_http<S>(stream: S, largest_read: usize) -> io::Result<SendRequest<RequestBody>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(largest_read).max_header_size(RESPONSE_HEADER_MAX_BYTES);
    let (sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // Its errors reach whoever waits for an answer; the task ends with the last handle.
    tokio::task::spawn_local(async move {
        let _told_to_the_requester = connection.with_upgrades().await;
    });
    Ok(sender)
}

/// Status line and headers together; a caller would not take more either. hyper takes a hundred
/// headers at most, which is enough, and costs less than to tell it so.
const RESPONSE_HEADER_MAX_BYTES: usize = 64 * 1024;
