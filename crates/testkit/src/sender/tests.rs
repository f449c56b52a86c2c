//! The sender against rustls itself as server.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::net::Ipv4Addr;

use bytes::Bytes;
use hyper::service::service_fn;
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::pki::{Authority, Ca, Identity, Leaf};

/// A server that demands a certificate under `meta` and answers with what it was sent.
struct World {
    roots: Authority,
    meta: Authority,
    address: SocketAddr,
}

impl World {
    async fn start() -> Self {
        let roots = Authority::root(Ca::named("server root"));
        let meta = Authority::root(Ca::meta());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut anchors = RootCertStore::empty();
        anchors.add(meta.certificate().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(anchors), provider.clone())
                .build()
                .unwrap();
        let server = roots.issue(Leaf::loopback_server());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(server.chain, server.key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(acceptor.clone(), socket));
            }
        });
        Self { roots, meta, address }
    }

    fn options(&self) -> Options {
        Options::to_local(self.address, "/webhooks").unwrap().trusting(&self.roots)
    }

    fn sender(&self, identity: Identity, tls: Tls) -> Sender {
        Sender::new(self.options().identity(identity).tls(tls)).unwrap()
    }
}

async fn serve(acceptor: TlsAcceptor, socket: TcpStream) {
    let Ok(stream) = acceptor.accept(socket).await else {
        return;
    };
    let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let echo = service_fn(|request: Request<Incoming>| async move {
        let line = format!("{} {}\n", request.method(), request.uri().path_and_query().unwrap());
        let length = request.headers().get(header::CONTENT_LENGTH).cloned();
        let mut answer = line.into_bytes();
        answer.extend(request.into_body().collect().await?.to_bytes());
        let mut response = http::Response::new(http_body_util::Full::new(Bytes::from(answer)));
        if let Some(length) = length {
            response.headers_mut().insert("x-length", length);
        }
        Ok::<_, hyper::Error>(response)
    });
    let stream = TokioIo::new(stream);
    if two {
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder.serve_connection(stream, echo).await.ok();
    } else {
        let builder = hyper::server::conn::http1::Builder::new();
        builder.serve_connection(stream, echo).await.ok();
    }
}

#[tokio::test]
async fn a_good_certificate_gets_several_answers_on_one_connection_and_resumes_the_next() {
    let world = World::start().await;
    for tls in [Tls::Only12, Tls::Only13] {
        let sender = world.sender(world.meta.issue(Leaf::meta()), tls);
        let first = sender.connect().await.unwrap();
        assert!(!first.handshake().resumed);
        assert!(sender.certificate_was_requested());
        for body in ["", "one", "two"] {
            let answer = first.request(Message::event("secret", body)).await.unwrap();
            assert_eq!(answer.body, format!("POST /webhooks\n{body}"));
            assert_eq!(answer.headers["x-length"], body.len().to_string());
        }
        first.close().await;
        let second = sender.connect().await.unwrap();
        assert!(second.handshake().resumed, "{tls:?}");
    }
}

#[tokio::test]
async fn refused_certificates_are_told_apart_by_alert_in_both_versions() {
    let world = World::start().await;
    for tls in [Tls::Only12, Tls::Only13] {
        let expired = world.sender(world.meta.issue(Leaf::meta().expired()), tls);
        let error = expired.connect().await.unwrap_err();
        assert_eq!(error.tls_alert(), Some("certificate_expired"));

        let other = Authority::root(Ca::named("other")).issue(Leaf::meta());
        let error = world.sender(other, tls).send(Message::event("s", "{}")).await.unwrap_err();
        assert_eq!(error.tls_alert(), Some("unknown_ca"));

        let nobody = Sender::new(world.options().tls(tls)).unwrap();
        let error = nobody.connect().await.unwrap_err();
        assert_eq!(error.tls_alert(), Some("certificate_required"), "{tls:?} {error:?}");

        let good = world.meta.issue(Leaf::meta());
        let stolen = good.with_key_of(&world.meta.issue(Leaf::meta()));
        let error = world.sender(stolen, tls).connect().await.unwrap_err();
        assert_eq!(error.tls_alert(), Some("decrypt_error"));
    }
}

#[tokio::test]
async fn http_2_runs_requests_side_by_side() {
    let world = World::start().await;
    let options = world.options().identity(world.meta.issue(Leaf::meta())).http(Http::Two);
    let connection = Sender::new(options).unwrap().connect().await.unwrap();
    assert_eq!(connection.handshake().protocol.as_deref(), Some("h2"));
    let stalled = Message::event("s", "12345").ending(Ending::Stalled(2));
    let swift = Message::event("s", "swift").target_path("/other");
    tokio::select! {
        answer = connection.request(swift) => {
            assert_eq!(answer.unwrap().body, "POST /other\nswift");
        }
        answer = connection.request(stalled) => panic!("must hang: {answer:?}"),
    }
    connection.close().await;
}

#[tokio::test]
async fn bodies_arrive_whole_however_they_are_cut() {
    let world = World::start().await;
    let body: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    for http in [Http::One, Http::Two] {
        let options = world.options().identity(world.meta.issue(Leaf::meta())).http(http);
        let connection = Sender::new(options).unwrap().connect().await.unwrap();
        for framing in [Framing::ContentLength, Framing::Chunked] {
            let message = Message::event("s", body.clone())
                .framing(framing)
                .in_pieces(10_000, Duration::from_millis(1));
            let answer = connection.request(message).await.unwrap();
            assert_eq!(answer.body.strip_prefix(b"POST /webhooks\n").unwrap(), body);
            let announced = answer.headers.contains_key("x-length");
            assert_eq!(announced, framing == Framing::ContentLength);
        }
        connection.close().await;
    }
}

#[tokio::test]
async fn failures_before_http_are_told_apart() {
    let world = World::start().await;
    let distrusting = Options::to_local(world.address, "/").unwrap();
    let error = Sender::new(distrusting).unwrap().connect().await.unwrap_err();
    assert!(error.is_server_distrusted());

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = Options::to_local(address, "/").unwrap().timeout(Duration::from_millis(50));
    let error = Sender::new(options.clone()).unwrap().connect().await.unwrap_err();
    assert!(error.is_timeout(), "nobody accepts: {error:?}");
    drop(listener);
    let error = Sender::new(options).unwrap().connect().await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");

    for url in ["http://x/", "nonsense", "https://u:p@x/"] {
        assert!(matches!(Options::to(url), Err(SendError::Url { .. })), "{url}");
    }
}

#[tokio::test]
async fn a_verification_request_is_encoded_once() {
    let world = World::start().await;
    let sender = world.sender(world.meta.issue(Leaf::meta()), Tls::Both);
    let answer = sender.send(Message::verification("a&b c", "1+1")).await.unwrap();
    let query = "hub.mode=subscribe&hub.challenge=1%2B1&hub.verify_token=a%26b+c";
    assert_eq!(answer.body, format!("GET /webhooks?{query}\n"));
    assert!(answer.is_success());
}
