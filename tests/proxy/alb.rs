//! Behind a load balancer that ends TLS: the client certificate out of its headers, by the same rules
//! as in a handshake, and from it alone.

use hubgate_testkit::pki::{Authority, Ca, Identity, Leaf, META_NAME, Purpose};
use hubgate_testkit::sender::Http;

use crate::harness::raw::{Raw, RawAnswer, signed_head};
use crate::harness::websocket::{HANDSHAKE, shouting};
use crate::harness::world::{event, send};
use crate::harness::{Plan, World};

const LEAF: &str = "X-Amzn-Mtls-Clientcert-Leaf";
const CHAIN: &str = "X-Amzn-Mtls-Clientcert";
const SUBJECT: &str = "X-Amzn-Mtls-Clientcert-Subject";

/// Plain HTTP at an address of its own, for a load balancer at 127.0.0.1.
fn plan(source: &str) -> Plan {
    Plan::new()
        .server("plain_listen = [\"127.0.0.3:0\"]\ntrusted_proxies = [\"127.0.0.1\"]")
        .client_certificate(&format!("source = \"{source}\""))
}

/// As an ALB writes it: escaped, but for letters, digits, and some others with `+=/` among them.
fn escaped(pem: &str) -> String {
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+=/".contains(&byte);
    let escape = |byte: u8| {
        if is_safe(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    pem.bytes().map(escape).collect()
}

fn leaf_header(identity: &Identity) -> (&'static str, String) {
    (LEAF, escaped(&identity.clone().leaf_only().chain_pem()))
}

fn chain_header(identity: &Identity) -> (&'static str, String) {
    (CHAIN, escaped(&identity.chain_pem()))
}

fn subject_header(subject: &str) -> (&'static str, String) {
    (SUBJECT, subject.to_owned())
}

/// A signed event with these headers, from the load balancer.
async fn answered(world: &World, headers: &[(&str, String)]) -> RawAnswer {
    let mut raw = Raw::plain(world.plain("127.0.0.1").await);
    raw.send(bytes(headers)).await;
    raw.answer().await
}

fn bytes(headers: &[(&str, String)]) -> Vec<u8> {
    let lines: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    [signed_head(b"{}", &format!("content-length: 2\r\n{lines}")).as_bytes(), b"{}"].concat()
}

/// Each of these is refused for `reason`, and the application is left alone.
async fn assert_refused(world: &World, reason: &str, cases: &[Vec<(&str, String)>]) {
    for headers in cases {
        let status = answered(world, headers).await.status;
        let expected = if reason == "certificate_header_malformed" { 400 } else { 403 };
        assert_eq!(status, expected, "{headers:?}");
    }
    world.until_refused(reason, cases.len()).await;
    world.assert_application_untouched();
}

#[tokio::test]
async fn the_leaf_of_verify_mode_is_proven_and_told_to_the_application() {
    for has_anchors in [true, false] {
        let plan = plan("alb");
        let plan = if has_anchors { plan } else { plan.without_anchors() };
        let world = plan.start().await;
        let leaf = leaf_header(&world.meta_ca.issue(Leaf::meta()));
        let mut raw = Raw::plain(world.plain("127.0.0.1").await);
        // The second one is recognised.
        for _ in 0..2 {
            let subject = subject_header("CN=whatever,O=beside the leaf");
            let address = ("X-Forwarded-For", "1.1.1.1, 203.0.113.5".to_owned());
            raw.send(bytes(&[leaf.clone(), subject, address])).await;
            assert_eq!(raw.answer().await.status, 200);
            let received = world.app.received().pop().unwrap();
            let headers = &received.headers;
            assert_eq!(headers["x-hubgate-verified"], "client-certificate, signature");
            assert_eq!(headers["x-forwarded-for"], "203.0.113.5");
            assert!(headers["client-cert"].to_str().unwrap().starts_with(":MII"), "{headers:?}");
            let passed = headers.keys().find(|name| name.as_str().starts_with("x-amzn-mtls"));
            assert_eq!(passed, None);
        }
    }
}

#[tokio::test]
async fn a_chain_of_passthrough_mode_is_proven_here() {
    let world = plan("alb_passthrough").start().await;
    for identity in [world.meta_ca.issue(Leaf::meta()), world.digicert.issue(Leaf::meta())] {
        assert_eq!(answered(&world, &[chain_header(&identity)]).await.status, 200);
    }
    let (app, world) = (world.app.received().len(), world);
    assert_eq!(app, 2);
    let stranger = Authority::root(Ca::meta());
    let refused = [
        stranger.issue(Leaf::meta()),
        world.meta_ca.issue(Leaf::named("another.example")),
        world.meta_ca.issue(Leaf::meta().expired()),
        world.meta_ca.issue(Leaf::meta()).with_damaged_signature(),
        world.digicert.issue(Leaf::meta()).leaf_only(),
        Leaf::meta().self_signed(),
    ];
    for identity in &refused {
        assert_eq!(answered(&world, &[chain_header(identity)]).await.status, 403);
    }
    world.until_refused("certificate_refused", refused.len()).await;
    assert_eq!(world.app.received().len(), 2);
}

#[tokio::test]
async fn with_anchors_the_leaf_alone_must_lead_to_one() {
    let world = plan("alb").start().await;
    let leaves = [
        Authority::root(Ca::meta()).issue(Leaf::meta()),
        // The intermediate is not among the anchors, and an ALB does not forward it.
        world.digicert.issue(Leaf::meta()),
        world.meta_ca.issue(Leaf::named(&format!("{META_NAME}.evil.example"))),
        world.meta_ca.issue(Leaf::meta().expired()),
    ];
    let mut cases: Vec<_> = leaves.iter().map(|leaf| vec![leaf_header(leaf)]).collect();
    // Where there is a way to prove it, the header alone is not enough.
    cases.push(vec![subject_header(&format!("CN={META_NAME}"))]);
    assert_refused(&world, "certificate_refused", &cases).await;
}

#[tokio::test]
async fn without_anchors_name_time_and_purpose_of_the_leaf_still_count() {
    let world = plan("alb").without_anchors().start().await;
    let leaves = [
        Leaf::named(&format!("{META_NAME}.evil.example")),
        Leaf::named(&format!("x{META_NAME}")),
        Leaf::named(&format!("{META_NAME}\0")),
        Leaf::named(&format!("evil,CN={META_NAME}")),
        Leaf::with_common_names(&[META_NAME, META_NAME]),
        Leaf::with_joined_common_names(&[META_NAME, "x"]),
        Leaf::with_unit_only(),
        Leaf::with_alternative_name_only(),
        Leaf::meta().expired(),
        Leaf::meta().not_yet_valid(),
        Leaf::meta().purposes(&[Purpose::ServerAuth]),
    ];
    let mut cases: Vec<_> =
        leaves.into_iter().map(|leaf| vec![leaf_header(&world.meta_ca.issue(leaf))]).collect();
    // As in a handshake, a key that can be broken proves nothing.
    let weak = include_bytes!("../fixtures/keys/key_too_weak.rsa-1024.pem");
    let key = world.meta_ca.issue(Leaf::meta()).key_pem();
    cases.push(vec![leaf_header(&Identity::from_pem(weak, key.as_bytes()).unwrap())]);
    assert_refused(&world, "certificate_refused", &cases).await;
}

#[tokio::test]
async fn a_subject_is_parsed_and_its_only_common_name_counts() {
    let world = plan("alb").without_anchors().start().await;
    for subject in [
        format!("CN={META_NAME},O=Meta Platforms\\, Inc.,L=Menlo Park,ST=California,C=US"),
        format!("C=US,O=\"Meta Platforms, Inc.\",CN={META_NAME}"),
        format!("OU=a+CN={META_NAME}"),
    ] {
        assert_eq!(answered(&world, &[subject_header(&subject)]).await.status, 200, "{subject}");
        let received = world.app.received().pop().unwrap();
        assert_eq!(received.headers["x-hubgate-verified"], "client-certificate, signature");
        // There is no certificate to tell.
        assert!(!received.headers.contains_key("client-cert"));
    }
}

#[tokio::test]
async fn a_subject_that_only_contains_the_right_name_is_refused() {
    let world = plan("alb").without_anchors().start().await;
    let subjects = [
        format!("CN={META_NAME}.evil.example"),
        format!("CN=x{META_NAME}"),
        format!("CN={META_NAME},CN={META_NAME}"),
        format!("CN={META_NAME}+CN=x"),
        format!("CN={META_NAME},2.5.4.3=x"),
        format!("CN=evil\\,CN={META_NAME}"),
        format!("CN=evil\\2CCN\\3D{META_NAME}"),
        format!("O=\"x,CN={META_NAME}\""),
        format!("O=x\\,CN={META_NAME}"),
        format!("O=CN={META_NAME}"),
        format!("OU={META_NAME}"),
        format!("CN={META_NAME}\\00"),
        format!("CN={META_NAME}\\00.evil.example"),
        format!("CN={}", META_NAME.to_uppercase()),
        "CN=#0c0161".to_owned(),
        "CN=".to_owned(),
    ];
    let cases: Vec<_> = subjects.iter().map(|subject| vec![subject_header(subject)]).collect();
    assert_refused(&world, "certificate_refused", &cases).await;
}

#[tokio::test]
async fn headers_that_say_nothing_or_too_much_are_malformed() {
    let world = plan("alb").without_anchors().start().await;
    let good = leaf_header(&world.meta_ca.issue(Leaf::meta()));
    let named = subject_header(&format!("CN={META_NAME}"));
    let chain = chain_header(&world.digicert.issue(Leaf::meta()));
    let two_in_one = (LEAF, chain.1.clone());
    let key = escaped(&world.meta_ca.issue(Leaf::meta()).key_pem());
    let cases = [
        vec![good.clone(), good.clone()],
        vec![named.clone(), named.clone()],
        vec![good.clone(), named.clone(), named.clone()],
        // Another mode's, alone or beside the right one.
        vec![chain.clone()],
        vec![good.clone(), chain],
        vec![two_in_one],
        vec![(LEAF, String::new())],
        vec![(LEAF, "x".to_owned())],
        vec![(LEAF, format!("{}%", good.1))],
        vec![(LEAF, format!("{}%00", good.1))],
        vec![(LEAF, format!("{}{key}", good.1))],
        vec![(LEAF, format!("junk%0A{}", good.1))],
        // Behind the certificate stands what another reader might take for one.
        vec![(LEAF, format!("{}junk", good.1))],
        vec![(LEAF, format!("{}subject=CN={META_NAME}%0A", good.1))],
        vec![(LEAF, format!("{}-----BEGIN%20CERTIFICATE-----%0A", good.1))],
        vec![(
            LEAF,
            format!("{}{}", good.1, good.1.replace("CERTIFICATE", "TRUSTED%20CERTIFICATE")),
        )],
        vec![(LEAF, good.1.replace("-----END%20CERTIFICATE-----", "-----END%20CERTIFICATE-----x"))],
        vec![(LEAF, good.1.replacen("MII", "MI%FF", 1))],
        vec![subject_header(&format!("CN={META_NAME};O=x"))],
        vec![subject_header(&format!("/O=x/CN={META_NAME}"))],
        vec![subject_header(&format!("CN=\"{META_NAME}"))],
        vec![subject_header(&format!("CN={META_NAME}, O=x"))],
    ];
    assert_refused(&world, "certificate_header_malformed", &cases).await;
}

#[tokio::test]
async fn text_around_the_certificates_of_a_chain_is_malformed() {
    let world = plan("alb_passthrough").start().await;
    let chain = chain_header(&world.digicert.issue(Leaf::meta())).1;
    let end = "-----END%20CERTIFICATE-----%0A";
    let cases = [
        vec![(CHAIN, format!("{chain}junk"))],
        vec![(CHAIN, chain.replacen(end, &format!("{end}junk%0A"), 1))],
        vec![(CHAIN, format!("junk%0A{chain}"))],
    ];
    assert_refused(&world, "certificate_header_malformed", &cases).await;
    assert_eq!(answered(&world, &[(CHAIN, chain)]).await.status, 200);
}

#[tokio::test]
async fn nobody_but_the_balancer_can_claim_a_certificate() {
    let world = plan("alb").start().await;
    let (name, leaf) = leaf_header(&world.meta_ca.issue(Leaf::meta()));
    let stranger = || world.stranger().source("127.0.0.2".parse().unwrap());
    for http in [Http::One, Http::Two] {
        let claiming = event("{}").header(name, &leaf);
        assert_eq!(send(stranger().http(http), claiming).await.unwrap().status, 403);
    }
    world.until_refused("certificate_from_stranger", 2).await;
    // Its certificate in the handshake is not even asked for.
    let identity = world.meta_ca.issue(Leaf::meta());
    let with_certificate = world.caller(identity).source("127.0.0.2".parse().unwrap());
    assert_eq!(send(with_certificate, event("{}")).await.unwrap().status, 403);
    world.until_refused("certificate_missing", 1).await;
    world.assert_application_untouched();

    // The balancer itself may come over TLS, too.
    let balancer = event("{}").header(name, &leaf);
    assert_eq!(send(world.stranger(), balancer).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_browser_reaches_a_site_and_no_webhook() {
    let site = "[[site]]\nupstream = \"app\"\n";
    let world = plan("alb").more(site).start().await;
    assert_eq!(answered(&world, &[]).await.status, 403);
    world.until_refused("certificate_missing", 1).await;
    let mut raw = Raw::plain(world.plain("127.0.0.1").await);
    raw.send("GET /shop HTTP/1.1\r\nhost: www.example\r\n\r\n").await;
    assert_eq!(raw.answer().await.status, 200);
    assert!(!world.app.only().headers.contains_key("x-hubgate-verified"));
}

#[tokio::test]
async fn a_reload_proves_what_is_remembered_again() {
    let world = plan("alb").start().await;
    let leaf = leaf_header(&world.meta_ca.issue(Leaf::meta()));
    let mut raw = Raw::plain(world.plain("127.0.0.1").await);
    raw.send(bytes(std::slice::from_ref(&leaf))).await;
    assert_eq!(raw.answer().await.status, 200);

    world.edit_config("source = \"alb\"", "source = \"alb\"\ncommon_names = [\"other.example\"]");
    world.reload();

    assert_eq!(answered(&world, &[leaf]).await.status, 403);
    world.until_refused("certificate_refused", 1).await;
}

#[tokio::test]
async fn a_websocket_ends_when_what_the_balancer_said_is_no_proof_any_more() {
    let site = "[[site]]\nupstream = \"app\"\nwebsocket = true\n";
    for (source, header) in
        [("alb", leaf_header as fn(&Identity) -> _), ("alb_passthrough", chain_header)]
    {
        let world = plan(source).more(site).start_before(shouting().await).await;
        let open = async |identity: Option<Identity>| {
            let mut raw = Raw::plain(world.plain("127.0.0.1").await);
            let line = identity.map_or_else(String::new, |identity| {
                let (name, value) = header(&identity);
                format!("{name}: {value}\r\n")
            });
            let line = format!("{line}connection: Upgrade\r\n");
            raw.send(HANDSHAKE.replacen("connection: Upgrade\r\n", &line, 1)).await;
            assert_eq!(raw.answer().await.status, 101);
            raw
        };
        let mut meta = open(Some(world.meta_ca.issue(Leaf::meta()))).await;
        let mut stranger = open(None).await;
        world.reload();
        for raw in [&mut meta, &mut stranger] {
            raw.send("still here").await;
            assert_eq!(raw.read(10).await, b"STILL HERE");
        }

        world.edit_config("\"meta.pem\", ", "");
        world.reload();
        meta.until_closed().await;
        stranger.send("still here").await;
        assert_eq!(stranger.read(10).await, b"STILL HERE");

        world.edit_config("trusted_proxies = [\"127.0.0.1\"]", "trusted_proxies = [\"10.0.0.1\"]");
        world.reload();
        stranger.until_closed().await;
        let ended = "hubgate_tunnels_ended_total";
        let expected = [
            ("reason=\"certificate_no_longer_trusted\"", 1),
            ("reason=\"proxy_no_longer_trusted\"", 1),
        ];
        world.until_counted(ended, &expected).await;
    }
}
