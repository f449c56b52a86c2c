//! `hubgate explain`: what the program says of its own codes.

use std::process::{Command, Output};

use hubgate::error_code::ErrorCode;
use hubgate::refusal::{Hangup, Refusal};

#[test]
fn the_output_in_the_readme_is_the_real_one() {
    let output = hubgate(&["explain", "signature_mismatch"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(readme_output("hubgate explain signature_mismatch"), text(&output.stdout));
}

#[test]
fn every_code_is_listed_and_each_of_them_explained() {
    let list = text(&hubgate(&["explain"]).stdout);
    let mut labels: Vec<_> = Hangup::ALL.iter().map(|hangup| hangup.label()).collect();
    labels.extend(Refusal::ALL.iter().map(|refusal| refusal.label()));
    labels.extend(ErrorCode::ALL.iter().map(|code| code.label()));
    assert!(labels.len() > 80, "{labels:?}");
    for label in labels {
        assert!(list.lines().any(|line| line.split_whitespace().next() == Some(label)), "{label}");
    }
    let page = text(&hubgate(&["explain", "error[config_unknown_key]"]).stdout);
    assert!(
        page.starts_with("config_unknown_key: the configuration is not put in force"),
        "{page}"
    );
}

#[test]
fn a_code_that_is_none_is_refused_with_the_one_that_was_meant() {
    let output = hubgate(&["explain", "unknown_ancor"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "");
    assert!(text(&output.stderr).contains("did you mean `unknown_anchor`?"), "{output:?}");
}

fn hubgate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hubgate")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What stands under this command in the README.
fn readme_output(command: &str) -> String {
    let readme = include_str!("../../README.md");
    let (_, after) = readme
        .split_once(&format!("```console\n$ {command}\n"))
        .unwrap_or_else(|| panic!("the README does not show `{command}`"));
    after.split_once("```").unwrap().0.to_owned()
}
