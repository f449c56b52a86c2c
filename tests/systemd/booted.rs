//! The units as they are shipped, run by a real systemd.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use hubgate_testkit::pki::Leaf;
use hubgate_testkit::sender::{Options, Sender};

use crate::backend::{Backend, OK};
use crate::harness::{APP_SECRET, PATH, Place, VERIFY_TOKEN, event};
use crate::load::{Load, Outcome};
use crate::machine::Machine;
use crate::units::source;

/// One machine for all of it: to boot one takes longer than what is done in it.
#[tokio::test]
async fn a_real_systemd_starts_reloads_restarts_and_watches_hubgate() {
    if let Some(lack) = Machine::lacks() {
        eprintln!("SKIPPED: no real systemd was tried, for {lack}");
        return;
    }
    let Some(port) = free_privileged_port() else {
        eprintln!("SKIPPED: no real systemd was tried, for every port tried is in use");
        return;
    };
    let place = Place::new();
    let backend = Backend::scripted(|mut hop| async move {
        while hop.request().await.is_some() {
            hop.write(OK).await;
        }
    })
    .await;
    let url = backend.url();
    let machine = Machine::boot(|root| fill(root, &place, &url, port)).await.unwrap();
    let options = Options::to_local(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATH).unwrap();
    let options = options.trusting(&place.server_ca);
    let options = options.identity(place.meta_ca.issue(Leaf::meta()));

    started_with_credentials_and_without_rights(&machine, &options, port).await;
    reload_says_what_it_came_to(&machine).await;
    restarts_under_load_fail_no_event(&machine, &options).await;
    a_process_that_stands_still_is_replaced(&machine, &options).await;
    a_stopped_service_is_started_by_the_next_caller(&machine, &options).await;
}

async fn started_with_credentials_and_without_rights(
    machine: &Machine,
    options: &Options,
    port: u16,
) {
    machine.must("systemctl start hubgate.socket hubgate.service").await;

    assert_eq!(machine.property("ActiveState"), "active");
    assert_eq!(machine.property("StatusText"), format!("generation 1 on [::]:{port}"));
    assert_eq!(send(options).await, Ok(200), "{}", machine.journal());
    let pid = machine.property("MainPID");
    let status = machine.must(&format!("cat /proc/{pid}/status")).await;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().to_owned()
    };
    assert!(field("Uid:").parse::<u32>().unwrap() >= 61_184, "a dynamic user: {status}");
    for set in ["CapEff:", "CapPrm:", "CapBnd:", "CapAmb:"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!(field("Seccomp:"), "2");
}

async fn reload_says_what_it_came_to(machine: &Machine) {
    machine.must("systemctl reload hubgate").await;
    machine.until_property("StatusText", |text| text.starts_with("generation 2 on")).await;

    machine.must("echo nonsense = 1 >> /etc/hubgate/config.toml").await;
    let refused = machine.run("systemctl reload hubgate");
    assert!(!refused.is_success, "{refused:?}");
    machine.until_property("ActiveState", |state| state == "active").await;
    let status = machine.property("StatusText");
    assert!(status.contains("generation 2") && status.contains("nonsense"), "{status}");
    assert!(machine.journal().contains("stays in force"), "{}", machine.journal());
    machine.must("sed -i /nonsense/d /etc/hubgate/config.toml").await;
    machine.must("systemctl reload hubgate").await;
}

async fn restarts_under_load_fail_no_event(machine: &Machine, options: &Options) {
    let load = Load::start(16, options);
    for _ in 0..3 {
        load.until_answered(30).await;
        machine.must("systemctl restart hubgate").await;
    }
    load.until_answered(30).await;

    let Outcome { answered, failures } = load.stop().await;
    eprintln!("3 restarts, {answered} events answered, failed: {failures:?}");
    assert!(failures.is_empty(), "{answered}: {failures:?} {}", machine.journal());
}

async fn a_process_that_stands_still_is_replaced(machine: &Machine, options: &Options) {
    machine
        .must(
            "mkdir -p /run/systemd/system/hubgate.service.d; \
             printf '[Service]\\nWatchdogSec=1\\n' > /run/systemd/system/hubgate.service.d/soon.conf; \
             systemctl daemon-reload; systemctl restart hubgate",
        )
        .await;
    // It lives on for as long as it is fed.
    let pid = machine.property("MainPID");
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(machine.property("MainPID"), pid, "{}", machine.journal());

    machine.must(&format!("kill -STOP {pid}")).await;

    machine.until_property("NRestarts", |restarts| restarts == "1").await;
    machine.until_property("ActiveState", |state| state == "active").await;
    assert_ne!(machine.property("MainPID"), pid);
    assert!(machine.journal().contains("Watchdog timeout"), "{}", machine.journal());
    assert_eq!(send(options).await, Ok(200), "{}", machine.journal());
}

async fn a_stopped_service_is_started_by_the_next_caller(machine: &Machine, options: &Options) {
    machine.must("systemctl stop hubgate.service 2>&1").await;
    assert_eq!(machine.property("ActiveState"), "inactive");
    assert_eq!(machine.property("Result"), "success");

    assert_eq!(send(options).await, Ok(200), "{}", machine.journal());
    assert_eq!(machine.property("ActiveState"), "active");
}

async fn send(options: &Options) -> Result<u16, String> {
    let sender = Sender::new(options.clone()).unwrap();
    let answer = sender.send(event("{}")).await;
    answer.map(|answer| answer.status.as_u16()).map_err(|error| error.to_string())
}

/// The files of the package, and what an operator adds to them.
fn fill(root: &Path, place: &Place, upstream_url: &str, port: u16) {
    let write = |path: &str, text: &str, mode: u32| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    for unit in ["hubgate.service", "hubgate.socket"] {
        write(&format!("usr/lib/systemd/system/{unit}"), &read(&source(unit)), 0o644);
    }
    let listen = format!("[Socket]\nListenStream=\nListenStream=[::]:{port}\n");
    write("etc/systemd/system/hubgate.socket.d/port.conf", &listen, 0o644);
    fs::create_dir_all(root.join("usr/bin")).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_hubgate"), root.join("usr/bin/hubgate")).unwrap();
    let config = read(&source("config.toml")).replace("http://127.0.0.1:3000", upstream_url);
    write("etc/hubgate/config.toml", &config, 0o644);
    let anchor = "etc/hubgate/certs/meta-outbound-api-ca-2025-12.pem";
    write(anchor, &place.meta_ca.certificate_pem(), 0o644);
    let made = |name: &str| read(&place.dir.path().join(name));
    write("etc/hubgate/tls/fullchain.pem", &made("server.pem"), 0o600);
    write("etc/hubgate/tls/privkey.pem", &made("server.key"), 0o600);
    write("etc/hubgate/secrets/app-secret", APP_SECRET, 0o600);
    write("etc/hubgate/secrets/verify-token", VERIFY_TOKEN, 0o600);
}

/// The one that Meta calls, if nobody here has it.
fn free_privileged_port() -> Option<u16> {
    [443, 843, 943].into_iter().find(|port| TcpListener::bind(("::", *port)).is_ok())
}
