//! Paths that nobody may reach through a site by another name: those of webhooks, and a site's
//! exceptions.
//!
//! An application that serves such a path serves it under more: below the script that it is, for
//! its directory, without its extension, behind the name of a front controller, or out of a query.

use std::collections::HashMap;

use names::{
    LONGEST_END, SCRIPTS_MAX, directories, directory_of_index, is_page, is_short, last_name,
    means_itself, scripts, stems, without_last_slash,
};

use super::query::asked_paths;
use super::readings::Readings;

mod names;

/// What a site must not carry.
#[derive(Debug, Default)]
pub(crate) struct ReservedPaths {
    names: HashMap<String, Name>,
    /// How excepted paths begin.
    starts: Vec<Start>,
    /// In bytes, of names and starts: what is longer is none of them, and is not looked for.
    longest: usize,
    /// A bit for each length that a name has, the last for all that are longer.
    lengths: u128,
    /// Whether something is served below a name.
    with_below: bool,
}

/// One name of something that is reserved.
#[derive(Clone, Copy, Debug, Default)]
struct Name {
    /// Something is served below it, too: it is a script, or can be the name of one.
    with_below: bool,
    /// It is meant with any extension, and not only with that of a page.
    with_extensions: bool,
}

/// How paths begin that are excepted, as the nginx configurations that they come from count it.
#[derive(Debug)]
struct Start {
    text: String,
    /// Written with a slash at the end, it is whole segments.
    is_whole: bool,
}

impl ReservedPaths {
    /// These, and no other.
    pub(crate) fn new<'a>(paths: impl Iterator<Item = &'a str>) -> Self {
        let mut reserved = Self::default();
        for path in paths {
            reserved.reserve(path);
        }
        reserved
    }

    /// Everything, too, that begins like one of these.
    pub(crate) fn with_starts<'a>(mut self, paths: impl Iterator<Item = &'a str>) -> Self {
        for path in paths {
            self.reserve(path);
            let is_whole = path.ends_with('/');
            for reading in Readings::of(path).all().map(without_last_slash) {
                self.longest = self.longest.max(reading.len());
                self.starts.push(Start { text: reading.to_owned(), is_whole });
            }
        }
        self
    }

    /// Whether some application takes what a site is asked for, a normalised path and a query, for
    /// one of them.
    pub(crate) fn has(&self, path: &str, query: Option<&str>) -> bool {
        if self.names.is_empty() {
            return false;
        }
        let readings = Readings::of(path);
        readings.is_overdone
            || readings.all().any(|path| self.has_in_path(path))
            || [query, readings.query.as_deref()]
                .into_iter()
                .flatten()
                .any(|query| self.has_in_query(&readings, query))
    }

    fn reserve(&mut self, path: &str) {
        for reading in Readings::of(path).all().map(without_last_slash) {
            let with_below = last_name(reading).contains('.');
            self.add(reading, Name { with_below, with_extensions: true });
            for (stem, extension) in stems(reading) {
                let with_extensions = !extension.split('.').any(is_page);
                self.add(stem, Name { with_below: true, with_extensions });
            }
            if let Some(directory) = directory_of_index(reading) {
                self.add(directory, Name::default());
            }
        }
    }

    fn add(&mut self, name: &str, how: Name) {
        let known = self.names.entry(name.to_owned()).or_default();
        known.with_below |= how.with_below;
        known.with_extensions |= how.with_extensions;
        self.longest = self.longest.max(name.len());
        self.lengths |= bit_of(name);
        self.with_below |= how.with_below;
    }

    fn get(&self, name: &str) -> Option<Name> {
        if self.lengths & bit_of(name) == 0 { None } else { self.names.get(name).copied() }
    }

    /// Looks at what a query asks for, alone and below each directory of the path.
    fn has_in_query(&self, readings: &Readings<'_>, query: &str) -> bool {
        let Some(asked) = asked_paths(query) else { return true };
        let pages = || readings.all().map(without_last_slash);
        let directories = || pages().flat_map(|page| directories(page, self.longest));
        asked.iter().any(|asked| {
            let below = if asked.is_rest_route { WORDPRESS } else { ALONE };
            asked.readings.iter().any(|path| {
                // What is longer begins like one of them, or does not.
                let end = self.longest + LONGEST_END;
                let start = (end..end + 4).find_map(|end| path.get(..end)).unwrap_or(path);
                let below = |directory: &str| {
                    below
                        .iter()
                        .any(|below| self.has_in_path(&format!("{directory}{below}{start}")))
                };
                self.has_in_path(path) || path.len() > 1 && directories().any(below)
            })
        })
    }

    /// A reading, and what is left of it without the front controllers in it.
    fn has_in_path(&self, path: &str) -> bool {
        if means_itself(path) {
            let path = without_last_slash(path);
            return self.has_start(path) || self.get(path).is_some() || self.has_below(path);
        }
        scripts(path).count() > SCRIPTS_MAX || self.has_behind_scripts(path, SCRIPTS_MAX)
    }

    /// What follows a script is a path of its own, and one below the script's directory.
    fn has_behind_scripts(&self, path: &str, deep: usize) -> bool {
        let behind = |(directory, rest): (&str, &str)| {
            let Some(deep) = deep.checked_sub(1) else { return false };
            // Below a longer directory is what begins like that directory, or nothing.
            let is_below = || {
                !directory.is_empty()
                    && directory.len() <= self.longest
                    && self.has_behind_scripts(&format!("{directory}{rest}"), deep)
            };
            self.has_behind_scripts(rest, deep) || is_below()
        };
        self.has_reading(path) || scripts(path).any(behind)
    }

    fn has_reading(&self, path: &str) -> bool {
        let path = without_last_slash(path);
        self.has_start(path) || self.has_name(path) || self.has_below(path) || self.has_short(path)
    }

    fn has_start(&self, path: &str) -> bool {
        self.starts.iter().any(|start| start.begins(path))
    }

    /// The whole path, and its directory if it is an index.
    fn has_name(&self, path: &str) -> bool {
        self.has_extended(path)
            || directory_of_index(path).is_some_and(|directory| self.has_extended(directory))
    }

    /// A name as it is, and without each of its extensions.
    fn has_extended(&self, path: &str) -> bool {
        let last = last_name(path);
        let beginning = path.len() - last.len();
        self.get(path).is_some()
            || last.match_indices('.').any(|(dot, _)| {
                let stem = path.get(..beginning + dot).unwrap_or(path).trim_end_matches('/');
                let extension = last.get(dot + 1..).unwrap_or_default();
                self.get(stem).is_some_and(|name| name.with_extensions || is_page(extension))
            })
    }

    /// What the path is below of: what follows the name of a script is for the script (`PATH_INFO`).
    fn has_below(&self, path: &str) -> bool {
        if !self.with_below && !path.contains('.') {
            return false;
        }
        let is_below = |name: &str| self.get(name).is_some_and(|name| name.with_below);
        let slashes = path.match_indices('/').map(|(slash, _)| slash).skip(1);
        slashes.take_while(|slash| *slash <= self.longest + LONGEST_END).any(|slash| {
            let start = path.get(..slash).unwrap_or(path);
            let is_script = || last_name(start).contains('.');
            is_below(start)
                || is_script()
                    && (stems(start).any(|(stem, extension)| is_page(extension) && is_below(stem))
                        || directory_of_index(start).is_some_and(|of| self.has_extended(of)))
        })
    }

    /// With the short names that Windows gives to long ones (`WEBHOO~1`).
    fn has_short(&self, path: &str) -> bool {
        if !path.contains('~') {
            return false;
        }
        let starts = self.starts.iter().map(|start| &start.text);
        self.names.keys().chain(starts).any(|long| {
            let mut shortened = false;
            let mut segments = path.split('/');
            let is_it = long.split('/').all(|long| {
                segments.next().is_some_and(|segment| {
                    let is_short = is_short(segment, long);
                    shortened |= is_short;
                    is_short || segment == long
                })
            });
            is_it && shortened
        })
    }
}

impl Start {
    fn begins(&self, path: &str) -> bool {
        let rest = path.strip_prefix(self.text.as_str());
        rest.is_some_and(|rest| !self.is_whole || rest.is_empty() || rest.starts_with('/'))
    }
}

/// Of the length of a name.
fn bit_of(name: &str) -> u128 {
    1 << name.len().min(127)
}

/// Where WordPress has what `rest_route` asks for.
const WORDPRESS: &[&str] = &["", "/wp-json"];

/// Where everybody else has what is asked for.
const ALONE: &[&str] = &[""];

#[cfg(test)]
mod tests;
