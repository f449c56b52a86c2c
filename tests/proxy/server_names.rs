//! Names in TLS (SNI): a connection that was opened for one host carries requests for that host.

use http::{HeaderValue, Method};
use hubgate::rehearsal::pki::Leaf;
use hubgate::rehearsal::sender::{Http, Message, Options, Sender, Tls, Trust};
use hubgate::tls::certificate::CertificateFacts;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::raw::unnamed;
use crate::harness::world::{event, send};
use crate::harness::{Plan, World};

/// Asked for as `localhost` in TLS, and as `host` in HTTP.
fn misdirected(options: Options, host: &'static str) -> Options {
    options.authority(HeaderValue::from_static(host))
}

/// A host with a webhook, and a second one whose site asks for no certificate.
const TWO_HOSTS: &str = "[[site]]\npath = \"/open\"\nhost = \"open.example\"\nupstream = \"app\"";

#[tokio::test]
async fn a_connection_for_one_host_reaches_no_route_of_another() {
    let world = Plan::new().more(TWO_HOSTS).start().await;
    for http in [Http::One, Http::Two] {
        let meta = world.meta().http(http);
        for host in ["open.example", "localhost.example", "localhost.", "127.0.0.1"] {
            let answer = send(misdirected(meta.clone(), host), event("{}")).await.unwrap();
            assert_eq!(answer.status, 421, "{host}");
        }
        for host in ["localhost", "LOCALHOST:8443"] {
            let answer = send(misdirected(meta.clone(), host), event("{}")).await.unwrap();
            assert_eq!(answer.status, 200, "{host}");
        }
    }
    let refused = "hubgate_refusals_total{route=\"none\",reason=\"host_mismatch\"}";
    world.until_metric(refused, 8.0).await;
    assert_eq!(world.app.received().len(), 4);
}

#[tokio::test]
async fn a_resumed_session_is_for_the_host_of_its_own_handshake() {
    let world = Plan::new().more(TWO_HOSTS).start().await;
    let meta = Sender::new(world.meta()).unwrap();
    assert_eq!(meta.connect().await.unwrap().request(event("{}")).await.unwrap().status, 200);
    let again = meta.connect().await.unwrap();
    assert!(again.handshake().resumed);
    let elsewhere = event("{}").header("host", "open.example");
    assert_eq!(again.request(elsewhere).await.unwrap().status, 421);
}

#[tokio::test]
async fn whoever_names_no_host_in_tls_may_ask_for_any() {
    let world = Plan::new().more(TWO_HOSTS).start().await;
    let page = Message::new(Method::GET).target_path("/open");
    let options = misdirected(unnamed(world.stranger()), "open.example");
    assert_eq!(send(options, page).await.unwrap().status, 200);
}

fn leaf_for(first: &'static str, others: &[&str]) -> Leaf {
    let leaf = Leaf::server(&[first.try_into().unwrap()]);
    others.iter().fold(leaf, |leaf, name| leaf.alternative_name(name))
}

/// Three certificates, the first for loopback.
fn three() -> Plan {
    Plan::new()
        .server_leaf(Leaf::loopback_server())
        .server_leaf(leaf_for("wild.test", &["*.example", "*.shop.example"]))
        .server_leaf(leaf_for("hooks.example", &["other.test"]))
}

/// The first name in the certificate that is shown to whoever asks for `name`.
async fn shown_to(world: &World, name: &str, tls: Tls) -> String {
    let options = world.meta().tls(tls).trust(Trust::Anything);
    let options = options.server_name(name.to_owned().try_into().unwrap());
    let (_, handshake) = Sender::new(options).unwrap().handshake().await.unwrap();
    let facts = CertificateFacts::read(&handshake.server_chain[0]).unwrap();
    facts.names.first().cloned().unwrap()
}

#[tokio::test]
async fn a_caller_is_shown_the_certificate_for_the_name_that_it_asks_for() {
    let world = three().start().await;
    for tls in [Tls::Only12, Tls::Only13] {
        for (asked, shown) in [
            ("localhost", "localhost"),
            ("hooks.example", "hooks.example"),
            ("HOOKS.example", "hooks.example"),
            ("other.test", "hooks.example"),
            ("www.example", "wild.test"),
            ("a.shop.example", "wild.test"),
            // A wildcard is one label, no more and no less.
            ("a.www.example", "localhost"),
            ("shop.test", "localhost"),
            ("example", "localhost"),
            // Nothing is asked for.
            ("127.0.0.1", "localhost"),
        ] {
            assert_eq!(shown_to(&world, asked, tls).await, shown, "{asked}");
        }
    }
}

#[tokio::test]
async fn unknown_names_and_no_name_are_refused_where_that_is_asked_for() {
    let world = three().server("unknown_sni = \"refuse\"").start().await;
    let names = ["unknown.test", "a.www.example", "127.0.0.1"];
    for name in names {
        for tls in [Tls::Only12, Tls::Only13] {
            let options = world.meta().trust(Trust::Anything).tls(tls);
            let sender = Sender::new(options.server_name(name.try_into().unwrap())).unwrap();
            let error = sender.send(event("{}")).await.expect_err(name);
            assert_eq!(error.tls_alert(), Some("unrecognized_name"), "{name}: {error:?}");
            assert!(sender.presented_chain().is_empty(), "{name}");
        }
    }
    world.until_handshake_refused("server_name_unknown", 2 * names.len()).await;
    assert_eq!(send(world.meta(), event("{}")).await.unwrap().status, 200);
    assert_eq!(world.app.received().len(), 1);
}

#[tokio::test]
async fn every_certificate_of_the_server_has_its_end_among_the_metrics() {
    let world = three().start().await;
    for label in ["leaf", "2-leaf", "3-leaf"] {
        let series = format!(
            "hubgate_certificate_expiry_timestamp_seconds{{kind=\"server\",label=\"{label}\"}}"
        );
        assert!(world.metric(&series) > 0.0, "{label}");
    }
}

#[tokio::test]
async fn a_certificate_is_for_every_name_in_it_however_many_there_are() {
    let names: Vec<_> = (0..150).map(|number| format!("hook-{number}.example")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let many = Plan::new().server_leaf(Leaf::loopback_server());
    let many = many.server_leaf(leaf_for("many.test", &names));
    let world = many.server("unknown_sni = \"refuse\"").start().await;

    assert_eq!(shown_to(&world, "hook-149.example", Tls::Only13).await, "many.test");
}

#[tokio::test]
async fn what_is_no_tls_ends_as_ever_where_unknown_names_are_refused() {
    let plan = Plan::new().server("unknown_sni = \"refuse\"").limit("handshake_timeout_ms = 50");
    let world = plan.start().await;
    let address = world.proxy.addresses()[0];
    let silent = TcpStream::connect(address).await.unwrap();
    world.until_handshake_refused("handshake_timeout", 1).await;
    drop(silent);

    let mut garbage = TcpStream::connect(address).await.unwrap();
    garbage.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    garbage.read_to_end(&mut answer).await.unwrap();

    // A fatal alert, and nothing else.
    assert_eq!(answer[..6], [21, 3, 3, 0, 2, 2]);
    assert_eq!(answer.len(), 7);
    world.until_handshake_refused("handshake_failed", 1).await;
    let stranger = world.stranger();
    assert_eq!(
        send(stranger, event("{}")).await.unwrap_err().tls_alert(),
        Some("certificate_required")
    );
    world.until_handshake_refused("certificate_missing", 1).await;
}
