//! What the service manager is told.

use hubgate_testkit::sender::Sender;
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use rustix::process::Signal;

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

#[tokio::test]
async fn a_stuck_worker_stops_the_feeding_of_the_watchdog_until_it_works_again() {
    let place = Place::new();
    place.configure(&Settings::default());
    let manager = Manager::at(place.dir.path());
    let mut command = place.command();
    manager.watch(&mut command);
    command.env("WATCHDOG_USEC", "400000");
    let process = Process::start(command);
    manager.until_told("READY=1").await;
    manager.until_told("WATCHDOG=1").await;
    manager.until_told("WATCHDOG=1").await;

    let stopped = stop_one_worker(&process);
    // What was told before the worker got stuck, and the check that was under way then.
    while manager.told().is_some() {}
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(manager.told(), None, "a stuck worker is not alive");

    drop(stopped);
    manager.until_told("WATCHDOG=1").await;
}

/// A thread that stands still until this is dropped, by the thread that stopped it.
struct Stopped(Pid);

impl Drop for Stopped {
    fn drop(&mut self) {
        // Also when the test fails: a process with a traced thread is never quite dead.
        let _ended_already = ptrace::detach(self.0, None);
    }
}

/// Stops one thread of a process, as a debugger does.
fn stop_one_worker(process: &Process) -> Stopped {
    let threads =
        std::fs::read_dir(format!("/proc/{}/task", process.id().as_raw_nonzero())).unwrap();
    let worker = threads
        .map(|thread| thread.unwrap().path())
        .find(|thread| std::fs::read_to_string(thread.join("comm")).unwrap().starts_with("worker"))
        .expect("a worker");
    let worker = worker.file_name().unwrap().to_str().unwrap().parse().unwrap();
    let worker = Pid::from_raw(worker);
    ptrace::attach(worker).unwrap();
    waitpid(worker, Some(WaitPidFlag::__WALL)).unwrap();
    Stopped(worker)
}
