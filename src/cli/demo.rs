//! `hubgate demo`.

use std::process::ExitCode;

/// Show the whole job with nothing configured.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(_arguments: &Arguments) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not yet")
}
