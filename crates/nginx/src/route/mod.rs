//! Which route each location becomes: webhook, site, closed, or none.
//!
//! What would let in more than nginx does is never written: a location with a restriction that
//! hubgate does not know is closed, and so is a site that a regular expression cuts pieces out of.

use std::collections::BTreeSet;

use super::block::Block;
use super::draft::{RouteDraft, RouteKind, SiteDraft};
use super::headers::Websocket;
use super::ledger::{Ledger, Outcome, Section};
use super::location::{self, Location, Pattern};
use super::pool::{Pools, ProxyPassTarget};
use super::proof::Proofs;
use super::restriction::{methods, restrictions};
use super::scope::Scope;
use super::{headers, known, value};

mod body_limit;
mod closed;
mod settle;

/// The routes of one server block.
pub(super) struct Planner<'p, 'a> {
    pub(super) block: &'p Block<'a>,
    /// What `host` is written; none: any.
    pub(super) hosts: Vec<Option<String>>,
    pub(super) proofs: &'p Proofs<'a>,
    /// Callback paths that the operator has named.
    pub(super) callbacks: &'p [String],
    pub(super) pools: &'p mut Pools<'a>,
    pub(super) ledger: &'p mut Ledger,
    pub(super) routes: &'p mut Vec<RouteDraft>,
    /// The location that is being looked at.
    pub(super) origin: usize,
}

/// What was learned about names on the way.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// For each webhook that names some.
    pub(super) allowed: Vec<BTreeSet<String>>,
}

impl<'a> Planner<'_, 'a> {
    /// Turns every location into routes.
    pub(super) fn plan(&mut self) -> Names {
        let locations = location::find(&self.block.scope);
        let first = self.routes.len();
        let mut names = Names::default();
        let mut hazards = Vec::new();
        for place in &locations {
            if matches!(place.pattern, Pattern::Named(_)) {
                continue;
            }
            self.origin = place.directive.id;
            let checks = self.proofs.checks(&place.scope);
            let is_checked = self.block.is_strict() || !checks.conditions.is_empty();
            let section = Section::Route(self.routes.len());
            self.settle_checks(&checks, section);
            if !checks.names.is_empty() {
                names.allowed.push(checks.names.clone());
            }
            match place.path().filter(|path| is_good_path(path)) {
                Some(path) => self.plan_path(path, place, &locations, is_checked),
                None => hazards.extend(self.plan_regex(place, is_checked)),
            }
        }
        self.close_hazards(first, &hazards);
        self.except_closed(first);
        names
    }

    fn plan_path(
        &mut self,
        path: &str,
        place: &Location<'a>,
        locations: &[Location<'a>],
        is_checked: bool,
    ) {
        let section = Section::Route(self.routes.len());
        let is_taken = |callback: &&String| {
            location::choose(locations, callback)
                .is_some_and(|chosen| chosen.directive.id == place.directive.id)
        };
        let mut callbacks: Vec<String> = self.callbacks.iter().filter(is_taken).cloned().collect();
        if self.callbacks.is_empty() && is_checked {
            callbacks.push(path.to_owned());
        }
        let mut reasons = Vec::new();
        let target = self.target(place, locations, &mut reasons);
        if !callbacks.is_empty() {
            match &target {
                Some((target, scope)) => {
                    self.webhooks(&callbacks, place, target, scope, section);
                    reasons = vec!["what nginx let in here needed a client certificate".to_owned()];
                }
                None => self.settle_nothing(place, section, &reasons),
            }
            if place.is_exact() && target.is_some() {
                return;
            }
            return self.push(RouteKind::Closed { reasons }, path, place.is_exact());
        }
        if is_checked {
            let reason = "no callback path that was named leads here, and nginx demands a client \
                          certificate";
            self.ledger.settle(place.directive, section, Outcome::Stricter, reason);
            let reasons = vec![reason.to_owned()];
            return self.push(RouteKind::Closed { reasons }, path, place.is_exact());
        }
        self.site(path, place, locations, target, reasons);
    }

    fn site(
        &mut self,
        path: &str,
        place: &Location<'a>,
        locations: &[Location<'a>],
        target: Option<(ProxyPassTarget<'a>, Scope<'a>)>,
        mut reasons: Vec<String>,
    ) {
        let section = Section::Route(self.routes.len());
        if target.is_some() {
            reasons.extend(restrictions(place, self.proofs));
        }
        let own = location::choose(locations, path);
        if own.is_some_and(|chosen| chosen.directive.id != place.directive.id) {
            reasons.push("a regular expression comes before it in nginx".to_owned());
        }
        if target.as_ref().is_some_and(|(target, _)| target.is_rewritten) {
            reasons
                .push("`proxy_pass` changes the path, and hubgate sends on what came".to_owned());
        }
        let (Some((target, scope)), true) = (&target, reasons.is_empty()) else {
            self.settle_nothing(place, section, &reasons);
            return self.push(RouteKind::Closed { reasons }, path, place.is_exact());
        };
        let upstream = self.pools.enter(target, scope, None, self.ledger);
        let body_max_bytes = self.site_body(place, section);
        let read = scope.argument("proxy_read_timeout").and_then(value::milliseconds);
        let read = read.filter(|time| (1..=86_400_000).contains(time));
        self.settle_times(scope, section, "timeout_ms and idle_timeout_ms");
        self.ledger.settle(target.directive, section, Outcome::Carried, "");
        let methods = methods(&place.scope, section, self.ledger);
        let note = match (place.is_exact(), path.ends_with('/')) {
            (true, _) | (false, true) => "".to_owned(),
            (false, false) => {
                format!(
                    "by whole segments: nginx takes `{path}x` for it, too, and hubgate does not"
                )
            }
        };
        self.ledger.settle(place.directive, section, Outcome::Carried, note);
        if !headers::identity(scope, self.ledger).is_empty() {
            let note = "the application looks at the client certificate here; if this is where \
                        Meta calls, import again with `--webhook-path`";
            self.ledger.settle(place.directive, section, Outcome::Uncertain, note);
        }
        let site = SiteDraft {
            upstream,
            methods,
            except: Vec::new(),
            websocket: headers::websocket(scope) == Websocket::Passed,
            body_max_bytes,
            timeout_ms: read,
            idle_timeout_ms: read,
        };
        self.push(RouteKind::Site(site), path, place.is_exact());
    }

    fn webhooks(
        &mut self,
        paths: &[String],
        place: &Location<'a>,
        target: &ProxyPassTarget<'a>,
        scope: &Scope<'a>,
        section: Section,
    ) {
        let read = scope.argument("proxy_read_timeout").and_then(value::milliseconds);
        let timeout_ms = read.filter(|time| (1..WEBHOOK_TIMEOUT_MS).contains(time));
        let upstream = self.pools.enter(target, scope, timeout_ms, self.ledger);
        self.settle_times(
            scope,
            section,
            "timeout_ms of the upstream, 4 s at most, since Messenger \
                          wants an answer in 5",
        );
        let (outcome, note) = match target.is_rewritten {
            true => (
                Outcome::Uncertain,
                "hubgate sends the path on as it came: let the application answer there",
            ),
            false => (Outcome::Carried, ""),
        };
        self.ledger.settle(target.directive, section, outcome, note);
        let body_max_bytes = self.webhook_body(place, section);
        for path in paths {
            self.push(RouteKind::Webhook { upstream, body_max_bytes }, path, true);
        }
        let note = match (place.is_exact(), self.callbacks.is_empty(), place.path()) {
            (true, ..) => "",
            (false, true, Some("/")) => {
                "the callback path is not in this file: write the one of the app's dashboard into \
                 `path`, or import again with `--webhook-path`"
            }
            (false, true, _) => {
                "this path and no other: if the callback path is below it, import again with \
                 `--webhook-path`"
            }
            (false, false, _) => "the callback paths that were named, and nothing else of it",
        };
        let is_open = self.callbacks.is_empty() && !place.is_exact();
        let outcome = if is_open { Outcome::Uncertain } else { Outcome::Stricter };
        self.ledger.settle(place.directive, section, outcome, note);
        for other in place.scope.own().iter().filter(|other| known::is_restriction(&other.name)) {
            let note = "a webhook lets in what is proven, wherever it comes from";
            self.ledger.settle(other, section, Outcome::Uncertain, note);
        }
    }

    /// Where the requests of a location go, with the directives in force there.
    fn target(
        &self,
        place: &Location<'a>,
        locations: &[Location<'a>],
        reasons: &mut Vec<String>,
    ) -> Option<(ProxyPassTarget<'a>, Scope<'a>)> {
        let asked = place.scope.own().iter().filter(|inner| self.proofs.are_asked_by(inner));
        let mut scopes: Vec<Scope<'a>> = asked.map(|block| place.scope.inside(block)).collect();
        scopes.push(place.scope.clone());
        // `try_files .. @name` ends in the location of that name.
        let fallback = place.scope.own().iter().find(|inner| inner.name == "try_files");
        let name = fallback.and_then(|line| line.arguments.last());
        let named = name.and_then(|name| {
            let is_it = |other: &&Location<'_>| other.pattern == Pattern::Named(name.clone());
            locations.iter().find(is_it)
        });
        scopes.extend(named.map(|named| named.scope.clone()));
        for scope in scopes {
            let pass = scope.own().iter().find(|inner| inner.name == "proxy_pass");
            let Some(pass) = pass else { continue };
            match self.pools.target(pass, place) {
                Ok(target) => return Some((target, scope)),
                Err(reason) => {
                    reasons.push(reason.to_owned());
                    return None;
                }
            }
        }
        reasons.push("it leads to no application over HTTP".to_owned());
        None
    }

    /// Adds a route for each host; two for the same requests are one.
    fn push(&mut self, kind: RouteKind, path: &str, is_exact: bool) {
        for host in self.hosts.clone() {
            let route = RouteDraft {
                kind: kind.clone(),
                host,
                path: path.to_owned(),
                is_exact,
                origin: self.origin,
            };
            let is_taken = self.routes.iter().any(|other| {
                !matches!(other.kind, RouteKind::Nothing)
                    && (&other.host, &other.path, other.is_exact)
                        == (&route.host, &route.path, route.is_exact)
            });
            let kind = match is_taken {
                true => RouteKind::Nothing,
                false => kind.clone(),
            };
            self.routes.push(RouteDraft { kind, ..route });
        }
    }
}

/// Whether hubgate takes this as the path of a route.
fn is_good_path(path: &str) -> bool {
    path.starts_with('/')
        && path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#%\\\"<>".contains(&byte))
        && !path.contains("//")
        && path.split('/').all(|segment| segment != "." && segment != "..")
}

/// `timeout_ms` of an upstream by default.
const WEBHOOK_TIMEOUT_MS: u64 = 4_000;
