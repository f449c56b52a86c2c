//! One mTLS connection to the proxy, driven by readiness.
//!
//! In: a socket, a prepared request. Out: the status of the answer once that is whole. Knows nothing
//! of when a request is due or what becomes of the connection afterwards.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind};
use socket2::{Domain, Socket, Type};

use crate::http1;
use crate::pki::HOST;

/// Why a connection is of no more use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The socket refuses.
    #[error("socket: {0}")]
    Socket(#[from] io::Error),
    /// TLS has failed, here or (an alert) at the proxy.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// Closed by the proxy before the answer was whole.
    #[error("closed before the answer was whole")]
    ConnectionRefusal,
    /// The answer is not HTTP as it is understood here.
    #[error("the answer is not understood")]
    Garbage,
}

/// What the proxy has answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The proxy will close, as its head says.
    pub(crate) last: bool,
}

pub(crate) struct Connection {
    socket: TcpStream,
    tls: ClientConnection,
    /// How much of the request has been given to TLS.
    given: usize,
    /// The answer as far as it has come.
    answer: Vec<u8>,
}

impl Connection {
    /// Starts to connect. `source` spreads many connections over several loopback addresses.
    pub(crate) fn open(
        address: SocketAddr,
        source: usize,
        tls: &Arc<ClientConfig>,
        registry: &Registry,
        token: Token,
    ) -> Result<Self, Fault> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if address.ip() == Ipv4Addr::LOCALHOST {
            let last = u8::try_from(2 + source % SOURCES).expect("there are few sources");
            socket.bind(&SocketAddr::from(([127, 0, 0, last], 0)).into())?;
        }
        match socket.connect(&address.into()) {
            Err(error) if error.raw_os_error() != Some(IN_PROGRESS) => return Err(error.into()),
            Err(_) | Ok(()) => {}
        }
        let mut socket = TcpStream::from_std(socket.into());
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        let name = ServerName::try_from(HOST).expect("a constant, and a DNS name");
        let tls = ClientConnection::new(Arc::clone(tls), name)?;
        Ok(Self { socket, tls, given: 0, answer: Vec::new() })
    }

    /// Makes the connection ready for its next request.
    pub(crate) fn begin(&mut self) {
        self.given = 0;
        self.answer.clear();
    }

    /// Reads and writes what the socket allows; gives the answer once it is whole.
    pub(crate) fn advance(
        &mut self,
        request: &[u8],
        scratch: &mut [u8],
    ) -> Result<Option<Answer>, Fault> {
        let closed = self.receive(scratch)?;
        // What was to be sent is moot once the answer is there.
        if let Some(answer) = self.parse_answer()? {
            return Ok(Some(Answer { last: answer.last || closed, ..answer }));
        }
        if closed {
            return Err(Fault::ConnectionRefusal);
        }
        self.send(request)?;
        Ok(None)
    }

    /// Closes as far as the socket takes it at once.
    pub(crate) fn close(mut self) {
        self.tls.send_close_notify();
        // The proxy may have gone first; then there is nobody to tell.
        let _gone = self.tls.write_tls(&mut self.socket);
    }

    pub(crate) fn resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Whether the proxy has closed a connection that waits for nothing.
    pub(crate) fn is_closed(&mut self, scratch: &mut [u8]) -> bool {
        self.receive(scratch).unwrap_or(true)
    }

    /// Takes all that has come; `true` if the proxy has closed.
    fn receive(&mut self, scratch: &mut [u8]) -> Result<bool, Fault> {
        loop {
            let count = match self.socket.read(scratch) {
                Ok(0) => return Ok(true),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            };
            let mut bytes = &scratch[..count];
            let mut closed = false;
            while !bytes.is_empty() {
                self.tls.read_tls(&mut bytes)?;
                let state = self.tls.process_new_packets()?;
                closed |= state.peer_has_closed();
                let before = self.answer.len();
                self.answer.resize(before + state.plaintext_bytes_to_read(), 0);
                if self.answer.len() > before {
                    self.tls.reader().read_exact(&mut self.answer[before..])?;
                }
            }
            // A short read has emptied the socket; epoll tells when more comes (epoll(7), Q9).
            if closed || count < scratch.len() {
                return Ok(closed);
            }
        }
    }

    fn send(&mut self, request: &[u8]) -> Result<(), Fault> {
        loop {
            if self.given < request.len() {
                self.given += self.tls.writer().write(&request[self.given..])?;
            }
            if !self.tls.wants_write() {
                return Ok(());
            }
            match self.tls.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn parse_answer(&self) -> Result<Option<Answer>, Fault> {
        let Some(length) = http1::head_length(&self.answer) else {
            return Ok(None);
        };
        let (head, body) = self.answer.split_at(length);
        let status = head.get(9..12).and_then(|digits| str::from_utf8(digits).ok());
        let status = status.and_then(|digits| digits.parse().ok()).ok_or(Fault::Garbage)?;
        let body_length = http1::content_length(head).ok_or(Fault::Garbage)?;
        if http1::header(head, "transfer-encoding").is_some() || body.len() > body_length {
            return Err(Fault::Garbage);
        }
        let last = http1::header(head, "connection")
            .is_some_and(|value| value.eq_ignore_ascii_case(b"close"));
        Ok((body.len() == body_length).then_some(Answer { status, last }))
    }
}

/// `EINPROGRESS`, the ordinary outcome of a connect that does not block.
const IN_PROGRESS: i32 = 115;

/// Loopback addresses to connect from. One has 28,000 ports, and closed connections keep theirs.
const SOURCES: usize = 16;
