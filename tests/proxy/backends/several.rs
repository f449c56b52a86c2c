//! Two servers that are all alike, of which one is not well.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hubgate_testkit::sender::Sender;

use crate::harness::backend::{Backend, OK};
use crate::harness::load::Load;
use crate::harness::world::event;
use crate::harness::{Plan, World};

#[tokio::test]
async fn under_load_no_event_fails_while_one_of_two_servers_is_killed_restarted_and_late() {
    let (manner, prompt) = (Manner::now(UNDER_WAY), Manner::now(Does::Answers));
    let mut one = manner.backend_at(FREE_PORT).await;
    let other = prompt.backend_at(FREE_PORT).await;
    let address = one.address;
    let world = before(&[&one, &other], "repeat = \"broken\"\ntimeout_ms = 20000").await;
    let load = Load::start(CALLERS, &world.meta());
    let mut arrived: Vec<Bytes> = Vec::new();

    for _ in 0..KILLS {
        load.until_answered(50).await;
        one.until_seen(1).await;
        arrived.extend(one.kill().await);
        load.until_answered(100).await;
        one = manner.backend_at(address).await;
        // Back in use.
        one.until_seen(10).await;
    }
    manner.set(Does::AnswersAfter(Duration::from_millis(100)));
    let before_late = one.seen().len();
    one.until_seen(before_late + 20).await;
    manner.set(UNDER_WAY);
    load.until_answered(50).await;

    let (answered, failures) = load.stop().await;
    let retries = world.metric("hubgate_upstream_retries_total{upstream=\"app\"}");
    arrived.extend(one.bodies());
    arrived.extend(other.bodies());
    let distinct: HashSet<_> = arrived.iter().collect();
    eprintln!(
        "{answered} events answered over {KILLS} kills and restarts, {} failed; {retries} retries, \
         {} arrived twice",
        failures.len(),
        arrived.len() - distinct.len(),
    );
    assert!(failures.is_empty(), "{failures:?}");
    assert_eq!(distinct.len(), answered);
    assert!(arrived.len() > answered, "no kill met an event under way");
}

#[tokio::test]
async fn under_load_no_event_is_lost_while_one_of_two_servers_answers_beyond_the_deadline() {
    let (manner, prompt) = (Manner::now(Does::Answers), Manner::now(Does::Answers));
    let one = manner.backend_at(FREE_PORT).await;
    let other = prompt.backend_at(FREE_PORT).await;
    let settings = "repeat = \"broken\"\nconnect_timeout_ms = 300\ntimeout_ms = 300";
    let world = before(&[&one, &other], settings).await;
    let load = Load::delivering_again(CALLERS, &world.meta());
    load.until_answered(50).await;

    manner.set(Does::Nothing);
    load.until(|load| load.delivered_again() > 0).await;
    load.until_answered(200).await;
    manner.set(Does::Answers);
    let before_well = one.seen().len();
    one.until_seen(before_well + 10).await;

    let again = load.delivered_again();
    let (answered, failures) = load.stop().await;
    eprintln!("{answered} events answered, {} failed, {again} delivered again", failures.len());
    assert!(failures.is_empty(), "{failures:?}");
    world.until_refused("upstream_timeout", again).await;
}

#[tokio::test]
async fn an_event_that_one_server_read_and_hung_up_on_is_repeated_on_the_other() {
    let one = Manner::now(Does::Disconnect).backend_at(FREE_PORT).await;
    let other = Manner::now(Does::Answers).backend_at(FREE_PORT).await;
    let world = before(&[&one, &other], "repeat = \"broken\"").await;
    let meta = Sender::new(world.meta()).unwrap().connect().await.unwrap();

    for number in 0..20 {
        let answer = meta.request(event(number.to_string())).await.unwrap();
        assert_eq!(answer.status, 200, "event {number}");
    }
    let bodies: Vec<Bytes> = (0..20).map(|number| number.to_string().into()).collect();
    assert_eq!(other.bodies(), bodies);
    assert!(!one.bodies().is_empty(), "it was tried");
}

#[tokio::test]
async fn an_event_that_one_server_read_and_hung_up_on_is_not_repeated_unless_that_is_allowed() {
    let one = Manner::now(Does::Disconnect).backend_at(FREE_PORT).await;
    let other = Manner::now(Does::Answers).backend_at(FREE_PORT).await;
    let world = before(&[&one, &other], "").await;
    let meta = Sender::new(world.meta()).unwrap().connect().await.unwrap();

    let mut statuses = Vec::new();
    for number in 0..20 {
        let answer = meta.request(event(number.to_string())).await.unwrap();
        statuses.push(answer.status.as_u16());
    }
    let refused = statuses.iter().filter(|status| **status == 502).count();
    // Three times in a row, then it is ejected.
    assert_eq!(one.seen().len(), refused, "{statuses:?}");
    assert_eq!(other.seen().len(), 20 - refused, "{statuses:?}");
    assert!(refused > 0);
}

/// Several connections, so that events are under way on both servers all the time.
const CALLERS: usize = 8;

/// The server is ejected for twice as long after each.
const KILLS: usize = 3;

/// Long enough that a kill meets events that were read and are not answered yet.
const UNDER_WAY: Does = Does::AnswersAfter(Duration::from_millis(3));

const FREE_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// How a server behaves from the next request on.
#[derive(Clone)]
struct Manner(Arc<Mutex<Does>>);

#[derive(Clone, Copy)]
enum Does {
    Answers,
    AnswersAfter(Duration),
    /// Reads, and waits for the other side to give up.
    Nothing,
    /// Reads, and closes.
    Disconnect,
}

impl Manner {
    fn now(does: Does) -> Self {
        Self(Arc::new(Mutex::new(does)))
    }

    fn set(&self, does: Does) {
        *self.0.lock().unwrap() = does;
    }

    async fn backend_at(&self, address: SocketAddr) -> Backend {
        let manner = self.clone();
        Backend::scripted_at(address, move |mut hop| {
            let manner = manner.clone();
            async move {
                while hop.request().await.is_some() {
                    let does = *manner.0.lock().unwrap();
                    match does {
                        Does::Answers => {}
                        Does::AnswersAfter(time) => tokio::time::sleep(time).await,
                        Does::Nothing => return hop.until_closed().await,
                        Does::Disconnect => return,
                    }
                    hop.write(OK).await;
                }
            }
        })
        .await
    }
}

#[tokio::test]
async fn events_go_to_the_server_that_has_less_to_do() {
    let holding = || {
        Backend::scripted(|mut hop| async move {
            while let Some(body) = hop.request().await {
                if body == "held" {
                    return hop.until_closed().await;
                }
                hop.write(OK).await;
            }
        })
    };
    let (one, other) = (holding().await, holding().await);
    let world = before(&[&one, &other], "timeout_ms = 60000").await;
    let held = Sender::new(world.meta()).unwrap().connect().await.unwrap();
    let held = tokio::spawn(async move { held.request(event("held")).await });
    let busy = tokio::select! {
        () = one.until_seen(1) => &one,
        () = other.until_seen(1) => &other,
    };

    let meta = Sender::new(world.meta()).unwrap().connect().await.unwrap();
    for _ in 0..20 {
        assert_eq!(meta.request(event("quick")).await.unwrap().status, 200);
    }

    assert_eq!(busy.bodies(), ["held"]);
    assert_eq!(one.bodies().len() + other.bodies().len(), 21);
    held.abort();
}

/// A world whose upstream are these servers, with these settings for it.
async fn before(servers: &[&Backend], settings: &str) -> World {
    let world = Plan::new().upstream(settings).start().await;
    let urls: Vec<_> = servers.iter().map(|server| format!("\"{}\"", server.url())).collect();
    let url = format!("url = \"http://{}\"", world.app.address);
    world.edit_config(&url, &format!("servers = [{}]", urls.join(", ")));
    world.reload();
    world
}
