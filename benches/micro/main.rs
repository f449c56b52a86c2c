//! What each stage of a request costs by itself: `cargo bench --bench micro --features internals`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench program panics at the first surprise"
)]

use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue};
use hubgate::bench_api::{self, Routes, Signatures, Towards, WebhookCounters};
use hubgate::config::{Config, Secret, SecretSource};
use hubgate_testkit::events::sign;
use hubgate_testkit::pki::{Authority as CertificateAuthority, Ca, Leaf};
use tempfile::TempDir;

fn main() {
    divan::main();
}

#[divan::bench(args = [1 << 10, 64 << 10, 3_000_000])]
fn signature(bencher: Bencher<'_, '_>, bytes: usize) {
    let body = Bytes::from(vec![b'x'; bytes]);
    let mut headers = HeaderMap::new();
    let value = HeaderValue::from_str(&sign(SECRET, &body)).unwrap();
    headers.insert("x-hub-signature-256", value);
    let source = SecretSource::Environment { name: "APP_SECRET".to_owned() };
    let signatures = Signatures::new(&[Secret::new("app-secret", source, SECRET)]);
    assert!(signatures.verify(&headers, body.clone()));

    bencher
        .counter(BytesCount::new(bytes))
        .bench_local(|| signatures.verify(black_box(&headers), black_box(&body).clone()));
}

#[divan::bench]
fn common_name_of_a_certificate(bencher: Bencher<'_, '_>) {
    let leaf = CertificateAuthority::root(Ca::meta()).issue(Leaf::meta()).chain.remove(0);
    let name = b"client.webhooks.fbclientcerts.com";
    assert!(bench_api::has_common_name(&leaf, name));

    bencher.bench_local(|| bench_api::has_common_name(black_box(&leaf), black_box(name)));
}

/// A webhook among so many.
#[divan::bench(args = [1, 100, 10_000])]
fn route_to_a_webhook(bencher: Bencher<'_, '_>, count: usize) {
    find_route(bencher, count, "/hooks/0", None);
}

/// Below a site beside so many webhooks.
#[divan::bench(args = [1, 100, 10_000])]
fn route_to_a_site(bencher: Bencher<'_, '_>, count: usize) {
    find_route(bencher, count, "/shop/cart/items/7", None);
}

/// The same with a query, by which some applications find a path.
#[divan::bench(args = ["a=1&b=two", "q=red+shoes", "q=%2Fshop%2Fcart"])]
fn route_to_a_site_with_a_query(bencher: Bencher<'_, '_>, query: &str) {
    find_route(bencher, 1, "/shop/cart/items/7", Some(query));
}

fn find_route(bencher: Bencher<'_, '_>, count: usize, path: &str, query: Option<&str>) {
    let (_place, config) = config(count);
    let routes = Routes::new(&config);
    let host = Authority::from_static("localhost");
    assert!(routes.find(&host, path, query));

    bencher.bench_local(|| routes.find(black_box(&host), black_box(path), black_box(query)));
}

#[divan::bench(args = ["/webhooks", "/a/./b/../%7Eme//x"])]
fn path_normalisation(bencher: Bencher<'_, '_>, path: &str) {
    assert!(bench_api::normalize(path).is_some());

    bencher.bench_local(|| bench_api::normalize(black_box(path)).is_some());
}

#[divan::bench]
fn headers_towards_the_upstream(bencher: Bencher<'_, '_>) {
    let (_place, config) = config(1);
    let leaf = CertificateAuthority::root(Ca::meta()).issue(Leaf::meta()).chain.remove(0);
    let towards = Towards::upstream(&config, &leaf).unwrap();
    let mut sent = HeaderMap::new();
    for (name, value) in [
        ("host", "hooks.example.com"),
        ("user-agent", "facebookexternalua"),
        ("accept", "*/*"),
        ("accept-encoding", "deflate, gzip"),
        ("content-type", "application/json"),
        ("content-length", "1024"),
        ("x-hub-signature-256", "sha256=0123456789abcdef0123456789abcdef0123456789abcdef"),
    ] {
        sent.insert(name, HeaderValue::from_static(value));
    }

    bencher.with_inputs(|| sent.clone()).bench_local_refs(|headers| towards.rewrite(headers));
}

#[divan::bench]
fn metrics_of_an_event(bencher: Bencher<'_, '_>) {
    let counters = WebhookCounters::new();
    let (now, took) = (SystemTime::now(), Duration::from_micros(700));

    bencher.bench_local(|| counters.count_event(black_box(now), black_box(took)));
}

#[divan::bench]
fn access_record_as_json(bencher: Bencher<'_, '_>) {
    let began = Instant::now();
    tracing::subscriber::with_default(bench_api::json_log(), || {
        bencher.bench_local(|| bench_api::access_record(black_box(began)));
    });
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// So many webhooks, and one site beside them.
fn config(webhooks: usize) -> (TempDir, Config) {
    let place = tempfile::tempdir().unwrap();
    for (name, text) in [("app-secret", SECRET), ("verify-token", "a token"), ("x.pem", "")] {
        std::fs::write(place.path().join(name), text).unwrap();
    }
    let mut text = String::from(
        r#"
server = { certificate = "x.pem", private_key = "x.pem" }
client_certificate = { trust_anchors = ["x.pem"] }
upstream = [{ name = "app", url = "http://127.0.0.1:9" }]
site = [{ path = "/shop", upstream = "app" }]
"#,
    );
    for number in 0..webhooks {
        write!(
            text,
            "[[webhook]]\npath = \"/hooks/{number}\"\nupstream = \"app\"\n\
             app_secrets = {{ file = \"app-secret\" }}\nverify_token = {{ file = \"verify-token\" }}\n"
        )
        .unwrap();
    }
    let path = place.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    (place, Config::load(&path).unwrap())
}
