//! `hubgate certs`: a throw-away PKI as files.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use rustls::pki_types::ServerName;

use hubgate_testkit::setup::{Setup, SetupError};

/// Write a throw-away PKI shaped like both of Meta's, with a server certificate and secrets.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Where to write; made if missing.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// A name or address of the server; may be given several times.
    #[arg(long = "name", value_name = "NAME", value_parser = server_name)]
    #[arg(default_values = ["localhost", "127.0.0.1", "::1"])]
    names: Vec<ServerName<'static>>,
    /// Overwrite what is there.
    #[arg(long)]
    force: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let setup = Setup::new(&arguments.names);
    let written = setup.write(&arguments.dir, arguments.force);
    if let Err(error @ SetupError::Exists { .. }) = written {
        return Err(error).context("nothing was written; --force overwrites");
    }
    written?;

    let directory = arguments.dir.display();
    println!("Written to {directory}, good for tests and nothing else:\n");
    for file in setup.files() {
        let note = if file.is_secret { " (mode 0600)" } else { "" };
        println!("  {:<20} {}{note}", file.name, file.what);
    }
    println!("\nPlay Meta against a proxy that uses them:\n");
    for shape in ["meta", "digicert"] {
        println!(
            "  hubgate send https://localhost:8443/webhooks --cacert {directory}/server-ca.pem \\\n    \
             --cert {directory}/{shape}-client.pem --key {directory}/{shape}-client.key \\\n    \
             --secret-file {directory}/app-secret"
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn server_name(text: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(text.to_owned()).map_err(|_| "neither a DNS name nor an address".into())
}

const EXAMPLES: &str = "\
Examples:
  hubgate certs --dir /tmp/pki
  hubgate certs --dir /tmp/pki --name hooks.example.com --name 192.0.2.7 --force";
