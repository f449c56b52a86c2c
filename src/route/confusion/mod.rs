//! No site reaches what a webhook serves, whatever the application makes of a path.
//!
//! [`application::Application`] is a model of its own: single habits of servers and frameworks, each written
//! down as they have it, in any order. It shares nothing with [`crate::path`].

use http::uri::Authority;
use proptest::prelude::*;

use self::application::{QUERY_NAMES, application};
use super::{Route, RouteTable};
use crate::config::fixture;
use crate::path::normalize;
use crate::telemetry::metrics::Metrics;

mod application;

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
        seeds in prop::collection::vec((any::<prop::sample::Index>(), spelling(), way()), 120),
        applications in prop::collection::vec(application(), 120),
    ) {
        let webhooks: Vec<_> = webhooks.into_iter().collect();
        // The configuration does not have one path for both.
        let is_free = |(host, path, is_prefix): &(_, String, bool)| {
            *is_prefix || !webhooks.contains(&(*host, path.clone()))
        };
        let sites: Vec<_> = sites.into_iter().filter(is_free).collect();
        let table = table(&webhooks, &sites, &[]);
        for ((seed, spelling, way), application) in seeds.iter().zip(&applications) {
            let (_, path) = seed.get(&webhooks);
            let asked = way.to(&spelling.of(path));
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

    #[test]
    fn no_reading_of_what_a_site_carries_is_an_exception(
        except in prop::collection::btree_set(path(), 1..4),
        seeds in prop::collection::vec((any::<prop::sample::Index>(), spelling(), way()), 120),
        applications in prop::collection::vec(application(), 120),
    ) {
        let except: Vec<_> = except.into_iter().collect();
        let table = table(&[], &[(None, "/".to_owned(), true)], &except);
        for ((seed, spelling, way), application) in seeds.iter().zip(&applications) {
            let path: &String = seed.get(&except);
            let asked = way.to(&spelling.of(path));
            if let Some(carried) = carried(&table, "a.example", &asked) {
                for path in &except {
                    let is_reached = application.serves(&carried, path);
                    prop_assert!(!is_reached, "{asked} as {carried} is {path}");
                }
            }
        }
    }
}

#[test]
fn no_habit_of_a_known_server_or_framework_brings_a_site_to_a_webhook() {
    let webhooks = [(None, "/hooks/meta".to_owned()), (None, "/hook.php".to_owned())];
    let table = table(&webhooks, &[(None, "/".to_owned(), true)], &[]);
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
        ("/hook", "Apache's MultiViews, nginx's try_files $uri.php"),
        ("/hook/x", "Apache's MultiViews, which call the rest PATH_INFO"),
        ("/hook.html", "whoever hides what is executed"),
        ("/index.php/hooks/meta", "Symfony, Laravel, Joomla, MediaWiki"),
        ("/app/index.php/hooks/meta", "the same below a directory"),
        ("/hooks/index.php/meta", "the same, and the directory is the application's"),
        ("/index/hooks/meta", "the same with MultiViews"),
        ("/cgi-bin/app/hooks/meta", "CGI"),
        ("/hooks/meta/index.php", "Apache, nginx, PHP's own server"),
        ("/hooks/meta/default.aspx", "IIS"),
        ("/?rest_route=/hooks/meta", "WordPress"),
        ("/?q=hooks/meta", "Drupal"),
        ("/hooks/?q=meta", "Drupal below a directory"),
        ("/index.php?r=hooks/meta", "Yii"),
        ("/index.php?s=/hooks/meta", "ThinkPHP"),
        ("/index.php?_url=/hooks/meta", "Phalcon"),
        ("/?/hooks/meta", "CodeIgniter"),
        ("/x&q=hooks/meta", "whoever rewrites paths into a query"),
        ("/(S(x))/hooks/meta", "ASP.NET, with a session in the path"),
        ("/ho/(S(x))oks/meta", "ASP.NET, which takes the slash too"),
        ("/hook.php::$DATA", "IIS on NTFS"),
        ("/HOOKS~1/meta", "Windows"),
        ("/hooks/%EF%BD%8Deta", "whoever converts to a code page of Windows"),
        ("/hooks%C0%AFmeta", "whoever takes overlong UTF-8"),
        ("/hooks/%25u006deta", "IIS behind a proxy that decodes"),
    ] {
        assert_eq!(carried(&table, "a.example", asked), None, "{asked}, for {by}");
    }
    for fine in [
        "/hooks/metal",
        "/hooks/meta2",
        "/hooks/meta/x",
        "/hook.css",
        "/;x",
        "/app/hooks/meta",
        "/index.php",
        "/index.php/hooks",
        "/?q=meta",
        "/?next=/hooks/meta",
        "/hooks?q=x",
    ] {
        assert_eq!(carried(&table, "a.example", fine).as_deref(), Some(fine));
    }
}

/// What a site sends to its upstream, if a site has this request.
fn carried(table: &RouteTable, host: &str, asked: &str) -> Option<String> {
    let (path, query) = match asked.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (asked, None),
    };
    let path = normalize(path).ok()?;
    let host = Authority::try_from(host).expect("a host");
    match table.find(&host, &path, query).ok()? {
        Route::Site(_) => {
            Some(query.map_or_else(|| path.to_string(), |query| format!("{path}?{query}")))
        }
        Route::Webhook(_) => None,
    }
}

fn table(
    webhooks: &[(Option<&str>, String)],
    sites: &[(Option<&str>, String, bool)],
    except: &[String],
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
        if !except.is_empty() {
            _ = writeln!(text, "except = {except:?}");
        }
    }
    RouteTable::new(&fixture::load(&text), &Metrics::new())
}

const HOSTS: [&str; 2] = ["a.example", "b.example"];

fn host() -> impl Strategy<Value = Option<&'static str>> {
    prop::option::of(prop::sample::select(&HOSTS[..]))
}

fn path() -> impl Strategy<Value = String> {
    "(/[aK]{1,2}(\\.php|;a)?){1,3}(/|/index\\.php)?"
}

fn site_path() -> impl Strategy<Value = String> {
    prop_oneof![Just("/".to_owned()), path()]
}

/// Where a caller puts it.
#[derive(Clone, Debug)]
enum Way {
    Path,
    Behind(&'static str),
    Query { page: &'static str, name: &'static str },
}

fn way() -> impl Strategy<Value = Way> {
    let scripts = &["/index.php", "/a/index.php", "/K/app.fcgi", "/index", "/a/index"][..];
    let pages = &["/", "/a", "/index.php", "/K/", "/a/index.php", "/a&x"][..];
    prop_oneof![
        2 => Just(Way::Path),
        1 => prop::sample::select(scripts).prop_map(Way::Behind),
        1 => (prop::sample::select(pages), prop::sample::select(QUERY_NAMES))
            .prop_map(|(page, name)| Way::Query { page, name }),
    ]
}

impl Way {
    fn to(&self, path: &str) -> String {
        match self {
            Self::Path => path.to_owned(),
            Self::Behind(script) => format!("{script}{path}"),
            Self::Query { page, name: "" } => format!("{page}?{path}"),
            Self::Query { page, name } => format!("{page}?{name}={path}"),
        }
    }
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
        "/index.php",
        "/index",
        "/(S(a))",
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
