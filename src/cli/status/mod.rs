//! `hubgate status`: asks a running hubgate how it is, and says what to do.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::admin::status::{Color, Status};
use crate::config::Admin;

mod text;

/// Ask a running hubgate how it is, and what to do about it.
///
/// Exits with 0 if events get through, also if something is worth a look, with 1 if events are lost
/// or will be, and with 2 if nobody answers. Of the configuration only `[admin]` is read, so the
/// rest of it may be broken, and its secrets need not be readable.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The configuration file that says where the admin listener is.
    #[arg(long, short, value_name = "FILE", default_value = "/etc/hubgate/config.toml")]
    config: PathBuf,
    /// Where the admin listener is, in place of what the configuration says.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "config")]
    admin: Option<SocketAddr>,
    /// Print the JSON document of `/status` in place of text.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  hubgate status
  hubgate status --admin 127.0.0.1:9180 --json | jq '.advice[].what'";

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match ask(arguments) {
        Ok((document, status)) => {
            let shown = if arguments.json { document } else { text::show(&status) };
            // Not `print!`, which panics when the other end of a pipe has seen enough.
            std::io::stdout().write_all(shown.as_bytes()).context("cannot write the status")?;
            Ok(match status.health {
                Color::Green | Color::Yellow => ExitCode::SUCCESS,
                Color::Red => ExitCode::FAILURE,
            })
        }
        // Printed here, for the exit code of every other command would say that it is red.
        Err(error) => {
            eprintln!("hubgate: {error:#}");
            Ok(ExitCode::from(NO_ANSWER))
        }
    }
}

/// As for arguments that cannot be read.
const NO_ANSWER: u8 = 2;

/// The document as it came, and as it reads.
fn ask(arguments: &Arguments) -> anyhow::Result<(String, Status)> {
    let address = match arguments.admin {
        Some(address) => address,
        None => configured(arguments)?,
    };
    let document = fetch(address).with_context(|| {
        format!("nobody answers at {address}; is hubgate running? See `systemctl status hubgate`")
    })?;
    let status = serde_json::from_str(&document)
        .with_context(|| format!("what answers at {address} is no hubgate, or an older one"))?;
    Ok((document, status))
}

fn configured(arguments: &Arguments) -> anyhow::Result<SocketAddr> {
    let Some(admin) = Admin::read_alone(&arguments.config)? else {
        bail!("the admin listener is off: `admin.enabled` is false");
    };
    if admin.listen.port() == 0 {
        bail!("`admin.listen` asks for any port; see which in the log, and say it with --admin");
    }
    Ok(admin.listen)
}

fn fetch(address: SocketAddr) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET /status HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_MAX_BYTES).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer is no HTTP")?;
    let status_line = head.lines().next().unwrap_or_default();
    if !status_line.starts_with("HTTP/1.1 200 ") {
        bail!("the answer is `{}`", status_line.escape_debug());
    }
    Ok(body.to_owned())
}

/// Between two pieces of an answer that is made in a millisecond.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Far above what some thousand routes come to.
const ANSWER_MAX_BYTES: u64 = 64 * 1024 * 1024;
