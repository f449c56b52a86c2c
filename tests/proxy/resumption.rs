//! Resumed sessions: cheaper handshakes, the same proof.

use std::time::{Duration, SystemTime};

use hubgate_testkit::pki::Leaf;
use hubgate_testkit::sender::{Sender, Tls};

use crate::harness::World;
use crate::harness::world::{event, send};

#[tokio::test]
async fn a_second_connection_resumes_in_both_versions_and_is_proven_like_the_first() {
    let world = World::start().await;
    let mut connections = 0;
    for tls in [Tls::Only12, Tls::Only13] {
        for options in [world.meta(), world.meta_before()] {
            let sender = Sender::new(options.tls(tls)).unwrap();
            for is_resumed in [false, true, true] {
                let connection = sender.connect().await.unwrap();
                assert_eq!(connection.handshake().resumed, is_resumed, "{tls:?}");
                assert_eq!(connection.request(event("{}")).await.unwrap().status, 200);
                connections += 1;
            }
        }
    }
    let expected = [("anchor=\"digicert\"", 6), ("anchor=\"meta\"", 6)];
    world.until_counted("hubgate_anchor_uses_total", &expected).await;
    let expected = [("kind=\"full\"", 4), ("kind=\"resumed\"", 8)];
    world.until_counted("hubgate_handshakes_total", &expected).await;
    assert_eq!(world.app.received().len(), connections);
    for received in world.app.received() {
        assert_eq!(received.headers["x-hubgate-verified"], "client-certificate, signature");
        assert!(received.headers.contains_key("client-cert"));
    }
}

/// An open connection and a resumed one are both judged by the time of day, not by the handshake
/// that was long ago.
#[tokio::test]
async fn a_certificate_that_expires_takes_its_sessions_and_its_open_connections_with_it() {
    let world = World::start().await;
    let now = SystemTime::now();
    let soon = now - Duration::from_secs(3600)..now + Duration::from_secs(3);
    let identity = world.meta_ca.issue(Leaf::meta().valid(soon));
    for tls in [Tls::Only12, Tls::Only13] {
        let sender = Sender::new(world.caller(identity.clone()).tls(tls)).unwrap();
        assert_eq!(sender.send(event("{}")).await.unwrap().status, 200);
        assert!(sender.connect().await.unwrap().handshake().resumed);
    }
    let sender = Sender::new(world.caller(identity.clone())).unwrap();
    let open = sender.connect().await.unwrap();
    assert_eq!(open.request(event("{}")).await.unwrap().status, 200);

    // Until the second is over in which it ends, each connection resumes and is let in.
    let mut too_late_for_its_request = 0;
    let refused = async {
        loop {
            match sender.send(event("{}")).await {
                Ok(answer) if answer.status == 200 => {}
                // Between its handshake and its request, the second was over.
                Ok(answer) => {
                    assert_eq!(answer.status, 403);
                    too_late_for_its_request += 1;
                }
                // A full handshake would have ended in an alert.
                Err(error) => break assert_eq!(error.tls_alert(), None, "{error:?}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), refused).await.unwrap();
    let received = world.app.received().len();

    world.until_handshake_refused("certificate_expired", 1).await;
    assert_eq!(open.request(event("{}")).await.unwrap().status, 403);
    let refused = 1 + too_late_for_its_request;
    world.until_refused("certificate_no_longer_trusted", refused).await;
    let error = send(world.caller(identity), event("{}")).await.unwrap_err();
    assert_eq!(error.tls_alert(), Some("certificate_expired"), "{error:?}");
    assert_eq!(world.app.received().len(), received);
    assert_eq!(send(world.meta(), event("{}")).await.unwrap().status, 200);
}
