//! Floods a proxy as strangers would, with genuine senders beside: a part of `benches/flood`.
//!
//! In: where the proxy is, which process it is, the name of a flood. Out: one JSON line, with what
//! the senders met before and during the flood, what the proxy used, and what the flood achieved.
//! Two threads: the senders' and the flood's. The application behind is here, too.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench program panics at the first surprise, and its output is its purpose"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use serde_json::{Value, json};

use crate::cost::Charged;
use crate::senders::Senders;

mod catalogue;
#[expect(dead_code, reason = "the load generator uses more of it")]
#[path = "../load/connection.rs"]
mod connection;
#[expect(dead_code, reason = "the load generator uses more of it")]
#[path = "../load/cost.rs"]
mod cost;
mod flood;
#[expect(dead_code, unreachable_pub, reason = "they are the tests', which read frames, too")]
#[path = "../../tests/proxy/harness/http2.rs"]
mod frames;
#[path = "../http1/mod.rs"]
mod http1;
mod http2;
mod origin;
#[path = "../load/pki.rs"]
mod pki;
#[path = "../load/request.rs"]
mod request;
mod senders;
mod stranger;
#[expect(dead_code, reason = "the load generator uses more of it")]
#[path = "../load/tls.rs"]
mod tls;

#[derive(Parser)]
#[command(about = "Floods a proxy, with genuine senders beside")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Given by `cargo bench`, which has nothing to measure here.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Make the certificates, keys and secrets.
    Pki {
        /// Where to put them; made if missing.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Be the application: 200 to everything, a megabyte for `/big`, WebSockets.
    Origin,
    /// Print the names of all floods, one a line.
    Names,
    /// Run one flood.
    Run(Run),
}

#[derive(Args)]
struct Run {
    /// The flood's name.
    name: String,
    /// The proxy's address; on 127.0.0.1, so that senders and strangers have addresses of their own.
    #[arg(long)]
    connect: SocketAddr,
    /// What `pki` has made.
    #[arg(long)]
    pki: PathBuf,
    /// The proxy's process.
    #[arg(long)]
    pid: u32,
    /// Seconds of senders alone.
    #[arg(long, default_value_t = 3.0)]
    before: f64,
    /// Seconds of the flood.
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// How far away the senders are.
    #[arg(long, default_value_t = 0)]
    round_trip_ms: u64,
    #[command(flatten)]
    bounds: flood::Bounds,
}

fn main() {
    match Arguments::parse().command {
        Some(Command::Pki { dir }) => pki::write(&dir),
        Some(Command::Origin) => origin::serve(),
        Some(Command::Names) => catalogue::NAMES.iter().for_each(|name| println!("{name}")),
        Some(Command::Run(run)) => println!("{}", run.run()),
        None => println!("floods: a part of benches/flood; see its --help"),
    }
}

impl Run {
    /// Senders alone, then with the flood, then alone again for as long as what it left may show.
    fn run(&self) -> Value {
        let before = Duration::from_secs_f64(self.before);
        let during = Duration::from_secs_f64(self.seconds);
        let charged = Charged::new(&[self.pid]);
        let ended = AtomicBool::new(false);
        let senders =
            Senders::new(self.connect, &self.pki, Duration::from_millis(self.round_trip_ms));
        let plan = catalogue::plan(&self.name, &self.pki);

        thread::scope(|scope| {
            let senders = scope.spawn(|| senders.run(before, &ended));
            thread::sleep(before);
            let cpu_ns = charged.cpu_ns();
            let achieved = flood::run(plan, self.connect, during, &self.bounds);
            let cpu_ns = charged.cpu_ns() - cpu_ns;
            thread::sleep(AFTERMATH);
            ended.store(true, Ordering::Relaxed);
            json!({
                "flood": self.name,
                "senders": senders.join().expect("the senders' thread panicked"),
                "achieved": achieved,
                "cpu_share": cpu_ns as f64 / 1e9 / during.as_secs_f64(),
            })
        })
    }
}

/// How long senders go on after the flood.
const AFTERMATH: Duration = Duration::from_millis(500);
