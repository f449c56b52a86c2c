//! A directory with a sound configuration, and what the command says of it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use hubgate_testkit::pki::{Authority, Ca, Identity, Leaf};
use serde_json::Value;
use tempfile::TempDir;

use crate::settings::Settings;
pub use crate::webhook::{APP_SECRET, VERIFY_TOKEN};

pub const PROOF: &str = "c0ffee0123456789c0ffee0123456789c0ffee0123456789c0ffee0123456789";

/// A directory with a sound configuration and everything that it names.
pub struct Setup {
    pub dir: TempDir,
    /// Accepts connections, in the kernel's queue.
    _application: TcpListener,
}

/// What one run of the command came to.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Setup {
    pub fn new() -> Self {
        let application = TcpListener::bind("127.0.0.1:0").unwrap();
        let setup = Self { dir: tempfile::tempdir().unwrap(), _application: application };
        setup.serve_with(&public_authority().issue(Leaf::loopback_server()));
        setup.write("meta.pem", &Authority::root(Ca::meta()).certificate_pem());
        setup.write("app-secret", APP_SECRET);
        setup.write("verify-token", VERIFY_TOKEN);
        let address = setup._application.local_addr().unwrap();
        let upstream_url = format!("http://{address}");
        let text = Settings { upstream_url, ..Settings::default() }.text();
        setup.write("config.toml", &text);
        setup
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Readable by its owner alone.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub fn serve_with(&self, identity: &Identity) {
        self.write("server.pem", &identity.chain_pem());
        self.write("server.key", &identity.key_pem());
    }

    /// Replaces `from`, which must be there, by `to` in the configuration.
    pub fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path("config.toml")).unwrap();
        assert!(text.contains(from), "`{from}` is not in:\n{text}");
        self.write("config.toml", &text.replace(from, to));
    }

    pub fn check(&self, more: &[&str]) -> Outcome {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hubgate"));
        command.arg("check").arg("--config").arg(self.path("config.toml")).args(more);
        let output = command.env_remove("CREDENTIALS_DIRECTORY").output().unwrap();
        let outcome = Outcome {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        for secret in [APP_SECRET, VERIFY_TOKEN, PROOF] {
            assert!(!outcome.stdout.contains(secret), "{outcome:?}");
            assert!(!outcome.stderr.contains(secret), "{outcome:?}");
        }
        outcome
    }

    /// The same facts for machines; text and JSON must agree about the end.
    pub fn report(&self) -> Value {
        let outcome = self.check(&["--json"]);
        assert_eq!(outcome.stderr, "");
        let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(report["ok"], outcome.code == 0);
        assert_eq!(self.check(&[]).code, outcome.code);
        report
    }

    /// Exactly these errors, each named by a part of its sentence.
    pub fn assert_errors(&self, expected: &[&str]) {
        assert_sentences(&self.report()["errors"], expected);
    }

    /// No errors, and exactly these warnings.
    pub fn assert_warnings(&self, expected: &[&str]) {
        let report = self.report();
        assert_sentences(&report["errors"], &[]);
        assert_sentences(&report["warnings"], expected);
    }
}

pub fn assert_sentences(found: &Value, expected: &[&str]) {
    let found: Vec<_> = found.as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect();
    let all_fit = found.iter().zip(expected).all(|(found, part)| found.contains(part));
    assert!(found.len() == expected.len() && all_fit, "{found:#?} are not {expected:#?}");
}

pub fn public_authority() -> Authority {
    let root = Authority::root(Ca::named("a root that browsers know"));
    root.intermediate(Ca::named("an intermediate of it"))
}

pub fn committed_root() -> String {
    let path = "certs/digicert-high-assurance-ev-root-ca.pem";
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}
