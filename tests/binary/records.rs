//! The log in its JSON form: one record a request, with all that an operator asks for.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use hubgate_testkit::pki::{Authority, Ca, Leaf};
use hubgate_testkit::sender::{Message, Sender};
use rustix::process::Signal;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};

use crate::backend::{Backend, OK};
use crate::harness::{PATH, Place, Process, Settings, VERIFY_TOKEN, event};

#[tokio::test]
async fn a_delivered_event_leaves_one_record_with_every_field() {
    let (told, mut heads) = mpsc::unbounded_channel();
    let backend = Backend::scripted(move |mut hop| {
        let told = told.clone();
        async move {
            told.send(hop.head().await.unwrap()).unwrap();
            hop.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").await;
            hop.until_closed().await;
        }
    })
    .await;
    let place = Place::new();
    let settings = Settings { upstream_url: backend.url(), ..Settings::default() };
    let process = place.run(&settings).await;

    let answer = Sender::new(place.meta(&process)).unwrap().send(event("12345")).await.unwrap();
    assert_eq!(answer.status, 200);

    let record = only(process.until_records(1).await);
    let mut keys: Vec<_> = record.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "anchor",
            "bytes",
            "client",
            "duration_ms",
            "level",
            "method",
            "outcome",
            "request_id",
            "route",
            "secret",
            "status",
            "target",
            "timestamp",
            "trace_id",
            "upstream_ms",
        ]
    );
    for (key, value) in [
        ("anchor", "meta"),
        ("level", "INFO"),
        ("method", "POST"),
        ("outcome", "delivered"),
        ("route", PATH),
        ("secret", "app-secret"),
    ] {
        assert_eq!(record[key], value, "{record}");
    }
    assert_eq!((&record["status"], &record["bytes"]), (&Value::from(200), &Value::from(5)));
    assert!(record["upstream_ms"].as_f64().unwrap() > 0.0, "{record}");
    assert!(record["duration_ms"].as_f64() >= record["upstream_ms"].as_f64(), "{record}");
    assert!(record["client"].as_str().unwrap().starts_with("127.0.0.1:"), "{record}");
    // The application can be asked about the same request.
    let id = format!("x-request-id: {}\r\n", record["request_id"].as_str().unwrap());
    let head = heads.recv().await.unwrap();
    assert!(head.contains(&id), "`{id}` is not in {head}");
    let trace = format!("traceparent: 00-{}-", record["trace_id"].as_str().unwrap());
    assert!(head.contains(&trace), "`{trace}` is not in {head}");
}

#[tokio::test]
async fn a_record_names_the_caller_that_a_trusted_proxy_names() {
    let place = Place::new();
    let server = "proxy_protocol_from = [\"127.0.0.1\"]\ntrusted_proxies = [\"10.0.0.0/8\"]";
    let process = place.run(&Settings { server: server.to_owned(), ..Settings::default() }).await;
    let from = |source: &str| {
        let line = format!("PROXY TCP4 {source} 198.51.100.1 12345 443\r\n");
        Sender::new(place.meta(&process).preamble(line)).unwrap()
    };
    let claiming = || event("{}").header("x-forwarded-for", "10.0.0.9, 203.0.113.5");

    from("192.0.2.7").send(claiming()).await.unwrap();
    from("10.0.0.7").send(claiming()).await.unwrap();

    let records = process.until_records(2).await;
    let clients: Vec<_> = records.iter().map(|record| &record["client"]).collect();
    assert_eq!(clients, ["192.0.2.7:12345", "203.0.113.5"]);
}

#[tokio::test]
async fn a_certificate_of_a_load_balancer_that_is_refused_is_told_with_its_reason() {
    let place = Place::new();
    let server = "trusted_proxies = [\"127.0.0.1\"]".to_owned();
    place.configure(&Settings { server, ..Settings::default() });
    place.edit("trust_anchors = [\"meta.pem\"]", "source = \"alb\"");
    let process = Process::start(place.command());
    process.until_written("serving").await;
    // Nobody proves the chain then, and that is said at the start.
    process.until_written("NOT that a CA vouches for it").await;
    let claiming = event("{}")
        .header("x-forwarded-for", "203.0.113.5")
        .header("x-amzn-mtls-clientcert-subject", "CN=client.webhooks.fbclientcerts.com.evil,O=x");

    let answer = Sender::new(place.stranger(&process)).unwrap().send(claiming).await.unwrap();

    assert_eq!(answer.status, 403);
    let record = only(process.until_records(1).await);
    assert_eq!(record["refusal"], "certificate_refused");
    let log = process.log();
    let line = log.iter().find(|line| line["reason"] == "name_mismatch").unwrap();
    assert_eq!((&line["level"], &line["client"]), (&"INFO".into(), &"203.0.113.5".into()));
    assert_eq!(line["subject"], "CN=client.webhooks.fbclientcerts.com.evil,O=x");
    assert_eq!(line["message"], "client certificate refused");
}

#[tokio::test]
async fn the_records_tell_both_of_metas_eras_apart() {
    let place = Place::new();
    let root = Authority::root(Ca::digicert_root());
    let before = root.intermediate(Ca::digicert_intermediate()).issue(Leaf::meta());
    place.write("digicert.pem", &root.certificate_pem());
    place.configure(&Settings::default());
    let config = std::fs::read_to_string(place.dir.path().join("config.toml")).unwrap();
    let anchors = "trust_anchors = [\"meta.pem\"]";
    assert!(config.contains(anchors), "{config}");
    let both = "trust_anchors = [\"meta.pem\", \"digicert.pem\"]";
    place.write("config.toml", &config.replace(anchors, both));
    let process = Process::start(place.command());
    process.until_written("serving").await;

    for options in [place.meta(&process), place.stranger(&process).identity(before)] {
        // Nobody listens behind the proxy: what counts is whom the record names.
        assert_eq!(Sender::new(options).unwrap().send(event("1")).await.unwrap().status, 502);
    }

    let records = process.until_records(2).await;
    let anchors: Vec<_> = records.iter().map(|record| record["anchor"].as_str()).collect();
    assert_eq!(anchors, [Some("meta"), Some("digicert")]);
}

#[tokio::test]
async fn refusals_are_told_apart_and_only_faults_of_our_side_are_warnings() {
    let place = Place::new();
    let process = place.run(&Settings::default()).await;
    let meta = Sender::new(place.meta(&process)).unwrap();
    let unsigned = Message::unsigned_event("1");
    for (message, status, refusal, level) in [
        (event("1").body("2"), 403, "signature_mismatch", "INFO"),
        (unsigned.clone(), 403, "signature_missing", "INFO"),
        (unsigned.target_path("/elsewhere"), 404, "no_route", "INFO"),
        (Message::verification("wrong", "1"), 403, "verify_token_mismatch", "INFO"),
        // Nobody listens there.
        (event("1"), 502, "upstream_unreachable", "WARN"),
    ] {
        let before = process.log().iter().filter(|line| line["target"] == "access").count();
        assert_eq!(meta.send(message).await.unwrap().status, status);
        let record = process.until_records(before + 1).await.pop().unwrap();
        assert_eq!(record["outcome"], "refused", "{record}");
        assert_eq!(record["refusal"], refusal, "{record}");
        assert_eq!(record["level"], level, "{record}");
        assert_eq!(record["status"], status, "{record}");
        assert!(!record["hint"].as_str().unwrap().is_empty(), "{record}");
        assert_eq!(record["route"].is_null(), refusal == "no_route", "{record}");
    }
}

#[tokio::test]
async fn a_caller_that_hangs_up_while_the_backend_works_is_recorded_as_gone() {
    let release: &'static Semaphore = Box::leak(Box::new(Semaphore::new(0)));
    let backend = Backend::scripted(move |mut hop| async move {
        hop.head().await;
        release.acquire().await.unwrap().forget();
        hop.write(OK).await;
        hop.until_closed().await;
    })
    .await;
    let place = Place::new();
    let settings = Settings { upstream_url: backend.url(), ..Settings::default() };
    let process = place.run(&settings).await;
    let sender = Sender::new(place.meta(&process)).unwrap();
    let request = tokio::spawn(async move { sender.send(event("1")).await });
    let mut admin = crate::harness::Admin::connect(&process).await;
    let connects = "hubgate_upstream_connects_total{upstream=\"app\"}";
    admin.until_metric(connects, |connects| connects >= 1.0).await;

    request.abort();

    let record = only(process.until_records(1).await);
    assert_eq!(record["outcome"], "caller_gone", "{record}");
    assert_eq!(record["secret"], "app-secret", "it was proven: {record}");
    assert!(record["status"].is_null(), "{record}");
    release.add_permits(1);
    admin.until_metric("hubgate_requests_in_flight", |requests| requests == 0.0).await;
    assert_eq!(process.until_records(1).await.len(), 1);
}

#[tokio::test]
async fn a_refused_certificate_is_shown_with_what_to_do_and_cannot_forge_a_line() {
    let place = Place::new();
    let name = "evil\n{\"level\":\"ERROR\"}\u{1b}[31m";
    let stranger = Authority::root(Ca::named("unheard of")).issue(Leaf::named(name));
    for format in ["json", "text"] {
        let log = format!("format = \"{format}\"");
        let process = place.run(&Settings { log, ..Settings::default() }).await;
        let caller = place.stranger(&process).identity(stranger.clone());
        Sender::new(caller).unwrap().send(event("1")).await.expect_err("must not connect");
        process.until_written("connection refused").await;

        let stderr = process.stderr();
        let line = stderr.lines().find(|line| line.contains("connection refused")).unwrap();
        for part in ["unknown_anchor", "evil", "unheard of", "client_certificate.trust_anchors"] {
            assert!(line.contains(part), "`{part}` is not in {line}");
        }
        assert!(!stderr.contains('\u{1b}'), "{stderr:?}");
        assert!(!stderr.lines().any(|line| line.starts_with("{\"level\"")), "{stderr}");
    }
}

#[tokio::test]
async fn without_access_records_requests_leave_no_line() {
    let place = Place::new();
    let log = "access = false".into();
    let process = place.run(&Settings { log, ..Settings::default() }).await;
    let message = Message::verification(VERIFY_TOKEN, "1158201444");
    let sender = Sender::new(place.meta(&process)).unwrap();
    assert_eq!(sender.send(message).await.unwrap().status, 200);

    process.signal(Signal::HUP);
    process.until_written("reloaded").await;
    assert!(process.log().iter().all(|line| line["target"] != "access"), "{}", process.stderr());
}

#[tokio::test]
async fn a_socket_for_all_addresses_takes_ipv4_too_and_calls_it_so() {
    let (told, mut heads) = mpsc::unbounded_channel();
    let backend = Backend::scripted(move |mut hop| {
        let told = told.clone();
        async move {
            while let Some(head) = hop.head().await {
                told.send(head).unwrap();
                hop.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                    .await;
            }
        }
    })
    .await;
    let place = Place::new();
    let settings = Settings {
        server: "listen = [\"[::]:0\"]".into(),
        upstream_url: backend.url(),
        ..Settings::default()
    };
    let process = place.run(&settings).await;
    let port = process.address().port();

    for (number, (to, from)) in [
        (SocketAddr::from((Ipv4Addr::LOCALHOST, port)), "127.0.0.1"),
        (SocketAddr::from((Ipv6Addr::LOCALHOST, port)), "::1"),
    ]
    .into_iter()
    .enumerate()
    {
        let sender = Sender::new(place.meta(&process).address(to)).unwrap();
        assert_eq!(sender.send(event("")).await.unwrap().status, 200);
        let record = process.until_records(number + 1).await.pop().unwrap();
        let client: SocketAddr = record["client"].as_str().unwrap().parse().unwrap();
        assert_eq!(client.ip().to_string(), from);
        let head = heads.recv().await.unwrap();
        assert!(head.contains(&format!("x-forwarded-for: {from}\r\n")), "{head}");
    }
}

fn only(records: Vec<Value>) -> Value {
    assert_eq!(records.len(), 1, "{records:?}");
    records.into_iter().next().unwrap()
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_neither_events_nor_the_end() {
    let backend = Backend::scripted(|mut hop| async move {
        while hop.request().await.is_some() {
            hop.write(OK).await;
        }
    })
    .await;
    let place = Place::new();
    let settings = Settings { upstream_url: backend.url(), ..Settings::default() };
    let mut process = place.run(&settings).await;
    let connection = Sender::new(place.meta(&process)).unwrap().connect().await.unwrap();

    let gate = process.log_gate();
    let unread = gate.lock().await;
    // Some four times what a pipe holds.
    for _ in 0..1000 {
        assert_eq!(connection.request(event("{}")).await.unwrap().status, 200);
    }

    process.signal(Signal::TERM);
    assert_eq!(process.exited().await.code(), Some(0));
    drop(unread);
}
