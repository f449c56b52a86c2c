//! A server with the framework on it: single habits, each written down as they have it.

use proptest::prelude::*;

/// A server with the framework on it.
#[derive(Clone, Debug)]
pub(super) struct Application {
    /// What it does to a path, in this order.
    habits: Vec<Habit>,
    /// What it does not look at when it looks for the path among its own.
    ignores_case: bool,
    ignores_last_slash: bool,
    ignores_extension: bool,
    ignores_path_info: bool,
    /// How it finds the path.
    front: Front,
    /// It has an index for a directory.
    has_indexes: bool,
    /// It looks for scripts without their extension.
    adds_extension: bool,
}

/// How a front controller is told the path.
#[derive(Clone, Copy, Debug)]
enum Front {
    /// There is none.
    None,
    /// Behind its name, below the root or below its directory.
    PathInfo { is_below_directory: bool },
    /// In this parameter, below the root or below its directory. Without a name: as the query.
    Query { name: &'static str, is_below_directory: bool },
}

#[derive(Clone, Copy, Debug)]
enum Habit {
    Decode,
    DropParameters,
    CutAtSemicolon,
    CutAtQuery,
    EndAtNul,
    TurnBackslashes,
    ResolveDots,
    MergeSlashes,
    Trim,
    DropSessions,
}

pub(super) fn application() -> impl Strategy<Value = Application> {
    let habit = prop::sample::select(vec![
        Habit::Decode,
        Habit::Decode,
        Habit::DropParameters,
        Habit::CutAtSemicolon,
        Habit::CutAtQuery,
        Habit::EndAtNul,
        Habit::TurnBackslashes,
        Habit::ResolveDots,
        Habit::ResolveDots,
        Habit::MergeSlashes,
        Habit::Trim,
        Habit::DropSessions,
    ]);
    let query = (prop::sample::select(QUERY_NAMES), any::<bool>());
    let front = prop_oneof![
        2 => Just(Front::None),
        1 => any::<bool>().prop_map(|is_below_directory| Front::PathInfo { is_below_directory }),
        1 => query.prop_map(|(name, is_below_directory)| Front::Query { name, is_below_directory }),
    ];
    let ignores = any::<(bool, bool, bool, bool, bool, bool)>();
    (prop::collection::vec(habit, 0..8), ignores, front).prop_map(|(habits, ignores, front)| {
        Application {
            habits,
            ignores_case: ignores.0,
            ignores_last_slash: ignores.1,
            ignores_extension: ignores.2,
            ignores_path_info: ignores.3,
            front,
            has_indexes: ignores.4,
            adds_extension: ignores.5,
        }
    })
}

/// Where WordPress, Drupal, Yii, OpenCart, Phalcon, ThinkPHP, tutorials and CodeIgniter look.
pub(super) const QUERY_NAMES: &[&str] = &["rest_route", "q", "r", "route", "_url", "s", "url", ""];

impl Application {
    /// Whether it hands this target to whatever it has at `own`.
    pub(super) fn serves(&self, target: &str, own: &str) -> bool {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let done = |path: &str| {
            self.habits.iter().fold(path.to_owned(), |path, habit| habit.done_to(&path))
        };
        let path = done(path);
        match self.front {
            Front::None => self.has(&path, own),
            Front::PathInfo { is_below_directory } => {
                let Some((directory, rest)) = behind_script(&path) else {
                    return self.has(&path, own);
                };
                let directory = if is_below_directory { directory } else { "" };
                self.has(&format!("{directory}{rest}"), own)
            }
            Front::Query { name, is_below_directory } => {
                let Some(value) = value_of(query, name) else { return self.has(&path, own) };
                let value = done(&value);
                let slash = if value.starts_with('/') { "" } else { "/" };
                let directory = path.strip_suffix("/index.php").unwrap_or(&path);
                let directory = directory.trim_end_matches('/');
                let directory = if is_below_directory { directory } else { "" };
                self.has(&format!("{directory}{slash}{value}"), own)
            }
        }
    }

    /// Whether it has this path at `own`.
    fn has(&self, path: &str, own: &str) -> bool {
        let (mut path, mut own) = (path.to_owned(), own.to_owned());
        let mut index = "index.php".to_owned();
        if self.ignores_case {
            (path, own) = (path.to_uppercase(), own.to_uppercase());
            index = index.to_uppercase();
        }
        if self.has_indexes {
            if let Some(directory) = path.strip_suffix(&index)
                && directory.ends_with('/')
                && self.has_file(directory, &own)
            {
                return true;
            }
            if path.ends_with('/') && self.has_file(&format!("{path}{index}"), &own) {
                return true;
            }
        }
        self.has_file(&path, &own)
    }

    fn has_file(&self, path: &str, own: &str) -> bool {
        let (mut path, mut own) = (path.to_owned(), own.to_owned());
        if self.ignores_last_slash {
            path = path.trim_end_matches('/').to_owned();
            own = own.trim_end_matches('/').to_owned();
        }
        if self.adds_extension
            && let Some((stem, "php" | "PHP")) = own.rsplit_once('.')
            && let Some(rest) = path.strip_prefix(stem)
            && (rest.is_empty() || rest.starts_with('/'))
        {
            return true;
        }
        let file = own.rsplit('/').next().unwrap_or_default();
        let rest = path.strip_prefix(own.as_str());
        rest.is_some_and(|rest| {
            let is_extension = rest.starts_with('.') && !rest.contains('/');
            rest.is_empty()
                || self.ignores_extension && is_extension
                || self.ignores_path_info && file.contains('.') && rest.starts_with('/')
        })
    }
}

impl Habit {
    fn done_to(self, path: &str) -> String {
        let per_segment =
            |habit: fn(&str) -> &str| path.split('/').map(habit).collect::<Vec<_>>().join("/");
        let cut = |at: &[char]| path.split(at).next().unwrap_or_default().to_owned();
        match self {
            Self::Decode => decoded(path),
            Self::DropParameters => {
                per_segment(|segment| segment.split(';').next().unwrap_or_default())
            }
            Self::CutAtSemicolon => cut(&[';']),
            Self::CutAtQuery => cut(&['?', '#']),
            Self::EndAtNul => cut(&['\0']),
            Self::TurnBackslashes => path.replace('\\', "/"),
            Self::ResolveDots => without_dots(path),
            Self::MergeSlashes => {
                let mut path = path.to_owned();
                while path.contains("//") {
                    path = path.replace("//", "/");
                }
                path
            }
            // As Windows does with the names of files.
            Self::Trim => per_segment(|segment| {
                let segment = segment.trim();
                if matches!(segment, "." | "..") {
                    return segment;
                }
                segment.trim_end_matches(|end: char| end == '.' || end.is_whitespace())
            }),
            // As ASP.NET does with what it takes for a session.
            Self::DropSessions => path.replace("/(S(a))", ""),
        }
    }
}

/// The directory of the first script in a path, and what follows the script.
fn behind_script(path: &str) -> Option<(&str, &str)> {
    let ends = [".php/", ".fcgi/", "/index/"];
    let ends = ends.iter().filter_map(|end| Some(path.find(end)? + end.len() - 1));
    let (before, rest) = path.split_at_checked(ends.min()?)?;
    Some((before.rsplit_once('/')?.0, rest))
}

/// What a form says under this name, or what a query is without one.
fn value_of(query: &str, name: &str) -> Option<String> {
    if name.is_empty() {
        let path = query.split(['&', '?', '=']).next()?;
        return path.starts_with('/').then(|| path.to_owned());
    }
    // The last one counts.
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.rfind(|(of, _)| *of == name)?;
    Some(decoded(&value.replace('+', " ")))
}

fn decoded(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path;
    while let Some(first) = rest.bytes().next() {
        let value = rest.get(1..3).filter(|_| first == b'%');
        match value.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(value) => {
                bytes.push(value);
                rest = rest.get(3..).unwrap_or_default();
            }
            None => {
                let character = rest.chars().next().map_or(1, char::len_utf8);
                let (one, after) = rest.split_at(character);
                bytes.extend(one.bytes());
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// RFC 3986 section 5.2.4 to the letter; empty segments are segments.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<_> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
    let last = segments.len() - 1;
    for (index, segment) in segments.into_iter().enumerate() {
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if index == last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    format!("/{}", kept.join("/"))
}
