//! `hubgate explain`: what a code means, what may have caused it, and what to type next.
//!
//! The texts stand beside each other in [`connection_refusals`], [`refusals`], [`config_faults`] and
//! [`start_faults`]; a new code does not compile without one.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};

mod catalogue;
mod certificate;
mod config_faults;
mod connection_refusals;
mod explanation;
mod faults;
mod refusals;
mod start_faults;

/// Say what a code means, or what becomes of a client certificate and why.
///
/// Of a code in the log, in a metric or in an error: what it means, the likely causes with the
/// likeliest first, and the next command to type. Without a code, lists all of them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// As in the log field `reason`, `refusal` or `code`, in a metric's label, or in `error[..]`.
    #[arg(conflicts_with = "cert")]
    code: Option<String>,
    /// Say what the configuration would do with this client certificate or chain, PEM, and why;
    /// exits with 0 if it would be let in.
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", default_value = "/etc/hubgate/config.toml")]
    #[arg(requires = "cert")]
    config: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  hubgate explain
  hubgate explain signature_mismatch
  hubgate explain --cert client.pem --config /etc/hubgate/config.toml";

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (text, code) = match (&arguments.code, &arguments.cert) {
        (Some(code), _) => (explain(code)?, ExitCode::SUCCESS),
        (None, Some(file)) => certificate::explain(file, &arguments.config)?,
        (None, None) => (catalogue::list(), ExitCode::SUCCESS),
    };
    // Not `print!`, which panics when the other end of a pipe has seen enough.
    std::io::stdout().write_all(text.as_bytes()).context("cannot write the explanation")?;
    Ok(code)
}

fn explain(code: &str) -> anyhow::Result<String> {
    // As it may be copied out of an error.
    let label = code.trim().trim_start_matches("error[").trim_end_matches([']', ':']);
    match catalogue::find(label) {
        Ok(entry) => Ok(catalogue::page(&entry)),
        Err(Some(near)) => bail!("`{label}` is not a code; did you mean `{near}`?"),
        Err(None) => bail!("`{label}` is not a code; `hubgate explain` lists all of them"),
    }
}
