//! `hubgate import-nginx`: takes over from nginx.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use hubgate_nginx::{self as nginx, Finding, ImportOptions, Outcome, Vocabulary};

use crate::config::{is_identity_name, known_keys};

/// Write a configuration that does what an nginx configuration does, or better.
///
/// Reads the file with everything that it includes, takes over the server blocks that look at client
/// certificates, and says in a comment what became of each directive. A summary goes to standard
/// error. Nothing that nginx keeps out is let in.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The nginx configuration: the main file, or one with server blocks.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where to write; standard output if left out. A file that is there is not overwritten.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// A path that Meta calls, as in the app's dashboard; may be given several times. Without it,
    /// the paths of the locations that look at the client certificate.
    #[arg(long = "webhook-path", value_name = "PATH")]
    webhook_paths: Vec<String>,
    /// Only the server block of this name.
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// Where the app secret will be.
    #[arg(long, value_name = "FILE", default_value = "/etc/hubgate/secrets/app-secret")]
    app_secret_file: String,
    /// Where the verify token will be.
    #[arg(long, value_name = "FILE", default_value = "/etc/hubgate/secrets/verify-token")]
    verify_token_file: String,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let options = ImportOptions {
        server: arguments.server.clone(),
        webhook_paths: arguments.webhook_paths.clone(),
        app_secret_file: arguments.app_secret_file.clone(),
        verify_token_file: arguments.verify_token_file.clone(),
    };
    let vocabulary = Vocabulary { known_keys: known_keys(), may_name_identity: is_identity_name };
    let import = nginx::import(&arguments.file, &options, &vocabulary)?;
    match &arguments.out {
        Some(path) => {
            let mut file = fs::File::create_new(path)
                .with_context(|| format!("cannot write `{}`", path.display()))?;
            std::io::Write::write_all(&mut file, import.text.as_bytes())
                .with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        None => print!("{}", import.text),
    }
    summarise(&import.findings);
    let needs_look = import.findings.iter().any(|finding| finding.outcome >= Outcome::Uncertain);
    Ok(if needs_look { ExitCode::from(NEEDS_LOOK) } else { ExitCode::SUCCESS })
}

fn summarise(findings: &[Finding]) {
    for outcome in [Outcome::Missing, Outcome::Uncertain, Outcome::Stricter] {
        for finding in findings.iter().filter(|finding| finding.outcome == outcome) {
            let Finding { place, directive, note, .. } = finding;
            eprintln!("{place}: {directive}\n    {}: {note}", outcome.label());
        }
    }
    let counts: Vec<String> = [
        Outcome::Carried,
        Outcome::Stricter,
        Outcome::Unneeded,
        Outcome::LeftAlone,
        Outcome::Uncertain,
        Outcome::Missing,
    ]
    .into_iter()
    .map(|outcome| {
        let count = findings.iter().filter(|finding| finding.outcome == outcome).count();
        format!("{count} {}", outcome.label())
    })
    .collect();
    eprintln!("{} directives: {}", findings.len(), counts.join(", "));
}

/// Something was written, and the operator has to look at parts of it.
const NEEDS_LOOK: u8 = 3;

const EXAMPLES: &str = "\
Exit code: 0 all is carried over; 3 written, but some of it needs a look; 1 nothing was written.

Examples:
  hubgate import-nginx /etc/nginx/nginx.conf --out /etc/hubgate/config.toml
  hubgate import-nginx /etc/nginx/sites-enabled/hooks --webhook-path /webhooks
  hubgate check --config /etc/hubgate/config.toml";
