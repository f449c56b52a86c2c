//! No output of a run holds a secret, a token, a challenge, a signature or a body.

use hubgate_testkit::events::sign;
use hubgate_testkit::pki::{Authority, Ca, Leaf};
use hubgate_testkit::sender::{Ending, Http, Message, Sender};
use rustix::process::Signal;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::backend::Backend;
use crate::harness::{APP_SECRET, Place, Process, Settings, VERIFY_TOKEN, event};
use crate::waiting::comes_true;

#[tokio::test]
async fn nothing_in_any_output_contains_a_secret_token_or_body() {
    for format in ["json", "text"] {
        let backend = Backend::answering(|body| match body {
            b"{\"garbage\":\"body-of-an-event\"}" => b"body-of-an-answer".to_vec(),
            _ => b"HTTP/1.1 418 body-of-an-answer\r\nX-Body: body-of-an-answer\r\n\
                   Content-Length: 17\r\n\r\nbody-of-an-answer"
                .to_vec(),
        })
        .await;
        let place = Place::new();
        let settings = Settings {
            limits: "body_max_bytes = 3000000".into(),
            upstream_url: backend.url(),
            log: format!("level = \"debug\"\nformat = \"{format}\""),
            ..Settings::default()
        };
        let mut process = place.run(&settings).await;

        let requests = every_kind_of_request(&place, &process).await;
        every_kind_of_handshake(&place, &process).await;
        reload(&place, &process).await;
        drop(backend);
        let meta = Sender::new(place.meta(&process)).unwrap();
        assert_eq!(meta.send(event(BODY)).await.unwrap().status, 502);
        let metrics = process.metrics().await;
        process.signal(Signal::TERM);
        assert_eq!(process.ended().await.code(), Some(0));

        let (stdout, stderr) = (process.stdout(), process.stderr());
        // It did talk: the absence below is not that of a log.
        let outcomes = stderr.lines().filter(|line| line.contains("request_id")).count();
        assert!(outcomes > requests, "{outcomes} records for {requests} requests:\n{stderr}");
        for word in ["delivered", "challenge_answered", "signature_mismatch", "unknown_anchor"] {
            assert!(stderr.contains(word), "no `{word}` in:\n{stderr}");
        }
        assert!(metrics.contains("hubgate_events_verified_total"), "{metrics}");
        for (name, output) in [("stdout", &stdout), ("stderr", &stderr), ("metrics", &metrics)] {
            for secret in secrets() {
                assert!(!output.contains(&secret), "`{secret}` stands in {name}:\n{output}");
            }
        }
    }
}

/// What must not be seen, in the forms in which it travels.
fn secrets() -> Vec<String> {
    let signature = sign(APP_SECRET, BODY.as_bytes());
    let signature = signature.strip_prefix("sha256=").unwrap();
    let encoded: String = form_urlencoded::byte_serialize(VERIFY_TOKEN.as_bytes()).collect();
    [
        APP_SECRET,
        "5ec2e7",
        VERIFY_TOKEN,
        &encoded,
        "nobody may",
        "may%2Fsee",
        "next-token",
        "1158201444",
        "body-of",
        signature,
        "BEGIN ",
    ]
    .map(str::to_owned)
    .to_vec()
}

const BODY: &str = "{\"text\":\"body-of-an-event\"}";

/// Right and wrong ones, over both versions of HTTP; returns how many.
async fn every_kind_of_request(place: &Place, process: &Process) -> usize {
    let verification = Message::verification(VERIFY_TOKEN, "1158201444");
    let token = "hub.verify_token=token~that%2Bnobody+may%2Fsee";
    let challenge = "hub.challenge=1158201444";
    let messages = [
        event(BODY),
        event("{\"garbage\":\"body-of-an-event\"}"),
        event(BODY).target_path(&format!("/webhooks?{token}")),
        Message::event(VERIFY_TOKEN, BODY),
        Message::unsigned_event(BODY),
        Message::unsigned_event(BODY).header("x-hub-signature", &format!("sha1={APP_SECRET}")),
        Message::unsigned_event(BODY).header("x-hub-signature-256", APP_SECRET),
        event(BODY).header("x-hub-signature-256", &sign(APP_SECRET, BODY.as_bytes())),
        event(BODY).header("authorization", APP_SECRET).header("cookie", VERIFY_TOKEN),
        event(BODY).method(http::Method::PUT),
        event(BODY).header("upgrade", "next-token"),
        event(BODY).target_path(&format!("/{APP_SECRET}?{token}")),
        event(BODY).ending(Ending::BrokenOff(20)),
        event(BODY.repeat(150_000)),
        event(BODY).header("x-many", &"body-of-an-event".repeat(4_000)),
        verification.clone(),
        verification.clone().method(http::Method::HEAD),
        verification.clone().target_path("/elsewhere"),
        verification.header("host", "body-of-an-event@localhost"),
        Message::verification(APP_SECRET, "1158201444"),
        Message::new(http::Method::GET).query(&format!("hub.mode=subscribe&{token}")),
        Message::new(http::Method::GET).query(&format!("hub.mode=next-token&{token}&{challenge}")),
        Message::new(http::Method::GET)
            .query(&format!("hub.mode=subscribe&{token}&{token}&{challenge}")),
    ];
    for http in [Http::One, Http::Two] {
        let meta = Sender::new(place.meta(process).http(http)).unwrap();
        for message in &messages {
            // Some are never answered; what counts is what is said of them elsewhere.
            let _whatever = meta.send(message.clone()).await;
        }
    }
    // Some are refused by the HTTP library, without a record, and some break off.
    messages.len()
}

async fn every_kind_of_handshake(place: &Place, process: &Process) {
    let stranger = Authority::root(Ca::named("unheard of")).issue(Leaf::meta());
    let callers = [
        place.stranger(process),
        place.stranger(process).identity(stranger),
        place.stranger(process).identity(place.meta_ca.issue(Leaf::named("somebody else"))),
        place.stranger(process).identity(place.meta_ca.issue(Leaf::meta().expired())),
    ];
    for caller in callers {
        let _refused = Sender::new(caller).unwrap().send(event(BODY)).await.expect_err("refused");
    }
    let request = format!("GET /webhooks?hub.verify_token={VERIFY_TOKEN} HTTP/1.1\r\n\r\n{BODY}");
    let mut plain = TcpStream::connect(process.address()).await.unwrap();
    plain.write_all(request.as_bytes()).await.unwrap();
    process.until_written("handshake_failed").await;
}

/// Well, and in the ways in which a secret could be in the wrong place.
async fn reload(place: &Place, process: &Process) {
    place.write("verify-token", "next-token");
    process.signal(Signal::HUP);
    process.until_written("reloaded").await;
    let path = place.dir.path().join("config.toml");
    let good = std::fs::read_to_string(&path).unwrap();
    for (number, line) in [
        format!("verify_token = \"{VERIFY_TOKEN}\""),
        format!("verify_token = {VERIFY_TOKEN}"),
        format!("verify_token = [{{ secret = \"{VERIFY_TOKEN}\" }}]"),
    ]
    .into_iter()
    .enumerate()
    {
        let broken = good.replace("verify_token = { file = \"verify-token\" }", &line);
        assert_ne!(broken, good);
        std::fs::write(&path, broken).unwrap();
        process.signal(Signal::HUP);
        let count = format!("hubgate_reloads_total{{outcome=\"failed\"}} {}\n", number + 1);
        assert!(comes_true(async || process.metrics().await.contains(&count)).await);
    }
    std::fs::write(&path, good).unwrap();
}
