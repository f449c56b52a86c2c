//! A start that cannot be, and what the operator is told.

use hubgate_testkit::pki::{Authority, Ca, Leaf};

use crate::harness::{APP_SECRET, Place, Process, Settings, VERIFY_TOKEN};

#[tokio::test]
async fn every_fault_of_a_configuration_is_told_at_once_with_its_line() {
    let place = Place::new();
    place.configure(&Settings {
        limits: "body_max_bytes = 0\nconections = 5".into(),
        upstream: "timeout_ms = -1".into(),
        webhook: "verify_token = { file = \"absent\" }".into(),
        ..Settings::default()
    });
    let text = std::fs::read_to_string(place.dir.path().join("config.toml")).unwrap();
    let line_of = |key: &str| 1 + text.lines().position(|line| line.starts_with(key)).unwrap();

    let stderr = refused(&place).await;

    for (key, word, code) in [
        ("body_max_bytes", "limits.body_max_bytes", "config_out_of_range"),
        ("conections", "did you mean `connections`?", "config_unknown_key"),
        ("timeout_ms", "upstream[0].timeout_ms", "config_out_of_range"),
        ("verify_token", "absent", "config_file_unusable"),
    ] {
        let (place, code) = (format!("config.toml:{}: ", line_of(key)), format!("error[{code}]: "));
        let is_it = |line: &str| [&place, word, &code].iter().all(|part| line.contains(*part));
        let told = stderr.lines().any(is_it);
        assert!(told, "`{place}` and `{word}` stand on no line of:\n{stderr}");
    }
}

#[tokio::test]
async fn a_configuration_that_is_absent_or_not_toml_is_told_with_its_name() {
    let place = Place::new();
    let stderr = refused(&place).await;
    assert!(stderr.contains("config.toml"), "{stderr}");
    assert!(stderr.contains("No such file"), "{stderr}");

    place.write("config.toml", "[server\nlisten = [");
    let stderr = refused(&place).await;
    assert!(stderr.contains("config.toml:1: "), "{stderr}");
}

#[tokio::test]
async fn an_inline_secret_is_refused_and_not_repeated_wherever_it_stands() {
    let place = Place::new();
    for webhook in [
        format!("app_secrets = [\"{APP_SECRET}\"]"),
        format!("app_secrets = \"{APP_SECRET}\""),
        format!("verify_token = \"{VERIFY_TOKEN}\""),
        format!("app_secrets = [{{ value = \"{APP_SECRET}\" }}]"),
        format!("app_secrets = [{{ file = \"app-secret\", secret = \"{APP_SECRET}\" }}]"),
        format!("app_secret = \"{APP_SECRET}\""),
        // Not TOML, on the very line.
        format!("app_secrets = [\"{APP_SECRET}"),
        format!("app_secrets = {APP_SECRET}"),
        format!("verify_token = {VERIFY_TOKEN}"),
    ] {
        place.configure(&Settings { webhook: webhook.clone(), ..Settings::default() });
        let text = std::fs::read_to_string(place.dir.path().join("config.toml")).unwrap();
        let first = webhook.lines().next().unwrap();
        let line = 1 + text.lines().position(|line| line == first).unwrap();

        let stderr = refused(&place).await;

        assert!(stderr.contains(&format!("config.toml:{line}: ")), "{webhook}:\n{stderr}");
        for secret in [APP_SECRET, VERIFY_TOKEN, "5ec2e7", "nobody may"] {
            assert!(!stderr.contains(secret), "{webhook}:\n{stderr}");
        }
    }
}

#[tokio::test]
async fn files_that_are_not_what_they_should_be_are_all_named() {
    let place = Place::new();
    let other = Authority::root(Ca::named("another")).issue(Leaf::loopback_server());
    place.write("server.key", &other.key_pem());
    place.write("meta.pem", "no certificate at all");
    place.configure(&Settings::default());

    let stderr = refused(&place).await;

    assert!(stderr.contains("server.key"), "{stderr}");
    assert!(stderr.contains("meta.pem"), "{stderr}");
    assert!(!stderr.contains("PRIVATE"), "{stderr}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_a_clear_error() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let server = format!("listen = [\"127.0.0.1:0\", \"{address}\"]");
    place.configure(&Settings { server, ..Settings::default() });

    let stderr = refused(&place).await;

    let expected =
        format!("hubgate: error[start_listen_failed]: cannot listen on {address}: Address already");
    assert!(stderr.contains(&expected), "{stderr}");
}

#[tokio::test]
async fn the_port_of_another_hubgate_is_taken_too_and_the_other_serves_on() {
    let place = Place::new();
    let first = place.run(&Settings::default()).await;
    for taken in [first.address(), first.admin_address()] {
        let server = format!("listen = [\"{taken}\"]");
        place.configure(&Settings { server, ..Settings::default() });
        let stderr = refused(&place).await;
        assert!(stderr.contains(&format!("cannot listen on {taken}")), "{stderr}");
    }
    // With SO_REUSEPORT carelessly set, half of these would have gone to nobody.
    for _ in 0..10 {
        let sender = hubgate_testkit::sender::Sender::new(place.meta(&first)).unwrap();
        sender.connect().await.unwrap();
    }
}

/// Runs to its end; returns what it wrote to standard error.
async fn refused(place: &Place) -> String {
    let mut process = Process::start(place.command());
    let status = process.ended().await;
    assert_eq!(status.code(), Some(1), "{}", process.stderr());
    assert_eq!(process.stdout(), "");
    assert!(!process.stderr().contains("serving"), "{}", process.stderr());
    process.stderr()
}
