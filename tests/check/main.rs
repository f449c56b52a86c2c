//! `hubgate check`, as the operator runs it: the real executable, its output and its exit code.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing that is not as it says"
)]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use hubgate_testkit::pki::{Authority, Ca, Identity, Leaf};
use serde_json::Value;
use tempfile::TempDir;

const APP_SECRET: &str = "0123456789abcdef0123456789abcdef";
const VERIFY_TOKEN: &str = "a token of our own";
const PROOF: &str = "c0ffee0123456789c0ffee0123456789c0ffee0123456789c0ffee0123456789";

/// A directory with a sound configuration and everything that it names.
struct Setup {
    dir: TempDir,
    /// Accepts connections, in the kernel's queue.
    _application: TcpListener,
}

/// What one run of the command came to.
#[derive(Debug)]
struct Outcome {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Setup {
    fn new() -> Self {
        let application = TcpListener::bind("127.0.0.1:0").unwrap();
        let setup = Self { dir: tempfile::tempdir().unwrap(), _application: application };
        setup.serve_with(&public_authority().issue(Leaf::loopback_server()));
        setup.write("meta.pem", &Authority::root(Ca::meta()).certificate_pem());
        setup.write("app-secret", APP_SECRET);
        setup.write("verify-token", VERIFY_TOKEN);
        let address = setup._application.local_addr().unwrap();
        let text = format!(
            r#"
[server]
listen = ["127.0.0.1:0"]
certificate = "server.pem"
private_key = "server.key"
[client_certificate]
trust_anchors = ["meta.pem"]
[[upstream]]
name = "app"
url = "http://{address}"
[[webhook]]
path = "/webhooks"
upstream = "app"
app_secrets = [{{ file = "app-secret" }}]
verify_token = {{ file = "verify-token" }}
[admin]
listen = "127.0.0.1:0"
"#
        );
        setup.write("config.toml", &text);
        setup
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Readable by its owner alone.
    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn serve_with(&self, identity: &Identity) {
        self.write("server.pem", &identity.chain_pem());
        self.write("server.key", &identity.key_pem());
    }

    /// Replaces `from`, which must be there, by `to` in the configuration.
    fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path("config.toml")).unwrap();
        assert!(text.contains(from), "`{from}` is not in:\n{text}");
        self.write("config.toml", &text.replace(from, to));
    }

    fn check(&self, more: &[&str]) -> Outcome {
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
    fn report(&self) -> Value {
        let outcome = self.check(&["--json"]);
        assert_eq!(outcome.stderr, "");
        let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(report["ok"], outcome.code == 0);
        assert_eq!(self.check(&[]).code, outcome.code);
        report
    }

    /// Exactly these errors, each named by a part of its sentence.
    fn assert_errors(&self, expected: &[&str]) {
        assert_sentences(&self.report()["errors"], expected);
    }

    /// No errors, and exactly these warnings.
    fn assert_warnings(&self, expected: &[&str]) {
        let report = self.report();
        assert_sentences(&report["errors"], &[]);
        assert_sentences(&report["warnings"], expected);
    }
}

fn assert_sentences(found: &Value, expected: &[&str]) {
    let found: Vec<_> = found.as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect();
    let all_fit = found.iter().zip(expected).all(|(found, part)| found.contains(part));
    assert!(found.len() == expected.len() && all_fit, "{found:#?} are not {expected:#?}");
}

fn public_authority() -> Authority {
    let root = Authority::root(Ca::named("a root that browsers know"));
    root.intermediate(Ca::named("an intermediate of it"))
}

fn committed_root() -> String {
    let path = "certs/digicert-high-assurance-ev-root-ca.pem";
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

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
fn faults_of_the_file_are_all_named_at_once_with_their_lines() {
    let setup = Setup::new();
    setup.edit("upstream = \"app\"", "upstream = \"nobody\"");
    setup.edit("[admin]", "[admin]\nlisten_on = 1");
    setup.write("app-secret", "\n");

    setup.assert_errors(&[
        "config.toml:13: `webhook[0].upstream`: names no `[[upstream]]`",
        "config.toml:14: `webhook[0].app_secrets[0].file`: names an empty secret",
        "config.toml:17: `admin.listen_on`: is not a known key",
    ]);
    let codes = ["config_upstream_unknown", "config_secret_invalid", "config_unknown_key"];
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

#[test]
fn a_chain_out_of_order_is_an_error() {
    let setup = Setup::new();
    let mut identity = public_authority().issue(Leaf::loopback_server());
    identity.chain.insert(1, public_authority().certificate().clone());
    identity.chain.insert(1, identity.chain[0].clone());
    setup.serve_with(&identity);

    setup.assert_errors(&["certificate 1 of `"]);
}

#[test]
fn a_server_certificate_that_meta_refuses_is_an_error() {
    let setup = Setup::new();

    setup.serve_with(&Leaf::loopback_server().self_signed());
    setup.assert_errors(&["is self-signed; Meta refuses it"]);

    setup.serve_with(&public_authority().issue(Leaf::loopback_server().expired()));
    setup.assert_errors(&["certificate 1 ("]);
    assert!(setup.check(&[]).stderr.contains(") expired on "));

    setup.serve_with(&public_authority().issue(Leaf::loopback_server().not_yet_valid()));
    setup.assert_errors(&["is not valid before"]);

    let root = Authority::root(Ca::named("a root that browsers know"));
    let intermediate = root.intermediate(Ca::named("an old intermediate").expired());
    setup.serve_with(&intermediate.issue(Leaf::loopback_server()));
    setup.assert_errors(&["certificate 2 ("]);
}

#[test]
fn a_server_certificate_that_will_not_do_for_long_is_a_warning() {
    let setup = Setup::new();

    setup.serve_with(&public_authority().issue(Leaf::loopback_server()).leaf_only());
    setup.assert_warnings(&["its intermediate is missing and Meta refuses it"]);

    let soon = SystemTime::now() + Duration::from_secs(5 * 24 * 60 * 60 + 60);
    let leaf = Leaf::loopback_server().valid(SystemTime::UNIX_EPOCH..soon);
    setup.serve_with(&public_authority().issue(leaf));
    setup.assert_warnings(&["expires in 5 days"]);

    setup.serve_with(&public_authority().issue(Leaf::named("localhost")));
    setup.assert_warnings(&["has no subject alternative name"]);

    setup.serve_with(&public_authority().issue(Leaf::loopback_server()));
    setup.edit("path = \"/webhooks\"", "path = \"/webhooks\"\nhost = \"hooks.example.com\"");
    setup.assert_warnings(&["`hooks.example.com`, which no certificate of the server names"]);
}

#[test]
fn an_anchor_that_vouches_for_nobody_is_a_warning_and_nothing_but_such_an_error() {
    let setup = Setup::new();
    setup.write("old.pem", &Authority::root(Ca::meta().expired()).certificate_pem());
    setup.write("early.pem", &Authority::root(Ca::meta().not_yet_valid()).certificate_pem());
    let other = Ca::meta().without_certificate_signing();
    setup.write("other.pem", &Authority::root(other).certificate_pem());
    setup.write("weak.pem", include_str!("fixtures/keys/root.weak.pem"));
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

#[test]
fn an_address_in_use_is_a_warning_for_a_hubgate_may_have_it() {
    let setup = Setup::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    setup.edit("listen = [\"127.0.0.1:0\"]", &format!("listen = [\"{address}\"]"));

    setup.assert_warnings(&["is in use"]);
    assert_eq!(setup.report()["listen"][0]["state"], "in_use");
}

#[test]
fn addresses_that_can_never_be_listened_on_are_errors() {
    let setup = Setup::new();
    // 192.0.2.0/24 is for documentation (RFC 5737), so no machine has it.
    setup.edit("listen = [\"127.0.0.1:0\"]", "listen = [\"192.0.2.1:8443\", \"[::]:9180\"]");
    setup.edit("[admin]\nlisten = \"127.0.0.1:0\"", "[admin]\nlisten = \"127.0.0.1:9180\"");

    setup.assert_errors(&[
        "cannot listen on `192.0.2.1:8443`",
        "`127.0.0.1:9180` and `[::]:9180` cannot both be listened on",
    ]);
}

#[test]
fn an_upstream_that_cannot_be_reached_is_a_warning() {
    let setup = Setup::new();
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let socket = setup.path("app.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    let more = format!(
        "[[upstream]]\nname = \"down\"\nurl = \"http://{closed}\"\n\
         [[upstream]]\nname = \"local\"\nurl = \"unix:{}\"\n[[webhook]]",
        socket.display()
    );
    setup.edit("[[webhook]]", &more);

    setup.assert_warnings(&["upstream `down` cannot be connected to: Connection refused"]);
    let report = setup.report();
    let reachable = report["upstreams"].as_array().unwrap().iter();
    let reachable: Vec<_> = reachable.map(|upstream| &upstream["reachable"]).collect();
    assert_eq!(reachable, [true, false, true]);
}

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
