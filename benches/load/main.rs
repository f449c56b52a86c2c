//! Plays Meta at full speed: opens mTLS connections, posts signed events, and says what one costs.
//!
//! In: where the proxy is, which processes are charged, what to do. Out: one JSON line on standard
//! output. One thread, epoll, requests signed beforehand, so that it stays cheaper than any proxy;
//! what the proxy spends is read from the kernel's accounting of its threads, not from the clock.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench program panics at the first surprise, and its output is its purpose"
)]

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::closed_loop::ClosedLoop;
use crate::cost::Charged;
use crate::request::Request;
use crate::tls::{Identity, Sessions};

mod closed_loop;
mod connection;
mod cost;
mod hold;
#[path = "../http1/mod.rs"]
mod http1;
mod open_loop;
mod pki;
mod probe;
mod request;
mod tls;

#[derive(Parser)]
#[command(about = "Posts signed events over mTLS and says what one costs the proxy")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Given by `cargo bench`, which has nothing to measure here.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Make the certificates, keys and secrets of a comparison.
    Pki {
        /// Where to put them; made if missing.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Requests back to back on every connection.
    Busy(Busy),
    /// Requests at a fixed mean rate, whether or not earlier ones are answered.
    Paced {
        #[command(flatten)]
        busy: Busy,
        /// Requests a second, at random (exponential) distances.
        #[arg(long)]
        rate: f64,
    },
    /// Connections that have done one request and then stay.
    Hold {
        #[command(flatten)]
        target: Target,
        /// How many.
        #[arg(long, default_value_t = 10_000)]
        connections: usize,
        /// Keep them until standard input ends.
        #[arg(long)]
        stay: bool,
    },
    /// Whether the right is let in and the wrong is refused.
    Probe {
        #[command(flatten)]
        target: Target,
        /// The application behind the proxy, which must see no refused request.
        #[arg(long)]
        origin: SocketAddr,
        /// The proxy is known not to check signatures.
        #[arg(long)]
        unsigned: bool,
    },
}

/// Whom to load.
#[derive(Args)]
struct Target {
    /// The proxy's address.
    #[arg(long)]
    connect: SocketAddr,
    /// What `load pki` has made.
    #[arg(long)]
    pki: PathBuf,
    /// The processes whose CPU time and memory are the proxy's.
    #[arg(long, value_delimiter = ',')]
    pids: Vec<u32>,
}

/// How to load it.
#[derive(Args)]
struct Busy {
    #[command(flatten)]
    target: Target,
    /// Connections at once, each with one request in flight.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Size of the request's body.
    #[arg(long, default_value_t = 1024)]
    body_bytes: usize,
    /// What becomes of a connection after its answer.
    #[arg(long, value_enum, default_value_t = Reuse::KeepAlive)]
    reuse: Reuse,
    /// Seconds before the figures count.
    #[arg(long, default_value_t = 1.0)]
    warmup: f64,
    /// Seconds that count.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

/// What becomes of a connection after its answer.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Reuse {
    /// It carries the next request.
    KeepAlive,
    /// It is closed; the next one makes a full handshake.
    FullHandshake,
    /// It is closed; the next one resumes its session.
    ResumedHandshake,
}

fn main() {
    let arguments = Arguments::parse();
    let line = match arguments.command {
        Some(Command::Pki { dir }) => return pki::write(&dir),
        Some(Command::Busy(busy)) => busy.closed_loop().run(),
        Some(Command::Paced { busy, rate }) => open_loop::run(&busy.closed_loop(), rate),
        Some(Command::Hold { target, connections, stay }) => {
            let (line, _held) = hold::run(&target, connections);
            println!("{line}");
            if stay {
                io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
            }
            return;
        }
        Some(Command::Probe { target, origin, unsigned }) => probe::run(&target, origin, unsigned),
        None => {
            println!("load: a part of benches/compare; see its --help");
            return;
        }
    };
    println!("{line}");
}

impl Busy {
    fn closed_loop(&self) -> ClosedLoop {
        let sessions = match self.reuse {
            Reuse::KeepAlive | Reuse::FullHandshake => Sessions::Forgotten,
            Reuse::ResumedHandshake => Sessions::Kept,
        };
        ClosedLoop {
            address: self.target.connect,
            tls: (0..self.connections)
                .map(|_| tls::client(&self.target.pki, Identity::Right, sessions))
                .collect(),
            request: Request::signed(&self.target.pki, self.body_bytes).into_bytes(),
            reuse: self.reuse,
            warmup: Duration::from_secs_f64(self.warmup),
            counted: Duration::from_secs_f64(self.seconds),
            charged: Charged::new(&self.target.pids),
        }
    }
}
