//! The floor: the gate's work with nothing around it, to say what the machine itself costs.
//!
//! In: mTLS connections that post signed events. Out: the same bytes to an upstream over kept-alive
//! connections, and its answer back. One thread, epoll, rustls, the client's chain and exact name,
//! HMAC-SHA256 over the body. No HTTP library, no limits, no deadlines, no log: not a proxy to use.
//!
//! TLS is read as rustls offers it (`read_tls` from the socket), and a body is gathered whole before
//! it is hashed and sent on: the plain way to write it, not the fastest one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench program panics at the first surprise, and its output is its purpose"
)]

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Registry, Token};
use rustls::ServerConfig;
use slab::Slab;

use crate::caller::{Caller, Step};
use crate::upstream::Upstream;

mod caller;
#[path = "../http1/mod.rs"]
mod http1;
mod tls;
mod upstream;

#[derive(Parser)]
#[command(about = "A bare loop that checks and forwards, as the floor of the comparison")]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The application.
    #[arg(long)]
    upstream: Option<SocketAddr>,
    /// What `load pki` has made.
    #[arg(long)]
    pki: Option<PathBuf>,
    /// Given by `cargo bench`, which has nothing to measure here.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    // Cargo calls every bench program without arguments when it tests or benches all targets.
    let (Some(upstream), Some(pki)) = (arguments.upstream, arguments.pki) else {
        println!("floor: a part of benches/compare; nothing to run by itself");
        return Ok(());
    };
    let secret = std::fs::read(pki.join("app-secret"))?;
    let poll = Poll::new()?;
    let mut listener = TcpListener::bind(arguments.listen)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    println!("listening {}", listener.local_addr()?);

    let registry = poll.registry().try_clone()?;
    let floor = Floor {
        listener,
        registry,
        tls: tls::server(&pki),
        secret,
        upstream_address: upstream,
        callers: Slab::new(),
        upstreams: Slab::new(),
        idle_upstreams: Vec::new(),
        spare_buffers: Vec::new(),
    };
    floor.serve(poll)
}

const LISTENER: Token = Token(usize::MAX);

/// Callers have even tokens, upstreams odd ones.
fn caller_token(key: usize) -> Token {
    Token(key * 2)
}

fn upstream_token(key: usize) -> Token {
    Token(key * 2 + 1)
}

struct Floor {
    listener: TcpListener,
    registry: Registry,
    tls: Arc<ServerConfig>,
    secret: Vec<u8>,
    upstream_address: SocketAddr,
    callers: Slab<Caller>,
    upstreams: Slab<Upstream>,
    /// Those without a request, the one used last on top.
    idle_upstreams: Vec<usize>,
    /// Buffers that no request uses, so that an idle connection holds none.
    spare_buffers: Vec<Vec<u8>>,
}

impl Floor {
    fn serve(mut self, mut poll: Poll) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            match poll.poll(&mut events, None) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept_all()?,
                    Token(number) if number % 2 == 0 => self.advance_caller(number / 2),
                    Token(number) => self.advance_upstream(number / 2),
                }
            }
        }
    }

    fn accept_all(&mut self) -> io::Result<()> {
        loop {
            let mut socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            socket.set_nodelay(true)?;
            let entry = self.callers.vacant_entry();
            let both = Interest::READABLE | Interest::WRITABLE;
            self.registry.register(&mut socket, caller_token(entry.key()), both)?;
            entry.insert(Caller::new(socket, &self.tls));
        }
    }

    fn advance_caller(&mut self, key: usize) {
        let Some(caller) = self.callers.get_mut(key) else {
            return; // closed by an earlier event of this batch
        };
        match caller.advance(&self.secret, &mut self.spare_buffers) {
            Ok(Step::Waits) => {}
            Ok(Step::Proven(request)) => self.forward(key, request),
            Err(_) => drop(self.callers.remove(key)),
        }
    }

    fn forward(&mut self, caller: usize, request: Vec<u8>) {
        let upstream = self.idle_upstreams.pop().unwrap_or_else(|| self.connect());
        self.upstreams[upstream].begin(caller, request);
        self.advance_upstream(upstream);
    }

    fn connect(&mut self) -> usize {
        let entry = self.upstreams.vacant_entry();
        let key = entry.key();
        let connected =
            Upstream::connect(self.upstream_address, &self.registry, upstream_token(key));
        entry.insert(connected.expect("the application must accept connections"));
        key
    }

    fn advance_upstream(&mut self, key: usize) {
        let Some(upstream) = self.upstreams.get_mut(key) else {
            return;
        };
        match upstream.advance() {
            Ok(None) => {}
            Ok(Some(answered)) => {
                self.spare_buffers.push(answered.request);
                self.idle_upstreams.push(key);
                self.answer(answered.caller, &answered.answer);
            }
            Err(_) => {
                let caller = self.upstreams.remove(key).caller();
                self.idle_upstreams.retain(|idle| *idle != key);
                if let Some(caller) = caller {
                    self.callers.try_remove(caller);
                }
            }
        }
    }

    fn answer(&mut self, key: usize, answer: &[u8]) {
        let Some(caller) = self.callers.get_mut(key) else {
            return; // gone while the upstream worked
        };
        if caller.answer(answer).is_err() {
            self.callers.remove(key);
        } else if caller.has_missed() {
            self.advance_caller(key);
        }
    }
}
