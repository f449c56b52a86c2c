//! A directory with everything that a small configuration names, for tests.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::{Config, ConfigErrors};

/// A directory that goes away with the test.
pub(super) struct Fixture {
    directory: TempDir,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let fixture = Self { directory };
        fs::create_dir(fixture.path("credentials")).expect("a new directory");
        for name in ["chain.pem", "key.pem", "meta.pem", "old.pem", "ca.pem"] {
            fixture.write(name, "-----BEGIN");
        }
        fixture.write("secret", "0123456789abcdef0123456789abcdef\n");
        fixture.write("token", "a verify token\n");
        fixture.write("credentials/token", "a credential\r\n");
        fixture
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("the directory can be written to");
    }

    /// Loads `text`, followed by whatever sections it lacks.
    pub(super) fn load(&self, text: &str) -> Result<Config, ConfigErrors> {
        self.load_only(&completed(text))
    }

    /// Loads `text` and nothing else.
    pub(super) fn load_only(&self, text: &str) -> Result<Config, ConfigErrors> {
        self.write("hubgate.toml", text);
        Config::load_with(&self.path("hubgate.toml"), &|name| self.variable(name))
    }

    /// The faults of `text` as they are shown, without the name of the file.
    pub(super) fn faults(&self, text: &str) -> Vec<String> {
        self.shown(&self.load(text).expect_err("has a fault"))
    }

    /// Each fault as it is shown, without the name of the file.
    pub(super) fn shown(&self, errors: &ConfigErrors) -> Vec<String> {
        let directory = format!("{}/", self.directory.path().display());
        let text = errors.to_string().replace(&directory, "");
        let lines = text.lines().map(|line| line.strip_prefix("hubgate.toml:").unwrap_or(line));
        lines.map(str::to_owned).collect()
    }

    fn variable(&self, name: &str) -> Option<OsString> {
        match name {
            "CREDENTIALS_DIRECTORY" => Some(self.path("credentials").into_os_string()),
            "APP_SECRET" => Some(OsString::from("fedcba9876543210fedcba9876543210")),
            "EMPTY" => Some(OsString::new()),
            _ => None,
        }
    }
}

/// Loads `text`, followed by whatever sections it lacks.
pub(crate) fn load(text: &str) -> Config {
    Fixture::new().load(text).expect("has no fault")
}

/// The faults of `text` as they are shown, without the name of the file.
pub(super) fn faults(text: &str) -> Vec<String> {
    Fixture::new().faults(text)
}

/// `text` first, so that its lines count from one.
fn completed(text: &str) -> String {
    let sections = [
        r#"[server]
           certificate = "chain.pem"
           private_key = "key.pem""#,
        r#"[client_certificate]
           trust_anchors = ["meta.pem"]"#,
        r#"[[upstream]]
           name = "app"
           url = "http://127.0.0.1:3000""#,
        r#"[[webhook]]
           path = "/webhooks"
           upstream = "app"
           app_secrets = [{ file = "secret" }]
           verify_token = { file = "token" }"#,
    ];
    let mut completed = format!("{text}\n");
    for section in sections {
        let header = section.lines().next().unwrap_or_default();
        let name = header.trim_matches(['[', ']']);
        let is_there = |line: &str| line.trim_matches(['[', ']']) == name;
        if !text.lines().filter(|line| line.starts_with('[')).any(is_there) {
            completed.push_str(section);
            completed.push('\n');
        }
    }
    completed
}
