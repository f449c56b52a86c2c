//! A new generation in force, or the old one.

use hubgate_testkit::sender::Sender;

use crate::harness::World;
use crate::harness::world::{event, send};
use crate::waiting::comes_true;

#[tokio::test]
async fn after_an_anchor_is_removed_none_of_its_clients_gets_another_request_through() {
    let world = World::start().await;
    let before = Sender::new(world.meta_before()).unwrap();
    let open = before.connect().await.unwrap();
    let other = Sender::new(world.meta()).unwrap().connect().await.unwrap();
    assert_eq!(open.request(event("1")).await.unwrap().status, 200);

    world.edit_config("\"digicert.pem\", ", "");
    world.reload();

    // Open: closed, or refused if the request was faster than the close.
    if let Ok(answer) = open.request(event("2")).await {
        assert_eq!(answer.status, 403);
    }
    // New, with a ticket from before.
    let error = before.send(event("3")).await.expect_err("must not connect");
    assert_eq!(error.tls_alert(), Some("unknown_ca"), "{error:?}");
    // Meta under the anchor that stayed lives on, over the connection from before.
    assert_eq!(other.request(event("4")).await.unwrap().status, 200);
    let bodies: Vec<_> = world.app.received().into_iter().map(|received| received.body).collect();
    assert_eq!(bodies, ["1", "4"]);
}

#[tokio::test]
async fn sessions_from_before_a_reload_do_a_full_handshake() {
    let world = World::start().await;
    let meta = Sender::new(world.meta()).unwrap();
    assert_eq!(meta.send(event("1")).await.unwrap().status, 200);
    assert!(meta.connect().await.unwrap().handshake().resumed);

    world.reload();

    assert!(!meta.connect().await.unwrap().handshake().resumed);
}

#[tokio::test]
async fn a_broken_configuration_leaves_the_old_one_in_force() {
    let world = World::start().await;
    let text = std::fs::read_to_string(world.config_file()).unwrap();
    for (from, to) in [
        ("upstream = \"app\"", "upstream = \"nobody\""),
        ("certificate = \"server.pem\"", "certificate = \"app-secret\""),
        ("\"meta.pem\", ", "\"server.key\", "),
    ] {
        world.edit_config(from, to);
        world.proxy.reload_from(&world.config_file()).expect_err("must not be accepted");
        std::fs::write(world.config_file(), &text).unwrap();
    }
    world.until_metric("hubgate_reloads_total{outcome=\"failed\"}", 3.0).await;
    world.until_metric("hubgate_generation", 1.0).await;
    assert_eq!(send(world.meta(), event("1")).await.unwrap().status, 200);
}

#[tokio::test]
async fn addresses_can_be_added_and_removed_while_the_others_stay() {
    let world = World::start().await;
    let connection = Sender::new(world.meta()).unwrap().connect().await.unwrap();
    let first = world.proxy.addresses()[0];

    world.edit_config("listen = [\"127.0.0.1:0\"]", "listen = [\"127.0.0.1:0\", \"127.0.0.2:0\"]");
    world.reload();
    let added = world.proxy.addresses()[1];
    assert_eq!(world.proxy.addresses()[0], first);
    assert_eq!(send(world.meta().address(added), event("1")).await.unwrap().status, 200);

    world.edit_config("listen = [\"127.0.0.1:0\", ", "listen = [");
    world.reload();
    assert_eq!(world.proxy.addresses(), [added]);
    assert_eq!(send(world.meta().address(added), event("2")).await.unwrap().status, 200);
    let is_refused = async || send(world.meta().address(first), event("3")).await.is_err();
    assert!(comes_true(is_refused).await);
    // A connection from before lives on.
    assert_eq!(connection.request(event("4")).await.unwrap().status, 200);
}
