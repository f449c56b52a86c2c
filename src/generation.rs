//! Everything derived from one configuration: built whole, immutable, swapped whole.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::UnixTime;

use crate::config::{CertificateSource, Config, Demand, Verification};
use crate::error_code::{ErrorCode, FaultReport, WithCauses};
use crate::route::RouteTable;
use crate::route::redirect::RedirectRoute;
use crate::telemetry::metrics::Metrics;
use crate::tls::client_auth::ClientTrust;
use crate::tls::material::{MaterialError, ServerIdentity, read_server_identity};
use crate::tls::server_config::TlsSettings;
use crate::tls::trust::{self, TrustError};
use crate::upstream::headers::ReservedHeaders;
use crate::upstream::{Target, TargetError};

/// One configuration, ready to serve.
pub struct Generation {
    /// One for the first, and one more for each that followed.
    pub number: u64,
    /// When it was built, and so nearly when it was put in force.
    pub(crate) built: Instant,
    /// What it was made from.
    pub config: Config,
    /// What callers are shown, and the trust that they are proven under.
    pub tls: TlsSettings,
    pub(crate) routes: RouteTable,
    pub(crate) redirect: Option<RedirectRoute>,
    pub(crate) upstreams: Vec<Arc<Target>>,
    /// What no caller may say, beside what nobody may ever.
    pub(crate) reserved: ReservedHeaders,
}

/// One reason why a generation could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A certificate or key file is not what it should be.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// An upstream cannot be used.
    #[error(transparent)]
    Upstream(#[from] TargetError),
    /// Callers could not be proven.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The TLS library does not take these settings.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

impl BuildError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Material(error) => error.code(),
            Self::Upstream(error) => error.code(),
            Self::Trust(error) => error.code(),
            Self::Tls(_) => ErrorCode::StartTlsUnusable,
        }
    }
}

/// All of them, in the order of the configuration; shown a line each, with their causes, since a
/// chain of sources has room for only one.
#[derive(Debug)]
pub struct BuildErrors(pub Vec<BuildError>);

impl std::error::Error for BuildErrors {}

impl fmt::Display for BuildErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{}", WithCauses(error))?;
        }
        Ok(())
    }
}

impl BuildErrors {
    /// Every fault, in the order of the configuration.
    pub fn fault_reports(&self) -> Vec<FaultReport> {
        self.0.iter().map(|error| FaultReport::of(error.code(), error)).collect()
    }
}

impl Generation {
    /// Builds everything, or names every reason why not.
    pub fn build(number: u64, config: Config, metrics: &Metrics) -> Result<Self, BuildErrors> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut errors = Vec::new();
        let identities = identities(&config, &provider, &mut errors);
        let trust = trust(&config, &provider, metrics, &mut errors);
        let mut upstreams = Vec::new();
        for settings in &config.upstreams {
            match Target::new(settings, metrics, &provider) {
                Ok(target) => upstreams.push(Arc::new(target)),
                Err(error) => errors.push(error.into()),
            }
        }
        if !errors.is_empty() {
            return Err(BuildErrors(errors));
        }
        let source = config.client_certificate.as_ref().map(|section| section.source);
        let asks = source.is_none_or(|source| source == CertificateSource::Tls);
        let is_mandatory = is_certificate_mandatory(&config);
        let tls =
            TlsSettings::new(provider, identities, config.server.unknown_sni, trust, is_mandatory)
                .map(|tls| if asks { tls } else { tls.without_asking() })
                .and_then(|tls| tls.for_worker().map(|_works| tls))
                .map_err(|error| BuildErrors(vec![BuildError::Tls(error)]))?;
        let routes = RouteTable::new(&config, metrics);
        let redirect = config.redirect.as_ref().map(|section| RedirectRoute::new(section, metrics));
        let reserved = ReservedHeaders::of(&config.upstreams);
        Ok(Self {
            number,
            built: Instant::now(),
            config,
            tls,
            routes,
            redirect,
            upstreams,
            reserved,
        })
    }

    /// Takes over what the generation before learned of its callers and their CAs, so that a
    /// reload costs nobody who is still trusted, and of the servers behind it.
    pub(crate) fn inherit(&mut self, before: &Self) {
        for target in &mut self.upstreams {
            let name = &target.settings.name;
            let same = before.upstreams.iter().find(|before| before.settings.name == *name);
            if let (Some(same), Some(target)) = (same, Arc::get_mut(target)) {
                target.keep_health_of(same);
            }
        }
        if let (Some(trust), Some(before)) = (self.tls.trust(), before.tls.trust()) {
            trust.inherit(before, UnixTime::now());
        }
    }
}

/// Only if no route can be reached without one may the handshake itself insist.
pub fn is_certificate_mandatory(config: &Config) -> bool {
    let section = config.client_certificate.as_ref();
    section.is_some_and(|section| section.source == CertificateSource::Tls)
        && config.sites.is_empty()
        && config.webhooks.iter().all(|webhook| {
            let for_verification = match webhook.verification {
                Verification::Answer | Verification::Forward => {
                    webhook.verification_client_certificate
                }
                Verification::Off => Demand::Required,
            };
            webhook.client_certificate == Demand::Required && for_verification == Demand::Required
        })
}

fn identities(
    config: &Config,
    provider: &CryptoProvider,
    errors: &mut Vec<BuildError>,
) -> Vec<ServerIdentity> {
    let mut identities = Vec::new();
    for pair in &config.server.certificates {
        match read_server_identity(&pair.certificate, &pair.private_key, provider) {
            Ok(identity) => identities.push(identity),
            Err(error) => errors.push(error.into()),
        }
    }
    identities
}

/// Whom a configuration would trust, if it trusts anybody; or every reason why it cannot.
pub fn client_trust(
    config: &Config,
    metrics: &Metrics,
) -> Result<Option<Arc<ClientTrust>>, BuildErrors> {
    let mut errors = Vec::new();
    let trust = trust(config, &rustls::crypto::aws_lc_rs::default_provider(), metrics, &mut errors);
    if errors.is_empty() { Ok(trust) } else { Err(BuildErrors(errors)) }
}

fn trust(
    config: &Config,
    provider: &CryptoProvider,
    metrics: &Metrics,
    errors: &mut Vec<BuildError>,
) -> Option<Arc<ClientTrust>> {
    let settings = config.client_certificate.as_ref()?;
    let algorithms = provider.signature_verification_algorithms;
    match trust::build(settings, algorithms, metrics) {
        Ok(trust) => Some(Arc::new(trust)),
        Err(faults) => {
            errors.extend(faults.into_iter().map(BuildError::Trust));
            None
        }
    }
}
