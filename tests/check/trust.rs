//! Trust anchors, candidates and revocation lists.

use std::fs;
use std::time::{Duration, SystemTime};

use hubgate_testkit::pki::{Authority, Ca};

use crate::setup::{Setup, committed_root};

#[test]
fn the_digicert_root_is_recognised_and_not_enough() {
    let setup = Setup::new();
    setup.write("digicert.pem", &committed_root());
    setup.edit("trust_anchors = [\"meta.pem\"]", "trust_anchors = [\"digicert.pem\"]");

    setup.assert_warnings(&["DigiCert's root is the only trust anchor"]);
    let anchor = &setup.report()["client_certificate"]["anchors"][0];
    assert_eq!(anchor["known"], "DigiCert High Assurance EV Root CA");
    assert_eq!(anchor["not_after"], "2031-11-10T00:00:00Z");

    setup.edit("[\"digicert.pem\"]", "[\"digicert.pem\", \"meta.pem\"]");
    setup.assert_warnings(&[]);
}

#[test]
fn an_anchor_that_vouches_for_nobody_is_a_warning_and_nothing_but_such_an_error() {
    let setup = Setup::new();
    setup.write("old.pem", &Authority::root(Ca::meta().expired()).certificate_pem());
    setup.write("early.pem", &Authority::root(Ca::meta().not_yet_valid()).certificate_pem());
    let other = Ca::meta().without_certificate_signing();
    setup.write("other.pem", &Authority::root(other).certificate_pem());
    setup.write("weak.pem", include_str!("../fixtures/keys/root.weak.pem"));
    let useless = "\"old.pem\", \"early.pem\", \"other.pem\", \"weak.pem\"";
    setup.edit("[\"meta.pem\"]", &format!("[\"meta.pem\", {useless}]"));

    setup.assert_warnings(&[
        "anchor `old` expired on",
        "anchor `early` is not valid before",
        "anchor `other` may not vouch for clients",
        "anchor `weak` has a key that proves nothing here",
    ]);
    let report = setup.report();
    let states = report["client_certificate"]["anchors"].as_array().unwrap().iter();
    let states: Vec<_> = states.map(|anchor| anchor["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["valid", "expired", "not_yet_valid", "not_for_clients", "key_unusable"]);

    setup.edit("\"meta.pem\", ", "");
    setup.assert_errors(&["no trust anchor is valid now"]);
}

#[test]
fn candidates_are_shown_beside_the_anchors_and_one_that_is_an_anchor_already_is_a_warning() {
    let setup = Setup::new();
    let next = Authority::root(Ca::named("the CA after this one"));
    setup.write("next.pem", &next.certificate_pem());
    setup.edit("[\"meta.pem\"]", "[\"meta.pem\"]\ncandidate_anchors = [\"next.pem\"]");

    setup.assert_warnings(&[]);
    let report = setup.report();
    let labels = |list: &str| {
        let anchors = report["client_certificate"][list].as_array().unwrap().iter();
        anchors.map(|anchor| anchor["label"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((labels("anchors"), labels("candidates")), (vec!["meta"], vec!["next"]));
    assert!(setup.check(&[]).stdout.contains("\n  candidate next\n"));

    let meta = fs::read_to_string(setup.path("meta.pem")).unwrap();
    setup.write("next.pem", &meta);
    setup.assert_warnings(&["candidate `next` is a trust anchor already"]);
}

#[test]
fn revocation_lists_are_shown_and_a_stale_one_is_a_warning_that_says_what_it_does() {
    let setup = Setup::new();
    let ca = Authority::root(Ca::meta());
    setup.write("meta.pem", &ca.certificate_pem());
    let hour = Duration::from_secs(3_600);
    let begin = SystemTime::now() - 3 * hour;
    let write =
        |end: SystemTime| fs::write(setup.path("meta.crl"), ca.revoke(&[], begin..end).der());
    assert!(setup.report()["revocation"].is_null());
    let keys = "crl_files = [\"meta.crl\"]\nstale_crl = \"refuse\"";
    setup.edit("[\"meta.pem\"]", &format!("[\"meta.pem\"]\n{keys}"));

    write(begin + 200 * hour).unwrap();
    setup.assert_warnings(&[]);
    let list = &setup.report()["revocation"]["lists"][0];
    assert_eq!((&list["stale"], &list["days_left"]), (&false.into(), &8.into()));
    let shown = setup.check(&[]).stdout;
    for part in
        ["\nrevocation\n", "meta.crl\n", ", in 8 days\n", "names           no certificates\n"]
    {
        assert!(shown.contains(part), "`{part}` is not in:\n{shown}");
    }

    write(begin + hour).unwrap();
    setup.assert_warnings(&["so the callers of its CA are refused"]);
    setup.edit("\"refuse\"", "\"warn\"");
    setup.assert_warnings(&["are let in unchecked"]);
}

#[test]
fn lists_that_are_fetched_are_shown_with_their_place_and_want_a_cache() {
    let setup = Setup::new();
    let ca = Authority::root(Ca::meta().crl_url("http://127.0.0.1:9/list"));
    setup.write("meta.pem", &ca.certificate_pem());
    let keys = "crl_fetch = \"distribution_points\"";
    setup.edit("[\"meta.pem\"]", &format!("[\"meta.pem\"]\n{keys}"));

    setup.assert_warnings(&["there is no `crl_cache`"]);
    assert_eq!(setup.report()["revocation"]["places"][0], "http://127.0.0.1:9/list");

    fs::create_dir(setup.path("crls")).unwrap();
    setup.edit(keys, &format!("{keys}\ncrl_cache = \"crls\""));
    setup.assert_warnings(&[]);
    let shown = setup.check(&[]).stdout;
    assert!(shown.contains("fetched from    http://127.0.0.1:9/list\n"), "{shown}");
}
