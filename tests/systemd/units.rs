//! The unit files, as systemd's own tools judge them, and what goes with them.

use std::path::{Path, PathBuf};
use std::process::Command;

use hubgate::config::Config;

const DROP_INS: [&str; 4] = ["addresses", "files", "notify-reload", "own-port"];

#[test]
fn the_units_and_their_drop_ins_are_valid() {
    let Some(()) = analyze_or_skip() else { return };
    for drop_in in [None, Some("addresses"), Some("files"), Some("own-port")] {
        let directory = units(drop_in);
        let output = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .args(["hubgate.service", "hubgate.socket"].map(|unit| directory.path().join(unit)))
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        // Other units of this machine are none of ours.
        let ours: Vec<_> = told.lines().filter(|line| line.contains("hubgate")).collect();
        assert!(output.status.success() && ours.is_empty(), "{drop_in:?}: {told}");
    }
}

#[test]
fn the_exposure_of_the_service_is_low() {
    let Some(()) = analyze_or_skip() else { return };
    let directory = units(None);
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager", "--threshold=12"])
        .arg(directory.path().join("hubgate.service"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "more than 1.2: {told}");
    let exposure = told.lines().find(|line| line.contains("Overall exposure level")).unwrap();
    let exposure = exposure.split(": ").nth(1).unwrap().split(' ').next().unwrap();
    assert!(exposure.parse::<f64>().unwrap() <= 1.2, "{told}");
}

#[test]
fn every_drop_in_is_known_here() {
    let names = std::fs::read_dir(source("drop-ins")).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let stems: Vec<_> = names.iter().map(|path| path.file_stem().unwrap()).collect();
    assert_eq!(stems, DROP_INS);
}

#[test]
fn the_small_configuration_loads_with_the_credentials_that_the_unit_names() {
    let unit = std::fs::read_to_string(source("hubgate.service")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let credentials = directory.path().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    for line in unit.lines() {
        let Some(credential) = line.strip_prefix("LoadCredential=") else { continue };
        let name = credential.split(':').next().unwrap();
        std::fs::write(credentials.join(name), "0123456789abcdef0123456789abcdef").unwrap();
    }
    let text = std::fs::read_to_string(source("config.toml")).unwrap();
    let text = text.replace("/etc/hubgate/certs", &directory.path().display().to_string());
    std::fs::write(directory.path().join("meta-outbound-api-ca-2025-12.pem"), "PEM").unwrap();
    let path = directory.path().join("config.toml");
    std::fs::write(&path, text).unwrap();

    let config = Config::load_with(&path, &|name| {
        (name == "CREDENTIALS_DIRECTORY").then(|| credentials.clone().into_os_string())
    });

    let config = config.unwrap_or_else(|errors| panic!("{errors}"));
    assert!(
        config.server.inherit
            && config.server.certificates[0].private_key.starts_with(&credentials)
    );
}

#[test]
fn systemd_waits_longer_for_a_drain_than_the_drain_may_take() {
    let unit = std::fs::read_to_string(source("hubgate.service")).unwrap();
    let stop = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
    let reference = include_str!("../../config.toml");
    let drain = reference.lines().find_map(|line| line.strip_prefix("#drain_timeout_ms = "));
    assert!(stop.parse::<u64>().unwrap() * 1000 > drain.unwrap().parse().unwrap());
}

/// The units with the program of these tests, and one drop-in.
fn units(drop_in: Option<&str>) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for unit in ["hubgate.service", "hubgate.socket"] {
        let text = std::fs::read_to_string(source(unit)).unwrap();
        let text = text.replace("/usr/bin/hubgate", env!("CARGO_BIN_EXE_hubgate"));
        std::fs::write(directory.path().join(unit), text).unwrap();
    }
    if let Some(name) = drop_in {
        let folder = directory.path().join("hubgate.service.d");
        std::fs::create_dir(&folder).unwrap();
        let name = format!("{name}.conf");
        std::fs::copy(source("drop-ins").join(&name), folder.join(&name)).unwrap();
    }
    directory
}

pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name)
}

/// Says so where it cannot run.
fn analyze_or_skip() -> Option<()> {
    let found = Command::new("systemd-analyze").arg("--version").output();
    if found.is_err() {
        eprintln!("SKIPPED: no systemd-analyze on this machine");
    }
    found.ok().map(drop)
}
