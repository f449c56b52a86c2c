//! What is written, and what is said about it.

use std::net::SocketAddr;
use std::process::Command;

use hubgate::config::{Config, UnknownSni};
use hubgate_nginx::{Import, Outcome};

use crate::fixture::{Fixture, source};

const FIXTURES: [&str; 3] = ["strict", "mixed", "split"];

#[test]
fn each_fixture_becomes_a_configuration_that_loads() {
    for (name, webhooks, sites) in [("strict", 1, 0), ("mixed", 1, 2), ("split", 2, 1)] {
        let fixture = Fixture::of(name, nowhere());

        let import = fixture.import().unwrap();

        let config = load(&fixture, &import);
        let counts = (config.webhooks.len(), config.sites.len());
        assert_eq!(counts, (webhooks, sites), "{name}:\n{}", import.text);
        let names = config.client_certificate.unwrap().common_names;
        assert_eq!(names, ["client.webhooks.fbclientcerts.com"], "{name}");
    }
}

#[test]
fn every_directive_of_a_fixture_is_named_in_the_comments() {
    for name in FIXTURES {
        let fixture = Fixture::of(name, nowhere());
        let import = fixture.import().unwrap();
        let mut directives = 0;
        for file in files(name) {
            let text = std::fs::read_to_string(source(name).join(&file)).unwrap();
            for (index, line) in text.lines().enumerate() {
                let number = index + 1;
                // In the fixtures each directive begins a line of its own.
                if line.trim().is_empty() || line.trim().starts_with(['#', '}']) {
                    continue;
                }
                let is_named = import.text.contains(&format!("# {file}:{number}  "));
                let is_in_a_block_left_whole = import.findings.iter().any(|finding| {
                    *finding.place.file == *file
                        && finding.outcome == Outcome::LeftAlone
                        && (finding.place.line..=finding.last_line).contains(&number)
                });
                assert!(is_named || is_in_a_block_left_whole, "{name}: {file}:{number}: {line}");
                directives += 1;
            }
        }
        assert!(directives > 25, "{name} has only {directives} directives");
    }
}

#[test]
fn balancers_that_send_the_proxy_protocol_are_taken_over() {
    let fixture = Fixture::of("strict", nowhere());
    let text = std::fs::read_to_string(fixture.path("nginx.conf")).unwrap();
    let changed = text.replacen(" ssl http2;", " ssl http2 proxy_protocol;", 1).replacen(
        "ssl_verify_client",
        "set_real_ip_from 10.1.2.3/8;\n set_real_ip_from 192.0.2.1;\n \
         real_ip_header proxy_protocol;\n ssl_verify_client",
        1,
    );
    assert_ne!(changed, text);
    fixture.write("nginx.conf", &changed);

    let import = fixture.import().unwrap();

    let config = load(&fixture, &import);
    let trusted = config.server.proxy_protocol_from.iter().map(ToString::to_string);
    assert_eq!(trusted.collect::<Vec<_>>(), ["10.0.0.0/8", "192.0.2.1/32"], "{}", import.text);
    let about = |name: &str| {
        let found = import.findings.iter().find(|finding| finding.directive.starts_with(name));
        found.unwrap_or_else(|| panic!("nothing about {name}")).outcome
    };
    assert_eq!(about("listen"), Outcome::Stricter, "{}", import.text);
    assert_eq!(about("set_real_ip_from"), Outcome::Carried);
    assert_eq!(about("real_ip_header"), Outcome::Carried);
}

#[test]
fn proxies_that_say_who_called_are_taken_over() {
    let fixture = Fixture::of("strict", nowhere());
    let text = std::fs::read_to_string(fixture.path("nginx.conf")).unwrap();
    let lines = "set_real_ip_from 10.0.0.0/8;\n real_ip_header X-Forwarded-For;\n \
                 real_ip_recursive on;\n ssl_verify_client";
    let changed = text.replacen("ssl_verify_client", lines, 1);
    assert_ne!(changed, text);
    fixture.write("nginx.conf", &changed);

    let import = fixture.import().unwrap();

    let config = load(&fixture, &import);
    let trusted = config.server.trusted_proxies.iter().map(ToString::to_string);
    assert_eq!(trusted.collect::<Vec<_>>(), ["10.0.0.0/8"], "{}", import.text);
    assert!(config.server.proxy_protocol_from.is_empty());
    for name in ["set_real_ip_from", "real_ip_header", "real_ip_recursive"] {
        let found = import.findings.iter().find(|finding| finding.directive.starts_with(name));
        assert_eq!(found.unwrap().outcome, Outcome::Carried, "{name}");
    }
}

#[test]
fn each_server_block_keeps_its_certificate() {
    let fixture = Fixture::of("split", nowhere());
    let hooks = std::fs::read_to_string(fixture.path("sites-enabled/hooks")).unwrap();
    let own = "ssl_certificate tls/other.pem;\n ssl_certificate_key tls/other.key;";
    let other = hooks
        .replace(" default_server", "")
        .replace("hooks.example.com www.hooks.example.com", "other.example.com")
        .replace("include snippets/tls.conf;", own);
    fixture.write("sites-enabled/other", &other);
    for (from, to) in [("fullchain.pem", "other.pem"), ("privkey.pem", "other.key")] {
        let from = fixture.path(&format!("tls/{from}"));
        std::fs::copy(from, fixture.path(&format!("tls/{to}"))).unwrap();
    }
    let address = fixture.nginx_address(443);
    let rest = format!("server {{ listen {address} ssl; ssl_reject_handshake on; }}");
    fixture.write("sites-enabled/rest", &rest);

    let import = fixture.import().unwrap();

    let server = load(&fixture, &import).server;
    let files = server.certificates.iter().map(|pair| pair.certificate.file_name().unwrap());
    assert_eq!(files.collect::<Vec<_>>(), ["fullchain.pem", "other.pem"], "{}", import.text);
    assert_eq!(server.unknown_sni, UnknownSni::Refuse);
}

#[test]
fn what_could_open_more_than_nginx_does_is_excepted_from_the_site() {
    let fixture = Fixture::of("mixed", nowhere());
    let config = load(&fixture, &fixture.import().unwrap());

    let root = config.sites.iter().find(|site| site.path == "/").unwrap();

    for closed in ["/health", "/webhooks/meta", "/admin", "/static/", "/api"] {
        assert!(root.except.iter().any(|path| path == closed), "{closed}: {:?}", root.except);
    }
}

#[test]
fn a_regular_expression_that_refuses_closes_the_site_that_it_cuts() {
    let fixture = Fixture::of("mixed", nowhere());
    let text = std::fs::read_to_string(fixture.path("nginx.conf")).unwrap();
    let cut = "location ~ /\\.git { deny all; }\n        location / {\n            proxy_pass";
    let changed = text.replace("location / {\n            proxy_pass", cut);
    assert_ne!(changed, text);
    fixture.write("nginx.conf", &changed);

    let import = fixture.import().unwrap();

    let config = load(&fixture, &import);
    assert!(config.sites.is_empty(), "{:?}", config.sites);
    let told = |directive: &str| {
        import.findings.iter().any(|finding| {
            finding.directive.starts_with(directive) && finding.outcome == Outcome::Missing
        })
    };
    assert!(told("location ~ /\\.git") && told("location / {"), "{:#?}", import.findings);
}

#[test]
fn a_header_that_says_something_else_to_hubgate_is_left_out_and_told() {
    let fixture = Fixture::of("mixed", nowhere());
    let text = std::fs::read_to_string(fixture.path("nginx.conf")).unwrap();
    let serial = "proxy_set_header X-Client-Serial $ssl_client_serial;";
    let certificate = "proxy_set_header X-Client-Certificate $ssl_client_escaped_cert;";
    let changed = text
        .replace(serial, "proxy_set_header X_Client_Issuer $ssl_client_serial;")
        .replace(certificate, "proxy_set_header Client-Cert $ssl_client_escaped_cert;");
    assert!(!changed.contains(serial) && !changed.contains(certificate));
    fixture.write("nginx.conf", &changed);

    let import = fixture.import().unwrap();

    let config = load(&fixture, &import);
    let identity = config.upstreams.iter().find(|app| app.identity.certificate.len() == 4).unwrap();
    assert!(identity.identity.certificate.iter().any(|(name, _)| name == "x_client_issuer"));
    for left_out in ["Client-Cert $ssl", "X-Client-Issuer $ssl"] {
        let told = import.findings.iter().find(|finding| finding.directive.contains(left_out));
        assert_eq!(told.unwrap().outcome, Outcome::Missing, "{left_out}");
    }
}

#[test]
fn tls_towards_an_application_is_taken_over() {
    let fixture = Fixture::of("mixed", nowhere());
    let text = std::fs::read_to_string(fixture.path("nginx.conf")).unwrap();
    let [application, _] = nowhere();
    let plain = format!("proxy_pass http://{application};\n            proxy_http_version");
    let tls = format!(
        "proxy_pass https://{application};\nproxy_ssl_verify on;\nproxy_ssl_server_name on;\n\
         proxy_ssl_name app.internal.example;\nproxy_ssl_trusted_certificate tls/meta-ca.pem;\n\
         proxy_ssl_certificate tls/fullchain.pem;\nproxy_ssl_certificate_key tls/privkey.pem;\n\
         proxy_http_version"
    );
    assert!(text.contains(&plain));
    fixture.write("nginx.conf", &text.replacen(&plain, &tls, 1));

    let import = fixture.import().unwrap();

    let config = load(&fixture, &import);
    let tls =
        config.upstreams.into_iter().map(|upstream| upstream.tls).find(|tls| tls.ca.is_some());
    let tls = tls.unwrap();
    assert_eq!(tls.server_name.as_deref(), Some("app.internal.example"));
    let client = tls.client.unwrap();
    assert_eq!(
        [tls.ca.unwrap(), client.certificate, client.private_key],
        ["tls/meta-ca.pem", "tls/fullchain.pem", "tls/privkey.pem"].map(|name| fixture.path(name))
    );
    // Also where the new file is put elsewhere.
    assert!(import.text.contains(&fixture.path("tls/privkey.pem").display().to_string()));
    for finding in import.findings.iter().filter(|one| one.directive.starts_with("proxy_ssl_")) {
        assert_eq!(finding.outcome, Outcome::Carried, "{finding:?}");
    }
}

#[test]
fn servers_of_a_block_are_verified_by_its_name_as_nginx_does() {
    let fixture = Fixture::of("mixed", nowhere());
    let text = std::fs::read_to_string(fixture.path("nginx.conf")).unwrap();
    let [application, other] = nowhere();
    let block = format!(
        "http {{\n    upstream app.internal.example {{ server {application}; server {other}; }}\n"
    );
    let plain = format!("proxy_pass http://{application};\n            proxy_http_version");
    for (verify, expected) in [("on", Some("app.internal.example")), ("off", None)] {
        let tls = format!(
            "proxy_pass https://app.internal.example;\nproxy_ssl_verify {verify};\n\
             proxy_ssl_trusted_certificate tls/meta-ca.pem;\nproxy_http_version"
        );
        let text = text.replacen("http {\n", &block, 1).replacen(&plain, &tls, 1);
        fixture.write("nginx.conf", &text);

        let config = load(&fixture, &fixture.import().unwrap());

        let two = config.upstreams.iter().find(|upstream| upstream.servers.len() == 2).unwrap();
        assert_eq!(two.tls.server_name.as_deref(), expected);
    }
}

#[test]
fn values_that_may_be_secret_are_not_written_down() {
    let fixture = Fixture::of("mixed", nowhere());
    let text = std::fs::read_to_string(fixture.path("nginx.conf")).unwrap();
    let secrets = "proxy_set_header Authorization \"Bearer hunter2\";\n\
                   if ($http_x_key != hunter2) { return 403; }\n\
                   set $key hunter2;\nproxy_http_version 1.1;";
    fixture.write("nginx.conf", &text.replace("proxy_http_version 1.1;", secrets));

    let import = fixture.import().unwrap();

    assert!(import.text.contains("Authorization (not shown)"), "{}", import.text);
    assert!(!import.text.contains("hunter2"), "{}", import.text);
}

#[test]
fn a_line_break_in_a_directive_cannot_end_its_comment() {
    let fixture = Fixture::of("strict", nowhere());
    let text = std::fs::read_to_string(fixture.path("nginx.conf")).unwrap();
    let evil = "add_header X \"\n[admin]\nenabled = false\";\nserver_tokens off;";
    fixture.write("nginx.conf", &text.replace("server_tokens off;", evil));

    let import = fixture.import().unwrap();

    assert!(load(&fixture, &import).admin.is_some());
}

#[test]
fn the_program_writes_once_and_says_with_its_exit_code_whether_to_look() {
    let fixture = Fixture::of("mixed", nowhere());
    let out = fixture.path("hubgate.toml");
    let run = |file: &str| {
        Command::new(env!("CARGO_BIN_EXE_hubgate"))
            .arg("import-nginx")
            .arg(fixture.path(file))
            .arg("--out")
            .arg(&out)
            .output()
            .unwrap()
    };

    let first = run("nginx.conf");
    let written = std::fs::read_to_string(&out).unwrap();
    let again = run("nginx.conf");

    let said = String::from_utf8(first.stderr).unwrap();
    assert_eq!(first.status.code(), Some(3), "{said}");
    assert!(said.contains("nginx.conf:100: location /static/"), "{said}");
    assert!(written.contains("[[webhook]]"));
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(&out).unwrap(), written);
    assert_eq!(run("none.conf").status.code(), Some(1));
}

/// Applications that nobody asks.
pub fn nowhere() -> [SocketAddr; 2] {
    [3000, 3001].map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
}

/// Loads what was written.
pub fn load(fixture: &Fixture, import: &Import) -> Config {
    let path = fixture.path("config.toml");
    std::fs::write(&path, &import.text).unwrap();
    Config::load(&path).unwrap_or_else(|errors| panic!("{errors}\n{}", import.text))
}

/// The files of a fixture, by their names inside it.
fn files(name: &str) -> Vec<String> {
    let root = source(name);
    let mut directories = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => directories.push(path),
                false => files.push(path.strip_prefix(&root).unwrap().display().to_string()),
            }
        }
    }
    files
}
