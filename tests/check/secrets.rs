//! Secrets: their form, who may read them, and proofs to applications.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::setup::{APP_SECRET, PROOF, Setup};

#[test]
fn secrets_open_to_everybody_and_of_the_wrong_shape_are_warnings() {
    let setup = Setup::new();
    setup.write("app-secret", "not of Meta's making");
    let mode = fs::Permissions::from_mode(0o644);
    fs::set_permissions(setup.path("app-secret"), mode).unwrap();

    setup.assert_warnings(&["is not 32 hexadecimal digits", "is open to every user (mode 0644)"]);
    assert_eq!(setup.report()["webhooks"][0]["app_secrets"][0]["mode"], "0644");
}

#[test]
fn an_application_behind_a_webhook_and_a_site_is_asked_to_have_a_proof() {
    let setup = Setup::new();
    setup.edit("[admin]", "[[site]]\nupstream = \"app\"\n[admin]");

    setup.assert_warnings(&["webhook `/webhooks` and site `/` lead to the same application"]);
    assert_eq!(setup.report()["webhooks"][0]["proof"], Value::Null);
    let shown = setup.check(&[]).stdout;
    assert!(shown.contains("proof           none; the application trusts"), "{shown}");

    setup.write("app-proof", PROOF);
    setup.edit("name = \"app\"", "name = \"app\"\nproof = { file = \"app-proof\" }");
    setup.assert_warnings(&[]);
    let proof = setup.report()["webhooks"][0]["proof"].clone();
    assert_eq!((&proof["source"], &proof["mode"]), (&"file".into(), &"0600".into()));
    let shown = setup.check(&[]).stdout;
    assert!(shown.contains("proof           app-proof: file "), "{shown}");

    let mode = fs::Permissions::from_mode(0o644);
    fs::set_permissions(setup.path("app-proof"), mode).unwrap();
    setup.assert_warnings(&["app-proof` holds a secret and is open to every user (mode 0644)"]);
}

#[test]
fn a_proof_that_could_be_guessed_or_that_others_know_is_refused_with_what_makes_one() {
    let setup = Setup::new();
    setup.edit("name = \"app\"", "name = \"app\"\nproof = { file = \"app-proof\" }");

    for secret in [&PROOF[..31], APP_SECRET] {
        setup.write("app-proof", secret);
        setup.assert_errors(&["`openssl rand -hex 32`"]);
        let report = setup.report();
        assert_eq!(report["error_codes"][0], "config_secret_invalid");
    }
}
