//! When the certificates in use end.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hubgate_testkit::pki::{Authority, Ca, Leaf};

use crate::harness::world::{event, send};
use crate::harness::{Plan, World};
use crate::waiting::comes_true;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn series(kind: &str, label: &str) -> String {
    format!("hubgate_certificate_expiry_timestamp_seconds{{kind=\"{kind}\",label=\"{label}\"}}")
}

fn seconds(moment: SystemTime) -> f64 {
    moment.duration_since(UNIX_EPOCH).unwrap().as_secs() as f64
}

/// Waits until the series is there, with this value.
async fn until_shown(world: &World, series: &str, end: SystemTime) {
    let end = seconds(end);
    let is_shown = comes_true(async || world.proxy.metric(series) == Some(end)).await;
    assert!(is_shown, "no `{series} {end}` in:\n{}", world.proxy.metrics());
}

#[tokio::test]
async fn the_end_of_every_certificate_in_use_is_known_also_of_the_clients_as_last_seen() {
    let begin = SystemTime::now() - DAY;
    let ca = Authority::root(Ca::meta().valid(begin..begin + 500 * DAY));
    let world = Plan::new().trust("meta", &ca).start().await;
    let client = series("client", "meta");

    assert_eq!(world.metric(&series("anchor", "meta")), seconds(begin + 500 * DAY));
    assert!(world.metric(&series("server", "leaf")) > seconds(begin + 2 * DAY));
    assert!(!world.proxy.metrics().contains(&client), "no client was seen yet");

    for days in [30_u32, 90] {
        let leaf = Leaf::meta().valid(begin..begin + days * DAY);
        assert_eq!(send(world.caller(ca.issue(leaf)), event("{}")).await.unwrap().status, 200);
        until_shown(&world, &client, begin + days * DAY).await;
    }

    // A reload forgets nobody who is still trusted, and shows no anchor that is gone.
    std::fs::write(world.dir.path().join("renamed.pem"), ca.certificate_pem()).unwrap();
    world.reload();
    assert_eq!(world.metric(&client), seconds(begin + 90 * DAY));
    world.edit_config("\"meta.pem\"", "\"renamed.pem\"");
    world.reload();
    assert_eq!(world.metric(&series("client", "renamed")), seconds(begin + 90 * DAY));
    assert!(!world.proxy.metrics().contains(&series("anchor", "meta")));
}

#[tokio::test]
async fn strangers_leave_no_trace_among_the_certificates_in_use() {
    let world = World::start().await;
    let stranger = Authority::root(Ca::named("somebody else")).issue(Leaf::meta());
    send(world.caller(stranger), event("{}")).await.expect_err("is refused");
    world.until_handshake_refused("unknown_anchor", 1).await;

    assert!(!world.proxy.metrics().contains("kind=\"client\""));
}
