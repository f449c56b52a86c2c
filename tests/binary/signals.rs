//! SIGTERM, SIGINT and SIGHUP.

use hubgate_testkit::sender::{Answer, Message, SendError, Sender};
use rustix::process::Signal;
use tokio::task::JoinHandle;

use crate::backend::Backend;
use crate::harness::{Place, Process, Settings, VERIFY_TOKEN, event};
use crate::waiting::until_deserted;

#[tokio::test]
async fn a_stop_signal_answers_what_is_in_flight_and_ends_with_success() {
    for signal in [Signal::TERM, Signal::INT] {
        let (backend, release) = Backend::held().await;
        let place = Place::new();
        let mut process = place.run(&slow(&backend)).await;
        let address = process.address();
        let requests: Vec<_> = (0..10).map(|_| send_event(&place, &process)).collect();
        backend.until_seen(10).await;

        process.signal(signal);
        process.until_written("draining").await;
        until_deserted(address).await;
        release.add_permits(10);

        for request in requests {
            assert_eq!(request.await.unwrap().unwrap().status, 200);
        }
        assert_eq!(process.ended().await.code(), Some(0), "{}", process.stderr());
        assert_eq!(backend.seen().len(), 10);
        assert_eq!(process.until_records(10).await.len(), 10);
    }
}

#[tokio::test]
async fn an_idle_process_ends_at_once_however_long_it_may_drain() {
    let place = Place::new();
    let server = "drain_timeout_ms = 3600000".into();
    let mut process = place.run(&Settings { server, ..Settings::default() }).await;
    let connection = Sender::new(place.meta(&process)).unwrap().connect().await.unwrap();
    // One that has had no request would be left a second for it.
    assert_eq!(connection.request(event("1")).await.unwrap().status, 502, "nobody is upstream");

    process.signal(Signal::TERM);

    assert_eq!(process.ended().await.code(), Some(0), "{}", process.stderr());
    connection.request(event("2")).await.expect_err("must be closed");
}

#[tokio::test]
async fn a_second_stop_signal_ends_at_once_with_failure() {
    let (backend, _release) = Backend::held().await;
    let place = Place::new();
    let mut process = place.run(&slow(&backend)).await;
    let request = send_event(&place, &process);
    backend.until_seen(1).await;

    process.signal(Signal::TERM);
    process.until_written("draining").await;
    process.signal(Signal::TERM);

    assert_eq!(process.ended().await.code(), Some(1), "{}", process.stderr());
    assert!(process.stderr().contains("second signal"), "{}", process.stderr());
    request.await.unwrap().expect_err("must be cut off");
}

#[tokio::test]
async fn a_hangup_puts_a_good_configuration_in_force() {
    let place = Place::new();
    let process = place.run(&Settings::default()).await;
    let sender = Sender::new(place.meta(&process)).unwrap();
    assert_eq!(sender.send(verification("another token")).await.unwrap().status, 403);

    place.write("verify-token", "another token");
    process.signal(Signal::HUP);
    process.until_written("reloaded").await;

    assert_eq!(sender.send(verification("another token")).await.unwrap().status, 200);
    assert_eq!(sender.send(verification(VERIFY_TOKEN)).await.unwrap().status, 403);
}

#[tokio::test]
async fn a_hangup_leaves_the_old_configuration_in_force_if_the_new_one_is_broken() {
    let place = Place::new();
    let process = place.run(&Settings::default()).await;
    let sender = Sender::new(place.meta(&process)).unwrap();

    place.write("verify-token", "");
    process.signal(Signal::HUP);
    process.until_written("stays in force").await;

    assert_eq!(sender.send(verification(VERIFY_TOKEN)).await.unwrap().status, 200);
    let told = process.log().into_iter().find(|line| line["level"] == "ERROR").unwrap();
    assert!(told.to_string().contains("verify_token"), "{told}");
    let metrics = process.metrics().await;
    assert!(metrics.contains("hubgate_reloads_total{outcome=\"failed\"} 1\n"), "{metrics}");
    assert!(metrics.contains("hubgate_generation 1\n"), "{metrics}");
}

#[tokio::test]
async fn a_refused_reload_is_logged_with_every_fault_its_code_and_its_cause() {
    let place = Place::new();
    let process = place.run(&Settings::default()).await;

    place.write("meta.pem", "no certificate");
    std::fs::write(place.dir.path().join("server.key"), "no key").unwrap();
    process.signal(Signal::HUP);
    process.until_written("stays in force").await;

    let told = process.log().into_iter().find(|line| line["level"] == "ERROR").unwrap();
    let why = told["why"].as_str().unwrap();
    assert!(why.contains("server.key` holds no private key"), "{told}");
    assert!(why.contains("meta.pem` holds no certificate"), "{told}");
    assert_eq!(told["code"], "start_key_absent, start_certificate_absent");

    std::fs::remove_file(place.dir.path().join("server.key")).unwrap();
    place.write("meta.pem", &place.meta_ca.certificate_pem());
    process.signal(Signal::HUP);
    process.until_written("config_file_unusable").await;
    process.until_written("No such file").await;
}

#[tokio::test]
async fn a_hangup_while_draining_is_ignored() {
    let (backend, release) = Backend::held().await;
    let place = Place::new();
    let mut process = place.run(&slow(&backend)).await;
    let request = send_event(&place, &process);
    backend.until_seen(1).await;

    process.signal(Signal::TERM);
    process.until_written("draining").await;
    for _ in 0..3 {
        process.signal(Signal::HUP);
    }
    release.add_permits(1);

    assert_eq!(request.await.unwrap().unwrap().status, 200);
    assert_eq!(process.ended().await.code(), Some(0), "{}", process.stderr());
    assert!(!process.stderr().contains("reloaded"), "{}", process.stderr());
}

fn verification(token: &str) -> Message {
    Message::verification(token, "1158201444")
}

fn slow(backend: &Backend) -> Settings {
    Settings {
        server: "drain_timeout_ms = 3600000".into(),
        upstream_url: backend.url(),
        upstream: "timeout_ms = 3600000".into(),
        ..Settings::default()
    }
}

fn send_event(place: &Place, process: &Process) -> JoinHandle<Result<Answer, SendError>> {
    let options = place.meta(process);
    tokio::spawn(async move { Sender::new(options)?.send(event("1")).await })
}
