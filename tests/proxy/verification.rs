//! The verification request: read as Meta writes it, answered bare or handed on.

use http::Method;
use hubgate_testkit::sender::{Http, Message, Sender};

use crate::harness::raw::Raw;
use crate::harness::world::{VERIFY_TOKEN, event, send};
use crate::harness::{Plan, World};

const CHALLENGE: &str = "1158201444";

/// The token as it stands in a query.
const TOKEN: &str = "token~that%2Bnobody+may/see";

fn get(query: &str) -> Message {
    Message::new(Method::GET).query(query)
}

async fn assert_refused(queries: &[String], status: u16, reason: &str) {
    let world = World::start().await;
    for http in [Http::One, Http::Two] {
        let meta = Sender::new(world.meta().http(http)).unwrap().connect().await.unwrap();
        for query in queries {
            let answer = meta.request(get(query)).await.unwrap();
            assert_eq!(answer.status, status, "{query}");
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(!body.contains(CHALLENGE) && !body.contains("token"), "{query}: {body}");
        }
    }
    let series = format!("route=\"/webhooks\",reason=\"{reason}\"");
    let times = 2 * u64::try_from(queries.len()).unwrap();
    world.until_counted("hubgate_refusals_total", &[(&series, times)]).await;
    world.until_counted("hubgate_verifications_total", &[]).await;
    world.assert_application_untouched();
}

#[tokio::test]
async fn parameters_come_in_any_order_among_others_and_encoded_in_any_way() {
    let world = World::start().await;
    let mode = "hub.mode=subscribe";
    let challenge = format!("hub.challenge={CHALLENGE}");
    let token = format!("hub.verify_token={TOKEN}");
    let queries = [
        format!("{mode}&{challenge}&{token}"),
        format!("{mode}&{token}&{challenge}"),
        format!("{challenge}&{mode}&{token}"),
        format!("{challenge}&{token}&{mode}"),
        format!("{token}&{mode}&{challenge}"),
        format!("{token}&{challenge}&{mode}"),
        format!("app=7&{mode}&x&{challenge}&{token}&=&hub.other=1&"),
        format!("hub%2Emode=%73ubscribe&hub%2echallenge={CHALLENGE}&{token}"),
        format!("{mode}&{challenge}&hub.verify_token=token%7Ethat%2Bnobody%20may%2Fsee"),
        format!("{mode}&{challenge}&hub.verify_token=%74oken~that%2bnobody%20m%61y/see"),
    ];
    for http in [Http::One, Http::Two] {
        let meta = Sender::new(world.meta().http(http)).unwrap().connect().await.unwrap();
        for query in &queries {
            let answer = meta.request(get(query)).await.unwrap();
            assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, CHALLENGE.as_bytes()));
        }
    }
    let series = [("route=\"/webhooks\"", 2 * queries.len() as u64)];
    world.until_counted("hubgate_verifications_total", &series).await;
    world.until_counted("hubgate_refusals_total", &[]).await;
    world.assert_application_untouched();
}

#[tokio::test]
async fn a_challenge_is_opaque_text_that_comes_back_as_it_was() {
    let world = World::start().await;
    let meta = Sender::new(world.meta()).unwrap().connect().await.unwrap();
    let longest = "7".repeat(1024);
    for challenge in [
        "0",
        "007",
        "-1",
        "a b+c%20d&e=f",
        "<script>alert(1)</script>",
        "\"x\"",
        "caf\u{e9}",
        &longest,
    ] {
        let answer = meta.request(Message::verification(VERIFY_TOKEN, challenge)).await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, challenge.as_bytes()));
        assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["content-length"], challenge.len().to_string());
    }
}

#[tokio::test]
async fn missing_doubled_empty_and_oversized_parameters_are_bad_requests() {
    let all = format!("hub.mode=subscribe&hub.challenge={CHALLENGE}&hub.verify_token={TOKEN}");
    let queries = [
        String::new(),
        "hub".to_owned(),
        format!("hub.challenge={CHALLENGE}&hub.verify_token={TOKEN}"),
        format!("hub.mode=subscribe&hub.verify_token={TOKEN}"),
        format!("hub.mode=subscribe&hub.challenge={CHALLENGE}"),
        format!("hub_mode=subscribe&hub_challenge={CHALLENGE}&hub_verify_token={TOKEN}"),
        format!("HUB.MODE=subscribe&HUB.CHALLENGE={CHALLENGE}&HUB.VERIFY_TOKEN={TOKEN}"),
        format!("{all}&hub.mode=subscribe"),
        format!("{all}&hub.challenge={CHALLENGE}"),
        format!("{all}&hub.verify_token={TOKEN}"),
        format!("{all}&hub.verify_token=another"),
        format!("hub.verify_token=another&{all}"),
        format!("hub.mode=subscribe&hub.challenge=&hub.verify_token={TOKEN}"),
        format!("hub.mode=subscribe&hub.challenge={CHALLENGE}&hub.verify_token="),
        format!("hub.mode=subscribe&hub.challenge={CHALLENGE}&hub.verify_token"),
        format!("hub.mode=&hub.challenge={CHALLENGE}&hub.verify_token={TOKEN}"),
        format!("hub.mode=subscribe&hub.challenge=%ff&hub.verify_token={TOKEN}"),
        format!("{all}&hub.challenge={}", "7".repeat(1025)),
        format!("hub.mode=subscribe&hub.challenge={}&hub.verify_token={TOKEN}", "7".repeat(1025)),
        format!("hub.mode=subscribe&hub.challenge=1&hub.verify_token={}", "t".repeat(1025)),
    ];
    assert_refused(&queries, 400, "verification_malformed").await;
}

#[tokio::test]
async fn a_mode_other_than_subscribe_is_a_bad_request() {
    let modes = ["unsubscribe", "Subscribe", "subscribe%00", "+subscribe", "subscribe%20", "x"];
    let queries = modes
        .map(|mode| format!("hub.mode={mode}&hub.challenge={CHALLENGE}&hub.verify_token={TOKEN}"));
    assert_refused(&queries, 400, "verification_mode_unknown").await;
}

#[tokio::test]
async fn a_token_that_is_not_exactly_ours_is_forbidden() {
    let tokens = [
        "another".to_owned(),
        format!("{TOKEN}x"),
        format!("x{TOKEN}"),
        format!("{TOKEN}%00"),
        format!("{TOKEN}%00x"),
        format!("%00{TOKEN}"),
        format!("{TOKEN}%20"),
        format!("+{TOKEN}"),
        format!("{TOKEN}%0a"),
        "Token~that%2Bnobody+may/see".to_owned(),
        "token~that%252Bnobody%2520may%252Fsee".to_owned(),
        "token~that%2Bnobody%2Bmay/see".to_owned(),
        "token~that%2Bnobody+may/se".to_owned(),
        "*".to_owned(),
    ];
    let queries = tokens.map(|token| {
        format!("hub.mode=subscribe&hub.challenge={CHALLENGE}&hub.verify_token={token}")
    });
    assert_refused(&queries, 403, "verify_token_mismatch").await;
}

#[tokio::test]
async fn any_token_of_a_rotation_is_right() {
    let tokens = tempfile::tempdir().unwrap();
    for (file, token) in [("old", "first\n"), ("new", "second")] {
        std::fs::write(tokens.path().join(file), token).unwrap();
    }
    let directory = tokens.path().display();
    let list = format!("[{{ file = \"{directory}/new\" }}, {{ file = \"{directory}/old\" }}]");
    let world = Plan::new().webhook(&format!("verify_token = {list}")).start().await;
    let meta = Sender::new(world.meta()).unwrap().connect().await.unwrap();
    for (token, status) in [
        ("first", 200),
        ("second", 200),
        ("first\n", 403),
        ("firstsecond", 403),
        (VERIFY_TOKEN, 403),
    ] {
        let answer = meta.request(Message::verification(token, CHALLENGE)).await.unwrap();
        assert_eq!(answer.status, status, "{token:?}");
    }
    world.until_refused("verify_token_mismatch", 3).await;
}

#[tokio::test]
async fn forwarded_verification_requests_reach_the_application_whole_once_their_token_is_right() {
    let world = Plan::new().webhook("verification = \"forward\"").start().await;
    let meta = Sender::new(world.meta()).unwrap().connect().await.unwrap();
    let query =
        format!("x=1&hub.mode=subscribe&hub.challenge=%31+2&hub.verify_token={TOKEN}&y=%2F/");

    let answer = meta.request(get(&query)).await.unwrap();

    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"ok"[..]));
    let received = world.app.only();
    assert_eq!(received.method, Method::GET);
    assert_eq!(received.uri.to_string(), format!("/webhooks?{query}"));
    assert_eq!(received.headers["x-hubgate-verified"], "client-certificate, verify-token");
    assert!(received.body.is_empty());

    let wrong = meta.request(Message::verification("another", CHALLENGE)).await.unwrap();
    assert_eq!(wrong.status, 403);
    assert_eq!(meta.request(get("hub.mode=subscribe")).await.unwrap().status, 400);
    assert_eq!(world.app.received().len(), 1);
}

/// What is announced and not sent would be taken out of the next request on that connection.
#[tokio::test]
async fn a_body_of_a_verification_request_is_neither_forwarded_nor_announced() {
    let world = Plan::new().webhook("verification = \"forward\"").start().await;
    let query = format!("hub.mode=subscribe&hub.challenge={CHALLENGE}&hub.verify_token={TOKEN}");
    for framing in [
        "content-length: 5\r\n\r\nhello",
        "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        let mut raw = Raw::connect(world.meta()).await;
        raw.send(format!("GET /webhooks?{query} HTTP/1.1\r\nhost: x\r\n{framing}")).await;
        assert_eq!(raw.answer().await.status, 200);
        let received = world.app.received().pop().unwrap();
        assert!(received.body.is_empty());
        assert!(!received.headers.contains_key("content-length"), "{received:?}");
        assert!(!received.headers.contains_key("transfer-encoding"), "{received:?}");
        assert_eq!(send(world.meta(), event("{}")).await.unwrap().status, 200);
        assert_eq!(world.app.received().pop().unwrap().body, "{}");
    }
    assert_eq!(world.app.received().len(), 4);
}

#[tokio::test]
async fn verification_that_is_off_takes_no_get_at_all() {
    let world = Plan::new()
        .more(
            "[[webhook]]\npath = \"/off\"\nupstream = \"app\"\nverification = \"off\"\n\
             app_secrets = [{ file = \"app-secret\" }]\n",
        )
        .start()
        .await;
    let meta = Sender::new(world.meta()).unwrap().connect().await.unwrap();
    let message = Message::verification(VERIFY_TOKEN, CHALLENGE).target_path("/off");
    let answer = meta.request(message).await.unwrap();
    assert_eq!(answer.status, 405);
    assert_eq!(answer.headers["allow"], "POST");
    assert_eq!(meta.request(event("{}").target_path("/off")).await.unwrap().status, 200);
}

#[tokio::test]
async fn methods_other_than_get_and_post_are_not_allowed_and_told_which_are() {
    let world = World::start().await;
    let query = format!("hub.mode=subscribe&hub.challenge={CHALLENGE}&hub.verify_token={TOKEN}");
    let methods = ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "GOT", "get", "post"];
    for http in [Http::One, Http::Two] {
        for method in methods {
            let method: Method = method.parse().unwrap();
            let message = get(&query).method(method.clone());
            let answer = send(world.meta().http(http), message).await.unwrap();
            assert_eq!(answer.status, 405, "{method}");
            assert_eq!(answer.headers["allow"], "GET, POST", "{method}");
            assert_eq!(answer.body.is_empty(), method == Method::HEAD);
        }
        let signed = event("{}").method(Method::PUT);
        assert_eq!(send(world.meta().http(http), signed).await.unwrap().status, 405);
    }
    world.until_counted("hubgate_events_verified_total", &[]).await;
    world.until_counted("hubgate_verifications_total", &[]).await;
    world.assert_application_untouched();
}

/// Its token is right; but it is no event, whatever it carries.
#[tokio::test]
async fn a_verification_request_by_post_is_an_unsigned_event() {
    let world = World::start().await;
    let message = Message::verification(VERIFY_TOKEN, CHALLENGE).method(Method::POST);
    assert_eq!(send(world.meta(), message).await.unwrap().status, 403);
    world.until_refused("signature_missing", 1).await;
}
