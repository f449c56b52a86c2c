//! The text of the new `config.toml`, each section below the directives that it comes from.

use super::draft::{Draft, RouteDraft, RouteKind, Settings, SiteDraft, UpstreamDraft};
use super::ledger::{Finding, Outcome, Section};
use super::{ImportOptions, proof};

/// Writes everything.
pub(super) fn text(draft: &Draft, findings: &[Finding], options: &ImportOptions) -> String {
    let mut writer = Writer { text: String::new(), findings };
    writer.head(options);
    writer.server(draft);
    writer.client_certificate(draft);
    writer.limits(draft);
    for (index, upstream) in draft.upstreams.iter().enumerate() {
        writer.upstream(index, upstream);
    }
    for (index, route) in draft.routes.iter().enumerate() {
        writer.route(index, route, draft, options);
    }
    writer.redirect(draft);
    writer.rest();
    writer.text
}

struct Writer<'f> {
    text: String,
    findings: &'f [Finding],
}

impl Writer<'_> {
    fn head(&mut self, options: &ImportOptions) {
        let count = |outcome| self.findings.iter().filter(|f| f.outcome == outcome).count();
        let file = self.findings.first().map_or("nginx.conf", |finding| &finding.place.file);
        let open = count(Outcome::Missing) + count(Outcome::Uncertain);
        let head = format!(
            "# Taken over from {} by `hubgate import-nginx`.\n#\n\
             # Each directive stands above the section that it became a part of, with its file and \
             line; what\n# became no part of anything stands at the end. {open} of them need a \
             look: search for \"CARRIED OVER\".\n#\n\
             # nginx knows neither of the two secrets, so before the first start put\n\
             #   the app secret (App settings, Basic, App secret) into {}\n\
             #   the verify token (typed into the app's dashboard) into {}\n\
             # readable by hubgate alone, and run `hubgate check --config` on this file.\n",
            comment(file),
            comment(&options.app_secret_file),
            comment(&options.verify_token_file),
        );
        self.text.push_str(&head);
    }

    fn server(&mut self, draft: &Draft) {
        let server = &draft.server;
        self.section("[server]", Section::Server);
        self.list("listen", &server.listen);
        if let [only] = server.certificates.as_slice() {
            self.pair("certificate", &only.certificate);
            self.pair("private_key", &only.private_key);
        }
        if let Some(workers) = server.workers {
            self.number("workers", workers);
        }
        if server.refuses_unknown_sni {
            self.pair("unknown_sni", "refuse");
        }
        if let Some(networks) = &server.proxy_protocol_from {
            self.list("proxy_protocol_from", networks);
        }
        if !server.trusted_proxies.is_empty() {
            self.list("trusted_proxies", &server.trusted_proxies);
        }
        if server.certificates.len() != 1 {
            for pair in &server.certificates {
                self.text.push_str("\n[[server.certificate]]\n");
                self.pair("certificate", &pair.certificate);
                self.pair("private_key", &pair.private_key);
            }
        }
    }

    fn client_certificate(&mut self, draft: &Draft) {
        self.section("[client_certificate]", Section::ClientCertificate);
        if draft.trust_anchors.is_empty() {
            self.text.push_str(
                "# nginx names no file of anchors here: get Meta's CA and put it there.\n",
            );
            self.list("trust_anchors", &[META_CA.to_owned()]);
        } else {
            self.list("trust_anchors", &draft.trust_anchors);
        }
        if draft.common_names == [proof::DOCUMENTED_NAME] {
            self.text.push_str("# The name that Meta documents, compared byte for byte.\n");
        }
        self.list("common_names", &draft.common_names);
        if let Some(depth) = draft.verify_depth {
            self.number("verify_depth", depth.min(MAXIMUM_DEPTH));
        }
    }

    fn limits(&mut self, draft: &Draft) {
        if draft.limits.is_empty() && !self.has(Section::Limits) {
            return;
        }
        self.section("[limits]", Section::Limits);
        for (key, value) in &draft.limits {
            self.number(key, *value);
        }
    }

    fn upstream(&mut self, index: usize, upstream: &UpstreamDraft) {
        self.section("[[upstream]]", Section::Upstream(index));
        self.pair("name", &upstream.name);
        match upstream.servers.as_slice() {
            [only] => self.pair("url", only),
            servers => self.list("servers", servers),
        }
        if let Some(time) = upstream.timeout_ms {
            self.number("timeout_ms", time);
        }
        let Settings { sends_own_host, identity, connect_timeout_ms, .. } = &upstream.settings;
        if let Some(time) = connect_timeout_ms {
            let most = upstream.timeout_ms.unwrap_or(u64::MAX);
            self.number("connect_timeout_ms", (*time).min(most));
        }
        if *sends_own_host {
            self.pair("host_header", "upstream");
        }
        if !identity.is_empty() {
            self.list("identity_headers", &["nginx".to_owned()]);
            let names: Vec<String> =
                identity.iter().map(|(role, name)| format!("{role} = {}", string(name))).collect();
            self.text.push_str(&format!("identity_header_names = {{ {} }}\n", names.join(", ")));
        }
        let settings = &upstream.settings;
        for (key, value) in [
            ("ca", &settings.ca),
            ("server_name", &settings.server_name),
            ("client_certificate", &settings.client_certificate),
            ("client_private_key", &settings.client_private_key),
        ] {
            if let Some(value) = value {
                self.pair(key, value);
            }
        }
    }

    fn route(&mut self, index: usize, route: &RouteDraft, draft: &Draft, options: &ImportOptions) {
        let section = Section::Route(index);
        match &route.kind {
            RouteKind::Webhook { upstream, body_max_bytes } => {
                self.section("[[webhook]]", section);
                self.place(route);
                self.upstream_of(*upstream, draft);
                self.text.push_str(&format!(
                    "app_secrets = [{{ file = {} }}]\nverify_token = {{ file = {} }}\n",
                    string(&options.app_secret_file),
                    string(&options.verify_token_file)
                ));
                if let Some(bytes) = body_max_bytes {
                    self.number("body_max_bytes", *bytes);
                }
            }
            RouteKind::Site(site) => self.site(section, route, site, draft),
            RouteKind::Closed { reasons } => {
                if self.has(section) {
                    self.section("", section);
                    let path = comment(&route.path);
                    self.text.push_str(&format!(
                        "# No route, and {path} is excepted from wider sites:\n"
                    ));
                    for reason in reasons {
                        self.paragraph(&comment(reason));
                    }
                }
            }
            RouteKind::Nothing => {
                if self.has(section) {
                    self.section("# (no route)", section);
                }
            }
        }
    }

    fn site(&mut self, section: Section, route: &RouteDraft, site: &SiteDraft, draft: &Draft) {
        self.section("[[site]]", section);
        if route.is_exact {
            self.pair("name", &format!("{} (exact)", name(route)));
        }
        self.place(route);
        if route.is_exact {
            self.pair("match", "exact");
        }
        self.upstream_of(site.upstream, draft);
        if !site.methods.is_empty() {
            self.list("methods", &site.methods);
        }
        if !site.except.is_empty() {
            self.list("except", &site.except);
        }
        if site.websocket {
            self.text.push_str("websocket = true\n");
        }
        self.number("body_max_bytes", site.body_max_bytes);
        if let Some(time) = site.timeout_ms {
            self.number("timeout_ms", time);
        }
        if let Some(time) = site.idle_timeout_ms {
            self.number("idle_timeout_ms", time);
        }
    }

    fn redirect(&mut self, draft: &Draft) {
        let Some(redirect) = &draft.redirect else { return };
        self.section("[redirect]", Section::Redirect);
        self.list("listen", &redirect.listen);
        if let Some(directory) = &redirect.acme_directory {
            self.pair("acme_directory", directory);
        }
    }

    fn rest(&mut self) {
        if self.has(Section::Rest) {
            self.text.push_str("\n\n# What became no part of anything above:\n#\n");
            self.comments(Section::Rest);
        }
    }

    fn section(&mut self, header: &str, section: Section) {
        self.text.push_str("\n\n");
        self.comments(section);
        if !header.is_empty() {
            self.text.push_str(&format!("{header}\n"));
        }
    }

    fn comments(&mut self, section: Section) {
        for finding in self.findings.iter().filter(|finding| finding.section == section) {
            let Finding { place, directive, outcome, note, .. } = finding;
            let colon = if note.is_empty() { "" } else { ": " };
            self.text.push_str(&format!(
                "# {}  {}\n",
                comment(&place.to_string()),
                comment(directive)
            ));
            self.paragraph(&format!("{}{colon}{}", outcome.label(), comment(note)));
        }
    }

    /// A comment below a directive, in lines that fit.
    fn paragraph(&mut self, text: &str) {
        let mut line = String::from("#    ");
        for word in text.split(' ') {
            if line.len() + word.len() >= LINE_LENGTH && line.len() > 5 {
                self.text.push_str(&format!("{line}\n"));
                line.truncate(0);
                line.push_str("#    ");
            }
            line.push(' ');
            line.push_str(word);
        }
        self.text.push_str(&format!("{line}\n"));
    }

    fn has(&self, section: Section) -> bool {
        self.findings.iter().any(|finding| finding.section == section)
    }

    fn place(&mut self, route: &RouteDraft) {
        if let Some(host) = &route.host {
            self.pair("host", host);
        }
        self.pair("path", &route.path);
    }

    fn upstream_of(&mut self, index: usize, draft: &Draft) {
        let name = draft.upstreams.get(index).map_or("", |upstream| &upstream.name);
        self.pair("upstream", name);
    }

    fn pair(&mut self, key: &str, value: &str) {
        self.text.push_str(&format!("{key} = {}\n", string(value)));
    }

    fn number(&mut self, key: &str, value: u64) {
        self.text.push_str(&format!("{key} = {value}\n"));
    }

    fn list(&mut self, key: &str, values: &[String]) {
        let values: Vec<String> = values.iter().map(|value| string(value)).collect();
        self.text.push_str(&format!("{key} = [{}]\n", values.join(", ")));
    }
}

fn name(route: &RouteDraft) -> String {
    format!("{}{}", route.host.as_deref().unwrap_or_default(), route.path)
}

/// A basic string of TOML.
fn string(value: &str) -> String {
    let mut quoted = String::from("\"");
    for character in value.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            character if character.is_control() => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(character)));
            }
            character => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// A text that cannot end its comment.
fn comment(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

const LINE_LENGTH: usize = 100;
/// The largest `verify_depth`.
const MAXIMUM_DEPTH: u64 = 12;
const META_CA: &str = "/etc/hubgate/certs/meta-outbound-api-ca-2025-12.pem";
