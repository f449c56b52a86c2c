//! One stranger's connection: TCP alone or TLS without a client certificate, driven by readiness.
//!
//! In: bytes to send. Out: bytes that came. Knows nothing of what the bytes mean.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, SignatureScheme};
use socket2::{Domain, SockRef, Socket, Type};

use crate::pki::HOST;
use crate::tls::{self, Identity, Sessions};

/// What a stranger speaks above TCP.
#[derive(Clone)]
pub(crate) enum Layer {
    Tcp,
    Tls(Arc<ClientConfig>),
}

impl Layer {
    /// TLS with full handshakes, and this protocol.
    pub(crate) fn tls(pki: &Path, protocol: &str) -> Self {
        let mut config = (*tls::client(pki, Identity::Right, Sessions::Forgotten)).clone();
        config.client_auth_cert_resolver = Arc::new(NoCertificate);
        config.alpn_protocols = vec![protocol.into()];
        Self::Tls(Arc::new(config))
    }

    /// What begins a handshake on the wire.
    pub(crate) fn client_hello(&self) -> Vec<u8> {
        let mut hello = Vec::new();
        if let Some(mut tls) = self.session() {
            tls.write_tls(&mut hello).unwrap();
        }
        hello
    }

    fn session(&self) -> Option<ClientConnection> {
        let Self::Tls(config) = self else { return None };
        let name = ServerName::try_from(HOST).expect("a constant, and a DNS name");
        let mut tls = ClientConnection::new(Arc::clone(config), name).unwrap();
        tls.set_buffer_limit(None);
        Some(tls)
    }
}

pub(crate) struct Stranger {
    socket: TcpStream,
    tls: Option<ClientConnection>,
    /// What goes over TCP alone and has not gone yet.
    unsent: Vec<u8>,
}

impl Stranger {
    /// Starts to connect, from an address of its own unless there are very many.
    pub(crate) fn open(
        address: SocketAddr,
        number: usize,
        layer: &Layer,
        receive_buffer_bytes: Option<usize>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        // What the proxy does not take is not to count as sent.
        socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
        if let Some(bytes) = receive_buffer_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        if address.ip() == Ipv4Addr::LOCALHOST {
            socket.bind(&SocketAddr::from((source(number), 0)).into())?;
        }
        match socket.connect(&address.into()) {
            Err(error) if error.raw_os_error() != Some(IN_PROGRESS) => return Err(error),
            Err(_) | Ok(()) => {}
        }
        let mut socket = TcpStream::from_std(socket.into());
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { socket, tls: layer.session(), unsent: Vec::new() })
    }

    /// Whether TCP stands, and TLS if there is to be any.
    pub(crate) fn is_open(&self) -> bool {
        match &self.tls {
            Some(tls) => !tls.is_handshaking(),
            None => self.socket.peer_addr().is_ok(),
        }
    }

    /// Whether all that was pushed is in the kernel.
    pub(crate) fn has_sent(&self) -> bool {
        self.unsent.is_empty() && !self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Has these bytes sent next.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        match &mut self.tls {
            Some(tls) => tls.writer().write_all(bytes).expect("there is no limit"),
            None => self.unsent.extend_from_slice(bytes),
        }
    }

    /// Sends what the socket takes at once.
    pub(crate) fn send(&mut self) -> io::Result<()> {
        while !self.has_sent() {
            let sent = match &mut self.tls {
                Some(tls) => tls.write_tls(&mut self.socket).map(drop),
                None => self.socket.write(&self.unsent).map(|sent| drop(self.unsent.drain(..sent))),
            };
            match sent {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                other => other?,
            }
        }
        Ok(())
    }

    /// Takes all that has come, and puts what is inside TLS behind `received`; `true` if the proxy
    /// has closed.
    pub(crate) fn receive(
        &mut self,
        scratch: &mut [u8],
        received: &mut Vec<u8>,
    ) -> io::Result<bool> {
        loop {
            let count = match self.socket.read(scratch) {
                Ok(0) => return Ok(true),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            let mut bytes = &scratch[..count];
            let Some(tls) = &mut self.tls else { continue };
            while !bytes.is_empty() {
                tls.read_tls(&mut bytes)?;
                let state = tls.process_new_packets().map_err(io::Error::other)?;
                let before = received.len();
                received.resize(before + state.plaintext_bytes_to_read(), 0);
                tls.reader().read_exact(&mut received[before..])?;
                if state.peer_has_closed() {
                    return Ok(true);
                }
            }
        }
    }

    /// Ends the connection with a RST.
    pub(crate) fn reset(self) {
        // The proxy may have gone first; then there is nothing to reset.
        let _gone = SockRef::from(&self.socket).set_linger(Some(std::time::Duration::ZERO));
    }
}

/// Presents nothing.
#[derive(Debug)]
struct NoCertificate;

impl ResolvesClientCert for NoCertificate {
    fn resolve(
        &self,
        _issuers: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// An address in 127.1.0.0/16; the senders' are in 127.0.0.0/24.
fn source(number: usize) -> IpAddr {
    let part = |value: usize| u8::try_from(1 + value % 250).expect("at most 250");
    Ipv4Addr::new(127, 1, part(number / 250), part(number)).into()
}

/// A few records; the kernel's default grows to megabytes.
const SEND_BUFFER_BYTES: usize = 32 * 1024;

/// `EINPROGRESS`, the ordinary outcome of a connect that does not block.
const IN_PROGRESS: i32 = 115;
