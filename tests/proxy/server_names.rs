//! Names in TLS (SNI): a connection that was opened for one host carries requests for that host.

use std::sync::Arc;

use http::{HeaderValue, Method};
use hubgate::tls::certificate::CertificateFacts;
use hubgate_testkit::pki::{Identity, Leaf};
use hubgate_testkit::sender::{Http, Message, Options, Sender, Tls, Trust};
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
    Tls13ClientSessionValue,
};
use rustls::pki_types::ServerName;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, HandshakeKind, NamedGroup, RootCertStore};
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

/// Puts this certificate into the files of the world's `number`th.
fn renew(world: &World, number: usize, identity: &Identity, ends: &[&str]) {
    for end in ends {
        let text = if *end == "pem" { identity.chain_pem() } else { identity.key_pem() };
        std::fs::write(world.dir.path().join(format!("server-{number}.{end}")), text).unwrap();
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_after_a_reload_and_a_broken_one_is_not() {
    let world = three().start().await;
    let renewed = world.server_ca.issue(leaf_for("renewed.test", &["hooks.example"]));

    renew(&world, 2, &renewed, &["pem"]);
    let error = world.proxy.reload_from(&world.config_file()).expect_err("has another's key");
    let told = error.fault_reports();
    assert_eq!(told[0].code.label(), "start_key_mismatch");
    assert!(told[0].sentence.contains("server-2.key"), "{told:?}");
    assert_eq!(shown_to(&world, "hooks.example", Tls::Only13).await, "hooks.example");

    renew(&world, 2, &renewed, &["pem", "key"]);
    world.reload();
    assert_eq!(shown_to(&world, "hooks.example", Tls::Only13).await, "renewed.test");
    // It is for other names than before.
    assert_eq!(shown_to(&world, "other.test", Tls::Only13).await, "localhost");
}

fn name(text: &str) -> ServerName<'static> {
    ServerName::try_from(text.to_owned()).unwrap()
}

/// Offers whatever ticket it has, whichever name it was for.
#[derive(Debug)]
struct Careless(ClientSessionMemoryCache);

impl ClientSessionStore for Careless {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(name("any"), group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(&name("any"))
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.0.set_tls12_session(name("any"), value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(&name("any"))
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.0.remove_tls12_session(&name("any"));
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(name("any"), value);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(&name("any"))
    }
}

/// Meta with a careless store of tickets.
fn careless(
    world: &World,
    version: &'static rustls::SupportedProtocolVersion,
) -> Arc<ClientConfig> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let meta = world.meta_ca.issue(Leaf::meta());
    let key = provider.key_provider.load_private_key(meta.key.clone_key()).unwrap();
    let identity = SingleCertAndKey::from(CertifiedKey::new(meta.chain.clone(), key));
    let mut roots = RootCertStore::empty();
    roots.add(world.server_ca.certificate().clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(identity));
    config.resumption = Resumption::store(Arc::new(Careless(ClientSessionMemoryCache::new(8))));
    Arc::new(config)
}

/// Asks for `server_name` in TLS and for `host` in HTTP: whether a session was resumed, and the
/// status of the answer.
async fn visit(
    world: &World,
    config: &Arc<ClientConfig>,
    server_name: &str,
    host: &str,
) -> (bool, String) {
    let socket = TcpStream::connect(world.proxy.addresses()[0]).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
    let mut stream = connector.connect(name(server_name), socket).await.unwrap();
    let request = format!("GET /nowhere HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let is_resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
    (is_resumed, answer[9..12].to_owned())
}

#[tokio::test]
async fn no_session_is_carried_from_one_name_to_another() {
    let world = three().start().await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = careless(&world, version);
        let mut before = "";
        for asked in [
            "hooks.example",
            "hooks.example",
            "localhost",
            "hooks.example",
            "other.test",
            "other.test",
            // Without a name.
            "127.0.0.1",
            "127.0.0.1",
            "localhost",
        ] {
            let (is_resumed, status) = visit(&world, &config, asked, asked).await;
            assert_eq!(is_resumed, asked == before, "{asked} after {before}, {version:?}");
            assert_eq!(status, "404");
            // Resumed, if the version lets it, and for this name alone.
            let other = if asked == "localhost" { "other.test" } else { "localhost" };
            let expected = if asked == "127.0.0.1" { "404" } else { "421" };
            let (is_resumed, status) = visit(&world, &config, asked, other).await;
            assert!(is_resumed, "{asked}, {version:?}");
            assert_eq!(status, expected, "{other} over {asked}");
            before = asked;
        }
    }
}
