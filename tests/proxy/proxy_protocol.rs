//! The PROXY protocol: a trusted load balancer says who called, and nobody else can.

use std::net::SocketAddr;

use hubgate_testkit::sender::Options;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::harness::raw::{Raw, until_hung_up};
use crate::harness::world::{event, send};
use crate::harness::{Plan, World};

/// Trusts the test's usual address, and no other one of loopback.
async fn world() -> World {
    Plan::new().server("proxy_protocol_from = [\"127.0.0.1\"]").start().await
}

/// A header of version 2: `command` and `family`, and what follows its length.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, rest].concat()
}

/// Addresses and ports of an IPv4 connection from 192.0.2.7:12345 to 198.51.100.1:443.
const INET: &[u8] = &[192, 0, 2, 7, 198, 51, 100, 1, 0x30, 0x39, 0x01, 0xbb];

const LINE: &str = "PROXY TCP4 192.0.2.7 198.51.100.1 12345 443\r\n";

/// Address and port of the caller as the application is told.
async fn told(world: &World, options: Options) -> (String, String) {
    assert_eq!(send(options, event("{}")).await.unwrap().status, 200);
    let received = world.app.received().pop().unwrap();
    let only = |name: &str| {
        let values: Vec<_> = received.headers.get_all(name).iter().collect();
        assert_eq!(values.len(), 1, "{name}: {received:?}");
        values[0].to_str().unwrap().to_owned()
    };
    (only("x-forwarded-for"), only("x-forwarded-port"))
}

fn pair(address: &str, port: impl ToString) -> (String, String) {
    (address.to_owned(), port.to_string())
}

#[tokio::test]
async fn the_caller_is_whom_a_trusted_balancer_says_in_either_version() {
    let world = world().await;
    let six = [[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7], [0; 16]].concat();
    let six = [&six[..], &[0x30, 0x39, 0x01, 0xbb]].concat();
    let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7];
    let mapped = [&mapped[..], &mapped, &[0x30, 0x39, 0x01, 0xbb]].concat();
    let tlvs = [INET, b"\x03\x00\x04abcd", b"\x04\x02\x00", &[7; 512]].concat();
    for (header, address) in [
        (LINE.as_bytes().to_vec(), "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 12345 443\r\n".to_vec(), "2001:db8::7"),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.1 12345 443\r\n".to_vec(), "192.0.2.7"),
        (v2(0x21, 0x11, INET), "192.0.2.7"),
        (v2(0x21, 0x21, &six), "2001:db8::7"),
        (v2(0x21, 0x21, &mapped), "192.0.2.7"),
        (v2(0x21, 0x11, &tlvs), "192.0.2.7"),
    ] {
        let told = told(&world, world.meta().preamble(header.clone())).await;
        assert_eq!(told, pair(address, 443), "{header:?}");
    }
}

#[tokio::test]
async fn a_header_that_names_no_address_leaves_the_peers_own() {
    let world = world().await;
    let port = world.proxy.addresses()[0].port();
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN whatever 1 2\r\n".to_vec(),
        v2(0x20, 0x00, &[]),
        v2(0x20, 0x11, INET),
        v2(0x21, 0x00, &[]),
        v2(0x21, 0x31, &[b'/'; 216]),
    ] {
        let told = told(&world, world.meta().preamble(header.clone())).await;
        assert_eq!(told, pair("127.0.0.1", port), "{header:?}");
    }
}

#[tokio::test]
async fn a_header_may_come_byte_by_byte_and_nothing_behind_it_is_lost() {
    let world = world().await;
    let tlvs = [INET, &[9; 700]].concat();
    for header in [LINE.as_bytes().to_vec(), v2(0x21, 0x11, &tlvs)] {
        // The last bytes come with TLS behind them.
        let (first, last) = header.split_at(header.len() - 3);
        let mut stream = TcpStream::connect(world.proxy.addresses()[0]).await.unwrap();
        stream.set_nodelay(true).unwrap();
        for byte in first {
            stream.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let options = world.meta().preamble(last);
        let mut raw = Raw::over(stream, options).await;
        raw.send(crate::harness::raw::signed_event(b"{}")).await;
        assert_eq!(raw.answer().await.status, 200);
        let received = world.app.received().pop().unwrap();
        assert_eq!(received.headers["x-forwarded-for"], "192.0.2.7");
    }
}

#[tokio::test]
async fn a_stranger_speaks_for_itself_alone() {
    let world = world().await;
    let stranger = || world.meta().source("127.0.0.2".parse().unwrap());
    let port = world.proxy.addresses()[0].port();

    assert_eq!(told(&world, stranger()).await, pair("127.0.0.2", port));
    let received = world.app.received().len();

    let headers = [LINE.as_bytes().to_vec(), v2(0x21, 0x11, INET), v2(0x20, 0, &[])];
    for header in &headers {
        send(stranger().preamble(header.clone()), event("{}")).await.unwrap_err();
    }
    world.until_handshake_refused("proxy_header_from_stranger", headers.len()).await;
    // What only begins like one is not TLS either.
    send(stranger().preamble("PROXIES"), event("{}")).await.unwrap_err();
    world.until_handshake_refused("handshake_failed", 1).await;
    assert_eq!(world.app.received().len(), received);
}

#[tokio::test]
async fn a_trusted_balancer_must_send_a_header_and_a_right_one() {
    let world = world().await;
    send(world.meta(), event("{}")).await.unwrap_err();
    send(world.meta().preamble("GET / HTTP/1.1\r\n"), event("{}")).await.unwrap_err();
    world.until_handshake_refused("proxy_header_missing", 2).await;

    let wrong = [
        b"PROXY TCP4 192.0.2.7 198.51.100.1 12345\r\n".to_vec(),
        b"PROXY TCP4 evil 198.51.100.1 12345 443\r\n".to_vec(),
        format!("PROXY UNKNOWN {}\r\n", "x".repeat(200)).into_bytes(),
        v2(0x21, 0x11, &INET[..11]),
        v2(0x2f, 0x11, INET),
        v2(0x21, 0x11, &[0; 5000]),
    ];
    for header in &wrong {
        send(world.meta().preamble(header.clone()), event("{}")).await.unwrap_err();
    }
    world.until_handshake_refused("proxy_header_malformed", wrong.len()).await;
    // One header, and then TLS.
    let twice = format!("{LINE}{LINE}");
    send(world.meta().preamble(twice), event("{}")).await.unwrap_err();
    world.until_handshake_refused("handshake_failed", 1).await;
    world.until_metric("hubgate_connections_open", 0.0).await;
    world.assert_application_untouched();
}

#[tokio::test]
async fn header_and_handshake_share_one_deadline() {
    let world = Plan::new()
        .server("proxy_protocol_from = [\"127.0.0.1\"]")
        .limit("handshake_timeout_ms = 100")
        .start()
        .await;
    for begun in ["", "PROXY TCP4 192.0.2.7", LINE] {
        let mut slow = TcpStream::connect(world.proxy.addresses()[0]).await.unwrap();
        slow.write_all(begun.as_bytes()).await.unwrap();
        until_hung_up(&mut slow).await;
    }
    world.until_handshake_refused("handshake_timeout", 3).await;
    // Gone in the middle.
    let mut gone = TcpStream::connect(world.proxy.addresses()[0]).await.unwrap();
    gone.write_all(b"PROXY TCP4").await.unwrap();
    drop(gone);
    world.until_handshake_refused("handshake_failed", 1).await;
    world.until_metric("hubgate_connections_open", 0.0).await;
}

#[tokio::test]
async fn without_the_key_a_header_is_no_tls() {
    let world = World::start().await;
    send(world.meta().preamble(LINE), event("{}")).await.unwrap_err();
    world.until_handshake_refused("handshake_failed", 1).await;
    world.assert_application_untouched();
}

#[tokio::test]
async fn a_reload_changes_who_is_trusted() {
    let world = world().await;
    world.edit_config("proxy_protocol_from = [\"127.0.0.1\"]", "");
    world.reload();
    let port = world.proxy.addresses()[0].port();
    assert_eq!(told(&world, world.meta()).await, pair("127.0.0.1", port));
}

#[tokio::test]
async fn ipv4_networks_fit_callers_on_a_socket_that_takes_both() {
    let world = Plan::new()
        .server("proxy_protocol_from = [\"127.0.0.0/8\"]")
        .listen("[::]:0")
        .start()
        .await;
    let port = world.proxy.addresses()[0].port();
    let options = world.meta().address(SocketAddr::from(([127, 0, 0, 1], port)));
    assert_eq!(told(&world, options.preamble(LINE)).await, pair("192.0.2.7", 443));
}
