//! Everything that a test set-up needs at hand: both shapes of Meta's PKI, a server's certificate,
//! an app secret and a verify token; in memory, and as the files that a configuration names.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::ServerName;

use super::pki::{Authority, Ca, Identity, Key, Leaf};

/// One set of throw-away authorities, identities and secrets. No `Debug`: it would show them.
pub struct Setup {
    /// Signed [`Setup::server`]; whoever calls the server trusts it.
    pub server_ca: Authority,
    /// What the server presents.
    pub server: Identity,
    /// Shaped like Meta's own CA: pathlen 0, above the leaf.
    pub meta: Authority,
    /// A client under [`Setup::meta`], with an ECDSA key.
    pub meta_client: Identity,
    /// The root of a chain shaped like the one under DigiCert.
    pub digicert: Authority,
    /// Between root and leaf of that chain.
    pub digicert_issuing: Authority,
    /// A client under [`Setup::digicert_issuing`], with an RSA key.
    pub digicert_client: Identity,
    /// 32 hex digits, as Meta's app secrets are.
    pub app_secret: String,
    /// What the dashboard would be told.
    pub verify_token: String,
}

/// One file of a set. No `Debug`: it would show what a secret file holds.
pub struct PropFile {
    /// Its name within the directory.
    pub name: &'static str,
    /// What it is, for people.
    pub what: &'static str,
    /// Whether nobody but its owner may read it.
    pub is_secret: bool,
    contents: String,
}

/// Why the files were not written.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A file of that name is there, and overwriting was not asked for.
    #[error("`{path}` exists")]
    Exists {
        /// The first such file.
        path: PathBuf,
    },
    /// The directory could not be made.
    #[error("cannot make the directory `{path}`")]
    Directory {
        /// Its path.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write `{path}`")]
    Write {
        /// Its path.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
}

impl Setup {
    /// A fresh set, with a server that goes by these names and addresses.
    pub fn new(server_names: &[ServerName<'_>]) -> Self {
        let server_ca = Authority::root(Ca::named("hubgate test: server CA"));
        let server = server_ca.issue(Leaf::server(server_names));
        let meta = Authority::root(Ca::meta().key(Key::Rsa2048));
        let meta_client = meta.issue(Leaf::meta());
        let digicert = Authority::root(Ca::digicert_root().key(Key::Rsa2048));
        let issuing = Ca::digicert_intermediate().key(Key::Rsa2048);
        let digicert_issuing = digicert.intermediate(issuing);
        let digicert_client = digicert_issuing.issue(Leaf::meta().key(Key::Rsa2048));
        Self {
            server_ca,
            server,
            meta,
            meta_client,
            digicert,
            digicert_issuing,
            digicert_client,
            app_secret: random_hex(),
            verify_token: random_hex(),
        }
    }

    /// The set as files, in the order in which one would explain them.
    pub fn files(&self) -> Vec<PropFile> {
        let public = |name, what, contents| PropFile { name, what, is_secret: false, contents };
        let secret = |name, what, contents| PropFile { name, what, is_secret: true, contents };
        let line = |text: &str| format!("{text}\n");
        vec![
            public("server.pem", "server: its certificate", self.server.chain_pem()),
            secret("server.key", "server: its private key", self.server.key_pem()),
            public("server-ca.pem", "caller: trusts the server", self.server_ca.certificate_pem()),
            public(
                "meta-ca.pem",
                "server: trust anchor like Meta's CA",
                self.meta.certificate_pem(),
            ),
            public("meta-client.pem", "caller: leaf under it", self.meta_client.chain_pem()),
            secret("meta-client.key", "caller: its private key", self.meta_client.key_pem()),
            public(
                "digicert-root.pem",
                "server: trust anchor like DigiCert's root",
                self.digicert.certificate_pem(),
            ),
            public(
                "digicert-client.pem",
                "caller: leaf and intermediate under it",
                self.digicert_client.chain_pem(),
            ),
            secret(
                "digicert-client.key",
                "caller: its private key",
                self.digicert_client.key_pem(),
            ),
            secret("app-secret", "both: signs events", line(&self.app_secret)),
            secret("verify-token", "both: verifies the callback URL", line(&self.verify_token)),
        ]
    }

    /// Writes all files into `directory`, or none if one of them is there and `overwrite` is not
    /// set.
    pub fn write(&self, directory: &Path, overwrite: bool) -> Result<(), SetupError> {
        let files = self.files();
        if !overwrite {
            let mut paths = files.iter().map(|file| directory.join(file.name));
            if let Some(path) = paths.find(|path| path.symlink_metadata().is_ok()) {
                return Err(SetupError::Exists { path });
            }
        }
        fs::create_dir_all(directory)
            .map_err(|source| SetupError::Directory { path: directory.into(), source })?;
        for file in files {
            let path = directory.join(file.name);
            file.write(&path).map_err(|source| SetupError::Write { path, source })?;
        }
        Ok(())
    }
}

impl PropFile {
    /// Into a file of its own: an old one keeps its mode and may be somebody's link.
    fn write(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mode = if self.is_secret { 0o600 } else { 0o644 };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(self.contents.as_bytes())
    }
}

/// 16 random bytes as 32 hex digits.
pub fn random_hex() -> String {
    let mut bytes = [0; 16];
    rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut bytes)
        .expect("the operating system has randomness");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_listed_is_written_and_secrets_are_the_owners_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("new");
        let setup = Setup::new(&[ServerName::try_from("localhost").expect("a name")]);
        setup.write(&path, false).expect("is written");

        for file in setup.files() {
            let path = path.join(file.name);
            assert_eq!(fs::read_to_string(&path).expect("is there"), file.contents);
            let mode = fs::metadata(&path).expect("is there").permissions().mode() & 0o777;
            assert_eq!(mode & 0o077 == 0, file.is_secret, "{}", file.name);
        }
        let written = fs::read_dir(&path).expect("is there").count();
        assert_eq!(written, setup.files().len());
    }

    #[test]
    fn nothing_is_overwritten_unless_asked() {
        let directory = tempfile::tempdir().expect("a directory");
        let kept = directory.path().join("app-secret");
        fs::write(&kept, "mine").expect("is written");
        fs::set_permissions(&kept, fs::Permissions::from_mode(0o644)).expect("is mine");
        let setup = Setup::new(&[ServerName::try_from("localhost").expect("a name")]);

        let refused = setup.write(directory.path(), false);
        assert!(matches!(refused, Err(SetupError::Exists { path }) if path == kept));
        assert_eq!(fs::read_to_string(&kept).expect("is there"), "mine");
        assert_eq!(fs::read_dir(directory.path()).expect("is there").count(), 1);

        setup.write(directory.path(), true).expect("is written");
        assert_ne!(fs::read_to_string(&kept).expect("is there"), "mine");
        let mode = fs::metadata(&kept).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn secrets_look_like_metas_and_are_never_the_same() {
        let (one, other) = (random_hex(), random_hex());
        assert_eq!(one.len(), 32);
        assert!(one.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
        assert_ne!(one, other);
    }
}
