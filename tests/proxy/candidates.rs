//! A CA that is not trusted yet, but looked out for.

use hubgate_testkit::pki::{Authority, Ca, Leaf};

use crate::harness::World;
use crate::harness::world::{event, send};

const MATCHES: &str = "hubgate_candidate_matches_total{anchor=\"next\"}";

#[tokio::test]
async fn a_change_of_ca_is_seen_coming_and_then_trusted_by_a_reload() {
    let (world, next) = World::start_with_candidate().await;
    let meta_next = next.issue(Leaf::meta());

    // A candidate: counted, and refused with the alert of a CA that is not known.
    assert_eq!(world.metric(MATCHES), 0.0);
    let error = send(world.caller(meta_next.clone()), event("1")).await.expect_err("is refused");
    assert_eq!(error.tls_alert(), Some("unknown_ca"), "{error:?}");
    world.until_metric(MATCHES, 1.0).await;
    world.until_handshake_refused("unknown_anchor", 1).await;
    assert_eq!(send(world.meta(), event("2")).await.unwrap().status, 200);

    // Trusted.
    world.edit_config("candidate_anchors = [\"next.pem\"]", "");
    world.edit_config("trust_anchors = [", "trust_anchors = [\"next.pem\", ");
    world.reload();
    assert_eq!(send(world.caller(meta_next), event("3")).await.unwrap().status, 200);
    assert_eq!(world.metric(MATCHES), 1.0);
    let bodies: Vec<_> = world.app.received().into_iter().map(|received| received.body).collect();
    assert_eq!(bodies, ["2", "3"]);
}

#[tokio::test]
async fn a_candidate_matches_only_whom_it_would_let_in() {
    let (world, next) = World::start_with_candidate().await;

    for identity in [
        next.issue(Leaf::named("client.webhooks.fbclientcerts.com.evil.example")),
        next.issue(Leaf::meta().expired()),
        next.impostor().issue(Leaf::meta()),
        Authority::root(Ca::named("somebody else")).issue(Leaf::meta()),
        world.meta_ca.issue(Leaf::meta().expired()),
    ] {
        send(world.caller(identity), event("{}")).await.expect_err("is refused");
    }
    // Counted before the next connection is, so that all of the above are.
    assert_eq!(send(world.meta(), event("{}")).await.unwrap().status, 200);
    world.until_handshake_refused("certificate_expired", 2).await;
    assert_eq!(world.metric(MATCHES), 0.0);
}
