//! No site reaches what a webhook serves, whatever the application makes of a path.
//!
//! [`Application`] is a model of its own: single habits of servers and frameworks, each written
//! down as they have it, in any order. It shares nothing with [`crate::path`].

use http::uri::Authority;
use proptest::prelude::*;

use super::{Route, RouteTable};
use crate::config::fixture;
use crate::path::normalize;
use crate::telemetry::metrics::Metrics;

proptest! {
    // The smallest input that fails stands in the panic, not in a file beside the source.
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 128,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_reading_of_what_a_site_carries_is_a_webhooks_path(
        webhooks in prop::collection::btree_set((host(), path()), 1..4),
        sites in prop::collection::btree_set((host(), site_path(), any::<bool>()), 1..4),
        seeds in prop::collection::vec((any::<prop::sample::Index>(), spelling()), 120),
        applications in prop::collection::vec(application(), 120),
    ) {
        let webhooks: Vec<_> = webhooks.into_iter().collect();
        // The configuration does not have one path for both.
        let is_free = |(host, path, is_prefix): &(_, String, bool)| {
            *is_prefix || !webhooks.contains(&(*host, path.clone()))
        };
        let sites: Vec<_> = sites.into_iter().filter(is_free).collect();
        let table = table(&webhooks, &sites);
        for ((seed, spelling), application) in seeds.iter().zip(&applications) {
            let (_, path) = seed.get(&webhooks);
            let asked = spelling.of(path);
            for host in HOSTS {
                if let Some(carried) = carried(&table, host, &asked) {
                    for (of, path) in &webhooks {
                        let is_reached = of.is_none_or(|of| of == host)
                            && application.serves(&carried, path);
                        prop_assert!(!is_reached, "{asked} as {carried} is {path}");
                    }
                }
            }
        }
    }
}

#[test]
fn no_habit_of_a_known_server_or_framework_brings_a_site_to_a_webhook() {
    let webhooks = [(None, "/hooks/meta".to_owned()), (None, "/hook.php".to_owned())];
    let table = table(&webhooks, &[(None, "/".to_owned(), true)]);
    for (asked, by) in [
        ("/hooks/meta", "everybody"),
        ("//hooks//meta", "whoever merges slashes"),
        ("/hooks/x/../meta", "whoever resolves dots"),
        ("/hooks/%2e%2e/hooks/meta", "whoever decodes before that"),
        ("/hooks%2fmeta", "whoever decodes before routing"),
        ("/hooks%252fmeta", "whoever decodes twice"),
        ("/x%25252f%252e%252e%25252fhooks/meta", "whoever decodes as often as there is something"),
        ("/hooks\\meta", "IIS"),
        ("/hooks%255Cmeta", "IIS behind a proxy that decodes"),
        ("/HOOKS/Meta", "Express, IIS"),
        ("/hooks/meta/", "Express, Rails, Django's APPEND_SLASH"),
        ("/hooks;a=b/meta;c", "Tomcat, Jetty, Spring"),
        ("/x/..;/hooks/meta", "Tomcat behind a proxy"),
        ("/hooks/meta;%252f..%252f..", "Tomcat, which drops parameters before it decodes"),
        ("/hooks/meta;a/x", "whoever cuts at the first semicolon"),
        ("/hooks/meta%3fx", "a proxy that decodes and sends on"),
        ("/hooks;a/meta%3fx", "Tomcat behind such a proxy"),
        ("/hooks/meta%23x", "a proxy that decodes and sends on"),
        ("/hooks/meta%2500.css", "whoever decodes twice and ends at NUL"),
        ("/hooks/meta%20", "whoever trims"),
        ("/hooks/meta.", "Windows"),
        ("/hooks/meta.json", "Rails, older Spring"),
        ("/hooks/%C5%BF/..;/meta", "Tomcat, whatever the segment is called"),
        ("/hook%C5%BF/meta", "whoever compares capitals"),
        ("/hook.php/x", "PHP, which calls the rest PATH_INFO"),
        ("/hook.php/..;/x", "PHP, to which a semicolon is nothing"),
    ] {
        assert_eq!(carried(&table, "a.example", asked), None, "{asked}, for {by}");
    }
    for fine in ["/hooks/metal", "/hooks/meta2", "/hooks/meta/x", "/hook", "/hook.css", "/;x"] {
        assert_eq!(carried(&table, "a.example", fine).as_deref(), Some(fine));
    }
}

/// What a site sends to its upstream, if a site has this request.
fn carried(table: &RouteTable, host: &str, asked: &str) -> Option<String> {
    let path = normalize(asked).ok()?;
    let host = Authority::try_from(host).expect("a host");
    match table.find(&host, &path).ok()? {
        Route::Site(_) => Some(path.into_owned()),
        Route::Webhook(_) => None,
    }
}

fn table(
    webhooks: &[(Option<&str>, String)],
    sites: &[(Option<&str>, String, bool)],
) -> RouteTable {
    use std::fmt::Write as _;
    let mut text = String::new();
    let host = |host: &Option<&str>| match host {
        Some(host) => format!("host = \"{host}\"\n"),
        None => String::new(),
    };
    for (of, path) in webhooks {
        let secrets = "app_secrets = [{ file = \"secret\" }]\nverify_token = { file = \"token\" }";
        let host = host(of);
        _ = writeln!(text, "[[webhook]]\npath = \"{path}\"\n{host}upstream = \"app\"\n{secrets}");
    }
    for (index, (of, path, is_prefix)) in sites.iter().enumerate() {
        let how = if *is_prefix { "prefix" } else { "exact" };
        let host = host(of);
        _ = writeln!(
            text,
            "[[site]]\nname = \"s{index}\"\npath = \"{path}\"\n{host}match = \"{how}\"\n\
             upstream = \"app\""
        );
    }
    RouteTable::new(&fixture::load(&text), &Metrics::new())
}

const HOSTS: [&str; 2] = ["a.example", "b.example"];

fn host() -> impl Strategy<Value = Option<&'static str>> {
    prop::option::of(prop::sample::select(&HOSTS[..]))
}

fn path() -> impl Strategy<Value = String> {
    "(/[aK]{1,2}(\\.php|;a)?){1,3}/?"
}

fn site_path() -> impl Strategy<Value = String> {
    prop_oneof![Just("/".to_owned()), path()]
}

/// How a caller writes a path who wants it to be taken for another one.
#[derive(Clone, Debug)]
struct Spelling {
    /// What stands before which byte of the path.
    added: Vec<(prop::sample::Index, &'static str)>,
    /// Which bytes are escaped after that, one after the other.
    escaped: Vec<prop::sample::Index>,
    /// Which letter has the other case.
    folded: Option<prop::sample::Index>,
}

fn spelling() -> impl Strategy<Value = Spelling> {
    let added = prop::collection::vec((any::<prop::sample::Index>(), pieces()), 0..4);
    let escaped = prop::collection::vec(any::<prop::sample::Index>(), 0..5);
    let folded = prop::option::of(any::<prop::sample::Index>());
    (added, escaped, folded).prop_map(|(added, escaped, folded)| Spelling {
        added,
        escaped,
        folded,
    })
}

fn pieces() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "/",
        "/.",
        "/..",
        "/../",
        "/a/..",
        ";",
        ";a",
        "/..;",
        "..;/",
        ".;",
        "%2f",
        "%252f",
        "%25252f",
        "%2e",
        "%252e%252e",
        "%3b",
        "%253b",
        "\\",
        "%5c",
        "%255c",
        "%00",
        "%2500",
        "%3f",
        "%23",
        "%20",
        "%2520",
        ".",
        ".a",
        ".php",
        "a",
        "%25",
        "%2",
        "?",
        "%0d",
    ])
}

impl Spelling {
    fn of(&self, path: &str) -> String {
        let mut text = path.as_bytes().to_vec();
        if let Some(index) = &self.folded
            && let Some(letter) = text.get_mut(index.index(path.len()))
            && letter.is_ascii_alphabetic()
        {
            *letter ^= 0x20;
        }
        for (index, piece) in &self.added {
            let at = index.index(text.len() + 1);
            text.splice(at..at, piece.bytes());
        }
        for index in &self.escaped {
            let at = index.index(text.len());
            let escape = text.get(at).map(|byte| format!("%{byte:02x}")).unwrap_or_default();
            text.splice(at..=at, escape.bytes());
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// A server with the framework on it.
#[derive(Clone, Debug)]
struct Application {
    /// What it does to a path, in this order.
    habits: Vec<Habit>,
    /// What it does not look at when it looks for the path among its own.
    ignores_case: bool,
    ignores_last_slash: bool,
    ignores_extension: bool,
    ignores_path_info: bool,
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
}

fn application() -> impl Strategy<Value = Application> {
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
    ]);
    let ignores = any::<(bool, bool, bool, bool)>();
    (prop::collection::vec(habit, 0..8), ignores).prop_map(|(habits, ignores)| Application {
        habits,
        ignores_case: ignores.0,
        ignores_last_slash: ignores.1,
        ignores_extension: ignores.2,
        ignores_path_info: ignores.3,
    })
}

impl Application {
    /// Whether it hands this target to whatever it has at `own`.
    fn serves(&self, target: &str, own: &str) -> bool {
        let mut path = target.to_owned();
        for habit in &self.habits {
            path = habit.done_to(&path);
        }
        let mut own = own.to_owned();
        if self.ignores_case {
            (path, own) = (path.to_uppercase(), own.to_uppercase());
        }
        if self.ignores_last_slash {
            path = path.trim_end_matches('/').to_owned();
            own = own.trim_end_matches('/').to_owned();
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
        }
    }
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
