//! An app secret and a trust anchor are changed while Meta goes on sending.

use hubgate_testkit::sender::{Message, Sender};

use crate::harness::world::{APP_SECRET, PATH, event, send};
use crate::harness::{Plan, World, operator};

const NEW_SECRET: &str = "fedcba9876543210fedcba9876543210";

fn last_used(secret: &str) -> String {
    format!("hubgate_secret_last_used_timestamp_seconds{{route=\"{PATH}\",secret=\"{secret}\"}}")
}

/// The secrets that the status shows, and when each was last used.
async fn shown_secrets(world: &World) -> Vec<(String, f64)> {
    let status = operator::status(world).await;
    let secrets = status["webhooks"][0]["secrets"].as_array().unwrap().iter();
    let shown = secrets.map(|secret| {
        let last_used = secret["last_used"]["unix_seconds"].as_f64().unwrap_or(0.0);
        (secret["label"].as_str().unwrap().to_owned(), last_used)
    });
    shown.collect()
}

fn now() -> f64 {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_1970.unwrap().as_secs() as f64
}

#[tokio::test]
async fn an_app_secret_is_rotated_and_nothing_is_refused_until_the_old_one_is_taken_out() {
    let world = Plan::new().webhook("app_secrets = [{ file = \"app-secret\" }]").start().await;
    let meta = Sender::new(world.meta()).unwrap();
    let with_new_secret = |body: &'static str| Message::event(NEW_SECRET, body);
    assert_eq!(world.metric(&last_used("app-secret")), 0.0);
    assert_eq!(meta.send(with_new_secret("too early")).await.unwrap().status, 403);

    // Both are accepted, and the metrics tell when each was last used.
    std::fs::write(world.dir.path().join("new-secret"), NEW_SECRET).unwrap();
    let both = "app_secrets = [{ file = \"new-secret\" }, { file = \"app-secret\" }]";
    world.edit_config("app_secrets = [{ file = \"app-secret\" }]", both);
    world.reload();
    let before = now();
    assert_eq!(world.metric(&last_used("new-secret")), 0.0);
    assert_eq!(meta.send(event("old")).await.unwrap().status, 200);
    assert!((before..=now()).contains(&world.metric(&last_used("app-secret"))));
    assert_eq!(world.metric(&last_used("new-secret")), 0.0);
    let old_last_used = world.metric(&last_used("app-secret"));
    // So does the status, in the order of the configuration.
    let expected = [(String::from("new-secret"), 0.0), (String::from("app-secret"), old_last_used)];
    assert_eq!(shown_secrets(&world).await, expected);
    assert_eq!(meta.send(with_new_secret("new")).await.unwrap().status, 200);
    assert!((before..=now()).contains(&world.metric(&last_used("new-secret"))));
    assert_eq!(world.metric(&last_used("app-secret")), old_last_used);

    // The old one is taken out, and refused from then on; a connection from before knows it, too.
    let open = meta.connect().await.unwrap();
    world.edit_config(both, "app_secrets = [{ file = \"new-secret\" }]");
    world.reload();
    assert_eq!(open.request(event("old, open")).await.unwrap().status, 403);
    assert_eq!(send(world.meta(), event("old, again")).await.unwrap().status, 403);
    assert_eq!(meta.send(with_new_secret("new, again")).await.unwrap().status, 200);
    world.until_refused("signature_mismatch", 3).await;
    let shown = shown_secrets(&world).await;
    assert_eq!(shown, [(String::from("new-secret"), world.metric(&last_used("new-secret")))]);
    let bodies: Vec<_> = world.app.received().into_iter().map(|received| received.body).collect();
    assert_eq!(bodies, ["old", "new", "new, again"]);
    assert_ne!(APP_SECRET, NEW_SECRET);
}

#[tokio::test]
async fn an_anchor_tells_when_it_last_vouched_for_a_caller() {
    let world = World::start().await;
    let last_used = |anchor: &str| {
        world.metric(&format!("hubgate_anchor_last_used_timestamp_seconds{{anchor=\"{anchor}\"}}"))
    };
    let before = now();
    assert_eq!(send(world.meta(), event("1")).await.unwrap().status, 200);

    assert!((before..=now()).contains(&last_used("meta")), "{}", last_used("meta"));
    assert_eq!(last_used("digicert"), 0.0);
}
