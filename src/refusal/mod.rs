//! The closed lists of everything a stranger can be refused for.
//!
//! [`ConnectionRefusal`] ends a connection before it speaks HTTP; [`Refusal`] has an answer. Each
//! variant has a stable label (metric label, log field, what `hubgate explain` takes), a severity
//! and a hint for the operator. No match here has a wildcard arm: a new variant does not compile until it has all.
//! What strangers can cause at will is never logged above [`Severity::Notice`].
#![warn(clippy::wildcard_enum_match_arm)]

mod connection;
mod request;

pub use self::connection::ConnectionRefusal;
pub use self::request::Refusal;

/// How severe a refusal is; the one `match` from here to a level is in `telemetry::log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Scanners and accidents: DEBUG.
    Noise,
    /// What an operator looks for when events stop: INFO.
    Notice,
    /// Our side or the backend is at fault: WARN.
    Fault,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_refusal_stands_once_in_all_and_has_a_label_of_its_own() {
        let labels: HashSet<_> = Refusal::ALL.iter().map(|r| r.label()).collect();
        assert_eq!(labels.len(), Refusal::ALL.len());
        let labels: HashSet<_> = ConnectionRefusal::ALL.iter().map(|h| h.label()).collect();
        assert_eq!(labels.len(), ConnectionRefusal::ALL.len());
    }

    #[test]
    fn the_three_ways_a_signature_fails_look_alike_from_outside() {
        assert_eq!(Refusal::SignatureMissing.status(), Refusal::SignatureMismatch.status());
        assert_eq!(Refusal::SignatureMalformed.status(), Refusal::SignatureMismatch.status());
    }
}
