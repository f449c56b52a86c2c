//! `hubgate check`: looks at a configuration and at everything that it names, and says all that is
//! wrong at once.
//!
//! Each file here looks at one thing, with the code that `hubgate run` uses, and returns its facts;
//! what it thinks of them goes into [`Problems`]. [`text`] shows all of it to people. Nothing is
//! changed, nothing is listened to, no upstream is sent a byte.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Context as _;
use serde::Serialize;

use crate::config::{Config, Networks};
use crate::error_code::FaultReport;
use crate::generation::Generation;
use crate::telemetry::metrics::Metrics;
use crate::tls::certificate::days_until;

mod anchors;
mod listening;
mod revocation;
mod server_chain;
mod sites;
mod text;
mod upstreams;
mod webhooks;

/// Check a configuration and everything that it names.
///
/// Looks at the addresses to listen on, the server's certificate, the trust anchors and candidates, the
/// revocation lists, the upstreams and the secrets. Exits with 0 if there are no errors, else with 1; warnings do not count. An
/// address in use and an upstream that does not answer are warnings: a hubgate may be running, an
/// application may not run yet. Changes nothing and never shows a secret.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The configuration file; `config.toml` in the source tree is its commented reference.
    #[arg(long, short, value_name = "FILE", default_value = "/etc/hubgate/config.toml")]
    config: PathBuf,
    /// Print one JSON object in place of text.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  hubgate check --config /etc/hubgate/config.toml
  hubgate check --json | jq '.client_certificate.anchors[] | {label, state, known}'

Secrets given as `credential` are read from $CREDENTIALS_DIRECTORY, which systemd sets for the
service alone; by hand, set it to a directory that holds files of these names.";

/// All that was found. A part is not there if the configuration is not even readable.
#[derive(Debug, Serialize)]
struct Report {
    config: PathBuf,
    ok: bool,
    #[serde(flatten)]
    problems: Problems,
    #[serde(flatten)]
    facts: Option<Facts>,
}

/// What a configuration comes to.
#[derive(Debug, Serialize)]
struct Facts {
    listen: Vec<listening::ListeningReport>,
    /// Whether sockets that systemd hands over are served, too; they are not there to be seen.
    inherit: bool,
    /// Who says in a PROXY protocol header who called.
    proxy_protocol_from: Vec<String>,
    /// Who says in `X-Forwarded-For` who called.
    trusted_proxies: Vec<String>,
    server: Vec<server_chain::ServerChainReport>,
    client_certificate: Option<anchors::ClientCertificateReport>,
    /// Not there: nobody looks at revocation.
    revocation: Option<revocation::RevocationReport>,
    upstreams: Vec<upstreams::UpstreamReport>,
    webhooks: Vec<webhooks::WebhookReport>,
    sites: Vec<sites::SiteReport>,
}

/// What is wrong, and what is worth a look.
#[derive(Debug, Default, Serialize)]
struct Problems {
    errors: Vec<String>,
    /// The code of each of the errors; none if `hubgate run` would start all the same.
    error_codes: Vec<Option<&'static str>>,
    warnings: Vec<String>,
}

impl Problems {
    fn error(&mut self, sentence: impl Into<String>) {
        self.errors.push(sentence.into());
        self.error_codes.push(None);
    }

    /// What keeps `hubgate run` from starting.
    fn told(&mut self, faults: Vec<FaultReport>) {
        for FaultReport { code, sentence } in faults {
            self.errors.push(sentence);
            self.error_codes.push(Some(code.label()));
        }
    }

    fn warn(&mut self, sentence: impl Into<String>) {
        self.warnings.push(sentence.into());
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let report = inspect(&arguments.config)?;
    let (to_stdout, to_stderr) = if arguments.json {
        let mut json = serde_json::to_string_pretty(&report).context("cannot write the report")?;
        json.push('\n');
        (json, String::new())
    } else {
        text::show(&report)
    };
    // Not `print!`, which panics when the other end of a pipe has seen enough.
    let told = std::io::stdout().write_all(to_stdout.as_bytes());
    let told = told.and_then(|()| std::io::stderr().write_all(to_stderr.as_bytes()));
    told.context("cannot write the report")?;
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn inspect(path: &Path) -> anyhow::Result<Report> {
    let mut problems = Problems::default();
    let facts = match Config::load(path) {
        Ok(config) => Some(inspect_config(&config, &mut problems)?),
        Err(errors) => {
            problems.told(errors.fault_reports());
            None
        }
    };
    Ok(Report { config: path.to_owned(), ok: problems.errors.is_empty(), problems, facts })
}

fn inspect_config(config: &Config, problems: &mut Problems) -> anyhow::Result<Facts> {
    // What `hubgate run` would refuse to start with, in its own words.
    let generation = Generation::build(1, config.clone(), &Metrics::new());
    if let Err(refused) = &generation {
        problems.told(refused.fault_reports());
    }
    let trust = generation.as_ref().ok().and_then(|generation| generation.tls.trust());
    let now = SystemTime::now();
    let facts = Facts {
        listen: listening::inspect(config, problems),
        inherit: config.server.inherit,
        proxy_protocol_from: shown(&config.server.proxy_protocol_from),
        trusted_proxies: shown(&config.server.trusted_proxies),
        server: server_chain::inspect(config, now, problems),
        client_certificate: anchors::inspect(config, now, problems),
        revocation: revocation::inspect(config, trust.map(|trust| &**trust), now, problems),
        upstreams: upstreams::inspect(config, problems)?,
        webhooks: webhooks::inspect(config),
        sites: sites::inspect(config),
    };
    problems.warnings.extend(config.warnings().iter().map(ToString::to_string));
    Ok(facts)
}

fn shown(networks: &Networks) -> Vec<String> {
    networks.iter().map(ToString::to_string).collect()
}

/// A route's index exists: the configuration saw to that.
fn upstream_name(config: &Config, index: usize) -> String {
    config.upstreams.get(index).map(|upstream| upstream.name.clone()).unwrap_or_default()
}
