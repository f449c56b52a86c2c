//! `hubgate status`, as whoever is woken at night runs it.

use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use hubgate_testkit::pki::Leaf;
use hubgate_testkit::sender::{Message, Sender};

use crate::backend::{Backend, OK};
use crate::harness::{Admin, Place, Process, Settings, event, terminal};
use crate::waiting::until_deserted;

const PAGE: &str = include_str!("../../docs/status.md");
const NEW_SECRET: &str = "fedcba9876543210fedcba9876543210";

/// What one run of the command came to.
#[derive(Debug)]
struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hubgate"));
    command.arg("status").args(arguments).env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

async fn run(arguments: &[&str]) -> Outcome {
    let mut command = command(arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

async fn status(process: &Process) -> Outcome {
    run(&["--admin", &process.admin_address().to_string()]).await
}

/// A process before an application that answers.
async fn served(place: &Place, backend: &Backend, webhook: &str) -> Process {
    let settings = Settings {
        upstream_url: backend.url(),
        webhook: webhook.to_owned(),
        ..Settings::default()
    };
    place.run(&settings).await
}

async fn good_backend() -> Backend {
    Backend::good_at("127.0.0.1:0".parse().unwrap()).await
}

#[tokio::test]
async fn the_output_in_the_docs_is_the_real_one() {
    let place = Place::new();
    place.write("new-secret", NEW_SECRET);
    let backend = Backend::answering(|_| OK.to_vec()).await;
    let old_alone = "app_secrets = [{ file = \"app-secret\", label = \"old\" }]";
    let alarm = "quiet_alarm_ms = 1800000";
    let process = served(&place, &backend, &format!("{old_alone}\n{alarm}")).await;
    let meta = Sender::new(place.meta(&process)).unwrap();
    for body in ["1", "2"] {
        assert_eq!(meta.send(event(body)).await.unwrap().status, 200);
    }
    // The app secret is being changed, and the application has just been stopped.
    let both = "app_secrets = [{ file = \"new-secret\", label = \"new\" }, \
                { file = \"app-secret\", label = \"old\" }]";
    let text = std::fs::read_to_string(place.dir.path().join("config.toml")).unwrap();
    place.write("config.toml", &text.replace(old_alone, both));
    process.signal(rustix::process::Signal::HUP);
    process.until_written("reloaded").await;
    assert_eq!(meta.send(Message::event(NEW_SECRET, "3")).await.unwrap().status, 200);
    let forged = Message::event("neither of them", "4");
    assert_eq!(meta.send(forged).await.unwrap().status, 403);
    Sender::new(place.stranger(&process)).unwrap().send(event("5")).await.expect_err("is refused");
    let address = backend.address;
    drop(backend);
    until_deserted(address).await;
    assert_eq!(meta.send(Message::event(NEW_SECRET, "6")).await.unwrap().status, 502);
    let mut admin = Admin::connect(&process).await;
    let refused = "hubgate_handshake_refusals_total{reason=\"certificate_missing\"}";
    admin.until_metric(refused, |times| times > 0.0).await;

    let Outcome { code, stdout, stderr } = status(&process).await;

    assert_eq!((code, stderr.as_str()), (Some(1), ""), "{stdout}");
    let shown = PAGE.split_once("$ hubgate status\n").and_then(|(_, rest)| rest.split_once("```"));
    let (shown, _) = shown.expect("the page shows the command");
    assert_eq!(masked(shown), masked(&stdout), "docs/status.md should have:\n\n{stdout}");
}

/// Without what differs from run to run: times, ages, ports, and the version. Counts are compared.
fn masked(text: &str) -> String {
    let text = text
        .replace(env!("CARGO_PKG_VERSION"), "VERSION")
        .replace("just now", "0 s ago")
        .replace("not ready;", "READY;")
        .replace(" ready;", " READY;")
        .replace("ejected, ", "STATE, ")
        .replace("half_open, ", "STATE, ")
        .replace("; not tried for a while", "; WHAT THEN")
        .replace("; the next request tries it", "; WHAT THEN");
    text.lines().map(masked_line).collect::<Vec<_>>().join("\n")
}

fn masked_line(line: &str) -> String {
    let words: Vec<_> = line.split(' ').collect();
    let masked = words.iter().enumerate().map(|(index, word)| {
        let is_number = |word: &str| word.parse::<u64>().is_ok();
        let unit = |word: &str| {
            let bare = word.trim_end_matches([',', ';']);
            ["s", "min", "h", "days"].contains(&bare).then(|| word.replace(bare, "UNIT"))
        };
        let before = index.checked_sub(1).map_or("", |before| words[before]);
        if is_number(word) && words.get(index + 1).is_some_and(|next| unit(next).is_some()) {
            "SOME".to_owned()
        } else if let (true, Some(unit)) = (is_number(before), unit(word)) {
            unit
        } else if let Some((_, rest)) = word.split_once("127.0.0.1:") {
            let port = rest.trim_end_matches(|end: char| !end.is_ascii_digit());
            word.replace(port, "PORT")
        } else if word.len() == 11 && word.starts_with("20") {
            "DATE,".to_owned()
        } else {
            (*word).to_owned()
        }
    });
    masked.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn red_is_1_green_is_0_and_no_answer_is_2() {
    let place = Place::new();
    let backend = good_backend().await;
    let process = served(&place, &backend, "").await;
    let green = status(&process).await;
    assert_eq!(green.code, Some(0), "{green:?}");
    assert!(green.stdout.ends_with("\nok: nothing to do\n"), "{}", green.stdout);

    place.write("config.toml", "[nonsense]");
    process.signal(rustix::process::Signal::HUP);
    process.until_written("the old one stays in force").await;
    let red = status(&process).await;
    assert_eq!(red.code, Some(1), "{red:?}");
    for part in
        ["is red\n", "    fault           ", "`nonsense`", "red: the last reload was refused"]
    {
        assert!(red.stdout.contains(part), "`{part}` is not in:\n{}", red.stdout);
    }

    let address = process.admin_address();
    drop(process);
    let silent = run(&["--admin", &address.to_string()]).await;
    assert_eq!((silent.code, silent.stdout.as_str()), (Some(2), ""));
    assert!(silent.stderr.contains(&format!("nobody answers at {address}")), "{silent:?}");
    for arguments in [&["--admin", "nowhere"][..], &["--config", "absent.toml"], &["--nonsense"]] {
        let outcome = run(arguments).await;
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{outcome:?}");
        assert!(!outcome.stderr.is_empty());
    }
}

#[tokio::test]
async fn whatever_is_worth_a_look_alone_is_0() {
    let place = Place::new();
    let backend = good_backend().await;
    let process = served(&place, &backend, "signature = \"report\"").await;

    let yellow = status(&process).await;

    assert_eq!(yellow.code, Some(0), "{yellow:?}");
    assert!(yellow.stdout.contains("is yellow\n"), "{}", yellow.stdout);
    assert!(yellow.stdout.contains("ONLY REPORTS"), "{}", yellow.stdout);
}

#[tokio::test]
async fn the_address_is_taken_from_a_configuration_that_may_be_broken_elsewhere() {
    let place = Place::new();
    let backend = good_backend().await;
    let process = served(&place, &backend, "").await;
    let admin = process.admin_address();
    place.write("later.toml", &format!("[admin]\nlisten = \"{admin}\"\n[nonsense]\n"));
    let path = place.dir.path().join("later.toml");

    let outcome = run(&["--config", path.to_str().unwrap()]).await;

    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    place.write("later.toml", "[admin]\nenabled = false");
    let off = run(&["--config", path.to_str().unwrap()]).await;
    assert_eq!(off.code, Some(2), "{off:?}");
    assert!(off.stderr.contains("`admin.enabled` is false"), "{off:?}");
}

#[tokio::test]
async fn json_is_the_document_as_it_came() {
    let place = Place::new();
    let backend = good_backend().await;
    let process = served(&place, &backend, "").await;

    let outcome = run(&["--json", "--admin", &process.admin_address().to_string()]).await;

    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let document: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(document["health"], "green");
    assert_eq!(document["webhooks"][0]["secrets"][0]["label"], "app-secret");
}

#[tokio::test]
async fn colors_are_for_terminals_and_for_those_who_want_them() {
    let place = Place::new();
    let backend = good_backend().await;
    let process = served(&place, &backend, "").await;
    let admin = process.admin_address();

    assert!(!status(&process).await.stdout.contains('\u{1b}'));
    assert!(on_terminal(admin, None).await.contains("\u{1b}[32mgreen\u{1b}[0m"));
    assert!(!on_terminal(admin, Some("1")).await.contains('\u{1b}'));
}

/// What it writes to a terminal.
async fn on_terminal(admin: SocketAddr, no_color: Option<&str>) -> String {
    let (terminal, end) = terminal();
    let mut command = command(&["--admin", &admin.to_string()]);
    if let Some(value) = no_color {
        command.env("NO_COLOR", value);
    }
    command.stdout(end);
    let read = move || {
        command.status().unwrap();
        drop(command);
        let mut text = Vec::new();
        // The end of a terminal is an error (EIO) once nobody holds the other side.
        let _end = File::from(terminal).read_to_end(&mut text);
        String::from_utf8(text).unwrap()
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}

#[tokio::test]
async fn a_secret_is_known_by_its_label_alone() {
    let place = Place::new();
    let backend = good_backend().await;
    let process = served(&place, &backend, "").await;
    let meta = Sender::new(place.stranger(&process).identity(place.meta_ca.issue(Leaf::meta())));
    assert_eq!(meta.unwrap().send(event("1")).await.unwrap().status, 200);

    let Outcome { stdout, .. } = status(&process).await;

    let secret = stdout.lines().find(|line| line.contains("app-secret: last used ")).unwrap();
    assert!(secret.ends_with("; 1 event since the start"), "{secret}");
    for secret in [crate::harness::APP_SECRET, crate::harness::VERIFY_TOKEN] {
        assert!(!stdout.contains(secret), "{stdout}");
    }
}
