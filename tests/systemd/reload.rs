//! `hubgate reload`, and reloads that nobody asked for.

use std::process::{Command, Output};

use rustix::process::Signal;

use crate::harness::{Place, Process, Settings};
use crate::waiting::found;

#[tokio::test]
async fn hubgate_reload_waits_for_the_outcome_and_says_it() {
    let place = Place::new();
    place.configure(&Settings::default());
    let (process, pid) = start(&place).await;

    let good = reload(&place, pid);
    assert!(good.status.success(), "{good:?}");
    assert_eq!(String::from_utf8_lossy(&good.stdout), "generation 2 is in force\n");

    place.write("verify-token", "");
    let refused = reload(&place, pid);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("verify_token") && told.contains("generation 2 stays"), "{told}");

    // It is found even if nothing in the configuration can be.
    place.write("config.toml", "]");
    assert_eq!(reload(&place, pid).status.code(), Some(1));

    let other = reload(&place, std::process::id());
    assert_eq!(other.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&other.stderr).contains("is of process"), "{other:?}");
    process.signal(Signal::TERM);
}

#[tokio::test]
async fn a_changed_file_is_taken_up_without_a_signal_if_that_is_wanted() {
    let place = Place::new();
    let log = "[reload]\nwatch = true\nwatch_interval_ms = 20".to_owned();
    let process = place.run(&Settings { log, ..Settings::default() }).await;

    place.write("verify-token", "another");
    process.until_written("generation\":2").await;

    // A broken one is tried once, and not again until it changes.
    place.write("verify-token", "");
    process.until_written("stays in force").await;
    place.write("verify-token", "yet another");
    process.until_written("generation\":3").await;
    let failed = process.stderr().matches("stays in force").count();
    assert_eq!(failed, 1, "{}", process.stderr());
}

#[tokio::test]
async fn a_changed_file_waits_for_a_signal_by_default() {
    let place = Place::new();
    let log = "[reload]\nwatch_interval_ms = 1".to_owned();
    let process = place.run(&Settings { log, ..Settings::default() }).await;

    place.write("verify-token", "");
    place.configure(&Settings::default());
    place.write("verify-token", "another");
    process.signal(Signal::HUP);
    process.until_written("reloaded").await;

    assert!(!process.stderr().contains("a file in use has changed"), "{}", process.stderr());
    assert!(process.stderr().contains("generation\":2"), "{}", process.stderr());
}

/// With a runtime directory, and its process id.
async fn start(place: &Place) -> (Process, u32) {
    let mut command = place.command();
    command.env("RUNTIME_DIRECTORY", place.dir.path());
    let process = Process::start(command);
    process.until_written("serving").await;
    let record = place.dir.path().join("reload.json");
    let record = found(async || std::fs::read(&record).ok()).await.expect("is written");
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    (process, u32::try_from(record["pid"].as_u64().unwrap()).unwrap())
}

fn reload(place: &Place, pid: u32) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hubgate"))
        .args(["reload", "--pid", &pid.to_string()])
        .env("RUNTIME_DIRECTORY", place.dir.path())
        .output()
        .unwrap()
}
