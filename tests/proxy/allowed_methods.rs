//! What a 405 says of the methods that are taken (RFC 9110 section 15.5.6).

use http::Method;
use hubgate_testkit::sender::{Http, Message};

use crate::harness::Plan;
use crate::harness::raw::Raw;
use crate::harness::world::{PATH, send};

/// A site that takes two methods, and one that takes any.
const SITES: &str = "[[site]]\npath = \"/files/\"\nupstream = \"app\"\nmethods = [\"GET\", \"HEAD\"]\n\
                     [[site]]\npath = \"/any/\"\nupstream = \"app\"\n";

const ANY: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

#[tokio::test]
async fn each_route_names_its_own_methods() {
    let world = Plan::new().more(SITES).start().await;
    for http in [Http::One, Http::Two] {
        for (method, path, allowed) in [
            ("POST", "/files/a", "GET, HEAD"),
            ("TRACE", "/files/a", "GET, HEAD"),
            ("TRACE", "/any/a", ANY),
            ("PUT", PATH, "GET, POST"),
            ("TRACE", PATH, "GET, POST"),
        ] {
            let message = Message::new(method.parse::<Method>().unwrap()).target_path(path);
            let answer = send(world.meta().http(http), message).await.unwrap();
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.headers["allow"], allowed, "{method} {path}");
        }
    }
    world.assert_application_untouched();
    let refused = |route: &str| {
        format!("hubgate_refusals_total{{route=\"{route}\",reason=\"method_not_allowed\"}}")
    };
    world.until_metric(&refused("/files/"), 2.0).await;
    world.until_metric(&refused(PATH), 2.0).await;
    world.until_metric(&refused("none"), 6.0).await;
}

#[tokio::test]
async fn the_redirect_names_what_it_sends_on() {
    let redirect = "[redirect]\nlisten = [\"127.0.0.5:0\"]\n";
    let world = Plan::new().more(redirect).start().await;
    for request in
        ["TRACE / HTTP/1.1\r\nhost: a\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n"]
    {
        let mut raw = Raw::plain(world.plain("127.0.0.1").await);
        raw.send(request).await;
        let answer = raw.answer().await;
        assert_eq!(answer.status, 405, "{request}");
        let allowed = format!("\r\nallow: {}\r\n", ANY.to_ascii_lowercase());
        assert!(answer.head.contains(&allowed), "{}", answer.head);
    }
}
