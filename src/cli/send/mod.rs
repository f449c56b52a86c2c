//! `hubgate send`: plays Meta against any endpoint and tells what came of it.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use clap::builder::PossibleValuesParser;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use hubgate_testkit::events::{EVENTS, Event};
use hubgate_testkit::pki::Identity;
use hubgate_testkit::sender::{Http, Message, Options, Sender, Tls, Trust};
use hubgate_testkit::setup::random_hex;

pub(super) mod report;

/// Play Meta against an endpoint: a signed event, or a verification request.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The callback URL, as it stands in Meta's dashboard.
    url: String,

    /// Client certificate, PEM: the leaf, then its intermediates.
    #[arg(long, value_name = "FILE", help_heading = "Identity")]
    cert: Option<PathBuf>,
    /// The client certificate's private key, PEM, unless it stands in the same file.
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = "Identity")]
    key: Option<PathBuf>,

    /// Trust servers under these roots, PEM, in place of the public ones.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure", help_heading = "Server")]
    cacert: Option<PathBuf>,
    /// Accept every server certificate. Meta does not.
    #[arg(long, help_heading = "Server")]
    insecure: bool,
    /// Connect to ADDRESS whenever the URL says HOST and PORT.
    #[arg(long, value_name = "HOST:PORT:ADDRESS", help_heading = "Server")]
    resolve: Option<String>,
    /// Offer this TLS version alone.
    #[arg(long, value_name = "VERSION", value_parser = ["1.2", "1.3"], help_heading = "Server")]
    tls: Option<String>,
    /// Speak HTTP/2 in place of HTTP/1.1.
    #[arg(long, help_heading = "Server")]
    http2: bool,
    /// How long connect, handshake and answer may take, each.
    #[arg(long, value_name = "SECONDS", default_value_t = 20.0, help_heading = "Server")]
    timeout: f64,

    /// Send a built-in event.
    #[arg(long, value_name = "NAME", default_value = "page_message", help_heading = "Event")]
    #[arg(value_parser = PossibleValuesParser::new(EVENTS.iter().map(|event| event.name)))]
    event: String,
    /// Send the bytes of this file as they are, in place of a built-in event.
    #[arg(long, value_name = "FILE", help_heading = "Event")]
    body: Option<PathBuf>,
    /// The app secret stands in this file.
    #[arg(long, value_name = "FILE", conflicts_with = "secret_env", help_heading = "Event")]
    secret_file: Option<PathBuf>,
    /// The app secret stands in this environment variable.
    #[arg(long, value_name = "NAME", help_heading = "Event")]
    secret_env: Option<String>,
    /// Send the event without a signature, to see it refused.
    #[arg(long, conflicts_with_all = ["secret_file", "secret_env"], help_heading = "Event")]
    unsigned: bool,
    /// How many events to send, over one connection.
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Event")]
    count: u32,

    /// Send a verification request in place of an event.
    #[arg(long, conflicts_with_all = ["body", "secret_file", "secret_env", "unsigned"])]
    #[arg(help_heading = "Verification")]
    verify: bool,
    /// The verify token stands in this file.
    #[arg(long, value_name = "FILE", requires = "verify", conflicts_with = "token_env")]
    #[arg(help_heading = "Verification")]
    token_file: Option<PathBuf>,
    /// The verify token stands in this environment variable.
    #[arg(long, value_name = "NAME", requires = "verify", help_heading = "Verification")]
    token_env: Option<String>,
}

/// What to send, and what must come back beside the 200.
struct Plan {
    message: Message,
    /// The challenge that must be echoed.
    echo: Option<Bytes>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let options = arguments.options()?;
    let identity = arguments.identity()?;
    let plan = arguments.plan()?;
    let options = match identity.clone() {
        Some(identity) => options.identity(identity),
        None => options,
    };
    let sender = Sender::new(options)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(converse(arguments, &sender, &plan, identity.as_ref()))
}

async fn converse(
    arguments: &Arguments,
    sender: &Sender,
    plan: &Plan,
    identity: Option<&Identity>,
) -> anyhow::Result<ExitCode> {
    let connection = match sender.connect().await {
        Ok(connection) => connection,
        Err(error) => return Ok(report::failure(&error, identity.is_some())),
    };
    report::handshake(connection.handshake());
    report::identity(identity, sender.certificate_was_requested());

    let mut times = Vec::new();
    for number in 1..=arguments.count {
        let answer = match connection.request(plan.message.clone()).await {
            Ok(answer) => answer,
            Err(error) => return Ok(report::failure(&error, identity.is_some())),
        };
        times.push(answer.elapsed);
        let wrong = report::shortcoming(&answer, plan.echo.as_ref());
        if number == 1 || wrong.is_some() {
            report::answer(&answer);
        }
        if let Some(wrong) = wrong {
            report::look_at(wrong);
            connection.close().await;
            return Ok(ExitCode::FAILURE);
        }
    }
    report::times(&mut times);
    connection.close().await;
    Ok(ExitCode::SUCCESS)
}

impl Arguments {
    fn options(&self) -> anyhow::Result<Options> {
        let timeout = Duration::try_from_secs_f64(self.timeout).context("--timeout")?;
        let mut options = Options::to(&self.url)?.timeout(timeout);
        if self.insecure {
            options = options.trust(Trust::Anything);
        }
        if let Some(path) = &self.cacert {
            options = options.trust(Trust::Roots(roots(path)?));
        }
        if let Some(resolve) = &self.resolve {
            options = options.address(resolved(resolve, &self.url)?);
        }
        options = options.tls(match self.tls.as_deref() {
            Some("1.2") => Tls::Only12,
            Some("1.3") => Tls::Only13,
            _ => Tls::Both,
        });
        Ok(options.http(if self.http2 { Http::Two } else { Http::One }))
    }

    fn identity(&self) -> anyhow::Result<Option<Identity>> {
        let Some(cert) = &self.cert else { return Ok(None) };
        identity(cert, self.key.as_deref()).map(Some)
    }

    fn plan(&self) -> anyhow::Result<Plan> {
        if self.verify {
            let token = secret(self.token_file.as_deref(), self.token_env.as_deref())?
                .context("a verification request needs --token-file or --token-env")?;
            let challenge = random_hex();
            let message = Message::verification(&token, &challenge);
            return Ok(Plan { message, echo: Some(challenge.into()) });
        }
        let body = match &self.body {
            Some(path) => Bytes::from(read(path)?),
            None => Event::named(&self.event).context("no such event")?.body.into(),
        };
        let message = match secret(self.secret_file.as_deref(), self.secret_env.as_deref())? {
            Some(secret) => Message::event(&secret, body),
            None if self.unsigned => Message::unsigned_event(body),
            None => bail!("an event needs --secret-file or --secret-env, or --unsigned"),
        };
        Ok(Plan { message, echo: None })
    }
}

/// A client certificate; its key may stand in the same file.
pub(super) fn identity(cert: &Path, key: Option<&Path>) -> anyhow::Result<Identity> {
    let key = key.unwrap_or(cert);
    Identity::from_pem(&read(cert)?, &read(key)?).with_context(|| {
        format!("no certificate and key in `{}` and `{}`", cert.display(), key.display())
    })
}

/// Every certificate of a PEM file; at least one.
pub(super) fn roots(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let pem = read(path)?;
    let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let roots = roots.with_context(|| format!("`{}` is not PEM", path.display()))?;
    ensure!(!roots.is_empty(), "`{}` has no certificate", path.display());
    Ok(roots)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))
}

/// A secret is text of one line; an empty one is a mistake, never a secret.
pub(super) fn secret(
    file: Option<&Path>,
    variable: Option<&str>,
) -> anyhow::Result<Option<String>> {
    let (text, place) = match (file, variable) {
        (Some(path), _) => {
            let place = format!("`{}`", path.display());
            let text = String::from_utf8(read(path)?).ok();
            (text.with_context(|| format!("{place} is not text"))?, place)
        }
        (None, Some(name)) => {
            let place = format!("the environment variable `{name}`");
            (std::env::var(name).with_context(|| place.clone())?, place)
        }
        (None, None) => return Ok(None),
    };
    let text = text.trim_end_matches(['\r', '\n']);
    ensure!(!text.is_empty(), "{place} is empty");
    Ok(Some(text.to_owned()))
}

/// `HOST:PORT:ADDRESS` as curl takes it, for the host and port of `url`.
pub(super) fn resolved(text: &str, url: &str) -> anyhow::Result<SocketAddr> {
    const FORM: &str = "--resolve takes HOST:PORT:ADDRESS";
    let (host, rest) = text.split_once(':').context(FORM)?;
    let (port, address) = rest.split_once(':').context(FORM)?;
    let port: u16 = port.parse().context(FORM)?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let address: IpAddr = address.parse().context(FORM)?;
    let url: http::Uri = url.parse()?;
    let named = url.host().unwrap_or_default();
    ensure!(
        named.eq_ignore_ascii_case(host) && url.port_u16().unwrap_or(443) == port,
        "--resolve is for {host}:{port}, and the URL is for another host or port"
    );
    Ok(SocketAddr::new(address, port))
}

const EXAMPLES: &str = "\
Examples:
  hubgate send https://hooks.example.com/webhooks --cert meta-client.pem --key meta-client.key \\
    --secret-file app-secret --event whatsapp_message
  hubgate send https://localhost:8443/webhooks --cacert server-ca.pem --verify \\
    --token-file verify-token --cert meta-client.pem --key meta-client.key
  hubgate send https://hooks.example.com/webhooks --resolve hooks.example.com:443:192.0.2.7 \\
    --secret-env APP_SECRET --body captured.json --count 100

The exit code is 0 only if every answer was 200, and the challenge came back bare.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolve_is_read_as_curl_reads_it() {
        let url = "https://hooks.example/webhooks";
        let resolved = |text| resolved(text, url).map(|address| address.to_string()).ok();
        assert_eq!(resolved("hooks.example:443:192.0.2.7").as_deref(), Some("192.0.2.7:443"));
        assert_eq!(resolved("hooks.example:443:[::1]").as_deref(), Some("[::1]:443"));
        assert_eq!(resolved("hooks.example:443:::1").as_deref(), Some("[::1]:443"));
        assert_eq!(resolved("other.example:443:192.0.2.7"), None);
        assert_eq!(resolved("hooks.example:8443:192.0.2.7"), None);
        assert_eq!(resolved("hooks.example:443:name"), None);
    }

    #[test]
    fn a_secret_loses_its_newline_and_must_not_be_empty() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("secret");
        std::fs::write(&path, "s3cret \r\n").expect("is written");
        assert_eq!(secret(Some(&path), None).expect("a secret").as_deref(), Some("s3cret "));
        std::fs::write(&path, "\n").expect("is written");
        assert!(secret(Some(&path), None).is_err());
        assert!(secret(None, None).expect("none").is_none());
    }
}
