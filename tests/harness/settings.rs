//! The one configuration that the tests start from, as text.

use crate::webhook::PATH;

/// Lines for the sections of a configuration; a default stands for each key that has no line.
#[derive(Clone, Default)]
pub struct Settings {
    pub server: String,
    pub client_certificate: String,
    /// No trust anchor but those that a line names.
    pub has_no_anchors: bool,
    pub limits: String,
    /// In place of `http://` and an address that nobody listens on.
    pub upstream_url: String,
    pub upstream: String,
    pub webhook: String,
    pub log: String,
    /// Whole sections at the end of the file.
    pub more: String,
}

impl Settings {
    /// What stands in `config.toml`; the files that it names are in the same directory.
    pub fn text(&self) -> String {
        let url =
            if self.upstream_url.is_empty() { "http://127.0.0.1:9" } else { &self.upstream_url };
        let server = [
            r#"listen = ["127.0.0.1:0"]"#,
            "workers = 1",
            r#"certificate = "server.pem""#,
            r#"private_key = "server.key""#,
        ];
        let anchors = r#"trust_anchors = ["meta.pem"]"#;
        let anchors = if self.has_no_anchors { &[][..] } else { &[anchors] };
        let url = format!("url = {url:?}");
        let path = format!("path = {PATH:?}");
        let webhook = [
            &path,
            r#"upstream = "app""#,
            r#"app_secrets = [{ file = "app-secret" }]"#,
            r#"verify_token = { file = "verify-token" }"#,
        ];
        let sections = [
            section("[server]", &server, &self.server),
            section("[client_certificate]", anchors, &self.client_certificate),
            section("[limits]", &[], &self.limits),
            section("[admin]", &[r#"listen = "127.0.0.1:0""#], ""),
            section("[[upstream]]", &[r#"name = "app""#, &url], &self.upstream),
            section("[[webhook]]", &webhook, &self.webhook),
            if self.log.is_empty() { String::new() } else { section("[log]", &[], &self.log) },
        ];
        sections.concat() + &self.more
    }
}

/// Each default comes first, unless there is a line for its key.
fn section(header: &str, defaults: &[&str], lines: &str) -> String {
    let key = |line: &str| line.split('=').next().map(|key| key.trim().to_owned());
    let missing = defaults.iter().copied();
    let missing = missing.filter(|default| !lines.lines().any(|line| key(line) == key(default)));
    let lines = lines.lines().filter(|line| !line.is_empty());
    [header].into_iter().chain(missing).chain(lines).map(|line| format!("{line}\n")).collect()
}
