//! W3C Trace Context: one valid `traceparent` reaches the application, whatever came in.

use http::Method;
use hubgate_testkit::sender::Message;

use crate::harness::raw::Raw;
use crate::harness::world::{event, send};
use crate::harness::{Plan, World};

const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

#[tokio::test]
async fn a_valid_trace_goes_on_with_its_state_through_webhooks_and_sites() {
    let world = Plan::new().more("[[site]]\nupstream = \"app\"\n").start().await;
    for message in [event("{}"), Message::new(Method::GET).target_path("/page")] {
        let message = message.header("traceparent", GIVEN).header("tracestate", "vendor=1");
        assert_eq!(send(world.meta(), message).await.unwrap().status, 200);
        let received = world.app.received().pop().unwrap();
        assert_eq!(received.headers["traceparent"], GIVEN);
        assert_eq!(received.headers["tracestate"], "vendor=1");
    }
}

#[tokio::test]
async fn a_trace_is_begun_where_none_or_no_valid_one_came() {
    let world = World::start().await;
    let forged = event("{}").header("traceparent", "00-0-0-0").header("tracestate", "vendor=1");
    let doubled = event("{}").header("traceparent", GIVEN).header("traceparent", GIVEN);
    let mut seen = Vec::new();
    for message in [event("{}"), event("{}"), forged, doubled] {
        assert_eq!(send(world.meta(), message).await.unwrap().status, 200);
        let received = world.app.received().pop().unwrap();
        let values: Vec<_> = received.headers.get_all("traceparent").iter().collect();
        assert_eq!(values.len(), 1, "{values:?}");
        let value = values[0].to_str().unwrap().to_owned();
        assert!(value.len() == 55 && value.starts_with("00-") && value.ends_with("-01"), "{value}");
        assert!(value != GIVEN && !seen.contains(&value), "{value}");
        assert!(!received.headers.contains_key("tracestate"));
        seen.push(value);
    }
}

#[tokio::test]
async fn connection_cannot_take_the_trace_out() {
    let world = Plan::new().more("[[site]]\nupstream = \"app\"\n").start().await;
    for begin in ["", "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00\r\n"] {
        let mut raw = Raw::connect(world.stranger()).await;
        raw.send(format!(
            "GET /page HTTP/1.1\r\nhost: a\r\n{begin}connection: traceparent, Tracestate\r\n\r\n"
        ))
        .await;
        assert_eq!(raw.answer().await.status, 200);
        let received = world.app.received().pop().unwrap();
        assert_eq!(received.headers.get_all("traceparent").iter().count(), 1, "{received:?}");
    }
}
