//! Cookies on their way to an application.

use http::Method;
use hubgate_testkit::sender::{Http, Message};

use crate::harness::Plan;
use crate::harness::world::{World, event, send};

/// What the application got in lines of their own.
fn cookies(world: &World) -> Vec<String> {
    let received = world.app.received().pop().unwrap();
    let lines = received.headers.get_all("cookie").iter();
    lines.map(|line| line.to_str().unwrap().to_owned()).collect()
}

/// HTTP/2 may split them for better compression (RFC 9113 section 8.2.3).
#[tokio::test]
async fn cookies_that_http_2_has_split_arrive_as_one_line() {
    let site = "[[site]]\nupstream = \"app\"\n";
    let world = Plan::new().more(site).start().await;
    let page = || Message::new(Method::GET).target_path("/page");
    for message in [page().header("cookie", "a=1; b=2"), event("{}").header("cookie", "a=1; b=2")] {
        let message = message.header("cookie", "c=3").header("cookie", "d=\"4\"");
        let answer = send(world.meta().http(Http::Two), message).await.unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(cookies(&world), ["a=1; b=2; c=3; d=\"4\""]);
    }
    let message = page().header("cookie", "a=1");
    assert_eq!(send(world.stranger().http(Http::Two), message).await.unwrap().status, 200);
    assert_eq!(cookies(&world), ["a=1"]);
}

/// There a second line is nobody's right, and what it means is for the application to say.
#[tokio::test]
async fn cookies_over_http_1_arrive_as_they_came() {
    let world = Plan::new().start().await;
    let message = event("{}").header("cookie", "a=1").header("cookie", "b=2");
    assert_eq!(send(world.meta().http(Http::One), message).await.unwrap().status, 200);
    assert_eq!(cookies(&world), ["a=1", "b=2"]);
}
