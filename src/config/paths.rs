//! Files that a configuration names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::fault::Fault;
use super::findings::{Findings, Written};

/// The path of a file that is there and can be read; what it holds is for others to judge.
pub(super) fn readable(written: &Written<String>, findings: &mut Findings) -> Option<PathBuf> {
    let path = findings.resolve(&written.value);
    match open(&path) {
        Ok(_) => Some(path),
        Err(fault) => {
            findings.fault(&written.at, fault);
            None
        }
    }
}

/// The path of a directory that is there; whether it can be written to shows when it is.
pub(super) fn directory(written: &Written<String>, findings: &mut Findings) -> Option<PathBuf> {
    let path = findings.resolve(&written.value);
    if path.is_dir() {
        return Some(path);
    }
    findings.fault(&written.at, Fault::NotADirectory { path });
    None
}

/// Opens a regular file. Looks first: to open a pipe would wait for its other end.
pub(super) fn open(path: &Path) -> Result<fs::File, Fault> {
    let fault = |source: io::Error| Fault::File { path: path.to_owned(), source };
    if !fs::metadata(path).map_err(fault)?.is_file() {
        return Err(Fault::NotAFile { path: path.to_owned() });
    }
    fs::File::open(path).map_err(fault)
}
