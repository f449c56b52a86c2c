//! `hubgate run`: the service itself.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use tracing::warn;

use crate::app;
use crate::signals::{Request, Signals};
use crate::telemetry::log;
use crate::worker;

/// Serve callers until SIGTERM or SIGINT.
///
/// The first signal drains: nothing new is taken, what is in flight is finished. A second one ends
/// the process at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  hubgate run --config /etc/hubgate/config.toml")]
pub(super) struct Arguments {
    /// The configuration file; `config.toml` in the source tree is its commented reference.
    #[arg(
        long,
        short,
        value_name = "FILE",
        default_value = "/etc/hubgate/config.toml"
    )]
    config: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = super::load(&arguments.config)?;
    log::init(&config.log);
    for warning in config.warnings() {
        warn!("{warning}");
    }
    let runtime = worker::runtime().context("cannot start the runtime for signals")?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::catch().context("cannot catch signals")?
    };
    let running = app::start(config)?;
    let Request::Stop = runtime.block_on(signals.next());
    running.drain();
    runtime.block_on(async {
        tokio::select! {
            _again = signals.next() => Ok(ExitCode::FAILURE),
            () = running.ended() => Ok(ExitCode::SUCCESS),
        }
    })
}
