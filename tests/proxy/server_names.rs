//! Names in TLS (SNI): a connection that was opened for one host carries requests for that host.

use http::{HeaderValue, Method};
use hubgate::rehearsal::sender::{Http, Message, Options, Sender};

use crate::harness::Plan;
use crate::harness::raw::unnamed;
use crate::harness::world::{event, send};

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
