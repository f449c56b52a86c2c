//! No free descriptors: accepting pauses, and goes on when there are some again.

use std::process::Command;

use hubgate_testkit::sender::Sender;
use tokio::net::TcpStream;

use crate::backend::Backend;
use crate::harness::{Admin, Place, Process, Settings, event};

#[tokio::test]
async fn accept_errors_back_off_and_recover() {
    let backend = Backend::good_at("127.0.0.1:0".parse().unwrap()).await;
    let place = Place::new();
    place.configure(&Settings {
        // Callers that say nothing hold their descriptors for as long as the test likes.
        limits: "handshake_timeout_ms = 3600000".into(),
        upstream_url: backend.url(),
        ..Settings::default()
    });
    let process = Process::start(with_few_descriptors(&place));
    process.until_written("serving").await;
    // Before they run out: this one serves on.
    let mut admin = Admin::connect(&process).await;
    assert_eq!(admin.metric(ERRORS).await, 0.0);

    let mut silent = Vec::new();
    for _ in 0..DESCRIPTORS {
        silent.push(TcpStream::connect(process.address()).await.unwrap());
    }
    admin.until_metric(ERRORS, |errors| errors >= 5.0).await;

    // A loop without a pause fails many times between two looks; with one, some looks see none.
    let mut errors = 0.0;
    for _ in 0..LOOKS {
        errors = admin.metric(ERRORS).await;
    }
    assert!(errors < f64::from(LOOKS) / 2.0, "{errors} errors at {LOOKS} looks");
    let told = process.log().iter().filter(|line| line["target"] == "hubgate::listener").count();
    assert!(told >= 1, "{}", process.stderr());
    assert!(told <= 3, "not once for each error: {}", process.stderr());

    silent.clear();
    let answer = Sender::new(place.meta(&process)).unwrap().send(event("1")).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(backend.bodies(), ["1"]);
    admin.until_metric("hubgate_connections_open", |open| open == 0.0).await;
}

/// As many as it needs to start, and some more for callers.
const DESCRIPTORS: usize = 64;

const LOOKS: u32 = 200;

const ERRORS: &str = "hubgate_accept_errors_total";

fn with_few_descriptors(place: &Place) -> Command {
    let direct = place.command();
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit -n {DESCRIPTORS} && exec \"$0\" \"$@\""));
    command.arg(direct.get_program()).args(direct.get_args());
    command
}
