//! Keys and metrics that the pages name.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hubgate::config::known_keys;
use toml::de::DeTable;

use crate::collect_keys;
use crate::tables::rendered_metrics;

#[test]
fn the_pages_name_no_key_and_no_metric_that_is_not_there() {
    let keys = known_keys();
    let rendered = rendered_metrics();
    let mut unknown = Vec::new();
    let mut found = [0, 0];
    for (page, text) in pages() {
        for code in text.split('`').skip(1).step_by(2) {
            let name = code.split(" = ").next().unwrap_or(code);
            let section = name.split('.').next().unwrap_or(name);
            if section != name && keys.contains(section) && name.bytes().all(is_of_a_key) {
                found[0] += 1;
                if !keys.contains(name) {
                    unknown.push(format!("{page}: {name}"));
                }
            }
        }
        for name in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            // In the name of a package stands a version, and in a pattern no whole name.
            let rest = name.strip_prefix("hubgate_").unwrap_or("");
            if !rest.starts_with(|c: char| c.is_ascii_lowercase()) || rest.ends_with('_') {
                continue;
            }
            found[1] += 1;
            let bare = name.strip_suffix("_total").unwrap_or(name);
            if !rendered.contains(&format!("# TYPE {bare} ")) {
                unknown.push(format!("{page}: {name}"));
            }
        }
    }
    assert!(found[0] > 60 && found[1] > 40, "only {found:?} were found");
    assert!(unknown.is_empty(), "{unknown:#?}");
}

fn is_of_a_key(byte: u8) -> bool {
    byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.' | b'0'..=b'9')
}

#[test]
fn the_pages_show_no_key_that_is_not_there() {
    let keys = known_keys();
    let sections: BTreeSet<_> = keys.iter().filter_map(|key| key.split('.').next()).collect();
    let mut unknown = Vec::new();
    let mut found = 0;
    for (page, text) in pages() {
        for block in text.split("```toml\n").skip(1) {
            let block = block.split("```").next().unwrap_or(block);
            let document = DeTable::parse(block).expect("is TOML");
            let mut shown = BTreeSet::new();
            collect_keys(document.get_ref(), "", &mut shown);
            found += shown.len();
            // A block may also show keys without their section.
            let is_known = |key: &String| {
                let inside = |section: &&str| keys.contains(&format!("{section}.{key}"));
                keys.contains(key) || sections.iter().any(inside)
            };
            shown.retain(|key| !is_known(key));
            unknown.extend(shown.into_iter().map(|key| format!("{page}: {key}")));
        }
    }
    // The page of errors shows a file with two.
    unknown.retain(|key| !key.ends_with("server.comon") && !key.ends_with("upstream.timeout"));
    assert!(found > 30, "only {found} were found");
    assert!(unknown.is_empty(), "{unknown:#?}");
}

/// README.md and docs/, by name.
fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).expect("there are pages");
    let mut paths: Vec<_> = docs.map(|entry| entry.expect("can be listed").path()).collect();
    paths.push(root.join("README.md"));
    paths.push(root.join("certs/README.md"));
    paths.sort();
    let read = |path: &PathBuf| {
        (path.display().to_string(), fs::read_to_string(path).expect("can be read"))
    };
    paths.iter().map(read).collect()
}
