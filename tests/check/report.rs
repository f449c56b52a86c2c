//! What is shown of a sound configuration.

use serde_json::Value;

use crate::setup::{Outcome, Setup, assert_sentences};

#[test]
fn a_sound_configuration_is_shown_and_earns_no_word_of_blame() {
    let setup = Setup::new();

    let Outcome { code, stdout, stderr } = setup.check(&[]);

    assert_eq!((code, stderr.as_str()), (0, ""));
    for part in [
        "127.0.0.1:0     for callers, any free port\n",
        "server.key, belongs to the certificate, mode 0600\n",
        "certificate 2\n",
        "names           localhost, 127.0.0.1, ::1\n",
        "demanded        by every webhook, so in every handshake\n",
        "common names    client.webhooks.fbclientcerts.com\n",
        "anchor meta\n",
        ", accepts connections\n",
        "webhook /webhooks\n",
        "app secret      app-secret: file ",
        "events need     client certificate and signature\n",
        "verification    answered by hubgate; needs client certificate and token\n",
        "\nok: no errors, no warnings\n",
    ] {
        assert!(stdout.contains(part), "`{part}` is not in:\n{stdout}");
    }
    assert!(!stdout.contains('\u{1b}'), "colour beyond a terminal");
}

#[test]
fn the_json_report_has_the_same_facts() {
    let report = Setup::new().report();

    assert_eq!(report["ok"], true);
    assert_eq!(report["listen"][0]["state"], "free");
    assert_eq!(report["listen"][1]["purpose"], "admin");
    assert_eq!(report["server"][0]["key_matches"], true);
    assert_eq!(report["server"][0]["chain"].as_array().unwrap().len(), 2);
    assert_eq!(report["client_certificate"]["mandatory"], true);
    let anchor = &report["client_certificate"]["anchors"][0];
    assert_eq!((&anchor["label"], &anchor["state"]), (&"meta".into(), &"valid".into()));
    assert_eq!(anchor["known"], Value::Null);
    assert_eq!(report["upstreams"][0]["reachable"], true);
    let secret = &report["webhooks"][0]["app_secrets"][0];
    assert_eq!((&secret["source"], &secret["mode"]), (&"file".into(), &"0600".into()));
}

#[test]
fn sites_and_what_is_only_reported_are_shown() {
    let setup = Setup::new();
    setup.edit("path = \"/webhooks\"", "path = \"/webhooks\"\nsignature = \"report\"");
    let site = "[[site]]\nupstream = \"app\"\nmethods = [\"GET\"]\nwebsocket = true\n";
    setup.edit("[admin]", &format!("{site}[admin]"));

    let report = setup.report();
    assert_sentences(&report["errors"], &[]);
    assert_eq!(report["webhooks"][0]["signature"], "report");
    assert_eq!(report["sites"][0]["prefix"], true);
    assert_eq!(report["sites"][0]["websocket"], true);
    assert_eq!(report["client_certificate"]["mandatory"], false);
    let shown = setup.check(&[]).stdout;
    for part in [
        "client certificate and (a wrong signature is reported and let through)\n",
        "\nsite /\n    path            / and everything below it\n",
        "methods         GET\n",
        "websocket       allowed\n",
    ] {
        assert!(shown.contains(part), "`{part}` is not in:\n{shown}");
    }
}

#[test]
fn without_any_demand_for_a_certificate_there_is_none_to_check() {
    let setup = Setup::new();
    setup.edit("[client_certificate]\ntrust_anchors = [\"meta.pem\"]\n", "");
    setup.edit("path = \"/webhooks\"", "path = \"/webhooks\"\nclient_certificate = \"none\"");

    setup.assert_warnings(&[]);
    assert_eq!(setup.report()["client_certificate"], Value::Null);
    let shown = setup.check(&[]).stdout;
    assert!(shown.contains("events need     signature\n"), "{shown}");
}
