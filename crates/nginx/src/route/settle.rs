//! Writes into the ledger what becomes of the directives in a location.

use super::Planner;
use crate::condition::refuses;
use crate::known;
use crate::ledger::{Outcome, Section};
use crate::location::Location;
use crate::parse::Directive;
use crate::proof::Checks;
use crate::redirect::ACME_PATH;
use crate::scope::Scope;

impl<'a> Planner<'_, 'a> {
    pub(super) fn settle_checks(&mut self, checks: &Checks<'a>, section: Section) {
        let note = "the exact common name in `client_certificate.common_names`, and the signature";
        for directive in &checks.conditions {
            self.settle_below(directive, section, Outcome::Stricter, note);
        }
        for map in &checks.maps {
            self.settle_below(map, Section::ClientCertificate, Outcome::Stricter, note);
        }
        for directive in &checks.unclear {
            let note = "no name could be read from this: see that `common_names` has the right one";
            self.ledger.settle(directive, section, Outcome::Uncertain, note);
        }
    }

    pub(super) fn settle_nothing(
        &mut self,
        place: &Location<'a>,
        section: Section,
        reasons: &[String],
    ) {
        let own = place.scope.own();
        // `deny all` after an `allow` is for the others.
        let is_refused = refuses(own) && own.iter().all(|line| line.name != "allow");
        let is_acme = place.path().is_some_and(|path| path.trim_end_matches('/') == ACME_PATH);
        let (outcome, note) = if is_refused {
            (Outcome::Carried, "nobody gets there, as before".to_owned())
        } else if is_acme {
            (Outcome::Carried, "see [redirect]: ACME asks over plain HTTP first".to_owned())
        } else {
            (Outcome::Missing, reasons.join("; "))
        };
        self.ledger.settle(place.directive, section, outcome, note.as_str());
        for inner in own.iter().filter(|inner| !matches!(&*inner.name, "location" | "include")) {
            let (outcome, note) = match known::fate(&inner.name) {
                _ if is_refused || is_acme => (Outcome::Carried, "as its location"),
                Some((outcome, note)) => (outcome, note),
                None => (Outcome::LeftAlone, "its location is not carried over"),
            };
            self.settle_below(inner, section, outcome, note);
        }
    }

    /// Settles a directive and everything in its block, as far as nobody else does.
    pub(super) fn settle_below(
        &mut self,
        directive: &Directive,
        section: Section,
        outcome: Outcome,
        note: &str,
    ) {
        if !self.ledger.is_settled(directive) {
            self.ledger.settle(directive, section, outcome, note);
        }
        for inner in directive.children().iter().filter(|inner| inner.name != "proxy_pass") {
            self.settle_below(inner, section, outcome, note);
        }
    }

    pub(super) fn settle_times(&mut self, scope: &Scope<'_>, section: Section, note: &str) {
        for name in ["proxy_read_timeout", "proxy_send_timeout"] {
            if let Some(directive) = scope.find(name) {
                self.ledger.settle(directive, section, Outcome::Carried, note);
            }
        }
    }
}
