//! Revocation lists: from files, and from where the CA says.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use hubgate_testkit::pki::{Authority, Ca, Identity, Leaf};
use hubgate_testkit::sender::Sender;

use crate::harness::application::Application;
use crate::harness::websocket::{Shouted, shouting};
use crate::harness::world::{event, send};
use crate::harness::{Plan, World};
use crate::waiting::comes_true;

const HOUR: Duration = Duration::from_secs(3_600);

/// A place that offers a list, and the Meta-shaped CA whose certificate names it.
struct Place {
    server: Application,
    offered: Arc<Mutex<Option<Vec<u8>>>>,
    ca: Authority,
}

impl Place {
    /// Offers nothing yet.
    async fn open() -> Self {
        let offered: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
        let shelf = Arc::clone(&offered);
        let server = Application::answering(move |_| {
            let offered = shelf.lock().unwrap().clone();
            let status = if offered.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
            let mut answer = Response::new(Full::new(Bytes::from(offered.unwrap_or_default())));
            *answer.status_mut() = status;
            answer
        })
        .await;
        let ca = Authority::root(Ca::meta().crl_url(&format!("http://{}/list", server.address)));
        Self { server, offered, ca }
    }

    fn offer(&self, list: impl Into<Vec<u8>>) {
        *self.offered.lock().unwrap() = Some(list.into());
    }

    fn url(&self) -> String {
        format!("http://{}/list", self.server.address)
    }

    /// Trusts this CA alone, fetches its list every few milliseconds, and has this policy.
    fn plan(&self, stale_crl: &str) -> Plan {
        fetching().trust("meta", &self.ca).client_certificate(&format!("stale_crl = {stale_crl:?}"))
    }

    /// Waits until the list was asked for so many times more.
    async fn until_asked(&self, times: usize) {
        let expected = self.server.received().len() + times;
        assert!(comes_true(async || self.server.received().len() >= expected).await);
    }

    async fn until_fetched(&self, world: &World, outcome: &str) {
        let url = self.url();
        let series = format!("hubgate_crl_fetches_total{{source=\"{url}\",outcome=\"{outcome}\"}}");
        let is_fetched = comes_true(async || world.metric(&series) > 0.0).await;
        assert!(is_fetched, "no fetch was {outcome}:\n{}", world.proxy.metrics());
    }
}

fn fetching() -> Plan {
    Plan::new()
        .client_certificate("crl_fetch = \"distribution_points\"")
        .client_certificate("crl_refresh_min_ms = 5")
        .client_certificate("crl_refresh_max_ms = 20")
}

/// Issued now, for an hour.
fn current(ca: &Authority, revoked: &[&Identity]) -> Vec<u8> {
    list(ca, revoked, Duration::ZERO, HOUR)
}

/// Issued `age` ago, for so long.
fn list(ca: &Authority, revoked: &[&Identity], age: Duration, length: Duration) -> Vec<u8> {
    let begin = SystemTime::now() - age;
    ca.revoke(revoked, begin..begin + length).der().to_vec()
}

/// Whether a connection as `identity` gets an event through, else the TLS alert.
async fn outcome(world: &World, identity: &Identity) -> Result<u16, &'static str> {
    match send(world.caller(identity.clone()), event("{}")).await {
        Ok(answer) => Ok(answer.status.as_u16()),
        Err(error) => Err(error.tls_alert().unwrap_or("no alert")),
    }
}

#[tokio::test]
async fn a_fetched_list_revokes_a_client_within_one_refresh() {
    let place = Place::open().await;
    let (meta, stolen) = (place.ca.issue(Leaf::meta()), place.ca.issue(Leaf::meta()));
    place.offer(list(&place.ca, &[], HOUR, 2 * HOUR));
    let world = place.plan("refuse").start().await;
    place.until_fetched(&world, "replaced").await;
    assert_eq!(outcome(&world, &stolen).await, Ok(200));
    let thief = Sender::new(world.caller(stolen.clone())).unwrap();
    let open = thief.connect().await.unwrap();
    let other = Sender::new(world.caller(meta)).unwrap().connect().await.unwrap();
    assert_eq!(open.request(event("before")).await.unwrap().status, 200);

    place.offer(current(&place.ca, &[&stolen]));

    // The next fetch is under way by the time that two more have come.
    place.until_asked(2).await;
    // Open: closed, or refused if the request was faster than the close.
    if let Ok(answer) = open.request(event("after, open")).await {
        assert_eq!(answer.status, 403);
    }
    // With a ticket from before: TLS is done by the time of the proof, so there is no alert.
    thief.send(event("after, resumed")).await.expect_err("must not get through");
    world.until_handshake_refused("certificate_revoked", 1).await;
    assert_eq!(outcome(&world, &stolen).await, Err("certificate_revoked"));
    // Whoever is not on the list lives on, over the connection from before.
    assert_eq!(other.request(event("other")).await.unwrap().status, 200);
    let bodies: Vec<_> = world.app.received().into_iter().map(|received| received.body).collect();
    assert_eq!(bodies, ["{}", "before", "other"]);
}

#[tokio::test]
async fn a_list_that_is_no_good_is_not_taken_and_the_policy_decides() {
    for (stale_crl, unknown) in [("refuse", Err("unknown_ca")), ("warn", Ok(200))] {
        let place = Place::open().await;
        let meta = place.ca.issue(Leaf::meta());
        let good = current(&place.ca, &[]);
        let impostor = place.ca.impostor();
        let stranger = Authority::root(Ca::digicert_root());
        let mut tampered = good.clone();
        *tampered.last_mut().unwrap() ^= 1;
        let plan = place.plan(stale_crl).client_certificate("crl_max_bytes = 4096");
        let world = plan.start().await;
        for (offered, expected) in [
            (tampered, "bad_signature"),
            (current(&impostor, &[]), "bad_signature"),
            (current(&stranger, &[]), "foreign_issuer"),
            (good[..good.len() - 10].to_vec(), "malformed"),
            (b"<html>".to_vec(), "malformed"),
            (vec![0; 4097], "too_large"),
        ] {
            place.offer(offered);
            place.until_fetched(&world, expected).await;
            assert_eq!(outcome(&world, &meta).await, unknown, "{stale_crl}, {expected}");
        }
        let next_update =
            format!("hubgate_crl_next_update_timestamp_seconds{{source=\"{}\"}}", place.url());
        assert_eq!(world.metric(&next_update), 0.0);

        // The good one mends it.
        place.offer(good);
        place.until_fetched(&world, "replaced").await;
        assert_eq!(outcome(&world, &meta).await, Ok(200), "{stale_crl}");
    }
}

#[tokio::test]
async fn a_stale_list_clears_nobody_but_whom_it_names_stays_revoked() {
    for (stale_crl, unknown) in [("refuse", Err("unknown_ca")), ("warn", Ok(200))] {
        let place = Place::open().await;
        let (meta, stolen) = (place.ca.issue(Leaf::meta()), place.ca.issue(Leaf::meta()));
        place.offer(list(&place.ca, &[&stolen], 2 * HOUR, HOUR));
        let world = place.plan(stale_crl).start().await;
        place.until_fetched(&world, "stale").await;

        until_outcome(&world, &stolen, Err("certificate_revoked")).await;
        assert_eq!(outcome(&world, &meta).await, unknown, "{stale_crl}");
    }
}

#[tokio::test]
async fn an_older_list_does_not_replace_a_newer_one() {
    let place = Place::open().await;
    let stolen = place.ca.issue(Leaf::meta());
    place.offer(current(&place.ca, &[&stolen]));
    let world = place.plan("warn").start().await;
    place.until_fetched(&world, "replaced").await;

    // Whoever stands on the way plays an old answer again: signed, not stale, and empty.
    place.offer(list(&place.ca, &[], HOUR, 3 * HOUR));
    place.until_fetched(&world, "older").await;

    assert_eq!(outcome(&world, &stolen).await, Err("certificate_revoked"));
}

#[tokio::test]
async fn a_list_that_gets_stale_stops_its_clients_under_refuse() {
    let place = Place::open().await;
    let meta = place.ca.issue(Leaf::meta());
    place.offer(list(&place.ca, &[], HOUR, HOUR + Duration::from_secs(2)));
    let world = place.plan("refuse").start().await;
    place.until_fetched(&world, "replaced").await;
    let open = Sender::new(world.caller(meta.clone())).unwrap().connect().await.unwrap();
    assert_eq!(open.request(event("current")).await.unwrap().status, 200);

    until_outcome(&world, &meta, Err("unknown_ca")).await;

    // The proof of the open connection ended with the list that it depended on.
    if let Ok(answer) = open.request(event("stale")).await {
        assert_eq!(answer.status, 403);
    }
    // A handshake that the end falls into is refused, too, but after it, so without an alert: then
    // it took a second one to see the alert above.
    let refused = world.metric("hubgate_handshake_refusals_total{reason=\"revocation_unknown\"}");
    assert!((1.0..=2.0).contains(&refused), "{refused}");
}

#[tokio::test]
async fn strangers_cannot_make_the_proxy_call_a_host() {
    let trap = Application::start().await;
    let url = format!("http://{}/trap", trap.address);
    let place = Place::open().await;
    place.offer(current(&place.ca, &[]));
    let plan = place.plan("refuse");
    let world = plan.start().await;
    place.until_fetched(&world, "replaced").await;
    let unknown_ca = Authority::root(Ca::meta().crl_url(&url));
    let leaf = || Leaf::meta().crl_url(&url);
    for identity in [
        unknown_ca.issue(leaf()),
        place.ca.impostor().issue(leaf()),
        leaf().self_signed(),
        place.ca.issue(leaf()).with_damaged_signature(),
        place.ca.issue(leaf().expired()),
        // Under a public CA anybody can have this one.
        place.ca.issue(Leaf::named("another.customer.example").crl_url(&url)),
        place.ca.issue(Leaf::meta()).and_presenting(&unknown_ca),
    ] {
        let _refused = outcome(&world, &identity).await;
    }

    // Two more rounds of the refresher, so that it had the time.
    place.until_asked(2).await;
    assert_eq!(trap.received().len(), 0);
    assert_eq!(world.metric("hubgate_connections_total"), 7.0);
}

#[tokio::test]
async fn a_proven_leaf_says_where_its_list_is() {
    // The anchor names no place; under "refuse" the first handshake fails and its leaf is heeded.
    let place = Place::open().await;
    let root = Authority::root(Ca::digicert_root());
    let meta = root.issue(Leaf::meta().crl_url(&place.url()));
    place.offer(current(&root, &[]));
    let world = fetching().trust("root", &root).start().await;

    assert_eq!(outcome(&world, &meta).await, Err("unknown_ca"));
    world.until_handshake_refused("revocation_unknown", 1).await;

    until_outcome(&world, &meta, Ok(200)).await;
}

#[tokio::test]
async fn an_intermediate_that_is_revoked_takes_its_leaves_with_it() {
    let root = Authority::root(Ca::digicert_root());
    let stolen = root.intermediate(Ca::digicert_intermediate());
    let kept = root.intermediate(Ca::digicert_intermediate());
    let (forged, meta) = (stolen.issue(Leaf::meta()), kept.issue(Leaf::meta()));
    let authority =
        Identity { chain: vec![stolen.certificate().clone()], key: forged.key.clone_key() };
    let world = Plan::new().trust("root", &root).start().await;
    assert_eq!(outcome(&world, &forged).await, Ok(200));

    // Each issuer's list: the root's names an intermediate, that one's own names nobody.
    let lists = [("root", current(&root, &[&authority])), ("issuing", current(&kept, &[]))];
    for (name, der) in &lists {
        std::fs::write(world.dir.path().join(format!("{name}.crl")), der).unwrap();
    }
    let files = "[client_certificate]\ncrl_files = [\"root.crl\", \"issuing.crl\"]";
    world.edit_config("[client_certificate]", files);
    world.reload();

    assert_eq!(outcome(&world, &forged).await, Err("certificate_revoked"));
    // Both intermediates have one name, so their lists are told apart by signature alone.
    assert_eq!(outcome(&world, &meta).await, Ok(200));
}

#[tokio::test]
async fn a_list_file_in_pem_or_der_counts_from_a_reload_on() {
    for is_pem in [true, false] {
        let world = World::start().await;
        let (meta, stolen) = (world.meta_ca.issue(Leaf::meta()), world.meta_ca.issue(Leaf::meta()));
        let begin = SystemTime::now();
        let list = world.meta_ca.revoke(&[&stolen], begin..begin + HOUR);
        let bytes = if is_pem { list.pem().unwrap().into_bytes() } else { list.der().to_vec() };
        std::fs::write(world.dir.path().join("meta.crl"), bytes).unwrap();
        assert_eq!(outcome(&world, &stolen).await, Ok(200));

        let section = "[client_certificate]\ncrl_files = [\"meta.crl\"]";
        world.edit_config("[client_certificate]", section);
        world.reload();

        assert_eq!(outcome(&world, &stolen).await, Err("certificate_revoked"));
        assert_eq!(outcome(&world, &meta).await, Ok(200));
    }
}

#[tokio::test]
async fn a_list_file_that_is_no_good_is_refused_and_the_old_configuration_stays() {
    let world = World::start().await;
    let section = "[client_certificate]\ncrl_files = [\"meta.crl\"]";
    world.edit_config("[client_certificate]", section);
    let good = current(&world.meta_ca, &[]);
    let impostor = current(&world.meta_ca.impostor(), &[]);
    for (bytes, expected) in [
        (impostor, "its signature is not its issuer's"),
        (good[..good.len() - 1].to_vec(), "not a revocation list"),
        (b"nothing".to_vec(), "not a revocation list"),
        (vec![0; 1_048_577], "larger than `client_certificate.crl_max_bytes`"),
    ] {
        std::fs::write(world.dir.path().join("meta.crl"), bytes).unwrap();
        let error = world.proxy.reload_from(&world.config_file()).expect_err("must not be taken");
        let start = std::error::Error::source(&error).unwrap();
        let shown = start.source().unwrap().to_string();
        assert!(shown.contains(expected), "{shown}");
    }
    assert_eq!(send(world.meta(), event("{}")).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_fetched_list_outlives_a_reload_and_with_a_cache_a_restart() {
    let place = Place::open().await;
    let (meta, stolen) = (place.ca.issue(Leaf::meta()), place.ca.issue(Leaf::meta()));
    let cache = tempfile::tempdir().unwrap();
    let cached = format!("crl_cache = {:?}", cache.path());
    place.offer(current(&place.ca, &[&stolen]));
    let world = place.plan("refuse").client_certificate(&cached).start().await;
    place.until_fetched(&world, "replaced").await;
    assert_eq!(outcome(&world, &meta).await, Ok(200));
    // From now on the place is of no use.
    *place.offered.lock().unwrap() = None;
    place.until_fetched(&world, "bad_status").await;

    world.reload();
    assert_eq!(outcome(&world, &meta).await, Ok(200));
    assert_eq!(outcome(&world, &stolen).await, Err("certificate_revoked"));

    drop(world);
    let again = place.plan("refuse").client_certificate(&cached).start().await;
    assert_eq!(outcome(&again, &meta).await, Ok(200));
    assert_eq!(outcome(&again, &stolen).await, Err("certificate_revoked"));
    drop(again);

    // A damaged copy is as good as none.
    for file in std::fs::read_dir(cache.path()).unwrap() {
        let path = file.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(path, bytes).unwrap();
    }
    let damaged = place.plan("refuse").client_certificate(&cached).start().await;
    assert_eq!(outcome(&damaged, &meta).await, Err("unknown_ca"));
}

/// Waits until a connection as `identity` ends like this: a list may be fetched and not yet in
/// force.
async fn until_outcome(world: &World, identity: &Identity, expected: Result<u16, &str>) {
    let is_reached = comes_true(async || outcome(world, identity).await == expected).await;
    assert!(is_reached, "never {expected:?}");
}

#[tokio::test]
async fn a_revoked_clients_websocket_ends_within_one_refresh_and_no_other() {
    let place = Place::open().await;
    let (meta, stolen) = (place.ca.issue(Leaf::meta()), place.ca.issue(Leaf::meta()));
    place.offer(list(&place.ca, &[], HOUR, 2 * HOUR));
    let site = "[[site]]\nupstream = \"app\"\nwebsocket = true\n";
    let world = place.plan("refuse").more(site).start_before(shouting().await).await;
    place.until_fetched(&world, "replaced").await;
    let mut stranger = Shouted::open(world.stranger()).await;
    let mut other = Shouted::open(world.caller(meta)).await;
    let thief = Shouted::open(world.caller(stolen.clone())).await;

    place.offer(current(&place.ca, &[&stolen]));

    thief.until_ended().await;
    let series = "hubgate_tunnels_ended_total{reason=\"certificate_no_longer_trusted\"}";
    world.until_metric(series, 1.0).await;
    other.is_alive("not on the list").await;
    stranger.is_alive("on no list").await;
}
