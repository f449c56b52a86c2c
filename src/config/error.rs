//! What is wrong with a configuration, for the operator who can mend it.
//!
//! A [`ConfigError`] adds the place to a [`Fault`], and [`ConfigErrors`] holds all of them, so that
//! one look mends the file.

use std::fmt;
use std::path::PathBuf;

use super::fault::Fault;
use crate::error_code::WithCauses;

/// Every fault of a configuration, in the order of the file.
#[derive(Debug)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// Brings the faults into the order of the file; what stands on no line comes first.
    pub(super) fn new(mut errors: Vec<ConfigError>) -> Self {
        debug_assert!(!errors.is_empty(), "a refusal without a fault");
        errors.sort_by_key(|error| error.place.line);
        Self(errors)
    }

    /// The faults, one by one.
    pub fn iter(&self) -> std::slice::Iter<'_, ConfigError> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a ConfigErrors {
    type Item = &'a ConfigError;
    type IntoIter = std::slice::Iter<'a, ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One fault a line, each with its cause: many faults have many causes, and an error has one
/// `source`, so nobody after us could print them.
impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            write!(formatter, "{}", WithCauses(error))?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// One fault of a configuration, and where it stands.
#[derive(Debug)]
pub struct ConfigError {
    /// Where to look.
    pub place: Place,
    /// What is wrong there.
    pub fault: Fault,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.fault)
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.fault)
    }
}

/// Where in a configuration a fault stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The configuration file, as it was named.
    pub file: PathBuf,
    /// Counted from one. `None` if the fault is that something is not there at all.
    pub line: Option<usize>,
    /// As in `webhook[1].app_secrets[0]`, counted from zero; empty for the file as a whole.
    pub key: String,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(formatter, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(formatter, ": `{}`", self.key)?;
        }
        Ok(())
    }
}
