//! Links from page to page.

use std::collections::BTreeSet;
use std::fs;

use crate::markdown::{Page, root};

/// Links of a page to files and headings that are not there.
pub fn broken(page: &Page) -> Vec<String> {
    let mut broken = Vec::new();
    for (line, text) in page.prose() {
        for target in targets(text) {
            if !target.contains("://") && !leads_somewhere(page, target) {
                broken.push(format!("{}:{line}: {target}", page.path));
            }
        }
    }
    broken
}

/// What stands in the round brackets behind square ones.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
}

fn leads_somewhere(page: &Page, target: &str) -> bool {
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = root().join(&page.path);
    let path = if file.is_empty() { path } else { path.parent().unwrap().join(file) };
    if heading.is_empty() {
        return path.exists();
    }
    let Ok(text) = fs::read_to_string(&path) else { return false };
    headings(&Page { path: page.path.clone(), text }).contains(heading)
}

/// As GitHub makes anchors of them.
fn headings(page: &Page) -> BTreeSet<String> {
    let headings = page.prose().filter(|(_, line)| line.starts_with('#'));
    let anchor = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(|(_, line)| anchor(line)).collect()
}
