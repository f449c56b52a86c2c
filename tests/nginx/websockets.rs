//! Which sites take WebSockets after an import.

use hubgate_nginx::Outcome;

use crate::fixture::Fixture;
use crate::import::{load, nowhere};

#[test]
fn a_site_takes_websockets_where_nginx_passed_them_on_and_nowhere_else() {
    // As they are: written in the location, or through a map and a file that is included.
    for (name, expected) in [("mixed", [("/", true), ("/api", false)].as_slice()), ("split", &[])] {
        let fixture = Fixture::of(name, nowhere());
        let config = load(&fixture, &fixture.import().unwrap());
        for site in &config.sites {
            let known = expected.iter().find(|(path, _)| *path == site.path);
            assert_eq!(site.websocket, known.is_none_or(|(_, allowed)| *allowed), "{}", site.path);
        }
    }
    let upgrade = "proxy_set_header Upgrade $http_upgrade;";
    let connection = "proxy_set_header Connection \"upgrade\";";
    let version = "proxy_http_version 1.1;";
    for (from, to, allowed, outcome) in [
        (upgrade, "", false, Outcome::Carried),
        (connection, "", false, Outcome::Carried),
        (upgrade, "proxy_set_header Upgrade h2c;", false, Outcome::Carried),
        (connection, "proxy_set_header Connection \"\";", false, Outcome::Carried),
        (connection, "proxy_set_header Connection $unknown;", false, Outcome::Carried),
        (connection, "proxy_set_header Connection $http_upgrade;", false, Outcome::Carried),
        (version, "proxy_http_version 1.0;", false, Outcome::Carried),
        (version, "", false, Outcome::Uncertain),
        (upgrade, "proxy_set_header Upgrade WebSocket;", true, Outcome::Carried),
        (connection, "proxy_set_header Connection $http_connection;", true, Outcome::Carried),
    ] {
        let fixture = Fixture::of("mixed", nowhere());
        let text = std::fs::read_to_string(fixture.path("nginx.conf")).unwrap();
        // The last location is the site's.
        let (start, end) = text.split_at(text.rfind("location / {").unwrap());
        assert!(end.contains(from));
        fixture.write("nginx.conf", &format!("{start}{}", end.replacen(from, to, 1)));

        let import = fixture.import().unwrap();

        let config = load(&fixture, &import);
        let root = config.sites.iter().find(|site| site.path == "/").unwrap();
        assert_eq!(root.websocket, allowed, "{from} -> {to}:\n{}", import.text);
        let about = import.findings.iter().filter(|finding| {
            let directive = finding.directive.to_ascii_lowercase();
            ["proxy_set_header upgrade", "proxy_set_header connection"]
                .iter()
                .any(|start| directive.starts_with(start))
        });
        for finding in about {
            assert_eq!(finding.outcome, outcome, "{from} -> {to}: {finding:?}");
        }
    }
}

#[test]
fn what_a_server_block_says_of_websockets_is_inherited_unless_a_location_says_something() {
    let fixture = Fixture::of("mixed", nowhere());
    let text = std::fs::read_to_string(fixture.path("nginx.conf")).unwrap();
    let all = "proxy_http_version 1.1;\nproxy_set_header Host $host;\n\
               proxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection upgrade;\n";
    let (start, end) = text.split_at(text.rfind("location / {").unwrap());
    let (block, rest) = end.split_at(end.find('}').unwrap());
    let lines = block.lines().filter(|line| !line.contains("proxy_set_header"));
    let block = lines.collect::<Vec<_>>().join("\n");
    let text = format!("{start}{block}{rest}").replacen(
        "client_max_body_size 10m;",
        &format!("client_max_body_size 10m;\n{all}"),
        1,
    );
    fixture.write("nginx.conf", &text);

    let import = fixture.import().unwrap();

    let sites = load(&fixture, &import).sites;
    let websocket = |path: &str| sites.iter().find(|site| site.path == path).unwrap().websocket;
    assert!(websocket("/"), "{}", import.text);
    // It sets a header, so that it inherits none.
    assert!(!websocket("/api"), "{}", import.text);
}
