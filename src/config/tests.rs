//! The configuration as a whole.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::Config;
use super::fixture::{Fixture, faults, load};

#[test]
fn a_small_configuration_is_complete() {
    let config = load("");

    assert_eq!(config.server.listen.len(), 1);
    assert_eq!(config.webhooks.first().map(|webhook| webhook.upstream), Some(0));
    assert!(config.client_certificate.is_some() && config.admin.is_some());
}

#[test]
fn a_file_that_is_not_there_is_the_only_fault() {
    let error = Config::load(Path::new("absent/hubgate.toml")).expect_err("is not there");

    assert_eq!(
        error.to_string(),
        "absent/hubgate.toml: cannot read the configuration: No such file or directory (os \
         error 2)"
    );
}

#[test]
fn an_empty_file_lacks_what_has_no_default_and_nothing_else() {
    let fixture = Fixture::new();
    let errors = fixture.load_only("").expect_err("lacks everything");

    assert_eq!(
        fixture.shown(&errors),
        [
            " `server.certificate`: is missing",
            " `server.private_key`: is missing",
            " `upstream`: is missing",
            " `webhook`: is missing",
        ]
    );
}

#[test]
fn faults_of_every_section_are_found_at_once_in_the_order_of_the_file() {
    let text = r#"[log]
        level = "loud"
        [admin]
        listen = "9180"
[[webhook]]
        path = "hooks"
        upstream = "app"
        app_secrets = [{ file = "absent" }]
        verify_token = "swordfish"
        [limits]
        connections = "many"
        body_max_bytes = 0"#;

    let faults = faults(text);
    let places: Vec<_> = faults.iter().filter_map(|fault| fault.split('`').nth(1)).collect();

    assert_eq!(
        places,
        [
            "log.level",
            "admin.listen",
            "webhook[0].path",
            "webhook[0].app_secrets[0].file",
            "webhook[0].verify_token",
            "limits.connections",
            "limits.body_max_bytes",
        ]
    );
}

#[test]
fn anchors_are_needed_only_if_a_certificate_is_asked_for() {
    let fixture = Fixture::new();
    let load = |demand: &str| {
        fixture.load_only(&format!(
            r#"[server]
            certificate = "chain.pem"
            private_key = "key.pem"
            [[upstream]]
            name = "app"
            url = "http://a"
            [[webhook]]
            path = "/"
            upstream = "app"
            app_secrets = {{ file = "secret" }}
            verify_token = {{ file = "token" }}
            {demand}"#
        ))
    };
    let sentence = "asks for a client certificate, but there is no `[client_certificate]` \
                    with `trust_anchors`; add it, or write `client_certificate = \"none\"`";

    let none = load("client_certificate = \"none\"").expect("has no fault");
    assert!(none.client_certificate.is_none());
    assert_eq!(
        fixture.shown(&load("").expect_err("asks for one")),
        [format!("7: `webhook[0].client_certificate`: {sentence}")]
    );
    let verification =
        "client_certificate = \"none\"\nverification_client_certificate = \"required\"";
    assert_eq!(
        fixture.shown(&load(verification).expect_err("asks for one")),
        [format!("13: `webhook[0].verification_client_certificate`: {sentence}")]
    );
}

proptest! {
    // The smallest input that fails stands in the panic, not in a file beside the source.
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn bytes_that_are_no_configuration_are_a_fault_and_never_a_panic(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            ".{0,200}".prop_map(String::into_bytes),
        ],
    ) {
        let fixture = Fixture::new();
        std::fs::write(fixture.path("any.toml"), bytes).expect("a file of our own");
        let loaded = Config::load_with(&fixture.path("any.toml"), &|_| None);
        let errors = loaded.expect_err("is none");
        prop_assert!(errors.to_string().contains("any.toml"));
    }

    #[test]
    fn known_keys_with_odd_values_are_taken_or_named_and_never_a_panic(
        values in prop::collection::btree_map(known_key(), odd_value(), 0..12),
    ) {
        let fixture = Fixture::new();
        let errors = fixture.load_only(&document(&values)).expect_err("names no certificate");
        for fault in fixture.shown(&errors) {
            prop_assert!(fault.contains('`') || fault.contains("not valid TOML"), "{}", fault);
        }
    }
}

/// Keys of lists of tables under a header of their own, the others before them.
fn document(values: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for list in ["", "upstream.", "webhook.", "site."] {
        if let Some(name) = list.strip_suffix('.') {
            text += &format!("[[{name}]]\n");
        }
        for (key, value) in values {
            let is_in_a_list =
                ["upstream.", "webhook.", "site."].iter().any(|l| key.starts_with(l));
            match key.strip_prefix(list) {
                Some(key) if is_in_a_list != list.is_empty() => {
                    text += &format!("{key} = {value}\n")
                }
                _ => {}
            }
        }
    }
    text
}

fn known_key() -> impl Strategy<Value = String> {
    let keys = super::known_keys();
    let is_section = |key: &str| keys.iter().any(|other| other.starts_with(&format!("{key}.")));
    let is_wanted = |key: &&String| !is_section(key) && *key != "server.certificate";
    prop::sample::select(keys.iter().filter(is_wanted).cloned().collect::<Vec<_>>())
}

fn odd_value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        "[0-9]{1,30}|-?[0-9]{1,4}\\.[0-9]|true|false|\\[\\]|\\{\\}|\\[\\[\\]\\]|1979-05-27",
        "[ -~]{0,20}".prop_map(|text| format!("{text:?}")),
        "[ -~]{0,20}".prop_map(|text| format!("[{text:?}, {text:?}]")),
        "[ -~]{0,20}".prop_map(|text| format!("{{ file = {text:?}, env = 3 }}")),
    ]
}
