//! One kept-alive connection to the application, with at most one request on it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::http1;

pub(crate) struct Upstream {
    socket: TcpStream,
    /// Whose request this is.
    caller: Option<usize>,
    request: Vec<u8>,
    sent: usize,
    answer: Vec<u8>,
}

/// A request that is done with.
pub(crate) struct Answered {
    pub(crate) caller: usize,
    pub(crate) answer: Vec<u8>,
    /// The request's buffer, to be used again.
    pub(crate) request: Vec<u8>,
}

impl Upstream {
    pub(crate) fn connect(
        address: SocketAddr,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let mut socket = TcpStream::connect(address)?;
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, caller: None, request: Vec::new(), sent: 0, answer: Vec::new() })
    }

    pub(crate) fn begin(&mut self, caller: usize, request: Vec<u8>) {
        self.caller = Some(caller);
        self.request = request;
        self.sent = 0;
    }

    pub(crate) fn caller(self) -> Option<usize> {
        self.caller
    }

    /// Writes and reads what the socket allows; gives the answer once it is whole.
    pub(crate) fn advance(&mut self) -> io::Result<Option<Answered>> {
        while self.sent < self.request.len() {
            match self.socket.write(&self.request[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            if self.sent == self.request.len() {
                return Ok(None); // the answer cannot be there yet
            }
        }
        loop {
            let mut part = [0; 8192];
            let count = match self.socket.read(&mut part) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            };
            self.answer.extend_from_slice(&part[..count]);
            if count < part.len() {
                return self.take_answer();
            }
        }
    }

    fn take_answer(&mut self) -> io::Result<Option<Answered>> {
        let Some(head) = http1::head_length(&self.answer) else {
            return Ok(None);
        };
        let body = http1::content_length(&self.answer[..head]).ok_or(ErrorKind::InvalidData)?;
        if self.answer.len() < head + body {
            return Ok(None);
        }
        let caller = self.caller.take().ok_or(ErrorKind::InvalidData)?;
        Ok(Some(Answered {
            caller,
            answer: std::mem::take(&mut self.answer),
            request: std::mem::take(&mut self.request),
        }))
    }
}
