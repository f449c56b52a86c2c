//! `hubgate run`: the service itself.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use tracing::{info, warn};

use crate::app::{self, Running};
use crate::signals::{Request, Signals};
use crate::telemetry::log;
use crate::worker;

/// Serve callers until SIGTERM or SIGINT.
///
/// The first one drains: nothing new is taken, what is in flight is finished. A second one ends the
/// process at once. SIGHUP puts the configuration file, as it is then, in force; if it is not
/// valid, the old configuration stays.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  hubgate run --config /etc/hubgate/config.toml")]
pub(super) struct Arguments {
    /// The configuration file; `config.toml` in the source tree is its commented reference.
    #[arg(long, short, value_name = "FILE", default_value = "/etc/hubgate/config.toml")]
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
    runtime.block_on(obey(&mut signals, &running, &arguments.config))
}

async fn obey(signals: &mut Signals, running: &Running, config: &Path) -> anyhow::Result<ExitCode> {
    while signals.next().await == Request::Reload {
        // Logged and counted there; the old generation serves on.
        let _told = running.reload_from(config);
    }
    info!("draining");
    running.drain();
    loop {
        tokio::select! {
            () = running.ended() => return Ok(ExitCode::SUCCESS),
            again = signals.next() => if again == Request::Stop {
                warn!("second signal: ending at once");
                return Ok(ExitCode::FAILURE);
            },
        }
    }
}
