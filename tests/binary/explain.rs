//! `hubgate explain`: what the program says of its own codes.

use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use hubgate::error_code::ErrorCode;
use hubgate::refusal::{ConnectionRefusal, Refusal};
use hubgate_testkit::pki::{Authority, Ca, Identity, Leaf, Purpose, Usage};
use tempfile::TempDir;

use crate::harness::{Place, Settings};

#[test]
fn every_code_is_listed_and_each_of_them_explained() {
    let list = text(&hubgate(&["explain"]).stdout);
    let mut labels: Vec<_> = ConnectionRefusal::ALL
        .iter()
        .map(|connection_refusal| connection_refusal.label())
        .collect();
    labels.extend(Refusal::ALL.iter().map(|refusal| refusal.label()));
    labels.extend(ErrorCode::ALL.iter().map(|code| code.label()));
    assert!(labels.len() > 80, "{labels:?}");
    for label in labels {
        assert!(list.lines().any(|line| line.split_whitespace().next() == Some(label)), "{label}");
    }
    let page = text(&hubgate(&["explain", "error[config_unknown_key]"]).stdout);
    assert!(
        page.starts_with("config_unknown_key: the configuration is not put in force"),
        "{page}"
    );
}

#[test]
fn a_code_that_is_none_is_refused_with_the_one_that_was_meant() {
    let output = hubgate(&["explain", "unknown_ancor"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "");
    assert!(text(&output.stderr).contains("did you mean `unknown_anchor`?"), "{output:?}");
}

#[test]
fn a_certificate_is_explained_link_by_link_with_the_verdict_of_a_handshake() {
    let place = Place::new();
    let digicert = Authority::root(Ca::digicert_root());
    let issuing = digicert.intermediate(Ca::digicert_intermediate());
    let next = Authority::root(Ca::named("the CA after this one"));
    place.write("digicert.pem", &digicert.certificate_pem());
    place.write("next.pem", &next.certificate_pem());
    place.configure(&Settings::default());
    place.edit(
        "trust_anchors = [",
        "candidate_anchors = [\"next.pem\"]\ntrust_anchors = [\"digicert.pem\", ",
    );
    let meta = &place.meta_ca;
    let evil = "client.webhooks.fbclientcerts.com.evil.example";
    let unsigning = digicert.intermediate(Ca::digicert_intermediate().usages(&[Usage::CrlSign]));
    let serving = Leaf::meta().purposes(&[Purpose::ServerAuth]);
    let stranger = Authority::root(Ca::named("somebody else"));

    for (identity, verdict, told) in [
        (meta.issue(Leaf::meta()), None, "ok: anchor `meta`"),
        (meta.issue(Leaf::meta()).and_presenting(meta), None, "ok: itself, and is an anchor"),
        (issuing.issue(Leaf::meta()), None, "ok: certificate 2"),
        (issuing.issue(Leaf::meta()).leaf_only(), Some("unknown_anchor"), "no: neither an anchor"),
        (meta.issue(Leaf::named(evil)), Some("name_mismatch"), "evil.example` is none of"),
        (meta.issue(Leaf::with_common_names(&["a", "b"])), Some("name_not_single"), "exactly one"),
        (meta.issue(Leaf::meta().expired()), Some("certificate_expired"), "no: ended at"),
        (meta.issue(Leaf::meta().not_yet_valid()), Some("certificate_not_yet_valid"), "begins at"),
        (meta.issue(serving), Some("wrong_purpose"), "not for client authent"),
        (meta.impostor().issue(Leaf::meta()), Some("bad_signature"), "no: not anchor `meta`"),
        (next.issue(Leaf::meta()), Some("unknown_anchor"), "accepted by candidate `next`"),
        (stranger.issue(Leaf::meta()), Some("unknown_anchor"), "no: neither an anchor"),
        (Leaf::meta().self_signed(), Some("unknown_anchor"), "no: itself alone"),
        (unsigning.issue(Leaf::meta()), Some("wrong_purpose"), "may not sign certificates"),
        (digicert.intermediates(4).issue(Leaf::meta()), Some("chain_too_deep"), "no: 4 above it"),
    ] {
        let (code, page) = explained(&place, &identity);
        let expected =
            verdict.map_or("accepted: as ".to_owned(), |code| format!("refused: {code}"));
        assert!(page.contains(&expected) && page.contains(told), "{expected}, {told}:\n{page}");
        assert_eq!(code, i32::from(verdict.is_some()), "{page}");
        // What is said of the links fits the verdict.
        assert_eq!(page.contains(" no: "), verdict.is_some(), "{page}");
    }
}

#[test]
fn of_an_anchor_that_was_issued_again_both_are_shown_and_the_one_that_vouches() {
    let place = Place::new();
    let again = place.meta_ca.reissued(Ca::meta().expired());
    place.write("again.pem", &again.certificate_pem());
    place.configure(&Settings::default());
    place.edit("trust_anchors = [", "trust_anchors = [\"again.pem\", ");
    let (code, page) = explained(&place, &place.meta_ca.issue(Leaf::meta()));
    for told in ["ok: anchor `again`, `meta`", "no: ended at", "for anchor `meta` vouches"] {
        assert!(page.contains(told), "{told}:\n{page}");
    }
    assert_eq!(code, 0);
}

#[test]
fn a_certificate_that_a_list_names_is_shown_as_revoked_and_a_stale_list_as_stale() {
    let place = Place::new();
    place.configure(&Settings::default());
    place.edit("trust_anchors = [", "crl_files = [\"meta.crl\"]\ntrust_anchors = [");
    let (good, bad) = (place.meta_ca.issue(Leaf::meta()), place.meta_ca.issue(Leaf::meta()));
    let (now, hour) = (SystemTime::now(), Duration::from_secs(60 * 60));
    for (end, verdict, told) in [
        (now + hour, None, "ok: not named by"),
        (now - hour, Some("refused: revocation_unknown"), "past its nextUpdate"),
    ] {
        let list = place.meta_ca.revoke(&[&bad], now - 2 * hour..end);
        place.write("meta.crl", &list.pem().unwrap());

        let (code, page) = explained(&place, &good);

        assert!(page.contains(verdict.unwrap_or("accepted: ")) && page.contains(told), "{page}");
        assert_eq!(code, i32::from(verdict.is_some()), "{page}");
        let (code, page) = explained(&place, &bad);
        assert!(page.contains("no: named as revoked by"), "{page}");
        assert!(page.contains("refused: certificate_revoked"), "{page}");
        assert_eq!(code, 1);
    }
}

#[test]
fn a_configuration_that_trusts_nobody_and_a_file_without_certificates_are_told() {
    let place = Place::new();
    place.configure(&Settings::default());
    place.write("client.pem", "no certificate");
    let output = explain_cert(&place);
    assert!(text(&output.stderr).contains("holds no certificate"), "{output:?}");
    assert_eq!(output.status.code(), Some(1));

    let webhook = "client_certificate = \"none\"".to_owned();
    place.configure(&Settings { webhook, ..Settings::default() });
    place.edit("[client_certificate]\ntrust_anchors = [\"meta.pem\"]\n", "");
    let output = explain_cert(&place);
    assert!(text(&output.stderr).contains("neither asked for nor accepted"), "{output:?}");
    assert_eq!(output.status.code(), Some(1));
}

/// Exit code and standard output for the chain of `identity`.
pub fn explained(place: &Place, identity: &Identity) -> (i32, String) {
    place.write("client.pem", &identity.chain_pem());
    let output = explain_cert(place);
    assert_eq!(text(&output.stderr), "");
    (output.status.code().unwrap(), text(&output.stdout))
}

fn explain_cert(place: &Place) -> Output {
    in_directory(&place.dir, &["explain", "--cert", "client.pem", "--config", "config.toml"])
}

fn in_directory(dir: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hubgate"));
    command.current_dir(dir.path()).args(arguments).output().unwrap()
}

fn hubgate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hubgate")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
