//! Where secrets come from: a file, the environment, a systemd credential.
//!
//! In: the name of one. Out: its bytes with one newline off, or why there are none. Never the
//! configuration itself, which more people may read.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::client_certificate::stem;
use super::fault::Fault;
use super::{paths, wiped};

/// Where a secret came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A file.
    File {
        /// Where it is.
        path: PathBuf,
    },
    /// A variable of the environment.
    Environment {
        /// Its name.
        name: String,
    },
    /// A credential that systemd handed over.
    Credential {
        /// Its name.
        name: String,
        /// Where it is, for as long as the service runs.
        path: PathBuf,
    },
    /// This process: throw-away secrets of a demo or a test.
    Made,
}

/// Looks up a variable of the environment, so that a test need not change the process's own.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

impl SecretSource {
    /// The file that it stands in, if it stands in one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File { path } | Self::Credential { path, .. } => Some(path),
            Self::Environment { .. } | Self::Made => None,
        }
    }

    /// The label of a secret that was given none.
    pub(super) fn name(&self) -> String {
        match self {
            Self::File { path } => stem(path),
            Self::Environment { name } | Self::Credential { name, .. } => name.clone(),
            Self::Made => "made".to_owned(),
        }
    }
}

/// A source that was found, and what it held.
type Found = (SecretSource, Zeroizing<Box<[u8]>>);

pub(super) fn from_file(path: &Path) -> Result<Found, Fault> {
    let bytes = read(path)?;
    Ok((SecretSource::File { path: path.to_owned() }, trimmed(&bytes)?))
}

pub(super) fn from_environment(name: &str, environment: Environment<'_>) -> Result<Found, Fault> {
    let value = environment(name).ok_or(Fault::VariableMissing { name: name.to_owned() })?;
    let value = Zeroizing::new(value.into_vec());
    Ok((SecretSource::Environment { name: name.to_owned() }, trimmed(&value)?))
}

pub(super) fn from_credential(name: &str, environment: Environment<'_>) -> Result<Found, Fault> {
    let path = credential_path(name, environment)?;
    let bytes = read(&path)?;
    Ok((SecretSource::Credential { name: name.to_owned(), path }, trimmed(&bytes)?))
}

/// Where a credential is; whether it is there is another question.
pub(super) fn credential_path(name: &str, environment: Environment<'_>) -> Result<PathBuf, Fault> {
    if name.is_empty() || name == "." || name == ".." || name.contains('/') {
        return Err(Fault::CredentialName);
    }
    let directory = environment("CREDENTIALS_DIRECTORY").ok_or(Fault::CredentialsMissing)?;
    Ok(Path::new(&directory).join(name))
}

/// At most one byte more than is accepted, so that a wrong path costs no memory.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let mut start = paths::open(path)?.take(MAXIMUM_BYTES as u64 + 1);
    wiped::read_to_end(&mut start, MAXIMUM_BYTES + 2)
        .map_err(|source| Fault::File { path: path.to_owned(), source })
}

/// The secret without the one newline that editors and `echo` put behind it.
fn trimmed(bytes: &[u8]) -> Result<Zeroizing<Box<[u8]>>, Fault> {
    if bytes.len() > MAXIMUM_BYTES {
        return Err(Fault::SecretTooLong { maximum: MAXIMUM_BYTES as u64 });
    }
    let line = bytes.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    match line.unwrap_or(bytes) {
        [] => Err(Fault::SecretEmpty),
        secret => Ok(Zeroizing::new(secret.into())),
    }
}

/// An app secret has 32 bytes; this is a limit for mistakes.
const MAXIMUM_BYTES: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_one_newline_is_trimmed() {
        assert_eq!(trimmed(b"a\n\n").expect("is one").as_ref(), b"a\n");
        assert_eq!(trimmed(b" a\r").expect("is one").as_ref(), b" a\r");
        assert!(matches!(trimmed(b"\r\n"), Err(Fault::SecretEmpty)));
    }

    #[test]
    fn a_credential_needs_systemd() {
        assert!(matches!(from_credential("a", &|_| None), Err(Fault::CredentialsMissing)));
    }
}
