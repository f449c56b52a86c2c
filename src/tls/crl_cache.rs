//! Fetched revocation lists on disk, so that a restart knows what the process before knew.
//!
//! One DER file a place; its name is the URL in base64, so that the file alone says where it came
//! from. What is read here is only parsed: whoever puts it in force checks the signature again.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::revocation::RevocationList;

/// Every list in the directory that can be read; the others will be fetched again.
pub(crate) fn load(directory: &Path, max_bytes: usize) -> Vec<RevocationList> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter_map(|path| load_one(&path, max_bytes)).take(LISTS_MAX).collect()
}

/// Stores a list under the URL that it came from. Whole or not at all: a reader never sees half.
pub(crate) fn store(directory: &Path, list: &RevocationList) -> io::Result<()> {
    let name = URL_SAFE_NO_PAD.encode(list.source());
    let partial = directory.join(format!("{name}.{PARTIAL}"));
    fs::write(&partial, list.der())?;
    fs::rename(partial, directory.join(format!("{name}.{WHOLE}")))
}

/// More than there can be places, so that a directory full of something else costs little.
const LISTS_MAX: usize = 64;

const WHOLE: &str = "crl";
const PARTIAL: &str = "part";

fn load_one(path: &Path, max_bytes: usize) -> Option<RevocationList> {
    if path.extension()? != WHOLE {
        return None;
    }
    let url = URL_SAFE_NO_PAD.decode(path.file_stem()?.to_str()?).ok()?;
    let url = String::from_utf8(url).ok()?;
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX);
    let mut der = Vec::new();
    fs::File::open(path).ok()?.take(limit).read_to_end(&mut der).ok()?;
    RevocationList::parse(url.into(), true, der).ok()
}
