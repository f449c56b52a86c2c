//! What strangers can have written down is bounded; what is genuine has its record beside it.

use std::time::Duration;

use hubgate_testkit::pki::{Authority, Ca, Leaf};
use hubgate_testkit::sender::{Http, Message, Sender};
use rustix::process::Signal;
use serde_json::Value;

use crate::backend::{Backend, OK};
use crate::harness::{Place, Process, Settings, event};

/// As many as the reference says, for each network and reason.
const LINES_A_MINUTE: u64 = 60;

/// The lines with this text for a key, and how many more the log says that there were.
fn told(log: &[Value], key: &str, text: &str) -> (u64, u64) {
    let lines: Vec<_> = log.iter().filter(|line| line[key] == text).collect();
    let suppressed = lines.iter().filter_map(|line| line["suppressed"].as_u64());
    let written = lines.iter().filter(|line| line["suppressed"].is_null()).count();
    (written as u64, suppressed.sum())
}

async fn ended(mut process: Process) -> Vec<Value> {
    process.signal(Signal::TERM);
    process.ended().await;
    process.log()
}

async fn answering() -> Backend {
    Backend::scripted(|mut hop| async move {
        while hop.request().await.is_some() {
            hop.write(OK).await;
        }
    })
    .await
}

#[tokio::test]
async fn ten_thousand_refusals_leave_a_minutes_lines_and_their_number() {
    let backend = answering().await;
    let place = Place::new();
    let settings = Settings { upstream_url: backend.url(), ..Settings::default() };
    let process = place.run(&settings).await;
    let began = std::time::Instant::now();
    let sender = Sender::new(place.meta(&process).http(Http::Two)).unwrap();

    let mut genuine = 0;
    for _ in 0..100 {
        let connection = sender.connect().await.unwrap();
        for _ in 0..100 {
            let refused = connection.request(Message::unsigned_event("")).await.unwrap();
            assert_eq!(refused.status, 403);
        }
        assert_eq!(connection.request(event("1")).await.unwrap().status, 200);
        genuine += 1;
    }

    let minutes = began.elapsed().as_secs() / 59 + 1;
    let log = ended(process).await;
    let (written, suppressed) = told(&log, "refusal", "signature_missing");
    assert_eq!(written + suppressed, 10_000);
    assert!((LINES_A_MINUTE..=LINES_A_MINUTE * minutes).contains(&written), "{written}");
    assert!((log.len() as u64) < 200 + written, "{} lines", log.len());
    assert_eq!(told(&log, "outcome", "delivered"), (genuine, 0));
    let line = log.iter().find(|line| !line["suppressed"].is_null()).unwrap();
    for (key, value) in [
        ("level", "INFO"),
        ("target", "access"),
        ("client", "127.0.0.1/32"),
        ("outcome", "refused"),
        ("message", "more refused requests"),
    ] {
        assert_eq!(line[key], value, "{line}");
    }
}

#[tokio::test]
async fn a_proven_event_that_the_application_refuses_has_its_record_however_many_there_are() {
    let place = Place::new();
    // Nobody listens there.
    let process = place.run(&Settings::default()).await;
    let connection = Sender::new(place.meta(&process)).unwrap().connect().await.unwrap();
    for _ in 0..150 {
        assert_eq!(connection.request(event("1")).await.unwrap().status, 502);
    }
    let log = ended(process).await;
    assert_eq!(told(&log, "refusal", "upstream_unreachable"), (150, 0));
}

#[tokio::test]
async fn refused_connections_are_bounded_for_each_reason_and_network() {
    let place = Place::new();
    let process = place.run(&Settings::default()).await;
    let unknown = Authority::root(Ca::named("unheard of")).issue(Leaf::meta());
    let forger = Sender::new(place.stranger(&process).identity(unknown)).unwrap();
    let elsewhere = place.stranger(&process).source("127.0.0.9".parse().unwrap());
    let elsewhere = Sender::new(elsewhere).unwrap();
    for _ in 0..100 {
        forger.send(event("1")).await.expect_err("must not connect");
    }
    for _ in 0..3 {
        elsewhere.send(event("1")).await.expect_err("must not connect");
    }
    let log = ended(process).await;
    assert_eq!(told(&log, "reason", "unknown_anchor"), (60, 40));
    assert_eq!(told(&log, "reason", "certificate_missing"), (3, 0));
}

#[tokio::test]
async fn connections_without_a_request_are_bounded() {
    let place = Place::new();
    let process = place.run(&Settings::default()).await;
    let sender = Sender::new(place.meta(&process).http(Http::One)).unwrap();
    for _ in 0..80 {
        let (mut stream, _) = sender.handshake().await.unwrap();
        let written = tokio::io::AsyncWriteExt::write_all(&mut stream, b"no request\r\n\r\n").await;
        written.unwrap();
        let _answer = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 1]).await;
    }
    let log = ended(process).await;
    assert_eq!(told(&log, "refusal", "request_malformed"), (60, 20));
}

#[tokio::test]
#[ignore = "takes a minute; .ci/run calls it by name"]
async fn whoever_is_silenced_is_told_of_within_a_minute_also_when_nothing_more_comes() {
    let place = Place::new();
    let process = place.run(&Settings::default()).await;
    let connection = Sender::new(place.meta(&process).http(Http::Two)).unwrap();
    let connection = connection.connect().await.unwrap();
    for _ in 0..61 {
        let refused = connection.request(Message::unsigned_event("")).await.unwrap();
        assert_eq!(refused.status, 403);
    }
    assert_eq!(told(&process.log(), "refusal", "signature_missing").1, 0);
    process.until_written_within("more refused requests", Duration::from_secs(70)).await;
    assert_eq!(told(&process.log(), "refusal", "signature_missing"), (60, 1));
}
