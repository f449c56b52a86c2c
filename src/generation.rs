//! Everything derived from one configuration: built whole, immutable, swapped whole.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;

use crate::config::{Config, Demand, Verification};
use crate::route::RouteTable;
use crate::telemetry::metrics::Metrics;
use crate::tls::client_auth::ClientTrust;
use crate::tls::material::{
    Anchor, MaterialError, ServerIdentity, read_anchors, read_server_identity,
};
use crate::tls::server_config::TlsSettings;
use crate::upstream::{Target, TargetError};

/// One configuration, ready to serve.
pub struct Generation {
    /// One for the first, and one more for each that followed.
    pub number: u64,
    /// What it was made from.
    pub config: Config,
    /// What callers are shown and whom they are believed by.
    pub tls: TlsSettings,
    pub(crate) routes: RouteTable,
    pub(crate) upstreams: Vec<Arc<Target>>,
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
    /// Two anchor files would have the same label.
    #[error("two trust anchors are called `{label}`; give one of their files another label")]
    AnchorLabel {
        /// The label.
        label: String,
    },
    /// The TLS library does not take these settings.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
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
            write!(f, "{error}")?;
            let mut cause = std::error::Error::source(error);
            while let Some(source) = cause {
                write!(f, ": {source}")?;
                cause = source.source();
            }
        }
        Ok(())
    }
}

impl Generation {
    /// Builds everything, or names every reason why not.
    pub fn build(number: u64, config: Config, metrics: &Metrics) -> Result<Self, BuildErrors> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut errors = Vec::new();
        let identity = identity(&config, &provider).map_err(|error| errors.push(error.into())).ok();
        let trust = trust(&config, &provider, metrics, &mut errors);
        let mut upstreams = Vec::new();
        for settings in &config.upstreams {
            match Target::new(settings, metrics, &provider) {
                Ok(target) => upstreams.push(Arc::new(target)),
                Err(error) => errors.push(error.into()),
            }
        }
        let Some(identity) = identity.filter(|_| errors.is_empty()) else {
            return Err(BuildErrors(errors));
        };
        let tls = TlsSettings::new(provider, identity, trust, is_certificate_mandatory(&config))
            .and_then(|tls| tls.for_worker().map(|_works| tls))
            .map_err(|error| BuildErrors(vec![BuildError::Tls(error)]))?;
        let routes = RouteTable::new(&config, metrics);
        Ok(Self { number, config, tls, routes, upstreams })
    }
}

/// Only if no route can be reached without one may the handshake itself insist.
pub fn is_certificate_mandatory(config: &Config) -> bool {
    config.sites.is_empty()
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

fn identity(config: &Config, provider: &CryptoProvider) -> Result<ServerIdentity, MaterialError> {
    read_server_identity(&config.server.certificate, &config.server.private_key, provider)
}

fn trust(
    config: &Config,
    provider: &CryptoProvider,
    metrics: &Metrics,
    errors: &mut Vec<BuildError>,
) -> Option<Arc<ClientTrust>> {
    let settings = config.client_certificate.as_ref()?;
    let mut anchors: Vec<Anchor> = Vec::new();
    for file in &settings.trust_anchors {
        match read_anchors(&file.label, &file.path) {
            Ok(read) => anchors.extend(read),
            Err(error) => errors.push(error.into()),
        }
    }
    for (index, anchor) in anchors.iter().enumerate() {
        if anchors.iter().take(index).any(|earlier| earlier.label == anchor.label) {
            errors.push(BuildError::AnchorLabel { label: anchor.label.to_string() });
        }
        // The series is there before the first handshake.
        let _at_zero = metrics.anchor(&anchor.label);
    }
    Some(Arc::new(ClientTrust::new(
        anchors,
        settings.common_names.clone(),
        settings.verify_depth,
        provider.signature_verification_algorithms,
    )))
}
