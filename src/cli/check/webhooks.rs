//! The routes, what each asks for, and where its secrets stand; never the secrets.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::{self, Config, Demand, Enforcement, SecretSource, Verification};

/// One route.
#[derive(Debug, Serialize)]
pub(super) struct WebhookReport {
    pub(super) name: String,
    pub(super) path: String,
    /// Not there: any.
    pub(super) host: Option<String>,
    pub(super) upstream: String,
    pub(super) app_secrets: Vec<SecretReport>,
    pub(super) verify_tokens: Vec<SecretReport>,
    /// The secret that its application can tell proven requests by; not there: it has none.
    pub(super) proof: Option<SecretReport>,
    pub(super) signature: &'static str,
    pub(super) verification: &'static str,
    pub(super) client_certificate: &'static str,
    pub(super) verification_client_certificate: &'static str,
}

/// One app secret, verify token or proof.
#[derive(Debug, Serialize)]
pub(super) struct SecretReport {
    pub(super) label: String,
    #[serde(flatten)]
    pub(super) source: Source,
}

/// Where it came from.
#[derive(Debug, Serialize)]
#[serde(tag = "source", rename_all = "snake_case")]
pub(super) enum Source {
    /// A file, with its permission bits as `ls` counts them.
    File { path: PathBuf, mode: Option<String> },
    /// The same, handed over by systemd.
    Credential { name: String, mode: Option<String> },
    /// A variable of the environment.
    Environment { name: String },
    /// This process.
    Made,
}

pub(super) fn inspect(config: &Config) -> Vec<WebhookReport> {
    let webhooks = config.webhooks.iter().map(|webhook| WebhookReport {
        name: webhook.name.clone(),
        path: webhook.path.clone(),
        host: webhook.host.clone(),
        upstream: super::upstream_name(config, webhook.upstream),
        app_secrets: webhook.app_secrets.iter().map(SecretReport::new).collect(),
        verify_tokens: webhook.verify_tokens.iter().map(SecretReport::new).collect(),
        proof: proof(config, webhook),
        signature: match webhook.signature {
            Enforcement::Enforce => "enforce",
            Enforcement::Report => "report",
        },
        verification: match webhook.verification {
            Verification::Answer => "answer",
            Verification::Forward => "forward",
            Verification::Off => "off",
        },
        client_certificate: word(webhook.client_certificate),
        verification_client_certificate: word(webhook.verification_client_certificate),
    });
    webhooks.collect()
}

fn proof(config: &Config, webhook: &config::Webhook) -> Option<SecretReport> {
    let proof = config.upstreams.get(webhook.upstream)?.proof.as_ref();
    proof.map(|proof| SecretReport::new(proof.secret()))
}

fn word(demand: Demand) -> &'static str {
    match demand {
        Demand::Required => "required",
        Demand::None => "none",
    }
}

impl SecretReport {
    fn new(secret: &config::Secret) -> Self {
        let source = match secret.source() {
            SecretSource::File { path } => Source::File { path: path.clone(), mode: mode(path) },
            SecretSource::Credential { name, path } => {
                Source::Credential { name: name.clone(), mode: mode(path) }
            }
            SecretSource::Environment { name } => Source::Environment { name: name.clone() },
            SecretSource::Made => Source::Made,
        };
        Self { label: secret.label().to_owned(), source }
    }
}

/// Permission bits of a file in octal, as in `0640`.
pub(super) fn mode(path: &Path) -> Option<String> {
    let mode = std::fs::metadata(path).ok()?.mode() & 0o7777;
    Some(format!("{mode:04o}"))
}
