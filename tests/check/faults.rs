//! Faults of the file and of what it names, all at once.

use std::fs;

use hubgate_testkit::pki::{Authority, Ca, Leaf};

use crate::setup::{Outcome, Setup, public_authority};

#[test]
fn faults_of_the_file_are_all_named_at_once_with_their_lines() {
    let setup = Setup::new();
    setup.edit("upstream = \"app\"", "upstream = \"nobody\"");
    setup.edit("[admin]", "[admin]\nlisten_on = 1");
    setup.write("app-secret", "\n");

    setup.assert_errors(&[
        "config.toml:10: `admin.listen_on`: is not a known key",
        "config.toml:17: `webhook[0].upstream`: names no `[[upstream]]`",
        "config.toml:18: `webhook[0].app_secrets[0].file`: names an empty secret",
    ]);
    let codes = ["config_unknown_key", "config_upstream_unknown", "config_secret_invalid"];
    assert_eq!(setup.report()["error_codes"], serde_json::json!(codes));
    let Outcome { code, stdout, stderr } = setup.check(&[]);
    assert_eq!(code, 1);
    for code in codes {
        assert!(stderr.contains(&format!("error[{code}]: ")), "{stderr}");
    }
    assert!(!stdout.contains("ok:"), "{stdout}");
    assert!(stderr.ends_with("\nrefused: 3 errors, no warnings\n"), "{stderr}");
}

#[test]
fn a_configuration_that_is_not_there_is_an_error() {
    let setup = Setup::new();
    fs::remove_file(setup.path("config.toml")).unwrap();

    setup.assert_errors(&["config.toml: cannot read the configuration: No such file"]);
}

#[test]
fn faults_of_what_the_files_hold_are_all_named_at_once() {
    let setup = Setup::new();
    setup.write("server.key", &public_authority().issue(Leaf::loopback_server()).key_pem());
    setup.write("meta.pem", &Authority::root(Ca::meta().not_a_ca()).certificate_pem());
    setup.write("other.pem", "no PEM");
    setup.edit("[\"meta.pem\"]", "[\"meta.pem\", \"other.pem\"]");

    setup.assert_errors(&[
        "does not belong to the first certificate",
        "is not a CA and cannot be a trust anchor",
        "other.pem` holds no certificate",
    ]);
    assert_eq!(setup.report()["server"][0]["key_matches"], false);
}
