//! `[log]`: what is written down, and how.

use super::choices::{LogFormat, LogLevel};
use super::findings::Findings;
use super::{file, numbers};

/// `[log]`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// The quietest severity that is written.
    pub level: LogLevel,
    /// Whether each request leaves a record.
    pub access: bool,
    /// How many days before the end of a certificate in use it is warned of; the longest first.
    pub expiry_warning_days: Vec<u64>,
}

impl Log {
    pub(super) fn check(written: &file::RawLog, findings: &mut Findings) -> Self {
        let days = &written.expiry_warning_days;
        findings.must_differ(days.iter().map(|days| (days.value, &days.at)));
        let mut expiry_warning_days: Vec<u64> =
            days.iter().map(|days| numbers::within(days, 1..=MAXIMUM_DAYS, findings)).collect();
        expiry_warning_days.sort_unstable_by(|one, other| other.cmp(one));
        Self {
            format: written.format,
            level: written.level,
            access: written.access,
            expiry_warning_days,
        }
    }
}

/// Ten years: no certificate that is renewed lives longer.
const MAXIMUM_DAYS: u64 = 3_650;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fixture::{faults, load};

    #[test]
    fn words_on_the_list_are_taken_and_others_refused() {
        let log = load("[log]\nformat = \"json\"\nlevel = \"debug\"\naccess = false").log;
        let expected = Log {
            format: LogFormat::Json,
            level: LogLevel::Debug,
            access: false,
            expiry_warning_days: vec![60, 30, 7, 1],
        };
        assert_eq!(log, expected);

        assert_eq!(
            faults("[log]\nformat = \"JSON\"\nlevel = 3\naccess = \"yes\""),
            [
                "2: `log.format`: must be one of `auto`, `text`, `json`",
                "3: `log.level`: must be a word in quotes, but is a whole number",
                "4: `log.access`: must be `true` or `false`, but is a text",
            ]
        );
    }
    #[test]
    fn warning_days_are_counted_from_the_longest_and_no_two_are_the_same() {
        let log = load("[log]\nexpiry_warning_days = [3, 90, 14]").log;
        assert_eq!(log.expiry_warning_days, [90, 14, 3]);

        assert_eq!(
            faults("[log]\nexpiry_warning_days = [7, 0, 7, 3651]"),
            [
                "2: `log.expiry_warning_days[2]`: must differ from `log.expiry_warning_days[0]`, \
                 but is the same",
                "2: `log.expiry_warning_days[1]`: must be greater than zero",
                "2: `log.expiry_warning_days[3]`: must be from 1 to 3650",
            ]
        );
        assert_eq!(
            faults("[log]\nexpiry_warning_days = []"),
            ["2: `log.expiry_warning_days`: must have at least one entry"]
        );
    }
}
