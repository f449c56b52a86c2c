//! The ways to a backend: by name, over a unix socket, over TLS.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hubgate_testkit::pki::{Authority, Ca, Identity, Leaf};
use hubgate_testkit::sender::Answer;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::harness::backend::{Hop, Journal, OK};
use crate::harness::world::{event, send};
use crate::harness::{Plan, World};

#[tokio::test]
async fn a_backend_is_found_by_its_name() {
    let world = Plan::new().start().await;
    // Where `localhost` has an IPv6 address too, nobody listens there: the next one is tried.
    let port = world.app.address.port();
    world.edit_config(&format!("127.0.0.1:{port}"), &format!("localhost:{port}"));
    world.reload();

    assert_eq!(send(world.meta(), event("1")).await.unwrap().status, 200);
    assert_eq!(world.app.only().body, "1");
}

#[tokio::test]
async fn a_name_without_an_address_is_a_502() {
    let world = Plan::new().upstream_url("http://nobody.invalid:3000").start().await;

    assert_eq!(send(world.meta(), event("1")).await.unwrap().status, 502);
    world.until_refused("upstream_unreachable", 1).await;
}

#[tokio::test]
async fn a_backend_behind_a_unix_socket_gets_events_and_may_be_started_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.sock");
    let world = Plan::new().upstream_url(&format!("unix:{}", path.display())).start().await;

    assert_eq!(send(world.meta(), event("too early")).await.unwrap().status, 502);
    for start in ["first", "second"] {
        let journal = Journal::default();
        let task = serve_unix(UnixListener::bind(&path).unwrap(), journal.clone());
        for _ in 0..3 {
            assert_eq!(send(world.meta(), event(start)).await.unwrap().status, 200);
        }
        // All over one connection.
        let seen: Vec<_> = journal.seen().into_iter().map(|s| (s.body, s.connection)).collect();
        assert_eq!(seen, [(start.into(), 0), (start.into(), 0), (start.into(), 0)]);
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        std::fs::remove_file(&path).unwrap();
    }
    assert_eq!(send(world.meta(), event("too late")).await.unwrap().status, 502);
}

#[tokio::test]
async fn a_backend_over_tls_under_the_given_ca_gets_events_over_one_connection() {
    let ca = Authority::root(Ca::named("our own"));
    let backend = TlsBackend::start(&ca, Leaf::loopback_server()).await;
    let (world, _dir) = before_tls(&backend, &ca).await;

    for _ in 0..3 {
        assert_eq!(deliver(&world).await.status, 200);
    }
    let connections: Vec<_> = backend.journal.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 0, 0]);
}

#[tokio::test]
async fn a_backend_over_tls_under_another_ca_gets_nothing() {
    let backend =
        TlsBackend::start(&Authority::root(Ca::named("their own")), Leaf::loopback_server()).await;
    let (world, _dir) = before_tls(&backend, &Authority::root(Ca::named("our own"))).await;

    assert_eq!(deliver(&world).await.status, 502);
    world.until_refused("upstream_unreachable", 1).await;
    assert!(backend.journal.seen().is_empty());
}

#[tokio::test]
async fn a_backend_over_tls_with_another_name_or_an_expired_certificate_gets_nothing() {
    let elsewhere = [ServerName::try_from("elsewhere.example").unwrap()];
    for leaf in [Leaf::server(&elsewhere), Leaf::loopback_server().expired()] {
        let ca = Authority::root(Ca::named("our own"));
        let backend = TlsBackend::start(&ca, leaf).await;
        let (world, _dir) = before_tls(&backend, &ca).await;

        assert_eq!(deliver(&world).await.status, 502);
        world.until_refused("upstream_unreachable", 1).await;
        assert!(backend.journal.seen().is_empty());
    }
}

#[tokio::test]
async fn a_backend_over_tls_is_not_trusted_under_the_public_roots_unless_it_has_one() {
    let ca = Authority::root(Ca::named("our own"));
    let backend = TlsBackend::start(&ca, Leaf::loopback_server()).await;
    let url = format!("https://localhost:{}", backend.address.port());
    let world = Plan::new().upstream_url(&url).start().await;

    assert_eq!(deliver(&world).await.status, 502);
    assert!(backend.journal.seen().is_empty());
}

#[tokio::test]
async fn a_connect_that_fails_once_is_tried_again_and_the_event_arrives() {
    let ca = Authority::root(Ca::named("our own"));
    let backend = TlsBackend::failing(1, &ca, Leaf::loopback_server()).await;
    let (world, _dir) = before_tls(&backend, &ca).await;

    assert_eq!(deliver(&world).await.status, 200);

    let connections: Vec<_> = backend.journal.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [1]);
    assert_eq!(world.metric("hubgate_upstream_retries_total{upstream=\"app\"}"), 1.0);
}

#[tokio::test]
async fn a_connect_that_fails_twice_is_not_tried_a_third_time() {
    let ca = Authority::root(Ca::named("our own"));
    let backend = TlsBackend::failing(2, &ca, Leaf::loopback_server()).await;
    let (world, _dir) = before_tls(&backend, &ca).await;

    assert_eq!(deliver(&world).await.status, 502);

    assert_eq!(backend.accepted.load(Ordering::Relaxed), 2);
    assert!(backend.journal.seen().is_empty());
}

#[tokio::test]
async fn a_backend_under_an_address_is_asked_for_and_verified_by_the_name_that_is_given() {
    let ca = Authority::root(Ca::named("our own"));
    let name = ServerName::try_from("app.internal.example").unwrap();
    let backend = TlsBackend::start(&ca, Leaf::server(&[name])).await;
    let (world, _dir) = before_tls(&backend, &ca).await;
    world.edit_config("https://localhost", "https://127.0.0.1");
    world.reload();
    assert_eq!(deliver(&world).await.status, 502);

    world.edit_config("\nca =", "\nserver_name = \"app.internal.example\"\nca =");
    world.reload();
    assert_eq!(deliver(&world).await.status, 200);
    world.edit_config("app.internal", "other.internal");
    world.reload();
    assert_eq!(deliver(&world).await.status, 502);

    let asked_for: Vec<_> = backend.shakes().into_iter().map(|shake| shake.server_name).collect();
    assert_eq!(asked_for, [Some("app.internal.example".to_owned())]);
    assert_eq!(backend.journal.seen().len(), 1);
}

#[tokio::test]
async fn a_backend_that_demands_a_certificate_is_shown_the_one_that_is_in_force() {
    let ca = Authority::root(Ca::named("our own"));
    let callers = Authority::root(Ca::named("the application's callers"));
    let backend = TlsBackend::demanding(&callers, &ca, Leaf::loopback_server()).await;
    let (world, dir) = before_tls(&backend, &ca).await;
    assert_eq!(deliver(&world).await.status, 502);

    let mut shown = Vec::new();
    let show = |identity: &Identity| {
        std::fs::write(dir.path().join("us.pem"), identity.chain_pem()).unwrap();
        std::fs::write(dir.path().join("us.key"), identity.key_pem()).unwrap();
    };
    let files = dir.path().display();
    let keys =
        format!("client_certificate = \"{files}/us.pem\"\nclient_private_key = \"{files}/us.key\"");
    world.edit_config("\nca =", &format!("\n{keys}\nca ="));
    for name in ["hubgate", "hubgate, renewed"] {
        let identity = callers.issue(Leaf::named(name));
        show(&identity);
        world.reload();
        assert_eq!(deliver(&world).await.status, 200);
        shown.push(Some(identity.leaf().clone()));
    }
    assert_eq!(backend.shakes().into_iter().map(|shake| shake.leaf).collect::<Vec<_>>(), shown);
    let expiry = world
        .metric("hubgate_certificate_expiry_timestamp_seconds{kind=\"upstream\",label=\"app\"}");
    assert!(expiry > 0.0);

    // One whose key is not its own leaves the one before in force.
    std::fs::write(dir.path().join("us.key"), callers.issue(Leaf::named("other")).key_pem())
        .unwrap();
    let refused = world.proxy.reload_from(&world.config_file()).unwrap_err();
    assert!(format!("{refused:?}").contains("KeyMismatch"), "{refused:?}");
    assert_eq!(deliver(&world).await.status, 200);
}

async fn deliver(world: &World) -> Answer {
    send(world.meta(), event("1")).await.unwrap()
}

/// A world that calls the backend `localhost` and trusts it under `ca`.
async fn before_tls(backend: &TlsBackend, ca: &Authority) -> (World, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    std::fs::write(&path, ca.certificate_pem()).unwrap();
    let url = format!("https://localhost:{}", backend.address.port());
    let plan = Plan::new().upstream_url(&url).upstream(&format!("ca = \"{}\"", path.display()));
    (plan.start().await, dir)
}

/// A backend that speaks TLS with a certificate of its own, gone when dropped.
struct TlsBackend {
    address: SocketAddr,
    journal: Journal,
    accepted: Arc<AtomicUsize>,
    shakes: Arc<Mutex<Vec<Shake>>>,
    task: JoinHandle<()>,
}

/// What a handshake that succeeded said.
#[derive(Clone)]
struct Shake {
    server_name: Option<String>,
    leaf: Option<CertificateDer<'static>>,
}

impl TlsBackend {
    async fn start(ca: &Authority, leaf: Leaf) -> Self {
        Self::failing(0, ca, leaf).await
    }

    /// Closes the first `failures` connections instead of a handshake.
    async fn failing(failures: usize, ca: &Authority, leaf: Leaf) -> Self {
        Self::serve(failures, WebPkiClientVerifier::no_client_auth(), ca.issue(leaf)).await
    }

    /// Takes only callers with a certificate of `callers`.
    async fn demanding(callers: &Authority, ca: &Authority, leaf: Leaf) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(callers.certificate().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        Self::serve(0, verifier.build().unwrap(), ca.issue(leaf)).await
    }

    async fn serve(
        failures: usize,
        verifier: Arc<dyn ClientCertVerifier>,
        identity: Identity,
    ) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(identity.chain, identity.key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (journal, accepted) = (Journal::default(), Arc::new(AtomicUsize::new(0)));
        let (entries, counter) = (journal.clone(), Arc::clone(&accepted));
        let shakes = Arc::new(Mutex::new(Vec::new()));
        let shaken = Arc::clone(&shakes);
        let task = tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                counter.store(connection + 1, Ordering::Relaxed);
                if connection < failures {
                    continue;
                }
                let (acceptor, entries) = (acceptor.clone(), entries.clone());
                let shaken = Arc::clone(&shaken);
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let session = stream.get_ref().1;
                        let leaf = session.peer_certificates().and_then(|chain| chain.first());
                        shaken.lock().unwrap().push(Shake {
                            server_name: session.server_name().map(str::to_owned),
                            leaf: leaf.map(|leaf| leaf.clone().into_owned()),
                        });
                        answer_all(Hop::new(stream, connection, entries)).await;
                    }
                });
            }
        });
        Self { address, journal, accepted, shakes, task }
    }

    fn shakes(&self) -> Vec<Shake> {
        self.shakes.lock().unwrap().clone()
    }
}

impl Drop for TlsBackend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves until the task is aborted; then its connections are gone, too.
fn serve_unix(listener: UnixListener, journal: Journal) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        for connection in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            connections.spawn(answer_all(Hop::new(stream, connection, journal.clone())));
        }
    })
}

async fn answer_all<S>(mut hop: Hop<S>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    while hop.request().await.is_some() {
        hop.write(OK).await;
    }
}
