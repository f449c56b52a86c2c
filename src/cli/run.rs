//! `hubgate run`: the service itself.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tracing::{error, info, warn};

use super::record::ReloadRecord;
use crate::app::signals::{Request, Signals};
use crate::app::systemd::{self, Notifier};
use crate::app::watch::Watch;
use crate::app::{self, Running};
use crate::config::Config;
use crate::error_code::WithCauses;
use crate::lifecycle::Intervals;
use crate::listener::Sockets;
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
    /// Listen beside a running hubgate of the same user that is about to be stopped.
    #[arg(long)]
    replace: bool,
    /// A directory of this process alone, where `hubgate reload` finds what a reload came to.
    #[arg(long, value_name = "DIR", env = "RUNTIME_DIRECTORY")]
    runtime_directory: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let environment = |name: &str| std::env::var_os(name);
    // Before the first look into the file, so that a change after it is noticed.
    let mut watch = Watch::new(&arguments.config);
    let config = super::load(&arguments.config)?;
    watch.follow(watched(&arguments.config, config.files()));
    let _flush = log::init(&config.log).context("cannot start the thread of the log")?;
    for warning in config.warnings() {
        warn!("{warning}");
    }
    let runtime = worker::runtime().context("cannot start the runtime for signals")?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::catch().context("cannot catch signals")?
    };
    let notifier = Notifier::new(&environment);
    let watchdog_timeout = systemd::watchdog_timeout(&environment);
    let running = start(config, arguments.replace)
        .inspect_err(|failed| notifier.status(&format!("cannot start: {failed:#}")))?;
    let mut service = Service::new(&running, &notifier, watch, arguments);
    runtime.block_on(service.serve(&mut signals, watchdog_timeout))
}

fn start(config: Config, is_beside_another: bool) -> anyhow::Result<Running> {
    let mut sockets = Sockets::default().inherit(systemd::inherited_sockets()?)?;
    if is_beside_another {
        sockets = sockets.beside_another();
    }
    Ok(app::start_with(config, sockets, Intervals::default())?)
}

/// A running proxy, and whoever wants to know how it is.
struct Service<'a> {
    running: &'a Running,
    notifier: &'a Notifier,
    watch: Watch,
    config: &'a Path,
    runtime_directory: Option<&'a Path>,
    record: ReloadRecord,
}

impl<'a> Service<'a> {
    fn new(
        running: &'a Running,
        notifier: &'a Notifier,
        watch: Watch,
        arguments: &'a Arguments,
    ) -> Self {
        let record = ReloadRecord {
            pid: std::process::id(),
            reloads: 0,
            generation: running.generation(),
            failure: None,
        };
        let runtime_directory = arguments.runtime_directory.as_deref();
        Self { running, notifier, watch, config: &arguments.config, runtime_directory, record }
    }

    async fn serve(
        &mut self,
        signals: &mut Signals,
        watchdog_timeout: Option<Duration>,
    ) -> anyhow::Result<ExitCode> {
        let (running, notifier) = (self.running, self.notifier);
        running.self_check(START_PATIENCE).await?;
        self.leave_record();
        notifier.ready(&self.status());
        let is_well = async |patience| {
            let checked = running.self_check(patience).await;
            checked.inspect_err(|stuck| error!("{stuck}; the watchdog is not fed")).is_ok()
        };
        tokio::select! {
            () = self.obey(signals) => {}
            never = systemd::feed_watchdog(notifier, watchdog_timeout, is_well) => match never {},
        }
        info!("draining");
        notifier.stopping("draining");
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

    /// Returns when the process is to stop.
    async fn obey(&mut self, signals: &mut Signals) {
        loop {
            let interval = self.running.watch_interval();
            tokio::select! {
                request = signals.next() => match request {
                    Request::Stop => return,
                    Request::Reload => self.reload(),
                },
                () = tokio::time::sleep(interval.unwrap_or_default()), if interval.is_some() => {
                    if self.watch.look() {
                        info!("a file in use has changed");
                        self.reload();
                    }
                }
            }
        }
    }

    fn reload(&mut self) {
        self.notifier.reloading();
        self.watch.act();
        // Logged and counted there; on failure the old generation serves on.
        let failure = self.running.reload_from(self.config).err();
        self.record.reloads += 1;
        self.record.generation = self.running.generation();
        self.record.failure = failure.map(|failed| WithCauses(&failed).to_string());
        self.watch.follow(watched(self.config, self.running.files()));
        self.leave_record();
        self.notifier.ready(&self.status());
    }

    fn leave_record(&self) {
        let Some(directory) = self.runtime_directory else { return };
        if let Err(error) = self.record.write(directory) {
            warn!(%error, ?directory, "cannot leave the outcome of the reload");
        }
    }

    fn status(&self) -> String {
        let addresses: Vec<_> = self.running.addresses().iter().map(ToString::to_string).collect();
        let mut status =
            format!("generation {} on {}", self.record.generation, addresses.join(", "));
        if let Some(failure) = &self.record.failure {
            status += &format!("; the last reload failed: {failure}");
        }
        status
    }
}

/// The configuration itself, and what it names. What a refused one names is not known.
fn watched(config: &Path, files: Vec<PathBuf>) -> impl Iterator<Item = PathBuf> {
    std::iter::once(config.to_owned()).chain(files)
}

/// For threads that are just starting; a machine on its knees is no reason to give up.
const START_PATIENCE: Duration = Duration::from_secs(30);
