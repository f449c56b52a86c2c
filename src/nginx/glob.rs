//! The files that an `include` names: one path, or a pattern as glob(3) reads it.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// Whether the path is a pattern.
pub(super) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// Every existing file that fits, in the order of their names; directories that cannot be read
/// hold none.
pub(super) fn files(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let name = component.as_os_str().to_string_lossy();
        let is_pattern = matches!(component, Component::Normal(_)) && is_pattern(&name);
        found = match is_pattern {
            true => found.iter().flat_map(|directory| entries(directory, &name)).collect(),
            false => found.into_iter().map(|path| path.join(component)).collect(),
        };
    }
    found.retain(|path| path.is_file());
    found
}

fn entries(directory: &Path, pattern: &str) -> Vec<PathBuf> {
    let here = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let entries = fs::read_dir(here).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name()).filter(|name| {
        let name = name.to_string_lossy();
        // A pattern does not find hidden files unless it says so.
        (pattern.starts_with('.') || !name.starts_with('.'))
            && fits(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>())
    });
    let mut paths: Vec<PathBuf> = names.map(|name| directory.join(name)).collect();
    paths.sort();
    paths
}

/// Whether a name fits a pattern of `*`, `?` and `[..]`.
fn fits(pattern: &[char], name: &[char]) -> bool {
    // Where to go on if the newest `*` has to take one character more.
    let mut retry: Option<(&[char], &[char])> = None;
    let (mut pattern, mut name) = (pattern, name);
    loop {
        let step = match (pattern.split_first(), name.split_first()) {
            (None, None) => return true,
            (Some(('*', rest)), _) => {
                retry = Some((rest, name));
                Some((rest, name))
            }
            (Some(('[', rest)), Some((character, left))) => match class(rest, *character) {
                Some((true, rest)) => Some((rest, left)),
                Some((false, _)) => None,
                None => (*character == '[').then_some((rest, left)),
            },
            (Some((wanted, rest)), Some((character, left))) => {
                (*wanted == '?' || wanted == character).then_some((rest, left))
            }
            (_, None) | (None, Some(_)) => None,
        };
        if let Some((next_pattern, next_name)) = step {
            (pattern, name) = (next_pattern, next_name);
            continue;
        }
        let Some((rest, [_, left @ ..])) = retry else { return false };
        retry = Some((rest, left));
        (pattern, name) = (rest, left);
    }
}

/// After a `[`: whether the class has the character, and what follows it; `None` if it never ends.
fn class(pattern: &[char], character: char) -> Option<(bool, &[char])> {
    let (is_negated, mut rest) = match pattern {
        ['!' | '^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut has = false;
    let mut is_first = true;
    loop {
        rest = match rest {
            [']', rest @ ..] if !is_first => return Some((has != is_negated, rest)),
            [from, '-', to, rest @ ..] if *to != ']' => {
                has |= (*from..=*to).contains(&character);
                rest
            }
            [one, rest @ ..] => {
                has |= *one == character;
                rest
            }
            [] => return None,
        };
        is_first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_as_glob_says() {
        let fits = |pattern: &str, name: &str| {
            fits(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>())
        };
        for (pattern, name) in [
            ("*", "a"),
            ("*.conf", "a.conf"),
            ("a*b*c", "a-b-b-c"),
            ("?", "x"),
            ("[ab]x", "bx"),
            ("[a-c]", "b"),
            ("[!a]", "b"),
            ("[]]", "]"),
            ("[", "["),
            ("a", "a"),
            ("a*", "a"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.conf", "a.conf~"),
            ("?", ""),
            ("?", "ab"),
            ("[ab]", "c"),
            ("[!a]", "a"),
            ("a", "ab"),
            ("", "a"),
            ("a*b", "a"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
