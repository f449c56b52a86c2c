//! `hubgate run`.

use std::process::ExitCode;

/// Serve callers until a signal stops it.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(_arguments: &Arguments) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not yet")
}
