//! `hubgate certs`.

use std::process::ExitCode;

/// Write a throw-away PKI shaped like Meta's.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(_arguments: &Arguments) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not yet")
}
