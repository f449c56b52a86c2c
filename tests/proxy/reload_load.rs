//! Reloads while callers never stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use hubgate::rehearsal::pki::Leaf;
use hubgate::rehearsal::sender::{Options, Sender};
use tokio::task::JoinHandle;

use crate::harness::World;
use crate::harness::world::event;

#[tokio::test]
async fn fifty_reloads_under_load_fail_no_request() {
    let world = World::start().await;
    let load = Load::start(64, &world.meta());
    let reference = std::fs::read_to_string(world.config_file()).unwrap();
    let (mut succeeded, mut failed) = (0, 0);

    for round in 0..50 {
        load.until_answered(20).await;
        let identity = world.server_ca.issue(Leaf::loopback_server());
        write(&world, "server.pem", &identity.chain_pem());
        if round % 10 == 9 {
            // The key of the certificate before.
            world.proxy.reload_from(&world.config_file()).expect_err("must not be accepted");
            failed += 1;
        }
        write(&world, "server.key", &identity.key_pem());
        let mut text = reference.clone();
        if round % 2 == 0 {
            text = text.replace("\"digicert.pem\", ", "");
        }
        if round % 3 == 0 {
            write(&world, "app-secret-next", &format!("{round:032x}"));
            let list = "[{ file = \"app-secret-next\" }, { file = \"app-secret\" }]";
            text = text.replace("[{ file = \"app-secret\" }]", list);
        }
        std::fs::write(world.config_file(), text).unwrap();
        world.reload();
        succeeded += 1;
    }
    load.until_answered(20).await;

    let (answered, failures) = load.stop().await;
    assert!(failures.is_empty(), "{answered} answered, {} failed: {failures:?}", failures.len());
    world.until_metric("hubgate_reloads_total{outcome=\"succeeded\"}", f64::from(succeeded)).await;
    world.until_metric("hubgate_reloads_total{outcome=\"failed\"}", f64::from(failed)).await;
    assert_eq!((succeeded, failed), (50, 5));
    assert_eq!(world.proxy.generation(), 51);
}

#[tokio::test]
async fn after_an_anchor_is_removed_under_load_nothing_of_its_callers_gets_through() {
    let world = World::start().await;
    let load = Load::start(16, &world.meta());
    let before = Load::start(16, &world.meta_before());
    before.until_answered(100).await;

    world.edit_config("\"digicert.pem\", ", "");
    world.reload();
    // What was proven before the swap and is under way is finished.
    load.until_answered(100).await;
    let arrived = world.app.received().len();
    let of_others = load.answered();
    let got_through = before.answered();
    load.until_answered(200).await;

    assert_eq!(before.answered(), got_through, "answered after the anchor was gone");
    let (_, refused) = before.stop().await;
    assert!(refused.len() > 16, "they went on trying: {}", refused.len());
    let (answered, failures) = load.stop().await;
    assert!(failures.is_empty(), "{failures:?}");
    let arrived = world.app.received().len() - arrived;
    assert!(arrived <= answered - of_others + 16, "{arrived} of {answered} - {of_others}");
}

/// A closed loop of callers, each on a connection that it keeps, and opens anew if it was closed.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    callers: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(callers: usize, options: &Options) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let callers = (0..callers).map(|_| {
            let sender = Sender::new(options.clone()).unwrap();
            tokio::spawn(call(sender, Arc::clone(&stop), Arc::clone(&answered)))
        });
        let callers = callers.collect();
        Self { stop, answered, callers }
    }

    fn answered(&self) -> usize {
        self.answered.load(Relaxed)
    }

    async fn until_answered(&self, more: usize) {
        let target = self.answered() + more;
        let reached = async {
            while self.answered() < target {
                tokio::task::yield_now().await;
            }
        };
        let reached = tokio::time::timeout(Duration::from_secs(30), reached).await;
        assert!(reached.is_ok(), "only {} of {target} answered", self.answered());
    }

    /// How many were answered with 200, and what became of the others.
    async fn stop(self) -> (usize, Vec<String>) {
        self.stop.store(true, Relaxed);
        let mut failures = Vec::new();
        for caller in self.callers {
            failures.extend(caller.await.unwrap());
        }
        (self.answered.load(Relaxed), failures)
    }
}

async fn call(sender: Sender, stop: Arc<AtomicBool>, answered: Arc<AtomicUsize>) -> Vec<String> {
    let mut failures = Vec::new();
    while !stop.load(Relaxed) {
        let connection = match sender.connect().await {
            Ok(connection) => connection,
            Err(error) => {
                failures.push(error.to_string());
                continue;
            }
        };
        // Some connections are short, so that handshakes go on all the time.
        for _ in 0..20 {
            if stop.load(Relaxed) {
                break;
            }
            match connection.request(event("{}")).await {
                Ok(answer) if answer.status == 200 => {
                    answered.fetch_add(1, Relaxed);
                }
                Ok(answer) => failures.push(answer.status.to_string()),
                Err(error) => {
                    failures.push(error.to_string());
                    break;
                }
            }
        }
        connection.close().await;
    }
    failures
}

fn write(world: &World, name: &str, text: &str) {
    std::fs::write(world.dir.path().join(name), text).unwrap();
}
