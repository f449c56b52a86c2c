//! The files of an ACME client, for HTTP-01 challenges (RFC 8555 section 8.3).
//!
//! In: the rest of a path. Out: what the file of that token holds. A token is base64url, so no path
//! leads out of the directory; a link is not followed, and nothing but a small plain file is read.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::fs::{Mode, OFlags};

/// What stands before the token.
pub(super) const PATH: &str = "/.well-known/acme-challenge/";

/// What the client wrote for this token, if it is one and there is something.
pub(super) async fn look_up(directory: &Path, token: &str) -> Option<Bytes> {
    if !is_token(token) {
        return None;
    }
    let path = directory.join(token);
    // A disk may be slow, or far away; a worker must not wait for it.
    tokio::task::spawn_blocking(move || read(path)).await.ok().flatten()
}

/// RFC 8555 section 8.3: only characters of the base64url alphabet, and no padding.
fn is_token(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=TOKEN_MAX_BYTES).contains(&text.len()) && text.bytes().all(is_allowed)
}

/// Certificate authorities use 43; the name of a file may have 255.
const TOKEN_MAX_BYTES: usize = 255;

fn read(path: PathBuf) -> Option<Bytes> {
    // Without NONBLOCK, to open a pipe would wait for its other end.
    let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, how, Mode::empty()).ok()?);
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut held = Vec::with_capacity(EXPECTED_BYTES);
    // One more, to tell a file that is too long.
    let read = file.take(FILE_MAX_BYTES + 1).read_to_end(&mut held).ok()?;
    u64::try_from(read).is_ok_and(|read| read <= FILE_MAX_BYTES).then(|| held.into())
}

/// A token, a dot and a thumbprint are 87 bytes.
const EXPECTED_BYTES: usize = 128;

/// No key authorization comes near it; what is longer is another file.
const FILE_MAX_BYTES: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_base64url_and_nothing_else() {
        assert!(is_token("evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr_oA") && is_token("a"));
        for text in ["", ".", "..", "a.b", "a/b", "../a", "a%2fb", "a=", "a\0", "ä", "a b"] {
            assert!(!is_token(text), "{text}");
        }
        assert!(is_token(&"a".repeat(255)) && !is_token(&"a".repeat(256)));
    }

    #[test]
    fn only_a_small_plain_file_is_read() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name);
        let write = |name: &str, bytes: &[u8]| std::fs::write(at(name), bytes).expect("written");
        write("token", b"token.thumbprint");
        write("limit", &[b'a'; 4096]);
        write("longer", &[b'a'; 4097]);
        std::os::unix::fs::symlink(at("token"), at("link")).expect("linked");
        std::fs::create_dir(at("directory")).expect("made");
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), Mode::RUSR).expect("made");

        assert_eq!(read(at("token")).as_deref(), Some(&b"token.thumbprint"[..]));
        assert_eq!(read(at("limit")).map(|bytes| bytes.len()), Some(4096));
        for name in ["longer", "link", "directory", "pipe", "none"] {
            assert_eq!(read(at(name)), None, "{name}");
        }
    }
}
