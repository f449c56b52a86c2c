//! `hubgate check`.

use std::process::ExitCode;

/// Check a configuration and everything that it names.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(_arguments: &Arguments) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not yet")
}
