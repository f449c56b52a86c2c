//! What a caller whose handshake is refused gets to see.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::harness::World;

/// In TLS 1.3 a caller may send as soon as its own half of the handshake is done, before it can
/// know that it is refused. A socket that is closed then is reset, and nobody reads the alert.
#[tokio::test]
async fn a_caller_that_goes_on_sending_can_still_read_why_it_was_refused() {
    let world = World::start().await;
    let mut roots = RootCertStore::empty();
    roots.add(world.server_ca.certificate().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(world.proxy.addresses()[0]).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
    world.until_handshake_refused("certificate_missing", 1).await;

    for _ in 0..20 {
        stream.write_all(b"POST /webhooks HTTP/1.1\r\n").await.expect("still open for us");
        stream.flush().await.expect("still open for us");
    }
    let error = stream.read_u8().await.expect_err("there is no answer");

    let alert = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let expected = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
    assert_eq!(alert, Some(&expected), "{error:?}");
    drop(stream);
    world.until_metric("hubgate_connections_open", 0.0).await;
    assert!(world.app.received().is_empty());
}
