//! What the service manager is told.

use hubgate::rehearsal::sender::Sender;
use rustix::process::Signal;

use crate::backend::{Backend, OK};
use crate::harness::{Place, Process, Settings, event};
use crate::manager::Manager;

#[tokio::test]
async fn a_life_is_told_from_ready_over_reloading_to_stopping() {
    let place = Place::new();
    place.configure(&Settings::default());
    let manager = Manager::at(place.dir.path());
    let mut command = place.command();
    manager.watch(&mut command);
    let mut process = Process::start(command);

    let ready = manager.until_told("READY=1").await;
    // What is told and what is logged come on two ways, and either may be read first.
    process.until_written("serving").await;
    let status = format!("READY=1\nSTATUS=generation 1 on {}", process.address());
    assert_eq!(ready, [status.as_str()]);
    let sender = Sender::new(place.meta(&process)).unwrap();
    assert_eq!(sender.send(event("1")).await.unwrap().status, 502, "served by now");

    process.signal(Signal::HUP);
    let reloaded = manager.until_told("READY=1").await;
    assert!(reloaded[0].starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloaded:?}");
    let moment_us = reloaded[0].lines().nth(1).unwrap().split_once('=').unwrap().1;
    assert!(moment_us.parse::<u64>().unwrap() > 0, "{reloaded:?}");
    assert_eq!(reloaded[1], status.replace("generation 1", "generation 2"));

    place.write("verify-token", "");
    process.signal(Signal::HUP);
    let refused = manager.until_told("READY=1").await;
    let told = &refused[1];
    assert!(told.contains("generation 2") && told.contains("the last reload failed"), "{told}");
    assert!(told.contains("verify_token") && told.lines().count() == 2, "{told}");

    process.signal(Signal::TERM);
    manager.until_told("STOPPING=1").await;
    assert_eq!(process.ended().await.code(), Some(0));
    assert_eq!(manager.told(), None, "nothing follows the stop");
}

#[tokio::test]
async fn a_manager_without_a_path_is_told_why_nothing_was_started() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("listen = [\"{}\"]", taken.local_addr().unwrap());
    place.configure(&Settings { server: listen, ..Settings::default() });
    let manager = Manager::abstract_name();
    let mut command = place.command();
    manager.watch(&mut command);
    let mut process = Process::start(command);

    let told = manager.until_told("STATUS=cannot start").await;

    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("cannot listen on"), "{told:?}");
    assert_eq!(process.ended().await.code(), Some(1));
}

/// A worker that writes to a log which nobody reads is as stuck as a worker can be.
#[tokio::test]
async fn a_stuck_worker_stops_the_feeding_of_the_watchdog_until_it_works_again() {
    let place = Place::new();
    let backend = Backend::scripted(|mut hop| async move {
        while hop.request().await.is_some() {
            hop.write(OK).await;
        }
    })
    .await;
    place.configure(&Settings { upstream_url: backend.url(), ..Settings::default() });
    let manager = Manager::at(place.dir.path());
    let mut command = place.command();
    manager.watch(&mut command);
    command.env("WATCHDOG_USEC", "400000");
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut log = child.stderr.take().unwrap();
    let ready = manager.until_told("READY=1").await;
    let address = ready[0].rsplit(' ').next().unwrap().parse().unwrap();
    manager.until_told("WATCHDOG=1").await;
    manager.until_told("WATCHDOG=1").await;

    let options = hubgate::rehearsal::sender::Options::to_local(address, crate::harness::PATH);
    let options = options.unwrap().trusting(&place.server_ca);
    let options = options.identity(place.meta_ca.issue(hubgate::rehearsal::pki::Leaf::meta()));
    let options = options.timeout(std::time::Duration::from_secs(2));
    let connection = Sender::new(options).unwrap().connect().await.unwrap();
    while connection.request(event("{}")).await.is_ok() {}
    // What was told before the worker got stuck, and the check that was under way then.
    while manager.told().is_some() {}
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(manager.told(), None, "a stuck worker is not alive");

    let reader = std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    manager.until_told("WATCHDOG=1").await;
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap().unwrap();
}
