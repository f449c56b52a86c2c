//! What a configuration may have, and an operator should still look at.

use std::fmt;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{
    Config, Enforcement, Network, Secret, Site, StaleCrl, Upstream, UpstreamAddress, Webhook,
};

/// Something that is allowed and probably not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Meta's app secrets have 32 hexadecimal digits; this one does not look like one.
    AppSecretShape {
        /// The webhook's name.
        webhook: String,
        /// The secret's label.
        label: String,
    },
    /// Every user of the machine may read a secret.
    ReadableByOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Meta's largest events would be refused.
    BodyBelowLargestEvent {
        /// The limit.
        body_max_bytes: usize,
    },
    /// Meta would have given up before the upstream's time is over.
    UpstreamTimeoutTooLong {
        /// The upstream's name.
        upstream: String,
        /// The limit.
        timeout: Duration,
    },
    /// Events with a failed signature pass.
    SignatureReportOnly {
        /// The webhook's name.
        webhook: String,
    },
    /// hubgate proves no chain of a client certificate.
    ChainLeftToBalancer,
    /// Everybody may say who else they are.
    EverybodyTrusted {
        /// The key.
        key: &'static str,
        /// The network.
        network: Network,
    },
    /// After a restart nobody is let in until the first list is fetched.
    CrlWithoutCache,
    /// Paths alone keep callers of a site from what a webhook's application trusts.
    ProofMissing {
        /// The webhook's name.
        webhook: String,
        /// Name of the first site that leads to the same application.
        site: String,
        /// The name of the webhook's upstream.
        upstream: String,
    },
    /// Events would cross a public network as plain text.
    PlainTextUpstream {
        /// The upstream's name.
        upstream: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AppSecretShape { webhook, label } => write!(
                formatter,
                "app secret `{label}` of webhook `{webhook}` is not 32 hexadecimal digits, as \
                 Meta's are"
            ),
            Self::ReadableByOthers { path, mode } => write!(
                formatter,
                "`{}` holds a secret and is open to every user (mode {mode:04o}); `chmod o=` it",
                path.display()
            ),
            Self::BodyBelowLargestEvent { body_max_bytes } => write!(
                formatter,
                "`limits.body_max_bytes` is {body_max_bytes}, but Meta sends up to \
                 {LARGEST_EVENT_BYTES}; larger events will be refused and in the end lost"
            ),
            Self::UpstreamTimeoutTooLong { upstream, timeout } => write!(
                formatter,
                "upstream `{upstream}` may take {} ms, but Messenger and Instagram want an answer \
                 within {} ms",
                timeout.as_millis(),
                PATIENCE.as_millis()
            ),
            Self::SignatureReportOnly { webhook } => write!(
                formatter,
                "webhook `{webhook}` ONLY REPORTS failed signatures and lets such events pass; set \
                 `signature = \"enforce\"` as soon as `would_refuse` stays at zero"
            ),
            Self::ChainLeftToBalancer => formatter.write_str(
                "`client_certificate.source` is \"alb\" and there are no `trust_anchors`: hubgate \
                 proves the common name, and NOT that a CA vouches for it; that, revocation, and \
                 that no caller gets `X-Amzn-Mtls-Clientcert-*` of its own past the load balancer, \
                 rest on the load balancer alone; add Meta's CA to `trust_anchors`",
            ),
            Self::EverybodyTrusted { key, network } => write!(
                formatter,
                "`{key}` has `{network}`: whoever connects can claim any address; name the load \
                 balancer's own networks"
            ),
            Self::CrlWithoutCache => formatter.write_str(
                "`client_certificate.stale_crl` is \"refuse\", lists are fetched, and there is no \
                 `crl_cache`: after a restart callers are refused until the first fetch is done",
            ),
            Self::ProofMissing { webhook, site, upstream } => write!(
                formatter,
                "webhook `{webhook}` and site `{site}` lead to the same application, which can tell \
                 their requests apart by the path alone, as it reads it; give upstream `{upstream}` \
                 a `proof`, and have the application check `X-Hubgate-Proof` (docs/security.md)"
            ),
            Self::PlainTextUpstream { upstream } => write!(
                formatter,
                "upstream `{upstream}` has a public address and no TLS; use an `https` url"
            ),
        }
    }
}

/// All that there is to say about a configuration.
pub(super) fn find(config: &Config) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let body_max_bytes = config.limits.body_max_bytes.get();
    if body_max_bytes < LARGEST_EVENT_BYTES {
        warnings.push(Warning::BodyBelowLargestEvent { body_max_bytes });
    }
    for (key, networks) in [
        ("server.proxy_protocol_from", &config.server.proxy_protocol_from),
        ("server.trusted_proxies", &config.server.trusted_proxies),
    ] {
        let everybody = networks.iter().copied().filter(|network| network.is_everybody());
        warnings.extend(everybody.map(|network| Warning::EverybodyTrusted { key, network }));
    }
    let section = config.client_certificate.as_ref();
    if section.is_some_and(|section| section.trust_anchors.is_empty()) {
        warnings.push(Warning::ChainLeftToBalancer);
    }
    let crl = config.client_certificate.as_ref().map(|section| &section.crl);
    if crl
        .is_some_and(|crl| crl.is_fetched() && crl.cache.is_none() && crl.stale == StaleCrl::Refuse)
    {
        warnings.push(Warning::CrlWithoutCache);
    }
    for upstream in &config.upstreams {
        about_upstream(upstream, &mut warnings);
    }
    for webhook in &config.webhooks {
        warnings.extend(missing_proof(webhook, config));
        if webhook.signature == Enforcement::Report {
            warnings.push(Warning::SignatureReportOnly { webhook: webhook.name.clone() });
        }
        let shapeless = webhook.app_secrets.iter().filter(|secret| !is_app_secret(secret));
        warnings.extend(shapeless.map(|secret| Warning::AppSecretShape {
            webhook: webhook.name.clone(),
            label: secret.label().to_owned(),
        }));
    }
    let clients = config.upstreams.iter().filter_map(|upstream| upstream.tls.client.as_ref());
    let mut paths: Vec<_> =
        config.server.certificates.iter().map(|pair| pair.private_key.as_path()).collect();
    paths.extend(clients.map(|client| client.private_key.as_path()));
    paths.extend(config.secrets().filter_map(|secret| secret.source().path()));
    paths.sort_unstable();
    paths.dedup();
    warnings.extend(paths.into_iter().filter_map(readable_by_others));
    warnings
}

fn about_upstream(upstream: &Upstream, warnings: &mut Vec<Warning>) {
    if upstream.timeout >= PATIENCE {
        warnings.push(Warning::UpstreamTimeoutTooLong {
            upstream: upstream.name.clone(),
            timeout: upstream.timeout,
        });
    }
    let is_plain_and_public = |server: &UpstreamAddress| match server {
        UpstreamAddress::Http { host, .. } => host.parse().is_ok_and(is_public),
        UpstreamAddress::Https { .. } | UpstreamAddress::Unix { .. } => false,
    };
    if upstream.servers.iter().any(is_plain_and_public) {
        warnings.push(Warning::PlainTextUpstream { upstream: upstream.name.clone() });
    }
}

/// Of the sites that lead where the webhook's events go, the first is named.
fn missing_proof(webhook: &Webhook, config: &Config) -> Option<Warning> {
    let upstream = config.upstreams.get(webhook.upstream)?;
    let is_shared = |site: &&Site| {
        let other = config.upstreams.get(site.upstream);
        other.is_some_and(|other| other.has_server_of(upstream))
    };
    let site = config.sites.iter().find(is_shared)?;
    upstream.proof.is_none().then(|| Warning::ProofMissing {
        webhook: webhook.name.clone(),
        site: site.name.clone(),
        upstream: upstream.name.clone(),
    })
}

fn is_app_secret(secret: &Secret) -> bool {
    let bytes = secret.expose();
    bytes.len() == 32 && bytes.iter().all(u8::is_ascii_hexdigit)
}

/// Names are not judged: what they resolve to is not known here.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            !(address.is_loopback() || address.is_private() || address.is_link_local())
        }
        IpAddr::V6(address) => {
            !(address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local())
        }
    }
}

/// A file that is gone by now is somebody else's concern.
fn readable_by_others(path: &Path) -> Option<Warning> {
    let mode = std::fs::metadata(path).ok()?.mode() & 0o7777;
    (mode & 0o007 != 0).then(|| Warning::ReadableByOthers { path: path.to_owned(), mode })
}

/// 3 MB, as WhatsApp's documentation has it.
const LARGEST_EVENT_BYTES: usize = 3_000_000;

/// How long Messenger and Instagram wait.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
