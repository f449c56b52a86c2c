//! The application behind the proxies: answers every request with 200 and a body of a fixed size.
//!
//! In: HTTP/1.1 over kept-alive connections. Out: one prepared answer a request, and for `GET /count`
//! the number of `POST`s so far, so that a probe can show that a refused request did not get here.
//! One thread, epoll, no HTTP library: it shares a core with the load generator.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench program panics at the first surprise, and its output is its purpose"
)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;

use clap::Parser;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

#[path = "http1/mod.rs"]
mod http1;

#[derive(Parser)]
#[command(about = "Answers every request with 200, as cheaply as possible")]
struct Arguments {
    /// Where to listen; port 0 takes a free one, and the line printed says which.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Size of the body of every answer.
    #[arg(long, default_value_t = 2)]
    body_bytes: usize,
    /// Given by `cargo bench`, which has nothing to measure here.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    // Cargo calls every bench program without arguments when it tests or benches all targets.
    let Some(listen) = arguments.listen else {
        println!("origin: a part of benches/compare; nothing to run by itself");
        return Ok(());
    };
    serve(listen, &answer(&vec![b'.'; arguments.body_bytes]))
}

const LISTENER: Token = Token(usize::MAX);

fn serve(address: SocketAddr, answer: &[u8]) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut listener = TcpListener::bind(address)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    println!("listening {}", listener.local_addr()?);

    let mut connections: Slab<Connection> = Slab::new();
    let mut scratch = vec![0; SCRATCH_BYTES];
    let mut posts = 0;
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            if event.token() == LISTENER {
                accept_all(&listener, &poll, &mut connections)?;
                continue;
            }
            let key = event.token().0;
            let Some(connection) = connections.get_mut(key) else {
                continue; // closed by an earlier event of this batch
            };
            if connection.advance(answer, &mut scratch, &mut posts).is_err() {
                connections.remove(key);
            }
        }
    }
}

fn accept_all(
    listener: &TcpListener,
    poll: &Poll,
    connections: &mut Slab<Connection>,
) -> io::Result<()> {
    loop {
        let mut socket = match listener.accept() {
            Ok((socket, _)) => socket,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        socket.set_nodelay(true)?;
        let entry = connections.vacant_entry();
        let both = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut socket, Token(entry.key()), both)?;
        entry.insert(Connection { socket, head: Vec::new(), body_left: 0, unsent: Vec::new() });
    }
}

/// One connection from a proxy.
struct Connection {
    socket: TcpStream,
    /// The head of the request that is arriving; empty once it is whole.
    head: Vec<u8>,
    /// Bytes of the current request's body that have not come.
    body_left: usize,
    /// What the socket would not take of the answers.
    unsent: Vec<u8>,
}

impl Connection {
    /// Reads what is there and answers every request that is whole; an error closes the connection.
    fn advance(
        &mut self,
        answer: &[u8],
        scratch: &mut [u8],
        posts: &mut usize,
    ) -> Result<(), io::Error> {
        self.flush()?;
        loop {
            let count = match self.socket.read(scratch) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            self.take(&scratch[..count], answer, posts)?;
            // A short read has emptied the socket; epoll tells when more comes (epoll(7), Q9).
            if count < scratch.len() {
                return Ok(());
            }
        }
    }

    fn take(&mut self, mut bytes: &[u8], answer: &[u8], posts: &mut usize) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.body_left == 0 {
                bytes = self.take_head(bytes)?;
            }
            let taken = bytes.len().min(self.body_left);
            self.body_left -= taken;
            bytes = &bytes[taken..];
            if self.body_left == 0 && http1::head_length(&self.head).is_some() {
                self.respond(answer, posts)?;
            }
        }
        Ok(())
    }

    /// Moves bytes to the head until that is whole; gives back what follows it.
    fn take_head<'a>(&mut self, bytes: &'a [u8]) -> io::Result<&'a [u8]> {
        let before = self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(HEAD_BYTES - before)]);
        let Some(length) = http1::head_length(&self.head) else {
            return if self.head.len() < HEAD_BYTES {
                Ok(&[])
            } else {
                Err(ErrorKind::InvalidData.into())
            };
        };
        self.head.truncate(length);
        if http1::header(&self.head, "transfer-encoding").is_some() {
            return Err(ErrorKind::Unsupported.into());
        }
        self.body_left = http1::content_length(&self.head).ok_or(ErrorKind::InvalidData)?;
        Ok(&bytes[length - before..])
    }

    fn respond(&mut self, prepared: &[u8], posts: &mut usize) -> io::Result<()> {
        let asks_count = self.head.starts_with(b"GET /count ");
        self.head.clear();
        if asks_count {
            let counted = answer(posts.to_string().as_bytes());
            self.unsent.extend_from_slice(&counted);
        } else {
            *posts += 1;
            let sent = match self.unsent.is_empty().then(|| self.socket.write(prepared)) {
                Some(Ok(sent)) => sent,
                Some(Err(error)) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                Some(Err(_)) | None => 0,
            };
            self.unsent.extend_from_slice(&prepared[sent..]);
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn answer(body: &[u8]) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// One read takes a megabyte in few calls; shared by all connections.
const SCRATCH_BYTES: usize = 256 * 1024;

/// Larger heads than any proxy makes of the requests sent here.
const HEAD_BYTES: usize = 16 * 1024;
