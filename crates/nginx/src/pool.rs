//! Where requests go: `proxy_pass`, `upstream`, and what nginx says on the way.

use rustls_pki_types::ServerName;

use super::draft::{Settings, UpstreamDraft};
use super::ledger::{Ledger, Outcome, Section};
use super::location::Location;
use super::parse::Directive;
use super::scope::Scope;
use super::{headers, value};

/// The upstreams put together so far.
#[derive(Debug)]
pub(super) struct Pools<'a> {
    http: Scope<'a>,
    pub(super) upstreams: Vec<UpstreamDraft>,
}

/// Where the requests of a location go.
#[derive(Debug)]
pub(super) struct ProxyPassTarget<'a> {
    pub(super) directive: &'a Directive,
    name: String,
    servers: Vec<String>,
    /// `upstream NAME { .. }`, if that is where the servers are.
    block: Option<&'a Directive>,
    /// Something other than the path that the caller asked for is sent on.
    pub(super) is_rewritten: bool,
    is_tls: bool,
}

impl<'a> Pools<'a> {
    pub(super) fn new(http: Scope<'a>) -> Self {
        Self { http, upstreams: Vec::new() }
    }

    /// Where this `proxy_pass` leads; on failure what is in the way.
    pub(super) fn target(
        &self,
        directive: &'a Directive,
        location: &Location<'_>,
    ) -> Result<ProxyPassTarget<'a>, &'static str> {
        let url = directive.argument();
        let (scheme, rest) = url.split_once("://").ok_or("the address has no scheme")?;
        let is_tls = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err("only http and https upstreams can be reached"),
        };
        if let Some(rest) = rest.strip_prefix("unix:") {
            let (path, uri) = rest.split_once(':').unwrap_or((rest, ""));
            if path.contains('$') || is_tls {
                return Err("a unix socket needs a fixed path and plain http");
            }
            return Ok(ProxyPassTarget {
                directive,
                name: socket_name(path),
                servers: vec![format!("unix:{path}")],
                block: None,
                is_rewritten: is_rewritten(uri, location),
                is_tls,
            });
        }
        let start = rest.find('/').unwrap_or(rest.len());
        let (authority, uri) = rest.split_at(start);
        if authority.contains(['$', '@']) || authority.is_empty() {
            return Err("the address has a variable or a password; write the address itself");
        }
        // A variable in the path replaces the whole path.
        let is_rewritten = uri.contains('$') || is_rewritten(uri, location);
        let block = self.block(authority);
        let servers = match block {
            Some(block) => servers(block, scheme),
            None => vec![format!("{scheme}://{authority}")],
        };
        if servers.is_empty() {
            return Err("the upstream has no server that can be used");
        }
        let name = match block {
            Some(_) => authority.to_owned(),
            None => host_name(authority),
        };
        Ok(ProxyPassTarget { directive, name, servers, block, is_rewritten, is_tls })
    }

    /// The index of the upstream for this target, made if there is none like it yet.
    pub(super) fn enter(
        &mut self,
        target: &ProxyPassTarget<'_>,
        scope: &Scope<'_>,
        timeout_ms: Option<u64>,
        ledger: &mut Ledger,
    ) -> usize {
        let settings = Settings {
            sends_own_host: headers::sends_own_host(scope),
            identity: headers::identity(scope, ledger),
            connect_timeout_ms: connect_timeout(scope),
            ..tls_settings(target, scope)
        };
        let fits = |upstream: &&mut UpstreamDraft| {
            let is_same_time = upstream.timeout_ms.is_none()
                || timeout_ms.is_none()
                || upstream.timeout_ms == timeout_ms;
            upstream.servers == target.servers && upstream.settings == settings && is_same_time
        };
        let known = self.upstreams.iter_mut().enumerate().find(|(_, upstream)| fits(upstream));
        let index = match known {
            Some((index, upstream)) => {
                upstream.timeout_ms = upstream.timeout_ms.or(timeout_ms);
                index
            }
            None => {
                let name = self.free_name(&target.name);
                let servers = target.servers.clone();
                self.upstreams.push(UpstreamDraft { name, servers, timeout_ms, settings });
                self.upstreams.len() - 1
            }
        };
        let section = Section::Upstream(index);
        if let Some(block) = target.block {
            settle_block(block, section, ledger);
        }
        headers::settle(scope, section, ledger);
        settle_connection(target, scope, section, ledger);
        index
    }

    fn block(&self, name: &str) -> Option<&'a Directive> {
        self.http.own().iter().find(|directive| directive.is("upstream", name))
    }

    fn free_name(&self, wanted: &str) -> String {
        let is_free = |name: &String| self.upstreams.iter().all(|other| other.name != *name);
        let numbered = (2_usize..).map(|number| format!("{wanted}-{number}"));
        let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
        names.find(is_free).unwrap_or_default()
    }
}

/// With a path in `proxy_pass`, nginx puts it in place of the location's own.
fn is_rewritten(uri: &str, location: &Location<'_>) -> bool {
    !uri.is_empty() && location.path() != Some(uri)
}

fn host_name(authority: &str) -> String {
    let is_local = authority.starts_with("127.")
        || authority.starts_with("localhost")
        || authority.starts_with("[::1]");
    if is_local { "app".to_owned() } else { authority.to_owned() }
}

fn socket_name(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.strip_suffix(".sock").or(name.strip_suffix(".socket")).unwrap_or(name).to_owned()
}

/// The servers of an `upstream` block that get requests.
fn servers(block: &Directive, scheme: &str) -> Vec<String> {
    let used = block.children().iter().filter(|line| line.name == "server" && !is_spare(line));
    let mut servers: Vec<String> = Vec::new();
    for address in used.map(Directive::argument) {
        let server = match address.strip_prefix("unix:") {
            Some(path) => format!("unix:{path}"),
            None => format!("{scheme}://{address}"),
        };
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    servers
}

fn is_spare(line: &Directive) -> bool {
    line.arguments.iter().any(|word| word == "down" || word == "backup")
}

fn settle_block(block: &Directive, section: Section, ledger: &mut Ledger) {
    ledger.settle(block, section, Outcome::Carried, "its servers");
    for line in block.children().iter().filter(|line| line.name == "server") {
        let parameters = line.arguments.get(1..).unwrap_or_default();
        let has = |name: &str| parameters.iter().any(|word| word.starts_with(name));
        let (outcome, note) = if has("down") {
            (Outcome::Unneeded, "it is marked as down, so it is left out")
        } else if has("backup") {
            (Outcome::Missing, "there are no spare servers: add it if it may serve all the time")
        } else if has("weight=") {
            (Outcome::Carried, "without its weight: the least loaded server gets the request")
        } else if parameters.is_empty() {
            (Outcome::Carried, "")
        } else {
            (Outcome::Carried, "one that fails is ejected for a while, without further settings")
        };
        ledger.settle(line, section, outcome, note);
    }
}

fn connect_timeout(scope: &Scope<'_>) -> Option<u64> {
    let given = scope.argument("proxy_connect_timeout").and_then(value::milliseconds);
    // hubgate gives up after 1 s by default; more than 4 s is more than a webhook has in all.
    given.filter(|time| (1..=4_000).contains(time))
}

fn tls_settings(target: &ProxyPassTarget<'_>, scope: &Scope<'_>) -> Settings {
    if !target.is_tls {
        return Settings::default();
    }
    let fixed =
        |name: &str| scope.argument(name).filter(|text| !text.contains('$')).map(str::to_owned);
    let is_verified = scope.argument("proxy_ssl_verify") == Some("on");
    let client_private_key = fixed("proxy_ssl_certificate_key");
    Settings {
        ca: fixed("proxy_ssl_trusted_certificate").filter(|_| is_verified),
        server_name: fixed("proxy_ssl_name").or_else(|| block_name(target, scope)),
        client_certificate: fixed("proxy_ssl_certificate").filter(|_| client_private_key.is_some()),
        client_private_key,
        ..Settings::default()
    }
}

/// The name that nginx verifies by default is that of its `upstream` block, whatever the servers in
/// it are called.
fn block_name(target: &ProxyPassTarget<'_>, scope: &Scope<'_>) -> Option<String> {
    let is_verified = scope.argument("proxy_ssl_verify") == Some("on");
    let is_name = ServerName::try_from(target.name.as_str()).is_ok();
    let is_default = scope.find("proxy_ssl_name").is_none();
    (target.block.is_some() && is_verified && is_name && is_default).then(|| target.name.clone())
}

fn settle_connection(
    target: &ProxyPassTarget<'_>,
    scope: &Scope<'_>,
    section: Section,
    ledger: &mut Ledger,
) {
    if let Some(time) = scope.find("proxy_connect_timeout") {
        match connect_timeout(scope) {
            Some(_) => ledger.settle(time, section, Outcome::Carried, "connect_timeout_ms"),
            None => {
                let note = "1 s, which is enough for a connect, or Meta gives up first";
                ledger.settle(time, section, Outcome::Stricter, note);
            }
        }
    }
    let is_verified = scope.argument("proxy_ssl_verify") == Some("on");
    let notes = [
        ("proxy_ssl_verify", "an https upstream is always verified"),
        ("proxy_ssl_server_name", "the name is always sent"),
        ("proxy_ssl_name", "server_name"),
        ("proxy_ssl_certificate", "client_certificate"),
        ("proxy_ssl_certificate_key", "client_private_key"),
    ];
    for (name, note) in notes {
        let Some(directive) = scope.find(name) else { continue };
        let is_stricter = name == "proxy_ssl_verify" && !is_verified;
        let outcome = match (target.is_tls, is_stricter) {
            (false, _) => Outcome::Unneeded,
            (true, true) => Outcome::Stricter,
            (true, false) if directive.argument().contains('$') => Outcome::Missing,
            (true, false) => Outcome::Carried,
        };
        ledger.settle(directive, section, outcome, note);
    }
    if let Some(roots) = scope.find("proxy_ssl_trusted_certificate") {
        let (outcome, note) = match is_verified {
            true => (Outcome::Carried, "ca"),
            false => (
                Outcome::Missing,
                "nginx does not use it, for `proxy_ssl_verify` is off; hubgate verifies against \
                 the public roots: if the application's certificate is not under one of these, \
                 write `ca = ..`",
            ),
        };
        ledger.settle(roots, section, outcome, note);
    }
    if target.is_tls && !is_verified {
        let note = "nginx takes any certificate there; hubgate verifies it against `ca`, or the \
                    public roots";
        ledger.settle(target.directive, section, Outcome::Stricter, note);
    }
}
