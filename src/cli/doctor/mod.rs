//! `hubgate doctor`: looks at one's own public endpoint as Meta would.
//!
//! From outside in, each step in a file: [`reach`] (name, connection), [`tls`] (versions), [`chain`]
//! (certificate), [`requests`]. A step that fails ends the examination where Meta would be stopped;
//! tokens and secrets go only to a server whose certificate is in order.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use rustls::RootCertStore;

use self::chain::Judge;
use self::diagnostic::Diagnostic;
use self::requests::Patient;
use super::page::Page;
use super::send;
use crate::config::{Config, Webhook};
use hubgate_testkit::sender::{Options, Trust};

mod chain;
mod diagnostic;
mod reach;
mod requests;
mod tls;

/// Look at an endpoint as Meta would, and say what Meta would say.
///
/// Its name, connection, TLS versions and certificate; then a verification request with the right
/// token and a wrong one, and, if asked for, a signed event and a forged one. Exits with 0 if Meta
/// would be content. Run it from outside: from within, the name may be another.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The callback URL, as it stands in the app's dashboard.
    #[arg(long, value_name = "URL")]
    url: String,
    /// Take token and app secret of the webhook with this path from a configuration.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The verify token stands in this file.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A client certificate, PEM, under one of the endpoint's trust anchors.
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Its private key, PEM, unless it stands in the same file.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// The app secret stands in this file: sends a made-up event, which the application gets.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Trust servers under these roots, PEM, in place of the public ones. Meta does not.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Connect to ADDRESS whenever the URL says HOST and PORT; may be given several times.
    #[arg(long, value_name = "HOST:PORT:ADDRESS")]
    resolve: Vec<String>,
    /// How long each step may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    timeout: f64,
}

const EXAMPLES: &str = "\
Examples:
  hubgate doctor --url https://hooks.example.com/webhooks
  hubgate doctor --url https://hooks.example.com/webhooks --token-file verify-token \\
    --cert meta-client.pem --key meta-client.key --secret-file app-secret";

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut diagnostics = Vec::new();
    runtime.block_on(examine(arguments, &mut diagnostics))?;
    let mut page = Page::for_terminal(&std::io::stdout());
    page.line(&format!("{}\n", arguments.url));
    for diagnostic in &diagnostics {
        diagnostic.show(&mut page);
    }
    let wrong = diagnostics.iter().filter(|diagnostic| diagnostic.is_wrong()).count();
    let (ending, code) = match wrong {
        0 => (page.paint.good("Nothing of this would keep Meta away."), ExitCode::SUCCESS),
        1 => (page.paint.error("Meta would not be content: 1 thing is wrong."), ExitCode::FAILURE),
        wrong => {
            let ending = format!("Meta would not be content: {wrong} things are wrong.");
            (page.paint.error(&ending), ExitCode::FAILURE)
        }
    };
    page.line(&format!("\n{ending}"));
    std::io::stdout().write_all(page.text.as_bytes()).context("cannot write the diagnostics")?;
    Ok(code)
}

async fn examine(arguments: &Arguments, diagnostics: &mut Vec<Diagnostic>) -> anyhow::Result<()> {
    let limit = Duration::try_from_secs_f64(arguments.timeout).context("--timeout")?;
    let options = Options::to(&arguments.url)?.timeout(limit);
    let host = options.expected_name().clone();
    // Read before anybody is called, so that a mistake here is no diagnostic about the endpoint.
    let roots = arguments.roots()?;
    let identity = match &arguments.cert {
        Some(cert) => Some(send::identity(cert, arguments.key.as_deref())?),
        None => None,
    };
    let has_identity = identity.is_some();
    let (token, secret) = arguments.secrets(options.target(), &host.to_str())?;

    let given = arguments.resolve.iter().map(|one| send::resolved(one, &arguments.url));
    let addresses = match given.collect::<Result<Vec<_>, _>>()? {
        none if none.is_empty() => reach::resolve(&host, options.port(), limit, diagnostics).await,
        given => given,
    };
    let accepting = reach::connect(&addresses, limit, diagnostics).await;
    let Some((first, others)) = accepting.split_first() else { return Ok(()) };
    let options = match identity {
        Some(identity) => options.address(*first).identity(identity),
        None => options.address(*first),
    };
    let probed = tls::probe(&options, diagnostics).await?;
    if probed.chain.is_empty() {
        return Ok(());
    }
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let algorithms = provider.signature_verification_algorithms;
    let judge = Judge { roots: &roots.0, algorithms, host: &host, now: SystemTime::now() };
    let mut judged = judge.judge(&probed.chain);
    for other in others {
        // Said only of what differs, under the address that it is said of.
        let mut said = Vec::new();
        let at_other = tls::probe(&options.clone().address(*other), &mut said).await?;
        if at_other.chain != probed.chain {
            said.extend(judge.judge(&at_other.chain));
            judged.push(Diagnostic::warning("address", format!("{other} is not as {first} is")));
            judged.extend(said);
        }
    }
    let is_proven = !judged.iter().any(Diagnostic::is_wrong);
    diagnostics.extend(judged);
    diagnostics.push(match probed.asks_for_certificate {
        true => Diagnostic::good("client", "the server asks for a client certificate"),
        false => Diagnostic::warning("client", "the server asks for no client certificate").remedy(
            "events come without mTLS, or something in front of hubgate ends TLS; if so, on purpose?",
        ),
    });
    if !is_proven {
        let sentence = "nothing is sent to a server whose certificate is not in order";
        diagnostics.push(Diagnostic::skipped("requests", sentence));
        return Ok(());
    }
    let asks_for_certificate = probed.asks_for_certificate;
    let options = options.trust(roots.1);
    let patient = Patient { options, has_identity, asks_for_certificate, token, secret };
    Ok(patient.examine(diagnostics).await?)
}

impl Arguments {
    /// In both forms that are needed.
    fn roots(&self) -> anyhow::Result<(RootCertStore, Trust)> {
        let Some(path) = &self.ca else {
            let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
            return Ok((roots, Trust::PublicRoots));
        };
        let certificates = send::roots(path)?;
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            let added = roots.add(certificate.clone());
            added.with_context(|| format!("`{}` has no usable root", path.display()))?;
        }
        Ok((roots, Trust::Roots(certificates)))
    }

    /// Verify token and app secret, as far as they are known and wanted.
    fn secrets(
        &self,
        target: &str,
        host: &str,
    ) -> anyhow::Result<(Option<String>, Option<String>)> {
        let mut token = send::secret(self.token_file.as_deref(), None)?;
        let mut secret = send::secret(self.secret_file.as_deref(), None)?;
        if let Some(path) = &self.config {
            let config = super::load(path)?;
            let webhook = webhook(&config, target, host)
                .with_context(|| format!("`{}` has no webhook for this URL", path.display()))?;
            let text =
                |secret: &crate::config::Secret| String::from_utf8(secret.expose().to_vec()).ok();
            token = token.or_else(|| webhook.verify_tokens.first().and_then(text));
            // An event reaches the application: only for who has shown the wish.
            if self.cert.is_some() {
                secret = secret.or_else(|| webhook.app_secrets.first().and_then(text));
            }
        }
        Ok((token, secret))
    }
}

/// The one for this host before the one for any.
fn webhook<'a>(config: &'a Config, target: &str, host: &str) -> Option<&'a Webhook> {
    let path = target.split('?').next().unwrap_or(target);
    let fitting = config.webhooks.iter().filter(|webhook| webhook.path == path);
    let is_of = |webhook: &&Webhook| {
        webhook.host.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(host))
    };
    let any = |webhook: &&Webhook| webhook.host.is_none();
    fitting.clone().find(is_of).or_else(|| fitting.clone().find(any))
}
