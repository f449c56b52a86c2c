//! What `/status` tells the operator.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hubgate_testkit::pki::{Authority, Ca, Leaf};
use hubgate_testkit::sender::Message;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::operator::{self, status};
use crate::harness::world::{PATH, event, send};
use crate::harness::{Plan, World};
use crate::waiting::found;

/// Waits until the document is as it should be: what is counted may be counted after the answer.
async fn until(world: &World, is_reached: impl Fn(&Value) -> bool) -> Value {
    match found(async || Some(status(world).await).filter(&is_reached)).await {
        Some(status) => status,
        None => panic!("never came: {:#}", status(world).await),
    }
}

/// The only element of a list whose `key` is `value`.
fn entry<'v>(list: &'v Value, key: &str, value: &str) -> &'v Value {
    let mut found = list.as_array().unwrap().iter().filter(|entry| entry[key] == value);
    let only = found.next().unwrap_or_else(|| panic!("no {key} = {value} in {list:#}"));
    assert!(found.next().is_none(), "{list:#}");
    only
}

/// What is wrong, a line each.
fn advice(status: &Value) -> Vec<String> {
    let advice = status["advice"].as_array().unwrap().iter();
    advice.map(|advice| format!("{}: {}", text(&advice["health"]), text(&advice["what"]))).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn assert_is_now(moment: &Value, before: u64) {
    let seconds = moment["unix_seconds"].as_u64().unwrap_or_else(|| panic!("{moment}"));
    assert!((before..=now()).contains(&seconds), "{moment} is not between {before} and {}", now());
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test]
async fn a_proxy_that_was_just_started_is_green_and_has_seen_nothing() {
    let world = World::start().await;
    let status = status(&world).await;

    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["health"], "green", "{status:#}");
    assert_eq!(status["advice"], json!([]));
    assert_eq!(status["phase"], "serving");
    assert_eq!(status["ready"], true);
    assert_eq!(status["generation"]["number"], 1);
    assert_eq!(status["last_reload"], Value::Null);
    assert_eq!(status["revocation"], Value::Null);
    assert_eq!(entry(&status["server_certificates"], "label", "leaf")["days_left"], 89);
    for anchor in ["meta", "digicert"] {
        let anchor = entry(&status["anchors"], "label", anchor);
        assert_eq!((&anchor["uses"], &anchor["last_used"]), (&json!(0), &Value::Null));
    }
    let webhook = entry(&status["webhooks"], "name", PATH);
    assert_eq!(webhook["last_verified_event"], Value::Null);
    assert_eq!(entry(&webhook["secrets"], "label", "app-secret")["last_used"], Value::Null);
    for list in ["/handshake_refusals", "/unmatched_refusals", "/webhooks/0/refusals", "/clients"] {
        assert_eq!(status.pointer(list), Some(&json!([])), "{list}");
    }
    let server = &entry(&status["upstreams"], "name", "app")["servers"][0];
    assert_eq!(server["url"], format!("http://{}", world.app.address));
    assert_eq!(server["state"], "available");
}

#[tokio::test]
async fn events_and_refusals_are_told_with_their_number_and_the_time_of_the_last() {
    let world = World::start().await;
    let before = now();
    for body in ["1", "2"] {
        assert_eq!(send(world.meta(), event(body)).await.unwrap().status, 200);
    }
    for _ in 0..3 {
        let forged = Message::event("another secret", "3");
        assert_eq!(send(world.meta(), forged).await.unwrap().status, 403);
    }
    send(world.stranger(), event("4")).await.expect_err("has no certificate");

    let status = until(&world, |status| {
        let refusals = &status["webhooks"][0]["refusals"];
        refusals[0]["times"] == 3 && status["handshake_refusals"][0]["times"] == 1
    })
    .await;

    let webhook = entry(&status["webhooks"], "name", PATH);
    assert_eq!(webhook["events_verified"], 2);
    assert_is_now(&webhook["last_verified_event"], before);
    let secret = entry(&webhook["secrets"], "label", "app-secret");
    assert_eq!(secret["uses"], 2);
    assert_is_now(&secret["last_used"], before);
    let refused = entry(&webhook["refusals"], "reason", "signature_mismatch");
    assert_is_now(&refused["last"], before);
    let missing = entry(&status["handshake_refusals"], "reason", "certificate_missing");
    assert_is_now(&missing["last"], before);
    let anchor = entry(&status["anchors"], "label", "meta");
    assert_eq!(anchor["uses"], 5);
    assert_is_now(&anchor["last_used"], before);
    assert_eq!(entry(&status["anchors"], "label", "digicert")["last_used"], Value::Null);
    assert_eq!(entry(&status["clients"], "label", "meta")["days_left"], 89);
}

#[tokio::test]
async fn a_refused_reload_makes_it_red_with_every_fault_until_one_succeeds() {
    let world = World::start().await;
    let before = now();
    let text_before = std::fs::read_to_string(world.config_file()).unwrap();
    world.edit_config("upstream = \"app\"", "upstream = \"nobody\"");
    world.edit_config("workers = 1", "wokers = 1");
    world.proxy.reload_from(&world.config_file()).expect_err("must not be accepted");

    let refused = status(&world).await;
    assert_eq!(refused["health"], "red");
    assert_eq!(advice(&refused), ["red: the last reload was refused; generation 1 stays"]);
    assert_eq!(refused["last_reload"]["succeeded"], false);
    assert_is_now(&refused["last_reload"]["at"], before);
    let faults: Vec<_> = refused["last_reload"]["faults"].as_array().unwrap().iter().collect();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(text(faults[0]).contains("`server.wokers`"), "{faults:?}");
    assert!(text(faults[1]).contains("names no `[[upstream]]`"), "{faults:?}");

    std::fs::write(world.config_file(), text_before).unwrap();
    world.reload();
    let status = status(&world).await;
    assert_eq!((&status["health"], &status["generation"]["number"]), (&json!("green"), &json!(2)));
    assert_eq!(status["last_reload"]["succeeded"], true);
    assert_eq!(status["last_reload"]["faults"], json!([]));
}

#[tokio::test]
async fn what_is_known_of_routes_and_servers_outlives_a_reload() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    let world = Plan::new().upstream_url(&format!("http://{address}")).start().await;
    drop(gone);
    assert_eq!(send(world.meta(), event("1")).await.unwrap().status, 502);
    until(&world, |status| status["webhooks"][0]["refusals"][0]["times"] == 1).await;

    // First each worker keeps its pool, then it makes another one.
    for (from, to) in [
        ("name = \"app\"", "name = \"app\""),
        ("name = \"app\"", "name = \"app\"\nconnections = 64"),
    ] {
        world.edit_config(from, to);
        world.reload();
        let after = status(&world).await;
        let webhook = &after["webhooks"][0];
        assert_ne!(webhook["events_verified"], 0, "{webhook:#}");
        assert_eq!(webhook["refusals"][0]["reason"], "upstream_unreachable", "{webhook:#}");
        assert_ne!(after["upstreams"][0]["servers"][0]["state"], "available", "{after:#}");
        assert_eq!(after["health"], "red");
        assert_eq!(send(world.meta(), event("2")).await.unwrap().status, 502);
        let failures =
            |status: &Value| status["upstreams"][0]["servers"][0]["failures_in_a_row"].as_u64();
        assert!(failures(&status(&world).await) > failures(&after), "{after:#}");
    }
}

#[tokio::test]
async fn an_upstream_without_a_server_that_answers_makes_it_red_until_one_answers() {
    let place = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = place.local_addr().unwrap();
    let world = Plan::new().upstream_url(&format!("http://{address}")).start().await;
    drop(place);
    assert_eq!(send(world.meta(), event("1")).await.unwrap().status, 502);

    let status = until(&world, |status| status["health"] == "red").await;
    let expected = format!("red: upstream `app` does not answer: `http://{address}`");
    assert!(advice(&status).contains(&expected), "{:?}", advice(&status));
    let server = &status["upstreams"][0]["servers"][0];
    assert_ne!(server["state"], "available", "{server}");
    assert_ne!(server["failures_in_a_row"], 0, "{server}");

    let _back = crate::harness::backend::Backend::good_at(address).await;
    assert_eq!(send(world.meta(), event("2")).await.unwrap().status, 200);
    let status = until(&world, |status| status["health"] != "red").await;
    assert_eq!(status["upstreams"][0]["servers"][0]["state"], "available");
}

#[tokio::test]
async fn nobody_is_ready_whose_every_server_failed_a_moment_ago() {
    let place = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", place.local_addr().unwrap());
    let world = Plan::new().upstream_url(&url).start().await;
    assert_eq!(operator::get(&world, "/ready").await.0, 200, "nothing is known yet");
    drop(place);

    let told = found(async || {
        assert_eq!(send(world.meta(), event("1")).await.unwrap().status, 502);
        // It is ejected for a while only: on a slow machine, longer the next time.
        Some(operator::get(&world, "/ready").await).filter(|answer| answer.0 != 200)
    });
    let (code, why) = told.await.unwrap();
    assert_eq!((code, why.as_str()), (503, "not ready: no upstream has a server that answers\n"));
}

#[tokio::test]
async fn a_route_that_only_reports_is_a_warning_that_says_what_it_let_through() {
    let world = Plan::new().webhook("signature = \"report\"").start().await;
    let forged = Message::event("another secret", "1");
    assert_eq!(send(world.meta(), forged).await.unwrap().status, 200);

    let status =
        until(&world, |status| status["webhooks"][0]["would_refuse"][0]["times"] == 1).await;

    assert_eq!(status["webhooks"][0]["only_reports"], true);
    assert_eq!(status["webhooks"][0]["would_refuse"][0]["reason"], "signature_mismatch");
    let warning =
        format!("yellow: webhook `{PATH}` ONLY REPORTS wrong signatures and lets such events pass");
    assert_eq!(advice(&status), [warning]);
}

#[tokio::test]
async fn a_candidate_that_would_have_vouched_is_worth_a_look() {
    let (world, next) = World::start_with_candidate().await;
    let before = now();
    let unused = status(&world).await;
    assert_eq!(entry(&unused["candidates"], "label", "next")["uses"], 0);
    assert_eq!(unused["health"], "green");

    let caller = world.caller(next.issue(Leaf::meta()));
    send(caller, event("1")).await.expect_err("is refused");

    let status = until(&world, |status| status["health"] == "yellow").await;
    let candidate = entry(&status["candidates"], "label", "next");
    assert_eq!(candidate["uses"], 1);
    assert_is_now(&candidate["last_used"], before);
    assert_eq!(
        advice(&status),
        ["yellow: callers are refused whom the candidate `next` would vouch for"]
    );
}

#[tokio::test]
async fn a_revocation_list_past_its_time_is_red_where_callers_are_refused_for_it() {
    let ca = Authority::root(Ca::meta());
    let begin = SystemTime::now() - Duration::from_secs(7_200);
    let stale = ca.revoke(&[], begin..begin + Duration::from_secs(3_600));
    for (setting, health) in [("refuse", "red"), ("warn", "yellow")] {
        let world = Plan::new().trust("meta", &ca).start().await;
        std::fs::write(world.dir.path().join("meta.crl"), stale.der()).unwrap();
        let settings = format!("crl_files = [\"meta.crl\"]\nstale_crl = \"{setting}\"");
        world.edit_config("[client_certificate]", &format!("[client_certificate]\n{settings}"));
        world.reload();
        let status = status(&world).await;
        assert_eq!(status["health"], health, "{status:#}");
        assert_eq!(status["revocation"]["refuses_unknown"], setting == "refuse");
        let list = &status["revocation"]["lists"][0];
        assert_eq!(list["state"], "stale");
        assert!(text(&list["source"]).ends_with("meta.crl"), "{list}");
    }
}

#[tokio::test]
async fn no_secret_is_in_it() {
    let world = World::start().await;
    assert_eq!(send(world.meta(), event("1")).await.unwrap().status, 200);
    let (_, text) = operator::get(&world, "/status").await;
    for secret in [crate::harness::world::APP_SECRET, crate::harness::world::VERIFY_TOKEN] {
        assert!(!text.contains(secret), "{text}");
    }
}
