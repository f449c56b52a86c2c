//! What callers are shown, judged as Meta would: it refuses what no public CA vouches for, what is
//! past its end, and a chain with a gap.

use std::path::PathBuf;
use std::time::SystemTime;

use serde::Serialize;

use super::{Problems, days_until};
use crate::config::{Config, ServerCertificate};
use crate::maintenance::expiry::RENEWAL_DAYS;
use crate::tls::certificate::{CertificateFacts, utc};
use crate::tls::material::{MaterialError, read_certificates, read_server_identity};

/// The server's certificate and key.
#[derive(Debug, Serialize)]
pub(super) struct ServerChainReport {
    pub(super) certificate: PathBuf,
    pub(super) private_key: PathBuf,
    /// Not there if one of the two could not be read.
    pub(super) key_matches: Option<bool>,
    /// Leaf first; empty if it could not be read.
    pub(super) chain: Vec<CertificateReport>,
}

/// One certificate of the chain.
#[derive(Debug, Serialize)]
pub(super) struct CertificateReport {
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) names: Vec<String>,
    pub(super) not_before: String,
    pub(super) not_after: String,
    pub(super) days_left: i64,
    pub(super) sha256: String,
}

impl CertificateReport {
    fn new(facts: &CertificateFacts, now: SystemTime) -> Self {
        Self {
            subject: facts.subject.clone(),
            issuer: facts.issuer.clone(),
            names: facts.names.clone(),
            not_before: utc(facts.not_before),
            not_after: utc(facts.not_after),
            days_left: days_until(facts.not_after, now),
            sha256: facts.sha256.clone(),
        }
    }
}

pub(super) fn inspect(
    config: &Config,
    now: SystemTime,
    problems: &mut Problems,
) -> Vec<ServerChainReport> {
    let pairs = config.server.certificates.iter();
    let chains: Vec<_> = pairs.map(|pair| inspect_one(pair, now, problems)).collect();
    judge_hosts(&chains, config, problems);
    chains
}

fn inspect_one(
    pair: &ServerCertificate,
    now: SystemTime,
    problems: &mut Problems,
) -> ServerChainReport {
    let ServerCertificate { certificate, private_key } = pair;
    // What cannot be read is among the errors already.
    let chain = read_certificates(certificate).unwrap_or_default();
    let facts: Vec<_> = chain.iter().filter_map(CertificateFacts::read).collect();
    judge_times(&facts, now, problems);
    judge_issuers(&facts, problems);
    judge_names(&facts, problems);
    ServerChainReport {
        certificate: certificate.clone(),
        private_key: private_key.clone(),
        key_matches: key_matches(pair),
        chain: facts.iter().map(|facts| CertificateReport::new(facts, now)).collect(),
    }
}

fn key_matches(pair: &ServerCertificate) -> Option<bool> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    match read_server_identity(&pair.certificate, &pair.private_key, &provider) {
        Ok(_identity) => Some(true),
        Err(MaterialError::KeyMismatch { .. }) => Some(false),
        Err(_unreadable) => None,
    }
}

fn judge_times(chain: &[CertificateFacts], now: SystemTime, problems: &mut Problems) {
    for (index, facts) in chain.iter().enumerate() {
        let subject = &facts.subject;
        let (place, left) = (index + 1, days_until(facts.not_after, now));
        if now > facts.not_after {
            problems.error(format!(
                "the server's certificate {place} ({subject}) expired on {}; Meta refuses it",
                day(facts.not_after)
            ));
        } else if now < facts.not_before {
            problems.error(format!(
                "the server's certificate {place} ({subject}) is not valid before {}; check this \
                 machine's clock",
                utc(facts.not_before)
            ));
        } else if left < RENEWAL_DAYS {
            problems.warn(format!(
                "the server's certificate {place} ({subject}) expires in {left} days, on {}",
                day(facts.not_after)
            ));
        }
    }
}

fn judge_issuers(chain: &[CertificateFacts], problems: &mut Problems) {
    let [leaf, above @ ..] = chain else { return };
    if leaf.is_self_issued {
        problems.error(format!(
            "the server's certificate ({}) is self-signed; Meta refuses it, so take one from a \
             public CA",
            leaf.subject
        ));
    } else if above.is_empty() {
        problems.warn(format!(
            "the server's chain is one certificate, issued by {}; unless that is a root, its \
             intermediate is missing and Meta refuses it: use the file that the CA calls full chain",
            leaf.issuer
        ));
    }
}

fn judge_names(chain: &[CertificateFacts], problems: &mut Problems) {
    let Some(leaf) = chain.first() else { return };
    if leaf.names.is_empty() {
        problems.warn(format!(
            "the server's certificate ({}) has no subject alternative name; no current client \
             takes it for any host",
            leaf.subject
        ));
    }
}

/// Those of the webhooks, since Meta looks at the name; browsers would say it themselves.
fn judge_hosts(chains: &[ServerChainReport], config: &Config, problems: &mut Problems) {
    let leaves = chains.iter().filter_map(|chain| chain.chain.first());
    let names: Vec<_> = leaves.flat_map(|leaf| &leaf.names).collect();
    // Without any the certificate itself was found fault with.
    if names.is_empty() {
        return;
    }
    let hosts = config.webhooks.iter().filter_map(|webhook| webhook.host.as_ref());
    for host in hosts.filter(|host| !names.iter().any(|name| covers(name, host))) {
        problems.warn(format!(
            "a webhook is for host `{host}`, which no certificate of the server names"
        ));
    }
}

/// RFC 9525 section 6.3: a wildcard is the whole leftmost label and stands for exactly one.
fn covers(name: &str, host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case(host)
        || name.strip_prefix("*.").is_some_and(|parent| {
            host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent))
        })
}

fn day(moment: SystemTime) -> String {
    utc(moment).chars().take_while(|character| *character != 'T').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_covers_one_label_and_no_more() {
        assert!(covers("hooks.example.com", "HOOKS.example.com"));
        assert!(covers("*.example.com", "hooks.example.com"));
        assert!(covers("::1", "[::1]"));
        assert!(!covers("*.example.com", "a.hooks.example.com"));
        assert!(!covers("*.example.com", "example.com"));
        assert!(!covers("hooks.example.com", "hooks.example.com.evil.example"));
    }
}
