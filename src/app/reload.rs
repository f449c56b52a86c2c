//! Changes the generation of a running proxy: builds the whole new one, swaps once, or keeps the
//! old one in force.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use tracing::{error, info, warn};

use crate::app::{Running, StartError, open_all};
use crate::config::{Config, ConfigErrors};
use crate::error_code::FaultReport;
use crate::generation::Generation;
use crate::state::LastReload;

/// Why the old generation stays in force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The file is not a valid configuration.
    #[error("the new configuration is not valid")]
    Config(#[from] ConfigErrors),
    /// What it names cannot be used.
    #[error("the new configuration cannot be put in force")]
    Start(#[from] StartError),
}

impl ReloadError {
    /// Every fault.
    pub fn fault_reports(&self) -> Vec<FaultReport> {
        match self {
            Self::Config(errors) => errors.fault_reports(),
            Self::Start(error) => error.fault_reports(),
        }
    }
}

impl Running {
    /// Puts the configuration in the file at `path` in force, or keeps the old one and says why.
    pub fn reload_from(&self, path: &Path) -> Result<(), ReloadError> {
        self.reload(Config::load(path).map_err(ReloadError::from))
    }

    /// Puts `config` in force, or keeps the old one and says why.
    pub fn reload(&self, config: Result<Config, ReloadError>) -> Result<(), ReloadError> {
        let outcome = config.and_then(|config| self.try_reload(config));
        self.shared.metrics.reloads(outcome.is_ok()).inc();
        let told = outcome.as_ref().err().map_or_else(Vec::new, |failed| failed.fault_reports());
        let codes: Vec<_> = told.iter().map(|fault| fault.code.label()).collect();
        let faults: Vec<_> = told.into_iter().map(|fault| fault.sentence).collect();
        match &outcome {
            Ok(()) => info!(generation = self.shared.generation.load().number, "reloaded"),
            Err(failed) => {
                let (code, why) = (codes.join(", "), faults.join("; "));
                error!(code, why, "{failed}; the old one stays in force");
            }
        }
        let last = LastReload { at: SystemTime::now(), faults };
        self.shared.last_reload.store(Some(Arc::new(last)));
        outcome
    }

    fn try_reload(&self, config: Config) -> Result<(), ReloadError> {
        let before = self.shared.generation.load_full();
        for key in needs_restart(&before.config, &config) {
            warn!(key, "takes effect at the next restart");
        }
        let listening = self.listening();
        let wanted = self.sockets().addresses(&config.addresses(), config.server.inherit);
        let wanted = wanted.map_err(StartError::from)?;
        let is_new = |address: &&SocketAddr| listening.iter().all(|l| l.configured != **address);
        let new: Vec<_> = wanted.iter().filter(is_new).copied().collect();
        let metrics = &self.shared.metrics;
        let mut generation =
            Generation::build(before.number + 1, config, metrics).map_err(StartError::from)?;
        generation.inherit(&before);
        let opened = open_all(self.sockets(), &new, self.workers().len());
        self.swap(generation, opened.map_err(StartError::from)?, &wanted);
        Ok(())
    }
}

/// Keys that changed and that a running process does not change.
fn needs_restart(before: &Config, after: &Config) -> Vec<&'static str> {
    let changed = [
        ("server.workers", before.server.workers != after.server.workers),
        ("admin", before.admin != after.admin),
        ("log.format", before.log.format != after.log.format),
        ("log.level", before.log.level != after.log.level),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generation::{BuildError, BuildErrors};
    use crate::tls::material::MaterialError;

    #[test]
    fn a_start_error_is_told_with_every_fault_and_every_cause() {
        let path = || std::path::PathBuf::from("absent.pem");
        let source = std::io::Error::other("why");
        let start = StartError::from(BuildErrors(vec![
            BuildError::Material(MaterialError::Read { path: path(), source }),
            BuildError::Material(MaterialError::NoCertificate { path: path() }),
        ]));
        let told: Vec<_> =
            ReloadError::from(start).fault_reports().iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "error[start_file_unreadable]: cannot read `absent.pem`: why",
                "error[start_certificate_absent]: `absent.pem` holds no certificate",
            ]
        );
    }
}
