//! `[reload]`: when a new generation is made without being asked for.

use std::time::Duration;

use super::file;
use super::findings::Findings;
use super::numbers::milliseconds;

/// `[reload]`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reload {
    /// Whether a change of any file in use is a request to reload.
    pub watch: bool,
    /// From one look at the files to the next; what changed must stay as it is for one of them.
    pub watch_interval: Duration,
}

impl Reload {
    pub(super) fn check(written: &file::RawReload, findings: &mut Findings) -> Self {
        Self {
            watch: written.watch,
            watch_interval: milliseconds(&written.watch_interval_ms, findings),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fixture::{faults, load};

    #[test]
    fn files_are_watched_only_if_that_was_asked_for() {
        assert!(!load("").reload.watch);

        let written = load("[reload]\nwatch = true\nwatch_interval_ms = 250").reload;
        assert_eq!(written, Reload { watch: true, watch_interval: Duration::from_millis(250) });

        assert_eq!(
            faults("[reload]\nwatch_interval_ms = 0"),
            ["2: `reload.watch_interval_ms`: must be greater than zero"]
        );
    }
}
