//! A WebSocket does not outlive what it was opened under.

use std::time::{Duration, SystemTime};

use hubgate_testkit::pki::Leaf;

use crate::harness::raw::Raw;
use crate::harness::websocket::{HANDSHAKE, Shouted, shouting};
use crate::harness::{Plan, World};

const SITE: &str = "[[site]]\nupstream = \"app\"\nwebsocket = true\n";

async fn world() -> World {
    Plan::new().more(SITE).start_before(shouting().await).await
}

async fn until_counted(world: &World, reason: &str, times: usize) {
    let series = format!("hubgate_tunnels_ended_total{{reason=\"{reason}\"}}");
    world.until_metric(&series, times as f64).await;
}

/// Everything that a reload may change and that a tunnel does not rest on.
#[tokio::test]
async fn a_tunnel_stays_through_reloads_that_leave_its_site_and_its_caller_in_place() {
    let world = world().await;
    let mut stranger = Shouted::open(world.stranger()).await;
    let mut meta = Shouted::open(world.meta()).await;
    for (from, to) in [
        ("[limits]", "[limits]\nconnections = 100"),
        ("websocket = true", "websocket = true\nname = \"renamed\"\ntimeout_ms = 1000"),
        ("[[upstream]]", "[[upstream]]\nconnections = 9"),
        ("name = \"renamed\"", "name = \"renamed\"\nmethods = [\"GET\"]\nexcept = [\"/wsx\"]"),
        ("\"digicert.pem\", ", ""),
    ] {
        world.edit_config(from, to);
        world.reload();
        stranger.is_alive(to).await;
        meta.is_alive(to).await;
    }
    world.until_metric("hubgate_tunnels_open", 2.0).await;
}

#[tokio::test]
async fn a_tunnel_ends_when_its_site_is_gone_or_closed_or_leads_elsewhere() {
    let elsewhere = "[[upstream]]\nname = \"other\"\nurl = \"http://127.0.0.1:9\"\n";
    for (from, to) in [
        (SITE, String::new()),
        ("websocket = true", String::new()),
        ("websocket = true", "websocket = true\npath = \"/other\"".to_owned()),
        ("websocket = true", "websocket = true\nhost = \"other.example\"".to_owned()),
        ("websocket = true", "websocket = true\nmethods = [\"POST\"]".to_owned()),
        ("websocket = true", "websocket = true\nexcept = [\"/WS\"]".to_owned()),
        (SITE, format!("{elsewhere}{}", SITE.replace("app", "other"))),
        (SITE, format!("{elsewhere}{SITE}[[site]]\npath = \"/ws\"\nupstream = \"other\"\n")),
        (SITE, format!("{SITE}[[site]]\npath = \"/ws\"\nupstream = \"app\"\n")),
    ] {
        let world = world().await;
        let stranger = Shouted::open(world.stranger()).await;
        let meta = Shouted::open(world.meta()).await;

        world.edit_config(from, &to);
        world.reload();

        stranger.until_ended().await;
        meta.until_ended().await;
        until_counted(&world, "route_changed", 2).await;
        world.until_metric("hubgate_connections_open", 0.0).await;
    }
}

#[tokio::test]
async fn a_tunnel_ends_when_its_server_is_taken_out_of_the_upstream() {
    let (world, other) = (world().await, shouting().await);
    let url = format!("url = \"http://{}\"", world.app.address);
    let both =
        format!("servers = [\"http://{}\", \"http://{}\"]", world.app.address, other.address);
    let mut tunnel = Shouted::open(world.stranger()).await;
    world.edit_config(&url, &both);
    world.reload();
    tunnel.is_alive("beside another one").await;

    world.edit_config(&both, &format!("servers = [\"http://{}\"]", other.address));
    world.reload();

    tunnel.until_ended().await;
    until_counted(&world, "route_changed", 1).await;
}

#[tokio::test]
async fn a_tunnel_ends_when_a_reload_takes_the_trust_in_its_client_back_and_a_strangers_does_not() {
    for (from, to) in [
        ("\"meta.pem\", ", ""),
        ("[client_certificate]", "[client_certificate]\ncommon_names = [\"another.example\"]"),
    ] {
        let world = world().await;
        let mut stranger = Shouted::open(world.stranger()).await;
        let mut before = Shouted::open(world.meta_before()).await;
        let meta = Shouted::open(world.meta()).await;
        before.is_alive("all three").await;

        world.edit_config(from, to);
        world.reload();

        meta.until_ended().await;
        stranger.is_alive("still here").await;
        if from.contains("meta.pem") {
            before.is_alive("another CA's").await;
            until_counted(&world, "certificate_no_longer_trusted", 1).await;
        } else {
            before.until_ended().await;
            until_counted(&world, "certificate_no_longer_trusted", 2).await;
        }
    }
}

#[tokio::test]
async fn a_tunnel_ends_with_its_clients_certificate() {
    let world = world().await;
    let mut stranger = Shouted::open(world.stranger()).await;
    let now = SystemTime::now();
    let leaf = Leaf::meta().valid(now - Duration::from_secs(60)..now + Duration::from_secs(2));
    let mut tunnel = Shouted::open(world.caller(world.meta_ca.issue(leaf))).await;
    tunnel.is_alive("still valid").await;

    tunnel.until_ended().await;

    assert!(SystemTime::now() > now + Duration::from_secs(1));
    until_counted(&world, "certificate_no_longer_trusted", 1).await;
    stranger.is_alive("valid for ever").await;
}

#[tokio::test]
async fn a_tunnel_ends_when_the_proxy_that_said_who_called_is_trusted_no_more() {
    let trusted = "trusted_proxies = [\"127.0.0.1\"]";
    let plan = Plan::new().server(trusted).more(SITE);
    let world = plan.start_before(shouting().await).await;
    let mut direct = Shouted::open(world.stranger()).await;
    let mut raw = Raw::connect(world.stranger()).await;
    let forwarded = "x-forwarded-for: 203.0.113.5\r\nconnection: Upgrade\r\n";
    raw.send(HANDSHAKE.replacen("connection: Upgrade\r\n", forwarded, 1)).await;
    assert_eq!(raw.answer().await.status, 101);

    world.edit_config(trusted, "trusted_proxies = [\"10.0.0.1\"]");
    world.reload();

    raw.until_closed().await;
    until_counted(&world, "proxy_no_longer_trusted", 1).await;
    direct.is_alive("said nothing of others").await;
}
