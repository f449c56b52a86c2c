//! `body_max_bytes` of a route, from `client_max_body_size`.

use super::Planner;
use crate::ledger::{Outcome, Section};
use crate::location::Location;
use crate::value;

impl Planner<'_, '_> {
    pub(super) fn site_body(&mut self, place: &Location<'_>, section: Section) -> u64 {
        let Some(directive) = place.scope.find("client_max_body_size") else {
            return NGINX_BODY_BYTES;
        };
        let (bytes, note) = match value::bytes(directive.argument()) {
            Some(0) => (SITE_BODY_BYTES, "no body is unlimited; 1 TiB comes near"),
            Some(bytes) => (bytes.min(SITE_BODY_BYTES), "body_max_bytes"),
            None => (NGINX_BODY_BYTES, "not a size; nginx's default is written"),
        };
        self.ledger.settle(directive, section, Outcome::Carried, note);
        bytes
    }

    pub(super) fn webhook_body(&mut self, place: &Location<'_>, section: Section) -> Option<u64> {
        let directive = place.scope.find("client_max_body_size")?;
        let bytes = value::bytes(directive.argument());
        let (bytes, outcome, note) = match bytes {
            Some(bytes @ LARGEST_EVENT_BYTES..=WEBHOOK_BODY_BYTES) => {
                (Some(bytes), Outcome::Carried, "body_max_bytes")
            }
            Some(1..LARGEST_EVENT_BYTES) => (
                None,
                Outcome::Carried,
                "raised to 4 MiB on the webhook: Meta sends up to 3 MB, which were lost before",
            ),
            _ => {
                (None, Outcome::Stricter, "4 MiB: Meta sends up to 3 MB, and a body is held whole")
            }
        };
        self.ledger.settle(directive, section, outcome, note);
        bytes
    }
}

/// What Meta sends at most.
const LARGEST_EVENT_BYTES: u64 = 3_000_000;
/// Half of `limits.body_memory_bytes`: what callers without a certificate may take.
const WEBHOOK_BODY_BYTES: u64 = 1 << 26;
/// nginx's `client_max_body_size` unless written.
const NGINX_BODY_BYTES: u64 = 1 << 20;
/// The largest `body_max_bytes` of a site.
const SITE_BODY_BYTES: u64 = 1 << 40;
