//! The configuration, checked: every value here is usable as it stands.
//!
//! In: the path of a TOML file. Out: a [`Config`], or every fault of the file at once.
//! [`document`] knows TOML and lines, [`mod@file`] is the form as written, and each section has a
//! file with its form as meant; rules that join two keys live in the conversion (`check`), once,
//! and nothing validates later. A fault is recorded in [`findings`] and the check goes on, so that
//! the operator sees all of them at once. Secrets are read here, because an empty or unreadable one
//! is a fault of the configuration; certificates are only known to be readable (what they hold is
//! for [`crate::tls::material`]).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use self::findings::Findings;

pub use self::addresses::ListenerProtocol;
pub use self::admin::Admin;
pub use self::choices::{
    CertificateSource, CrlFetch, Demand, Enforcement, HostHeader, LogFormat, LogLevel, Repeat,
    StaleCrl, UnknownSni, Verification,
};
pub use self::client_certificate::{ClientCertificate, Crl, TrustAnchor};
pub use self::error::{ConfigError, ConfigErrors, Place};
pub use self::fault::Fault;
pub use self::health_check::HealthCheck;
pub use self::identity::{IdentityHeaders, IdentityPart, is_identity_name};
pub use self::limits::Limits;
pub use self::log::Log;
pub use self::network::{Network, Networks};
pub use self::proof::ProofSecret;
pub use self::redirect::Redirect;
pub use self::reload::Reload;
pub use self::secret::Secret;
pub use self::secret_source::{Environment, SecretSource};
pub use self::server::{Server, ServerCertificate};
pub use self::site::Site;
pub use self::upstream::Upstream;
pub use self::upstream_tls::{ClientFiles, UpstreamTls};
pub use self::url::UpstreamAddress;
pub use self::warning::Warning;
pub use self::webhook::Webhook;

mod addresses;
mod admin;
mod choices;
mod client_certificate;
mod document;
mod error;
mod error_code;
mod fault;
mod file;
mod files;
mod findings;
#[cfg(test)]
pub(crate) mod fixture;
mod health_check;
mod identity;
mod limits;
mod log;
mod names;
mod network;
mod numbers;
mod paths;
mod proof;
mod redirect;
mod reload;
mod route;
mod secret;
mod secret_source;
mod server;
mod site;
mod upstream;
mod upstream_tls;
mod url;
mod warning;
mod webhook;
pub(crate) mod wiped;
mod words;

/// Everything the operator decided.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where callers connect, and what they are shown.
    pub server: Server,
    /// Which client certificates to accept. `None` only if no route demands a client certificate.
    pub client_certificate: Option<ClientCertificate>,
    /// What one caller, and all of them together, may use.
    pub limits: Limits,
    /// When a new generation is made without being asked for.
    pub reload: Reload,
    /// The applications behind us; names are unique.
    pub upstreams: Vec<Upstream>,
    /// The routes that Meta calls; no two match the same request.
    pub webhooks: Vec<Webhook>,
    /// The routes that pass through; no two match the same request.
    pub sites: Vec<Site>,
    /// Where plain HTTP is sent on to https.
    pub redirect: Option<Redirect>,
    /// The admin listener.
    pub admin: Option<Admin>,
    /// What is written down, and how.
    pub log: Log,
}

impl Config {
    /// Reads, parses and checks the file at `path`; on failure names every fault found.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        Self::load_with(path, &|name| std::env::var_os(name))
    }

    /// As [`Config::load`], with an environment to look secrets up in.
    pub fn load_with(path: &Path, environment: Environment<'_>) -> Result<Self, ConfigErrors> {
        let text = read(path)?;
        let mut findings = Findings::new(path, &text);
        let written = document::parse(&text, &mut findings, file::File::read);
        let config = written.and_then(|file| Self::check(&file, environment, &mut findings));
        findings.into_result(config)
    }

    /// Every secret, whatever it is for.
    fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let proofs = self.upstreams.iter().filter_map(|upstream| upstream.proof.as_ref());
        let webhooks = self.webhooks.iter().flat_map(Webhook::secrets);
        webhooks.chain(proofs.map(ProofSecret::secret))
    }

    /// What is allowed and still worth a look. Looks at the modes of files anew each time.
    pub fn warnings(&self) -> Vec<Warning> {
        warning::find(self)
    }

    /// Every section is checked before any may be missing, so that each fault is found.
    fn check(
        written: &file::File,
        environment: Environment<'_>,
        findings: &mut Findings,
    ) -> Option<Self> {
        let server = written.server.as_ref();
        let server = server.map(|server| Server::check(server, environment, findings));
        let client_certificate = match &written.client_certificate {
            Some(Some(section)) => ClientCertificate::check(section, findings).map(Some),
            Some(None) => {
                if let Some(at) = webhook::first_demand(&written.webhooks) {
                    findings.fault(at, Fault::AnchorsMissing);
                }
                Some(None)
            }
            None => None,
        };
        if let Some(Some(section)) = &written.client_certificate
            && let Some(source) = &section.source
            && source.value != CertificateSource::Tls
            && written.server.as_ref().is_some_and(|server| server.trusted_proxies.is_empty())
        {
            findings.fault(&source.at, Fault::ProxiesMissing);
        }
        let limits = written.limits.as_ref().map(|limits| Limits::check(limits, findings));
        let reload = written.reload.as_ref().map(|reload| Reload::check(reload, findings));
        let mut upstreams = Vec::new();
        for upstream in &written.upstreams {
            let checked = Upstream::check(upstream, environment, findings);
            upstreams.extend(checked.map(|checked| (checked, upstream)));
        }
        let names = || written.upstreams.iter().filter_map(|upstream| upstream.name.as_ref());
        findings.must_differ(names().map(|name| (&name.value, &name.at)));
        let names: Vec<&str> = names().map(|name| name.value.as_str()).collect();
        let mut webhooks = Vec::new();
        for webhook in &written.webhooks {
            let limits = limits.as_ref();
            let checked = Webhook::check(webhook, &names, limits, environment, findings);
            webhooks.extend(checked.map(|checked| (checked, webhook)));
        }
        check_proofs(&upstreams, &webhooks, findings);
        let mut sites = Vec::new();
        for site in &written.sites {
            sites.extend(Site::check(site, &names, findings).map(|checked| (checked, site)));
        }
        let places = webhooks.iter().map(|(webhook, written)| webhook.place(written));
        let places = places.chain(sites.iter().map(|(site, written)| site.place(written)));
        route::check_together(&places.collect::<Vec<_>>(), findings);
        let redirect = written.redirect.as_ref();
        let redirect =
            redirect.map(|section| Redirect::check(section, written.server.as_ref(), findings));
        let admin = written.admin.as_ref().and_then(|admin| Admin::check(admin, findings));
        let log = written.log.as_ref().map(|log| Log::check(log, findings));
        let server = server.flatten();
        if let (Some(server), Some(admin), Some(section)) = (&server, &admin, &written.admin)
            && admin.listen.port() != 0
            && server.addresses().contains(&admin.listen)
        {
            let is_plain = server.is_plain(admin.listen);
            let first = if is_plain { "server.plain_listen" } else { "server.listen" }.to_owned();
            findings.fault(&section.listen.at, Fault::Duplicate { first });
        }
        if let (Some(redirect), Some(admin), Some(section)) = (&redirect, &admin, &written.admin)
            && admin.listen.port() != 0
            && redirect.listen.contains(&admin.listen)
        {
            let first = "redirect.listen".to_owned();
            findings.fault(&section.listen.at, Fault::Duplicate { first });
        }
        Some(Self {
            server: server?,
            client_certificate: client_certificate?,
            limits: limits?,
            reload: reload?,
            upstreams: upstreams.into_iter().map(|(upstream, _)| upstream).collect(),
            webhooks: webhooks.into_iter().map(|(webhook, _)| webhook).collect(),
            sites: sites.into_iter().map(|(site, _)| site).collect(),
            redirect,
            admin,
            log: log?,
        })
    }
}

/// App secrets and verify tokens are known to others than hubgate and the application: to Meta, or
/// to whoever reads the query of a verification request.
fn check_proofs(
    upstreams: &[(Upstream, &file::RawUpstream)],
    webhooks: &[(Webhook, &file::RawWebhook)],
    findings: &mut Findings,
) {
    for (upstream, written) in upstreams {
        let (Some(proof), Some(written)) = (&upstream.proof, &written.proof) else { continue };
        if webhooks.iter().flat_map(|(webhook, _)| webhook.secrets()).any(|known| proof.is(known)) {
            findings.fault(&written.at, Fault::ProofNotItsOwn);
        }
    }
}

fn read(path: &Path) -> Result<String, ConfigErrors> {
    fs::read_to_string(path).map_err(|source| {
        let place = Place { file: path.to_owned(), line: None, key: String::new() };
        ConfigErrors::new(vec![ConfigError { place, fault: Fault::Read { source } }])
    })
}

/// Every key that a configuration may have, as in `webhook.app_secrets.file`.
pub fn known_keys() -> BTreeSet<String> {
    let mut findings = Findings::new(Path::new(""), "");
    // One of everything that has keys of its own and is read only if it is there.
    let text = "server = { certificate = {}, private_key = {} }\n\
                client_certificate = { trust_anchors = [{}] }\n\
                upstream = [{ identity_header_names = {}, client_certificate = {}, client_private_key = {},\n                health_check = {}, proof = {} }]\n\
                webhook = [{ app_secrets = {}, verify_token = {} }]\nsite = [{}]\nredirect = {}";
    document::parse(text, &mut findings, file::File::read);
    // What may be written in two ways.
    let text = "server = { certificate = [{}] }";
    document::parse(text, &mut findings, file::File::read);
    findings.into_known_keys()
}

#[cfg(test)]
mod tests;
