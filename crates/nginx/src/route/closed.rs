//! Closes what would let in more than nginx does: sites that a regular expression cuts pieces out
//! of, and paths that would fall to a wider site.

use super::Planner;
use crate::condition::refuses;
use crate::draft::{RouteDraft, RouteKind};
use crate::ledger::{Outcome, Section};
use crate::location::{Location, Pattern};
use crate::restriction::restrictions;

/// Requests of a regular expression that must not fall to a site.
pub(super) struct Hazard {
    start: String,
    reason: String,
}

impl<'a> Planner<'_, 'a> {
    /// A location by regular expression: no route, but perhaps a reason to close some.
    pub(super) fn plan_regex(&mut self, place: &Location<'a>, is_checked: bool) -> Option<Hazard> {
        let section = Section::Route(self.routes.len());
        let known_start = match &place.pattern {
            Pattern::Regex(start) => Some(start.as_str()),
            Pattern::Exact(_)
            | Pattern::Prefix(_)
            | Pattern::ExactRegex(_)
            | Pattern::PrefixRegex(_)
            | Pattern::Named(_) => place.path(),
        };
        let start = known_start.unwrap_or_default().to_owned();
        let what = format!("the location at {}", place.directive.place);
        let reason = if is_checked {
            Some(format!("{what} demands a client certificate for some of its paths"))
        } else if refuses(place.scope.own()) || !restrictions(place, self.proofs).is_empty() {
            Some(format!("{what} keeps callers from some of its paths"))
        } else {
            None
        };
        let note = "paths cannot be given by regular expression: write a route for each, with a \
                    fixed path";
        self.ledger.settle(place.directive, section, Outcome::Missing, note);
        for inner in place.scope.own() {
            let note = "its location is not carried over";
            self.settle_below(inner, section, Outcome::LeftAlone, note);
        }
        self.push(RouteKind::Nothing, &start, false);
        reason.map(|reason| Hazard { start, reason })
    }

    pub(super) fn close_hazards(&mut self, first: usize, hazards: &[Hazard]) {
        for route in self.routes.iter_mut().skip(first).filter(|route| route.is_site()) {
            let overlaps = |hazard: &&Hazard| match route.is_exact {
                true => route.path.starts_with(&hazard.start),
                false => {
                    route.path.starts_with(&hazard.start) || hazard.start.starts_with(&route.path)
                }
            };
            let reasons: Vec<String> =
                hazards.iter().filter(overlaps).map(|hazard| hazard.reason.clone()).collect();
            if !reasons.is_empty() {
                self.ledger.worsen(route.origin, Outcome::Missing, &reasons.join("; "));
                route.kind = RouteKind::Closed { reasons };
            }
        }
    }

    /// What is closed must not fall to a wider site, and neither must what nginx counts to a site
    /// with fewer methods.
    pub(super) fn except_closed(&mut self, first: usize) {
        let is_narrow = |route: &RouteDraft| match &route.kind {
            RouteKind::Closed { .. } => true,
            RouteKind::Site(site) => !site.methods.is_empty() && !route.is_exact,
            RouteKind::Webhook { .. } | RouteKind::Nothing => false,
        };
        let narrow: Vec<RouteDraft> =
            self.routes.iter().skip(first).filter(|route| is_narrow(route)).cloned().collect();
        for route in self.routes.iter_mut().skip(first) {
            let is_below = |other: &&RouteDraft| route.covers(other) && route.path != other.path;
            // One path cannot be taken out of a site that begins with it.
            let is_root = |other: &&RouteDraft| {
                other.is_exact
                    && other.path == route.path
                    && route.covers(other)
                    && !other.is_site()
            };
            if route.is_site() && narrow.iter().any(|other| is_root(&other)) {
                let reason = "its first path is another location, which is not carried over";
                self.ledger.worsen(route.origin, Outcome::Missing, reason);
                route.kind = RouteKind::Closed { reasons: vec![reason.to_owned()] };
                continue;
            }
            let starts: Vec<String> =
                narrow.iter().filter(is_below).map(|other| other.path.clone()).collect();
            let RouteKind::Site(site) = &mut route.kind else { continue };
            for start in starts {
                if !site.except.contains(&start) {
                    site.except.push(start);
                }
            }
        }
    }
}
