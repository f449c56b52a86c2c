//! One connection from Meta: TLS records in, a proven request out, the answer back.

use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use mio::net::TcpStream;
use rustls::{ServerConfig, ServerConnection};
use sha2::Sha256;

use crate::http1;

/// What has come of an advance.
pub(crate) enum Step {
    /// Nothing to do until the socket is ready again.
    Waits,
    /// A whole request whose signature is right, head and body as they came.
    Proven(Vec<u8>),
}

pub(crate) struct Caller {
    socket: TcpStream,
    tls: ServerConnection,
    /// The request as far as it has come; has no capacity between requests.
    request: Vec<u8>,
    /// Head and body together, once the head is there.
    length: Option<usize>,
    /// A request is with the upstream; what comes meanwhile stays in the socket.
    waiting: bool,
    /// Something came meanwhile, and epoll will not tell of it again.
    missed: bool,
}

impl Caller {
    pub(crate) fn new(socket: TcpStream, tls: &Arc<ServerConfig>) -> Self {
        let tls = ServerConnection::new(Arc::clone(tls)).unwrap();
        Self { socket, tls, request: Vec::new(), length: None, waiting: false, missed: false }
    }

    /// Reads what is there, up to the end of a request. An error closes the connection.
    pub(crate) fn advance(&mut self, secret: &[u8], spare: &mut Vec<Vec<u8>>) -> io::Result<Step> {
        self.flush()?;
        self.missed = self.waiting;
        while !self.waiting {
            let mut reading = Reading { socket: &mut self.socket, emptied: false };
            match self.tls.read_tls(&mut reading) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Step::Waits),
                Err(error) => return Err(error),
            }
            let emptied = reading.emptied;
            let state = match self.tls.process_new_packets() {
                Ok(state) => state,
                Err(error) => {
                    self.flush()?; // the alert, so that the caller learns why
                    return Err(io::Error::other(error));
                }
            };
            self.flush()?;
            if state.plaintext_bytes_to_read() > 0 {
                self.gather(state.plaintext_bytes_to_read(), spare)?;
                if self.is_whole()? {
                    return self.prove(secret, spare);
                }
            }
            if state.peer_has_closed() {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            // A short read has emptied the socket; epoll tells when more comes (epoll(7), Q9).
            if emptied {
                return Ok(Step::Waits);
            }
        }
        Ok(Step::Waits)
    }

    /// Whether to advance at once after an answer.
    pub(crate) fn has_missed(&self) -> bool {
        self.missed
    }

    /// Sends the upstream's answer and makes ready for the next request.
    pub(crate) fn answer(&mut self, answer: &[u8]) -> io::Result<()> {
        self.waiting = false;
        self.tls.writer().write_all(answer)?;
        self.flush()
    }

    fn gather(&mut self, mut count: usize, spare: &mut Vec<Vec<u8>>) -> io::Result<()> {
        if self.request.capacity() == 0 {
            self.request = spare.pop().unwrap_or_default();
            self.request.clear();
        }
        let mut reader = self.tls.reader();
        while count > 0 {
            let chunk = reader.fill_buf()?;
            self.request.extend_from_slice(chunk);
            let taken = chunk.len();
            reader.consume(taken);
            count -= taken;
        }
        Ok(())
    }

    fn is_whole(&mut self) -> io::Result<bool> {
        if self.length.is_none()
            && let Some(head) = http1::head_length(&self.request)
        {
            let body = http1::content_length(&self.request[..head]);
            self.length = Some(head + body.ok_or(ErrorKind::InvalidData)?);
            self.request.reserve(head + body.unwrap_or(0) - self.request.len());
        }
        match self.length {
            Some(length) if self.request.len() > length => Err(ErrorKind::InvalidData.into()),
            Some(length) => Ok(self.request.len() == length),
            None => Ok(false),
        }
    }

    fn prove(&mut self, secret: &[u8], spare: &mut Vec<Vec<u8>>) -> io::Result<Step> {
        let request = std::mem::take(&mut self.request);
        self.length = None;
        if signature_is_right(&request, secret) {
            self.waiting = true;
            return Ok(Step::Proven(request));
        }
        spare.push(request);
        self.answer(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")?;
        Ok(Step::Waits)
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn signature_is_right(request: &[u8], secret: &[u8]) -> bool {
    let (head, body) = request.split_at(http1::head_length(request).unwrap());
    let Some(claimed) = http1::header(head, "x-hub-signature-256")
        .and_then(|value| value.strip_prefix(b"sha256="))
        .and_then(decode_hex)
    else {
        return false;
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(body);
    mac.verify_slice(&claimed).is_ok()
}

fn decode_hex(digits: &[u8]) -> Option<[u8; 32]> {
    let digit = |byte: u8| (byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// The socket, noting whether a read took all it had.
struct Reading<'a> {
    socket: &'a mut TcpStream,
    emptied: bool,
}

impl Read for Reading<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.socket.read(buffer)?;
        self.emptied = count < buffer.len();
        Ok(count)
    }
}
