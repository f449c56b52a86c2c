use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::config::fixture::Fixture;

/// A fixture whose secrets nobody else may read.
fn closed() -> Fixture {
    let fixture = Fixture::new();
    for name in ["secret", "token", "key.pem"] {
        set_mode(&fixture, name, 0o640);
    }
    fixture
}

fn set_mode(fixture: &Fixture, name: &str, mode: u32) {
    let permissions = fs::Permissions::from_mode(mode);
    fs::set_permissions(fixture.path(name), permissions).expect("the file is ours");
}

fn warnings(fixture: &Fixture, text: &str) -> Vec<Warning> {
    fixture.load(text).expect("has no fault").warnings()
}

#[test]
fn a_sound_configuration_earns_no_warning() {
    assert_eq!(warnings(&closed(), ""), []);
}

#[test]
fn files_open_to_everybody_are_named_once() {
    let fixture = closed();
    set_mode(&fixture, "token", 0o644);
    set_mode(&fixture, "key.pem", 0o604);

    assert_eq!(
        warnings(&fixture, ""),
        [("key.pem", 0o604), ("token", 0o644)]
            .map(|(name, mode)| Warning::ReadableByOthers { path: fixture.path(name), mode })
    );
}

#[test]
fn a_secret_that_is_not_metas_is_named_by_its_label_alone() {
    let fixture = closed();
    fixture.write("secret", "too short");

    let shown: Vec<_> = warnings(&fixture, "").iter().map(ToString::to_string).collect();

    assert_eq!(
        shown,
        ["app secret `secret` of webhook `/webhooks` is not 32 hexadecimal digits, as Meta's \
          are"]
    );
}

#[test]
fn limits_that_lose_events_are_named() {
    let text = |body: usize, timeout: usize| {
        format!(
            "[limits]\nbody_max_bytes = {body}\n[[upstream]]\nname = \"app\"\n\
             url = \"http://127.0.0.1\"\ntimeout_ms = {timeout}"
        )
    };

    assert_eq!(warnings(&closed(), &text(3_000_000, 4_999)), []);
    assert_eq!(
        warnings(&closed(), &text(2_999_999, 5_000)),
        [
            Warning::BodyBelowLargestEvent { body_max_bytes: 2_999_999 },
            Warning::UpstreamTimeoutTooLong {
                upstream: "app".to_owned(),
                timeout: Duration::from_secs(5),
            },
        ]
    );
}

#[test]
fn everybody_as_a_load_balancer_is_named() {
    let fixture = closed();
    for key in ["proxy_protocol_from", "trusted_proxies"] {
        let warnings = |networks: &str| {
            let section = "[server]\ncertificate = \"chain.pem\"\nprivate_key = \"key.pem\"";
            warnings(&fixture, &format!("{section}\n{key} = [{networks}]"))
        };

        assert_eq!(warnings("\"0.0.0.0/1\", \"::/1\""), []);
        let named = warnings("\"0.0.0.0/0\", \"10.0.0.0/8\", \"::/0\"");
        let shown: Vec<_> = named.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            ["0.0.0.0/0", "::/0"].map(|network| format!(
                "`server.{key}` has `{network}`: whoever connects can claim any address; name \
                 the load balancer's own networks"
            ))
        );
    }
}

#[test]
fn a_chain_that_only_a_load_balancer_proves_is_named() {
    let warnings = |rest: &str| {
        let text = format!(
            "[server]\ncertificate = \"chain.pem\"\nprivate_key = \"key.pem\"\n\
             trusted_proxies = [\"10.0.0.0/8\"]\n[client_certificate]\nsource = \"alb\"\n{rest}"
        );
        warnings(&closed(), &text)
    };
    assert_eq!(warnings(""), [Warning::ChainLeftToBalancer]);
    let shown = Warning::ChainLeftToBalancer.to_string();
    for part in ["NOT that a CA", "`X-Amzn-Mtls-Clientcert-*`", "add Meta's CA"] {
        assert!(shown.contains(part), "{shown}");
    }
    assert_eq!(warnings("trust_anchors = [\"meta.pem\"]"), []);
}

#[test]
fn lists_that_a_restart_forgets_are_named_where_callers_are_refused_for_it() {
    let fixture = closed();
    let warnings = |keys: &str| {
        let section = "[client_certificate]\ntrust_anchors = [\"meta.pem\"]";
        warnings(&fixture, &format!("{section}\n{keys}"))
    };
    let fetched = "crl_fetch = \"distribution_points\"";

    assert_eq!(warnings(fetched), [Warning::CrlWithoutCache]);
    assert_eq!(warnings(&format!("{fetched}\ncrl_cache = \"credentials\"")), []);
    assert_eq!(warnings(&format!("{fetched}\nstale_crl = \"warn\"")), []);
    assert_eq!(warnings("crl_files = [\"ca.pem\"]"), []);
}

#[test]
fn an_application_behind_a_webhook_and_a_site_without_a_proof_is_named() {
    let fixture = closed();
    fixture.write("proof", &"p".repeat(32));
    set_mode(&fixture, "proof", 0o640);
    let warnings = |webhooks: &str, sites: &str, proof: &str| {
        let text = format!(
            "[[upstream]]\nname = \"app\"\nurl = \"{webhooks}\"\n{proof}\n\
             [[upstream]]\nname = \"pages\"\n{sites}\n[[site]]\nupstream = \"pages\""
        );
        warnings(&fixture, &text)
    };
    let expected = [Warning::ProofMissing {
        webhook: "/webhooks".to_owned(),
        site: "/".to_owned(),
        upstream: "app".to_owned(),
    }];
    let proof = "proof = { file = \"proof\" }";
    for (one, other) in [
        ("http://127.0.0.1:3000", "url = \"http://127.0.0.1:3000\""),
        ("http://app:3000", "servers = [\"http://b:3000\", \"http://APP:3000\"]"),
        ("http://localhost:3000", "url = \"http://[::1]:3000\""),
        ("http://app:3000", "url = \"https://app:3000\""),
        ("unix:/run/app.sock", "url = \"unix:/run/app.sock\""),
    ] {
        assert_eq!(warnings(one, other, ""), expected, "{one} {other}");
        assert_eq!(warnings(one, other, proof), [], "{one} {other}");
    }
    for other in ["http://127.0.0.1:3001", "http://10.0.0.1:3000", "unix:/run/b.sock"] {
        let other = format!("url = \"{other}\"");
        assert_eq!(warnings("http://127.0.0.1:3000", &other, ""), [], "{other}");
    }
    let one = "[[upstream]]\nname = \"app\"\nurl = \"http://a\"\n";
    let both = self::warnings(&fixture, &format!("{one}[[site]]\nupstream = \"app\""));
    assert_eq!(both, expected);
    assert!(both.iter().all(|warning| warning.to_string().contains("`X-Hubgate-Proof`")));
}

#[test]
fn plain_text_to_a_public_address_is_named() {
    let count = |url: &str| {
        let text = format!("[[upstream]]\nname = \"app\"\nurl = \"{url}\"");
        warnings(&closed(), &text).len()
    };
    for url in ["http://203.0.113.1", "http://[2001:db8::1]:80"] {
        assert_eq!(count(url), 1, "{url}");
    }
    for url in ["http://10.0.0.1", "http://[fd00::1]", "http://app", "https://203.0.113.1"] {
        assert_eq!(count(url), 0, "{url}");
    }
}
