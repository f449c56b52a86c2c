//! Which requests have the header, and what it says.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use hubgate_testkit::sender::{Framing, Http, Message, Sender};

use super::{SECRET, SECRET_BEFORE, made, now, time_of};
use crate::harness::application::Received;
use crate::harness::backend::{Backend, OK};
use crate::harness::raw::{Raw, signed_head};
use crate::harness::world::{APP_SECRET, PATH, VERIFY_TOKEN, event, send};
use crate::harness::{Plan, World};

/// An application that shares a secret with the proxy, and has a site beside its webhook.
fn plan() -> Plan {
    let site = "[[site]]\nupstream = \"app\"\n";
    Plan::new().secret_file("app-proof", SECRET).upstream(PROOF).more(site)
}

/// What the application received last, which must have the header that `secret` makes of it.
fn assert_proven(world: &World, secret: &str) -> Received {
    let received = world.app.received().pop().unwrap();
    let values: Vec<_> = received.headers.get_all("x-hubgate-proof").iter().collect();
    let [value] = values[..] else { panic!("not once: {received:?}") };
    let time = time_of(value.to_str().unwrap());
    assert!(time.abs_diff(now()) < 60, "{value:?}");
    let verified = received.headers["x-hubgate-verified"].to_str().unwrap();
    let head = [received.method.as_str(), &received.uri.to_string(), verified];
    assert_eq!(value, &made(secret, time, head, &received.body), "{received:?}");
    received
}

fn assert_unproven(world: &World) {
    let received = world.app.received().pop().unwrap();
    assert!(!received.headers.contains_key("x-hubgate-proof"), "{received:?}");
}

#[tokio::test]
async fn a_proven_event_carries_a_proof_of_what_the_application_gets() {
    let world = plan().start().await;
    let large = "x".repeat(300_000);
    for http in [Http::One, Http::Two] {
        let meta = Sender::new(world.meta().http(http)).unwrap().connect().await.unwrap();
        for message in [
            event("{}"),
            event("").query(""),
            event(r#"{"text":"\u00e9"}"#).query("app=7&x=%2F%c3%a9&y='a"),
            event(large.clone()).in_pieces(7_001, Duration::ZERO),
            event("{}").target_path("//x/../%77ebhooks?rest_route=/x"),
            event("{}").header("X-Hubgate-Proof", "forged").header("X_Hubgate_Proof", "forged"),
        ] {
            assert_eq!(meta.request(message).await.unwrap().status, 200);
            let received = assert_proven(&world, SECRET);
            assert_eq!(received.headers["x-hubgate-verified"], "client-certificate, signature");
            assert!(received.headers.values().all(|value| value != "forged"), "{received:?}");
        }
    }
    let targets: Vec<_> = world.app.received().iter().map(|r| r.uri.to_string()).collect();
    assert_eq!(targets[4], format!("{PATH}?rest_route=/x"));
    let chunked = event("{\"a\":1}").framing(Framing::Chunked);
    assert_eq!(send(world.meta(), chunked).await.unwrap().status, 200);
    assert_proven(&world, SECRET);
}

#[tokio::test]
async fn connection_cannot_take_the_proof_out() {
    let world = plan().start().await;
    let mut raw = Raw::connect(world.meta()).await;
    let more = "content-length: 2\r\nConnection: x-hubgate-proof, X-Hubgate-Verified\r\n";
    raw.send(signed_head(b"{}", more)).await;
    raw.send("{}").await;
    assert_eq!(raw.answer().await.status, 200);
    assert_proven(&world, SECRET);
}

#[tokio::test]
async fn the_proof_says_what_was_proven_where_no_certificate_is_demanded() {
    let world = plan().webhook("client_certificate = \"none\"").start().await;

    assert_eq!(send(world.stranger(), event("{}")).await.unwrap().status, 200);

    let received = assert_proven(&world, SECRET);
    assert_eq!(received.headers["x-hubgate-verified"], "signature");
}

#[tokio::test]
async fn a_verification_request_that_is_handed_on_carries_a_proof_without_a_body() {
    let world = plan().webhook("verification = \"forward\"").start().await;

    let right = Message::verification(VERIFY_TOKEN, "1158201444");
    assert_eq!(send(world.meta(), right).await.unwrap().status, 200);
    let wrong = Message::verification("another token", "1158201444");
    assert_eq!(send(world.meta(), wrong).await.unwrap().status, 403);

    world.app.only();
    let received = assert_proven(&world, SECRET);
    assert_eq!(received.method, Method::GET);
    assert_eq!(received.headers["x-hubgate-verified"], "client-certificate, verify-token");
}

#[tokio::test]
async fn what_is_only_reported_carries_none_and_what_is_right_beside_it_does() {
    let world = plan().webhook("signature = \"report\"").start().await;

    for unproven in [Message::event("another secret", "{}"), Message::unsigned_event("{}")] {
        let unproven = unproven.header("X-Hubgate-Proof", "forged");
        assert_eq!(send(world.meta(), unproven).await.unwrap().status, 200);
        assert_unproven(&world);
    }
    assert_eq!(send(world.meta(), Message::event(APP_SECRET, "{}")).await.unwrap().status, 200);
    assert_proven(&world, SECRET);
    assert_eq!(world.app.received().len(), 3);
}

/// Over the same upstream, also with a certificate, a right signature and a captured proof.
#[tokio::test]
async fn nothing_that_comes_through_a_site_carries_one() {
    let world = plan().start().await;
    assert_eq!(send(world.meta(), event("{}")).await.unwrap().status, 200);
    let captured = assert_proven(&world, SECRET).headers["x-hubgate-proof"].clone();
    let captured = captured.to_str().unwrap();

    for caller in [world.stranger(), world.meta()] {
        for message in [
            Message::new(Method::GET).target_path("/page"),
            event("{}").target_path("/another-name-of-it"),
            event("{}").target_path("/page?go=/webhooks").framing(Framing::Chunked),
        ] {
            let forged = message
                .header("X-Hubgate-Proof", captured)
                .header("x_hubgate_proof", captured)
                .header("X-Hubgate-Verified", "client-certificate, signature");
            assert_eq!(send(caller.clone(), forged).await.unwrap().status, 200);
            assert_unproven(&world);
        }
    }
    assert_eq!(world.app.received().len(), 7);
}

#[tokio::test]
async fn an_upstream_without_a_secret_gets_none_beside_one_that_has_one() {
    let other = "[[upstream]]\nname = \"other\"\nurl = \"{app}\"\n[[webhook]]\npath = \"/other\"\n\
                 upstream = \"other\"\napp_secrets = { file = \"app-secret\" }\n\
                 verify_token = { file = \"verify-token\" }\n";
    let world = Plan::new().secret_file("app-proof", SECRET).upstream(PROOF).more(other);
    let world = world.start().await;

    assert_eq!(send(world.meta(), event("{}").target_path("/other")).await.unwrap().status, 200);
    assert_unproven(&world);
    assert_eq!(send(world.meta(), event("{}")).await.unwrap().status, 200);
    assert_proven(&world, SECRET);
}

/// The pool of an upstream outlives a reload that leaves the upstream alone.
#[tokio::test]
async fn a_new_secret_is_in_force_with_the_reload_that_brings_it() {
    let world = plan().start().await;
    let meta = Sender::new(world.meta()).unwrap().connect().await.unwrap();
    for secret in [SECRET, SECRET_BEFORE, SECRET] {
        fs::write(world.dir.path().join("app-proof"), secret).unwrap();
        world.reload();
        assert_eq!(meta.request(event("{}")).await.unwrap().status, 200);
        assert_proven(&world, secret);
    }
    let short = &SECRET[..31];
    fs::write(world.dir.path().join("app-proof"), short).unwrap();
    world.proxy.reload_from(&world.config_file()).unwrap_err();
    assert_eq!(meta.request(event("{}")).await.unwrap().status, 200);
    assert_proven(&world, SECRET);
}

#[tokio::test]
async fn each_attempt_has_a_proof_of_its_own_time() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let recorder = Arc::clone(&heads);
    let backend = Backend::scripted(move |mut hop| {
        let recorder = Arc::clone(&recorder);
        async move {
            let Some(head) = hop.head().await else { return };
            let proof = header(&head, "x-hubgate-proof").to_owned();
            recorder.lock().unwrap().push(head);
            if hop.connection == 0 {
                // It breaks off without an answer, once the clock shows another second.
                while now() <= time_of(&proof) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            } else {
                hop.write(OK).await;
            }
        }
    })
    .await;
    let plan = plan().upstream_url(&backend.url()).upstream("repeat = \"broken\"");
    let world = plan.start().await;

    assert_eq!(send(world.meta(), event("{}")).await.unwrap().status, 200);

    let heads = heads.lock().unwrap().clone();
    let [first, second] = &heads[..] else { panic!("not two attempts: {heads:?}") };
    let [first, second] = [first, second].map(|head| header(head, "x-hubgate-proof"));
    assert!(time_of(second) > time_of(first), "{first} {second}");
    let head = ["POST", PATH, "client-certificate, signature"];
    for value in [first, second] {
        assert_eq!(value, made(SECRET, time_of(value), head, b"{}"));
    }
}

/// The value of a header that must be there.
fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let values = head.lines().filter_map(|line| line.split_once(": "));
    let value = values.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, v)| v).next();
    value.unwrap_or_else(|| panic!("no {name} in {head}"))
}

const PROOF: &str = "proof = { file = \"app-proof\" }";
