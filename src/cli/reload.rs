//! `hubgate reload`: SIGHUP, and then the outcome.

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::record::{self, ReloadRecord};

/// Tell a running hubgate to take its configuration anew, and wait for the outcome.
///
/// Exits with 0 once the new configuration is in force, and with 1 and the reason if it was refused
/// and the old one stays in force. Meant for `ExecReload=`; by hand, say `systemctl reload hubgate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  ExecReload=/usr/bin/hubgate reload --pid $MAINPID")]
pub(super) struct Arguments {
    /// The running process.
    #[arg(long)]
    pid: u32,
    /// The runtime directory of the running process, where it leaves the outcome.
    #[arg(long, value_name = "DIR", env = "RUNTIME_DIRECTORY")]
    runtime_directory: PathBuf,
    /// How long to wait for the outcome.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let directory = &arguments.runtime_directory;
    let shown = record::path(directory).display().to_string();
    let before = ReloadRecord::read(directory).with_context(|| format!("cannot read `{shown}`"))?;
    if before.pid != arguments.pid {
        bail!("`{shown}` is of process {}, not of process {}", before.pid, arguments.pid);
    }
    let process = i32::try_from(arguments.pid).ok().and_then(Pid::from_raw);
    let process = process.context("that is no process id")?;
    kill_process(process, Signal::HUP).context("cannot send SIGHUP")?;
    let deadline = Instant::now() + Duration::from_secs(arguments.timeout);
    while Instant::now() < deadline {
        // Replaced by another process's, it is as good as gone.
        match ReloadRecord::read(directory).ok().filter(|now| now.pid == before.pid) {
            Some(now) if now.reloads > before.reloads => return outcome(&now),
            Some(_not_yet) if test_kill_process(process).is_ok() => sleep(POLL_INTERVAL),
            Some(_) | None => bail!("process {} ended instead of reloading", arguments.pid),
        }
    }
    bail!("no outcome within {} s; is process {} draining?", arguments.timeout, arguments.pid)
}

fn outcome(record: &ReloadRecord) -> anyhow::Result<ExitCode> {
    if let Some(failure) = &record.failure {
        bail!("{failure}; generation {} stays in force", record.generation);
    }
    println!("generation {} is in force", record.generation);
    Ok(ExitCode::SUCCESS)
}

/// A reload takes some milliseconds.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
