//! What of a backend's answer reaches the caller, and what never does.

use hubgate_testkit::sender::{Answer, Sender};

use crate::harness::backend::{Backend, OK};
use crate::harness::world::event;
use crate::harness::{Plan, World};

#[tokio::test]
async fn a_malformed_conflicting_or_broken_answer_is_a_502_and_none_of_it_is_passed_on() {
    let many_fields = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-Field: evil\r\n".repeat(101));
    let long_field =
        format!("HTTP/1.1 200 OK\r\nX-Field: {}\r\nContent-Length: 0\r\n\r\n", "e".repeat(66_000));
    let cases: Vec<(&str, &str, &str)> = vec![
        ("nothing", "", "upstream_broken"),
        ("garbage", "evil evil evil\r\n\r\n", "upstream_malformed"),
        ("another protocol", "SSH-2.0-evil\r\n", "upstream_malformed"),
        ("status of two digits", "HTTP/1.1 20 evil\r\n\r\n", "upstream_malformed"),
        ("status above all", "HTTP/1.1 1000 evil\r\n\r\n", "upstream_malformed"),
        ("half a head", "HTTP/1.1 200 OK\r\nX-Field: evil\r\n", "upstream_broken"),
        (
            "two lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nevil!",
            "upstream_malformed",
        ),
        (
            "a list of lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 4, 5\r\n\r\nevil!",
            "upstream_malformed",
        ),
        (
            "a negative length",
            "HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\nevil",
            "upstream_malformed",
        ),
        (
            "length and chunks",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n",
            "upstream_malformed",
        ),
        ("body too short", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nevil", "upstream_broken"),
        (
            "chunks too short",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nevil",
            "upstream_broken",
        ),
        (
            "chunks that are none",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nevil\r\n",
            "upstream_malformed",
        ),
        (
            "another protocol on this connection",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: evil\r\n\r\nevil",
            "upstream_malformed",
        ),
        ("too many fields", &many_fields, "upstream_malformed"),
        ("too long a field", &long_field, "upstream_malformed"),
    ];
    let answers: Vec<(String, Vec<u8>)> = cases
        .iter()
        .map(|(name, answer, _)| ((*name).to_owned(), answer.as_bytes().to_vec()))
        .collect();
    let backend = Backend::answering(move |body| {
        answers.iter().find(|(name, _)| name.as_bytes() == body).unwrap().1.clone()
    })
    .await;
    let world = before(&backend, "").await;

    for (name, _, reason) in &cases {
        let before = refused(&world, reason);
        let answer = ask(&world, name).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body[..]),
            (502, &b"Bad Gateway"[..]),
            "{name}"
        );
        assert!(!format!("{:?}", answer.headers).contains("evil"), "{name}: {:?}", answer.headers);
        assert_eq!(refused(&world, reason), before + 1.0, "{name}: not for {reason}");
    }
    let names: Vec<_> = cases.iter().map(|(name, _, _)| *name).collect();
    assert_eq!(backend.bodies(), names, "each was delivered once");
}

#[tokio::test]
async fn an_answer_as_long_as_the_limit_passes_and_one_byte_more_is_a_502() {
    let backend = Backend::answering(|length| {
        let length = String::from_utf8(length.to_vec()).unwrap();
        let body = "x".repeat(length.parse().unwrap());
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}").into_bytes()
    })
    .await;
    let world = before(&backend, "response_max_bytes = 20000").await;

    let longest = ask(&world, "20000").await;
    assert_eq!((longest.status.as_u16(), longest.body.len()), (200, 20_000));
    assert_eq!(ask(&world, "20001").await.status, 502);
    world.until_refused("upstream_malformed", 1).await;
}

#[tokio::test]
async fn an_informational_answer_before_the_final_one_is_skipped() {
    let backend = Backend::answering(|_| {
        let early =
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </evil>\r\n\r\n";
        [early.as_bytes(), OK].concat()
    })
    .await;
    let world = before(&backend, "").await;

    let answer = ask(&world, "1").await;

    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"ok"[..]));
    assert!(!answer.headers.contains_key("link"));
    assert_eq!(backend.bodies(), ["1"]);
}

#[tokio::test]
async fn every_success_is_answered_as_200_with_its_body_and_a_right_length() {
    let backend = Backend::answering(|case| {
        let (status, framing) = std::str::from_utf8(case).unwrap().split_once(' ').unwrap();
        let rest = match framing {
            "none" => "\r\n",
            "length" => "Content-Length: 4\r\n\r\nmade",
            "chunked" => {
                "Transfer-Encoding: chunked\r\n\r\n2\r\nma\r\n2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n"
            }
            "close" => "Connection: close\r\n\r\nmade",
            _ => unreachable!(),
        };
        format!("HTTP/1.1 {status} Fine\r\n{rest}").into_bytes()
    })
    .await;
    let world = before(&backend, "").await;

    for (case, body) in [
        ("204 none", ""),
        ("200 length", "made"),
        ("201 length", "made"),
        ("202 chunked", "made"),
        ("203 close", "made"),
        ("299 length", "made"),
    ] {
        let answer = ask(&world, case).await;
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, body.as_bytes()), "{case}");
        assert_eq!(answer.headers["content-length"], body.len().to_string(), "{case}");
        assert!(!answer.headers.contains_key("transfer-encoding"), "{case}");
        assert!(!answer.headers.contains_key("x-trailer"), "{case}");
    }
}

#[tokio::test]
async fn every_other_final_status_passes_as_it_is_with_its_headers_and_body() {
    let backend = Backend::answering(|status| {
        let status = std::str::from_utf8(status).unwrap();
        let headers = "Location: /there\r\nRetry-After: 7\r\nContent-Type: text/x\r\n";
        let rest = if status == "304" { "\r\n" } else { "Content-Length: 4\r\n\r\nbody" };
        format!("HTTP/1.1 {status} Whatever\r\n{headers}{rest}").into_bytes()
    })
    .await;
    let world = before(&backend, "").await;

    for status in [301, 302, 304, 307, 400, 401, 403, 404, 410, 418, 429, 500, 501, 503, 599] {
        let answer = ask(&world, &status.to_string()).await;
        assert_eq!(answer.status, status);
        assert_eq!(&answer.body[..], if status == 304 { &b""[..] } else { &b"body"[..] });
        for (name, value) in
            [("location", "/there"), ("retry-after", "7"), ("content-type", "text/x")]
        {
            assert_eq!(answer.headers[name], value, "{status}");
        }
    }
    // They are the application's answers, not refusals of ours.
    for reason in ["upstream_malformed", "upstream_broken", "upstream_timeout"] {
        assert_eq!(refused(&world, reason), 0.0);
    }
}

#[tokio::test]
async fn headers_about_the_hop_stay_on_the_hop_and_all_others_pass() {
    let backend = Backend::answering(|_| {
        "HTTP/1.1 200 OK\r\nConnection: X-Private, close\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Authenticate: Basic\r\nProxy-Connection: close\r\nTrailer: X-T\r\nUpgrade: h2c\r\n\
         TE: trailers\r\nX-Kept: one\r\nX-Kept: two\r\nServer: app\r\nContent-Length: 2\r\n\r\nok"
            .into()
    })
    .await;
    let world = before(&backend, "").await;
    let meta = Sender::new(world.meta()).unwrap().connect().await.unwrap();

    // The backend's `Connection: close` is not ours: the caller's connection lives on.
    for body in ["1", "2"] {
        let answer = meta.request(event(body)).await.unwrap();
        assert_eq!(answer.status, 200);
        let mut names: Vec<_> = answer.headers.keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-length", "date", "server", "x-kept"]);
        let kept: Vec<_> = answer.headers.get_all("x-kept").iter().collect();
        assert_eq!(kept, ["one", "two"]);
    }
    assert_eq!(world.metric("hubgate_connections_total"), 1.0);
}

#[tokio::test]
async fn bytes_behind_an_answer_never_become_the_answer_to_the_next_event() {
    let backend = Backend::scripted(|mut hop| async move {
        while hop.request().await.is_some() {
            let evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
            hop.write(&[OK, evil].concat()).await;
        }
    })
    .await;
    let world = before(&backend, "").await;
    let meta = Sender::new(world.meta()).unwrap().connect().await.unwrap();

    for body in ["1", "2", "3"] {
        let answer = meta.request(event(body)).await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"ok"[..]), "{body}");
    }
    assert_eq!(backend.bodies(), ["1", "2", "3"]);
}

/// A world whose upstream is this backend, with one more line of settings for it.
async fn before(backend: &Backend, setting: &str) -> World {
    Plan::new().upstream_url(&backend.url()).upstream(setting).start().await
}

/// Sends an event with this body over a connection of its own.
async fn ask(world: &World, body: &str) -> Answer {
    crate::harness::world::send(world.meta(), event(body.to_owned())).await.unwrap()
}

fn refused(world: &World, reason: &str) -> f64 {
    world.metric(&format!("hubgate_refusals_total{{route=\"/webhooks\",reason=\"{reason}\"}}"))
}
