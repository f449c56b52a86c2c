//! What is found in one file: its faults with their places, and the keys that its form has.
//!
//! Whoever finds a fault records it here and goes on with a stand-in or with nothing, so that the
//! next fault is found, too. Only [`Findings::into_result`] lets a value out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, ConfigErrors, Place};
use super::fault::Fault;

/// What was found while one file was read and checked.
#[derive(Debug)]
pub(super) struct Findings {
    file: PathBuf,
    line_starts: Vec<usize>,
    errors: Vec<ConfigError>,
    known_keys: BTreeSet<String>,
}

impl Findings {
    /// Nothing found yet in `text`, which stands in `file`.
    pub(super) fn new(file: &Path, text: &str) -> Self {
        let newlines = text.match_indices('\n').map(|(index, _)| index + 1);
        Self {
            file: file.to_owned(),
            line_starts: std::iter::once(0).chain(newlines).collect(),
            errors: Vec::new(),
            known_keys: BTreeSet::new(),
        }
    }

    /// Records a fault; the configuration is refused in the end.
    pub(super) fn fault(&mut self, at: &At, fault: Fault) {
        let place = Place { file: self.file.clone(), line: at.line, key: at.key.clone() };
        self.errors.push(ConfigError { place, fault });
    }

    /// Records a fault at every value that an earlier one has, too.
    pub(super) fn must_differ<'a, T: Eq + 'a>(
        &mut self,
        values: impl IntoIterator<Item = (T, &'a At)>,
    ) {
        let mut seen: Vec<(T, &At)> = Vec::new();
        for (value, at) in values {
            match seen.iter().find(|(other, _)| *other == value) {
                Some((_, first)) => self.fault(at, Fault::Duplicate { first: first.key.clone() }),
                None => seen.push((value, at)),
            }
        }
    }

    /// Where a relative path starts: at the directory of the configuration.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }

    /// Notes a key that the form has, without the indexes of lists.
    pub(super) fn know(&mut self, key: String) {
        self.known_keys.insert(key);
    }

    /// Every key that was asked for, without the indexes of lists.
    pub(super) fn into_known_keys(self) -> BTreeSet<String> {
        self.known_keys
    }

    /// The value if nothing was found, else what was found.
    pub(super) fn into_result<T>(self, value: Option<T>) -> Result<T, ConfigErrors> {
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            Some(_) | None => Err(ConfigErrors::new(self.errors)),
        }
    }

    /// The line of a byte, counted from one.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }
}

/// Where in the document something stands.
#[derive(Clone, Debug, Default)]
pub(super) struct At {
    pub(super) line: Option<usize>,
    pub(super) key: String,
}

impl At {
    /// A key under this one, which may not be there.
    pub(super) fn child(&self, key: &str) -> Self {
        let separator = if self.key.is_empty() { "" } else { "." };
        Self { line: self.line, key: format!("{}{separator}{key}", self.key) }
    }
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Written<T> {
    pub(super) value: T,
    pub(super) at: At,
}
