//! What the last reload came to, left in the runtime directory for `hubgate reload` to find.
//!
//! A file and not the admin address, because it must be found when the configuration, which says
//! where that address is, cannot be read.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// How the process with this id stands.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(super) struct ReloadRecord {
    /// Whose record it is.
    pub(super) pid: u32,
    /// Attempts so far, good or not.
    pub(super) reloads: u64,
    /// The generation in force.
    pub(super) generation: u64,
    /// Why the last attempt failed; `None` if it did not.
    pub(super) failure: Option<String>,
}

impl ReloadRecord {
    /// Puts it in place whole, so that nobody reads half of it.
    pub(super) fn write(&self, directory: &Path) -> io::Result<()> {
        let new = directory.join(format!("{NAME}.new"));
        fs::write(&new, serde_json::to_vec(self)?)?;
        fs::rename(new, path(directory))
    }

    pub(super) fn read(directory: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(path(directory))?)?)
    }
}

/// Where the record is.
pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join(NAME)
}

const NAME: &str = "reload.json";
