//! Logs for people on a terminal, for machines elsewhere.

use crate::harness::{Place, Process, Settings};

#[tokio::test]
async fn a_terminal_gets_text_in_colors() {
    let stderr = served_on_terminal(None).await;
    assert!(stderr.contains("\u{1b}["), "{stderr:?}");
    assert!(!stderr.contains("{\""), "{stderr:?}");
}

#[tokio::test]
async fn no_color_is_respected_unless_it_is_empty() {
    let stderr = served_on_terminal(Some("1")).await;
    assert!(!stderr.contains('\u{1b}'), "{stderr:?}");
    assert!(stderr.contains(" INFO "), "{stderr:?}");

    assert!(served_on_terminal(Some("")).await.contains("\u{1b}["));
}

#[tokio::test]
async fn what_is_no_terminal_gets_json_or_text_as_configured_and_never_colors() {
    let place = Place::new();
    for (log, is_json) in [("", true), ("format = \"json\"", true), ("format = \"text\"", false)] {
        let process = place.run(&Settings { log: log.into(), ..Settings::default() }).await;
        let stderr = process.stderr();
        let line = stderr.lines().next().unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(line).is_ok(), is_json, "{line}");
        assert!(!stderr.contains('\u{1b}'), "{stderr:?}");
        assert_eq!(process.stdout(), "");
    }
}

/// What it writes to a terminal until it serves.
async fn served_on_terminal(no_color: Option<&str>) -> String {
    let place = Place::new();
    place.configure(&Settings::default());
    let mut command = place.command();
    if let Some(value) = no_color {
        command.env("NO_COLOR", value);
    }
    let process = Process::start_on_terminal(command);
    process.until_written("serving").await;
    process.stderr()
}
