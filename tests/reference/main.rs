//! What stands in the reference is what the code does.
#![allow(clippy::indexing_slicing, reason = "a test may fail by it")]

mod names;
mod tables;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use hubgate::config::{Config, ConfigErrors, known_keys};
use tempfile::TempDir;
use toml::de::{DeTable, DeValue};

const REFERENCE: &str = include_str!("../../config.toml");

#[test]
fn every_default_in_config_toml_is_the_default_of_the_code() {
    let directory = directory();

    let written = load(&directory, &unmarked(REFERENCE, Marks::One)).expect("loads as it stands");
    let defaults = load(&directory, REFERENCE).expect("loads without its defaults");

    assert_eq!(format!("{written:#?}"), format!("{defaults:#?}"));
}

#[test]
fn a_default_that_is_not_the_codes_would_be_noticed() {
    let directory = directory();
    let defaults = format!("{:#?}", load(&directory, REFERENCE).expect("loads"));
    let mut noticed = 0;

    for (number, line) in REFERENCE.lines().enumerate() {
        if !is_setting(line, "#") {
            continue;
        }
        let changed = changed(line).unwrap_or_else(|| panic_at(number, line));
        let lines = REFERENCE.lines().enumerate();
        let text: Vec<_> =
            lines.map(|(at, line)| if at == number { &changed } else { line }).collect();
        // Refused is noticed, too.
        if let Ok(config) = load(&directory, &text.join("\n")) {
            assert_ne!(format!("{config:#?}"), defaults, "{changed}");
        }
        noticed += 1;
    }
    assert!(noticed > 30, "only {noticed} defaults were found");
}

#[test]
fn the_examples_in_config_toml_load() {
    let config = load(&directory(), &unmarked(REFERENCE, Marks::Both)).expect("loads");

    let counts = (config.upstreams.len(), config.webhooks.len(), config.sites.len());
    assert_eq!(counts, (3, 2, 1));
    assert!(config.redirect.is_some());
}

#[test]
fn config_toml_has_every_key_that_the_code_knows_and_no_other() {
    let text = unmarked(REFERENCE, Marks::Both);
    let document = DeTable::parse(&text).expect("is TOML");
    let mut written = BTreeSet::new();
    collect_keys(document.get_ref(), "", &mut written);

    // `verify_token` and `proof` take what `app_secrets` takes; the reference shows that once.
    let mut known = known_keys();
    known.retain(|key| !is_of_another_secret(key));
    written.retain(|key| !is_of_another_secret(key));
    // A key is written once, so the other form of its value stands in the prose above it.
    for (key, prose) in OTHER_FORMS {
        assert!(REFERENCE.contains(prose), "the reference does not show `{prose}`");
        assert!(known.remove(key), "`{key}` is not a key");
    }
    assert_eq!(written, known);
}

const OTHER_FORMS: [(&str, &str); 6] = [
    ("server.certificate.certificate", "[[server.certificate]]"),
    ("server.certificate.credential", "{ credential = \"tls-chain\" }"),
    ("server.certificate.private_key", "each with its certificate and private_key"),
    ("server.private_key.credential", "{ credential = \"tls-key\" }"),
    ("upstream.client_certificate.credential", "{ credential = \"app-tls-chain\" }"),
    ("upstream.client_private_key.credential", "{ credential = \"app-tls-key\" }"),
];

fn is_of_another_secret(key: &str) -> bool {
    key.starts_with("webhook.verify_token.") || key.starts_with("upstream.proof.")
}

/// Which marks are taken off.
#[derive(Clone, Copy, PartialEq)]
enum Marks {
    One,
    Both,
}

/// The reference with its marked settings switched on.
fn unmarked(text: &str, marks: Marks) -> String {
    let lines = text.lines().map(|line| match line.strip_prefix("##") {
        Some(example) if marks == Marks::Both => example,
        Some(_) => line,
        None if is_setting(line, "#") => &line[1..],
        None => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether a key follows the mark at once; after a blank it is prose.
fn is_setting(line: &str, mark: &str) -> bool {
    let rest = line.strip_prefix(mark);
    rest.is_some_and(|rest| rest.starts_with(|character: char| character.is_ascii_lowercase()))
}

/// The setting switched on, with another value of the same type.
fn changed(line: &str) -> Option<String> {
    let (key, value) = line.strip_prefix('#')?.split_once(" = ")?;
    let other = match value {
        "true" => "false".to_owned(),
        "false" => "true".to_owned(),
        "\"auto\"" => "\"text\"".to_owned(),
        "\"info\"" => "\"debug\"".to_owned(),
        "\"tls\"" => "\"alb\"".to_owned(),
        "\"default\"" => "\"refuse\"".to_owned(),
        "\"answer\"" => "\"forward\"".to_owned(),
        "\"preserve\"" => "\"upstream\"".to_owned(),
        "\"never\"" => "\"broken\"".to_owned(),
        "\"enforce\"" => "\"report\"".to_owned(),
        "\"required\"" => "\"none\"".to_owned(),
        "\"off\"" => "\"distribution_points\"".to_owned(),
        "\"refuse\"" => "\"warn\"".to_owned(),
        "[60, 30, 7, 1]" => "[60, 30, 7]".to_owned(),
        "\"127.0.0.1:9180\"" => "\"127.0.0.1:9181\"".to_owned(),
        "[\"[::]:8443\"]" => "[\"[::]:8444\"]".to_owned(),
        "[\"client.webhooks.fbclientcerts.com\"]" => "[\"example.com\"]".to_owned(),
        "[\"rfc9440\"]" => "[\"nginx\"]".to_owned(),
        // One thread might be what the machine's cores come to, 999 are not.
        "0" => "999".to_owned(),
        number => (number.parse::<u64>().ok()? + 1).to_string(),
    };
    Some(format!("{key} = {other}"))
}

#[expect(clippy::panic, reason = "the test cannot go on")]
fn panic_at(number: usize, line: &str) -> String {
    panic!("line {} has a value that this test cannot change: {line}", number + 1)
}

/// Key paths without the indexes of lists.
fn collect_keys(table: &DeTable<'_>, path: &str, keys: &mut BTreeSet<String>) {
    for (name, value) in table {
        let key = format!("{path}{}", name.get_ref());
        collect_keys_of_value(value.get_ref(), &key, keys);
        keys.insert(key);
    }
}

fn collect_keys_of_value(value: &DeValue<'_>, key: &str, keys: &mut BTreeSet<String>) {
    if let Some(table) = value.as_table() {
        collect_keys(table, &format!("{key}."), keys);
    }
    for entry in value.as_array().into_iter().flatten() {
        collect_keys_of_value(entry.get_ref(), key, keys);
    }
}

/// A directory with every file that the reference names.
fn directory() -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for name in [
        "tls/fullchain.pem",
        "tls/privkey.pem",
        "tls/internal-ca.pem",
        "tls/app-client.pem",
        "tls/app-client.key",
        "certs/digicert-high-assurance-ev-root-ca.pem",
        "certs/meta-outbound-api-ca-2025-12.pem",
        "certs/meta-outbound-api-ca-2025-12.crl",
        "certs/next-ca.pem",
        "secrets/app-secret-2025",
        "secrets/verify-token",
        "credentials/app-secret",
        "credentials/verify-token",
    ] {
        let path = directory.path().join(name);
        let parent = path.parent().unwrap_or(Path::new(""));
        fs::create_dir_all(parent).expect("a new directory");
        fs::write(&path, "0123456789abcdef0123456789abcdef\n").expect("a new file");
    }
    fs::write(directory.path().join("credentials/app-proof"), "p".repeat(64)).expect("a new file");
    fs::create_dir(directory.path().join("crls")).expect("a new directory");
    directory
}

/// Loads a text whose files are in the directory in place of the system's own two.
fn load(directory: &TempDir, text: &str) -> Result<Config, ConfigErrors> {
    let root = directory.path().display().to_string();
    let path = directory.path().join("config.toml");
    let text = text.replace("/etc/hubgate", &root).replace("/var/lib/hubgate", &root);
    fs::write(&path, text).expect("the directory can be written to");
    let credentials = directory.path().join("credentials").into_os_string();
    Config::load_with(&path, &|name| match name {
        "CREDENTIALS_DIRECTORY" => Some(credentials.clone()),
        "APP_SECRET" => Some(OsString::from("fedcba9876543210fedcba9876543210")),
        _ => None,
    })
}
