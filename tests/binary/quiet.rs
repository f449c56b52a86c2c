//! A webhook that no genuine event comes to.

use serde_json::Value;

use crate::harness::{Admin, PATH, Place, Process, Settings, event};
use hubgate_testkit::sender::Sender;

const ALARM: &str = "no genuine event for longer than webhook.quiet_alarm_ms";
const END: &str = "genuine events come again";

/// The lines with this message, in the order of the log.
fn lines(process: &Process, message: &str) -> Vec<Value> {
    process.log().into_iter().filter(|line| line["message"] == message).collect()
}

#[tokio::test]
async fn each_silence_raises_the_alarm_once_and_the_next_event_ends_it() {
    let place = Place::new();
    let webhook = "quiet_alarm_ms = 1000".to_owned();
    let process = place.run(&Settings { webhook, ..Settings::default() }).await;
    let mut admin = Admin::connect(&process).await;
    let quiet = format!("hubgate_quiet{{route=\"{PATH}\"}}");
    assert_eq!(admin.metric(&quiet).await, 0.0);

    process.until_written(ALARM).await;
    assert_eq!(admin.metric(&quiet).await, 1.0);
    let status: Value = serde_json::from_str(&admin.get("/status").await).unwrap();
    assert_eq!(status["health"], "red");
    assert_eq!(status["webhooks"][0]["quiet_alarm"]["is_quiet"], true);

    // One that is not genuine ends nothing; one that is does, also if nobody takes it.
    let meta = Sender::new(place.meta(&process)).unwrap();
    let forged = hubgate_testkit::sender::Message::event("another secret", "{}");
    assert_eq!(meta.send(forged).await.unwrap().status, 403);
    assert_eq!(meta.send(event("{}")).await.unwrap().status, 502);
    process.until_written(END).await;
    assert_eq!(lines(&process, ALARM).len(), 1);
    assert_eq!(lines(&process, ALARM)[0]["level"], "WARN");
    assert_eq!(lines(&process, ALARM)[0]["route"], PATH);
    assert_eq!(lines(&process, END)[0]["level"], "INFO");

    // And falls silent again.
    process.until_written_times(ALARM, 2).await;
    assert_eq!(lines(&process, ALARM).len(), 2);
    assert_eq!(admin.metric(&quiet).await, 1.0);
}

#[tokio::test]
async fn without_the_key_a_route_may_be_silent() {
    let place = Place::new();
    let process = place.run(&Settings::default()).await;
    let mut admin = Admin::connect(&process).await;

    let status: Value = serde_json::from_str(&admin.get("/status").await).unwrap();

    assert_eq!(status["webhooks"][0]["quiet_alarm"], Value::Null);
    assert_eq!(admin.metric(&format!("hubgate_quiet{{route=\"{PATH}\"}}")).await, 0.0);
}
