//! README.md and docs/: every console block is run, every link leads somewhere.
//!
//! A block says in the comment above it who runs it:
//!
//! ```text
//! <!-- session: NAME -->                  here, see `session.rs`
//! <!-- test: tests/FILE.rs FUNCTION -->   a test elsewhere, which names the block's command
//! ```
//!
//! `HUBGATE_WRITE_DOCS=1 cargo test --test docs` writes what a session really printed into the page.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::missing_docs_in_private_items,
    missing_docs,
    unreachable_pub,
    reason = "a test stops at the first thing that is not as it says"
)]

mod compare;
mod links;
mod markdown;
mod ports;
mod session;

use std::fs;

use markdown::{Page, RunBy, pages, root};

/// A test for each session, and the list of their names.
macro_rules! sessions {
    ($($name:ident),+ $(,)?) => {
        const SESSIONS: &[&str] = &[$(stringify!($name)),+];
        $(
            #[test]
            fn $name() {
                session::run(&pages(), stringify!($name));
            }
        )+
    };
}

sessions! {
    broken,
    demo,
    doctor,
    explain,
    explain_cert,
    log,
    metrics,
    nginx,
    readme,
    rotation,
    status,
    trust_anchors,
    walk,
}

#[test]
fn every_console_block_names_what_runs_it() {
    let mut unclaimed = Vec::new();
    for page in pages() {
        for block in page.blocks().into_iter().filter(|block| block.language == "console") {
            let is_run = match &block.run_by {
                Some(RunBy::Session { name, .. }) => SESSIONS.contains(&&**name),
                Some(RunBy::Test { file, function }) => {
                    let source = fs::read_to_string(root().join(file)).unwrap_or_default();
                    let command = block.commands()[0].command.replace('"', "\\\"");
                    source.contains(&format!("fn {function}()")) && source.contains(&command)
                }
                None => false,
            };
            if !is_run {
                unclaimed.push(format!("{}:{}", page.path, block.line));
            }
        }
    }
    assert!(unclaimed.is_empty(), "no test runs the console blocks at {unclaimed:#?}");
}

#[test]
fn every_session_has_a_block() {
    let pages = pages();
    let blocks: Vec<_> = pages.iter().flat_map(Page::blocks).collect();
    for name in SESSIONS {
        let is_its =
            |run_by: &RunBy| matches!(run_by, RunBy::Session { name: its, .. } if its == name);
        assert!(blocks.iter().any(|block| block.run_by.as_ref().is_some_and(is_its)), "{name}");
    }
}

#[test]
fn a_page_that_shows_what_does_not_happen_is_noticed() {
    let page = |shown: &str| Page {
        path: "made-up.md".to_owned(),
        text: format!(
            "<!-- session: made_up -->\n```console\n$ printf 'one\\n2 s ago\\n'\n{shown}```\n"
        ),
    };
    let differences = |shown: &str| session::differences(&[page(shown)], "made_up").len();
    assert_eq!(differences("one\n17 min ago\n"), 0);
    assert_eq!(differences("...\njust now\n"), 0);
    for wrong in ["one\n", "one\n2 s to go\n", "one\n2 s ago\nthree\n", "two\n...\n", ""] {
        assert_eq!(differences(wrong), 1, "{wrong}");
    }
}

#[test]
fn every_link_leads_somewhere() {
    let broken: Vec<_> = pages().iter().flat_map(links::broken).collect();
    assert!(broken.is_empty(), "broken links: {broken:#?}");
}

#[test]
fn the_page_on_development_names_every_test_binary_and_every_profile() {
    let page = fs::read_to_string(root().join("docs/development.md")).unwrap();
    let is_missing = |name: &String| !page.contains(&format!("\n| `{name}` |"));
    let entries = fs::read_dir(root().join("tests")).unwrap().map(|entry| entry.unwrap().path());
    let binaries = entries.filter(|path| path.is_file() || path.join("main.rs").exists());
    let binaries = binaries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let profiles = manifest.lines().filter_map(|line| line.strip_prefix("[profile."));
    // What only one package has is no profile to choose.
    let profiles = profiles.filter(|rest| !rest.contains('.'));
    let profiles = profiles.map(|rest| rest.trim_end_matches(']').to_owned());
    let missing: Vec<_> = binaries.chain(profiles).filter(is_missing).collect();
    assert!(missing.is_empty(), "docs/development.md does not name {missing:?}");
}

#[test]
fn the_readme_is_a_few_screens() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.lines().count() <= 250, "README.md is for a first look; move text to docs/");
}
