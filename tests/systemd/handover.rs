//! One process after another on the same port.

use std::net::TcpListener;
use std::os::fd::AsRawFd as _;
use std::process::Command;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::Signal;

use crate::backend::{Backend, OK};
use crate::harness::{Place, Process, Settings};
use crate::load::{Load, Outcome};

const INHERIT: &str = "listen = [\"systemd\"]\nworkers = 2";

#[tokio::test]
async fn an_inherited_socket_survives_restarts_under_load_without_one_failed_event() {
    let (place, backend) = (Place::new(), backend().await);
    let server = INHERIT.to_owned();
    place.configure(&Settings { server, upstream_url: backend.url(), ..Settings::default() });
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut process = start(&place, &socket).await;
    let load = Load::start(16, &place.meta(&process));

    for _ in 0..5 {
        load.until_answered(50).await;
        process.signal(Signal::TERM);
        assert_eq!(process.ended().await.code(), Some(0), "{}", process.stderr());
        process = start(&place, &socket).await;
    }
    load.until_answered(50).await;

    let Outcome { answered, failures } = load.stop().await;
    assert!(answered >= 300 && failures.is_empty(), "{answered}: {failures:?}");
}

#[tokio::test]
async fn a_socket_that_nobody_named_and_a_name_without_a_socket_are_start_errors() {
    let place = Place::new();
    place.configure(&Settings::default());
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut process = Process::start(handing_over(&place.command(), &socket));
    assert_eq!(process.ended().await.code(), Some(1));
    let address = socket.local_addr().unwrap().to_string();
    assert!(process.stderr().contains(&address), "{}", process.stderr());

    place.configure(&Settings { server: INHERIT.to_owned(), ..Settings::default() });
    let mut process = Process::start(place.command());
    assert_eq!(process.ended().await.code(), Some(1));
    assert!(process.stderr().contains("hubgate.socket"), "{}", process.stderr());
}

#[tokio::test]
async fn a_reload_keeps_an_inherited_socket_and_refuses_to_forget_it() {
    let place = Place::new();
    place.configure(&Settings { server: INHERIT.to_owned(), ..Settings::default() });
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let process = start(&place, &socket).await;

    process.signal(Signal::HUP);
    process.until_written("reloaded").await;
    place.configure(&Settings::default());
    process.signal(Signal::HUP);
    process.until_written("stays in force").await;

    assert!(process.stderr().contains("was handed over"), "{}", process.stderr());
}

/// The kernel resets a connection that it completes between the old process's last look into its
/// queue and its close, unless `net.ipv4.tcp_migrate_req` is set. It refuses none.
#[tokio::test]
async fn a_process_is_replaced_under_load_without_inherited_sockets() {
    let (place, backend) = (Place::new(), backend().await);
    let settings = |listen: &str| Settings {
        server: format!("listen = [\"{listen}\"]"),
        upstream_url: backend.url(),
        ..Settings::default()
    };
    let mut process = place.run(&settings("127.0.0.1:0")).await;
    let address = process.address();
    place.configure(&settings(&address.to_string()));
    let load = Load::start(16, &place.meta(&process));

    let mut second = Process::start(place.command());
    assert_eq!(second.ended().await.code(), Some(1), "a second process needs to be told");
    let replacements = 5;
    for _ in 0..replacements {
        load.until_answered(50).await;
        let mut command = place.command();
        command.arg("--replace");
        let successor = Process::start(command);
        successor.until_written("serving").await;
        process.signal(Signal::TERM);
        assert_eq!(process.ended().await.code(), Some(0), "{}", process.stderr());
        process = successor;
    }
    load.until_answered(50).await;

    let Outcome { answered, failures } = load.stop().await;
    eprintln!("{replacements} replacements, {answered} events answered, failed: {failures:?}");
    assert!(failures.iter().all(|failure| !failure.contains("refused")), "{failures:?}");
    assert!(failures.len() <= replacements, "{answered}: {failures:?}");
}

/// A process that serves the socket.
async fn start(place: &Place, socket: &TcpListener) -> Process {
    let process = Process::start(handing_over(&place.command(), socket));
    process.until_written("serving").await;
    process
}

/// The command, started with the socket as its descriptor 3, as `sd_listen_fds(3)` has it.
fn handing_over(command: &Command, socket: &TcpListener) -> Command {
    // Descriptors are closed on exec unless somebody says so; other tests' children may get it, too,
    // and do nothing with it.
    fcntl_setfd(socket, FdFlags::empty()).unwrap();
    let mut shell = Command::new("bash");
    let descriptor = socket.as_raw_fd();
    let script = format!("exec 3<&{descriptor}; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$@\"");
    shell.args(["-c", &script, "bash"]).arg(command.get_program()).args(command.get_args());
    shell
}

async fn backend() -> Backend {
    Backend::scripted(|mut hop| async move {
        while hop.request().await.is_some() {
            hop.write(OK).await;
        }
    })
    .await
}
