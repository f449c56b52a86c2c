//! Behind a real HAProxy that passes TLS through and says who called.

use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::harness::backend::deserted_address;
use crate::harness::world::{event, send};
use crate::harness::{Plan, World};
use crate::waiting::until_bound;

/// A running HAProxy; ended when dropped.
struct Haproxy {
    process: Child,
    /// Where it takes callers for hubgate.
    front: SocketAddr,
    _dir: TempDir,
}

impl Haproxy {
    /// In front of `world`, with these words at the end of its `server` line; `None` and a message where
    /// there is no HAProxy.
    async fn start(world: &World, words: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let (front, ready) = (deserted_address(), deserted_address());
        let behind = world.proxy.addresses()[0];
        let file = dir.path().join("haproxy.cfg");
        let text = format!(
            "defaults\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n\
             frontend ready\n bind {ready}\n mode http\n http-request return status 200\n\
             frontend callers\n bind {front}\n mode tcp\n default_backend hubgate\n\
             backend hubgate\n mode tcp\n server hubgate {behind} {words}\n"
        );
        fs::write(&file, text).unwrap();
        let started = Command::new("haproxy")
            .arg("-f")
            .arg(&file)
            .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap()))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        let Ok(process) = started else {
            eprintln!("SKIPPED: there is no haproxy here; .ci/run installs it");
            return None;
        };
        let mut haproxy = Self { process, front, _dir: dir };
        // It binds all of its addresses before it accepts on any.
        until_bound(ready, &mut haproxy.process).await;
        Some(haproxy)
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _may_have_ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

#[tokio::test]
async fn events_come_through_with_their_callers_address_in_either_version() {
    let world = Plan::new().server("proxy_protocol_from = [\"127.0.0.1\"]").start().await;
    for words in ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options unique-id,crc32c"]
    {
        // From an address of its own, so that the balancer's is not the caller's.
        let Some(haproxy) = Haproxy::start(&world, words).await else { return };
        let caller = world.meta().address(haproxy.front).source("127.0.0.9".parse().unwrap());

        assert_eq!(send(caller, event("{}")).await.unwrap().status, 200, "{words}");

        let received = world.app.received().pop().unwrap();
        assert_eq!(received.headers["x-forwarded-for"], "127.0.0.9", "{words}");
        let port = haproxy.front.port().to_string();
        assert_eq!(received.headers["x-forwarded-port"], port, "{words}");
        assert_eq!(received.headers["x-hubgate-verified"], "client-certificate, signature");
    }
}

#[tokio::test]
async fn a_balancer_that_is_told_nothing_is_refused() {
    let world = Plan::new().server("proxy_protocol_from = [\"127.0.0.1\"]").start().await;
    let Some(haproxy) = Haproxy::start(&world, "").await else { return };

    send(world.meta().address(haproxy.front), event("{}")).await.unwrap_err();

    world.until_handshake_refused("proxy_header_missing", 1).await;
    world.assert_application_untouched();
}
