//! `[log]`: what is written down, and how.

use super::file;

/// `[log]`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// The quietest severity that is written.
    pub level: LogLevel,
    /// Whether each request leaves a record.
    pub access: bool,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text if standard error is a terminal, else JSON.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The quietest severity that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Faults that stop something.
    Error,
    /// What the operator should look at.
    Warn,
    /// What strangers are refused for, and the access record.
    Info,
    /// Noise of strangers too.
    Debug,
}

impl Log {
    pub(super) fn check(written: &file::Log) -> Self {
        Self { format: written.format, level: written.level, access: written.access }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fixture::{faults, load};

    #[test]
    fn words_on_the_list_are_taken_and_others_refused() {
        let log = load("[log]\nformat = \"json\"\nlevel = \"debug\"\naccess = false").log;
        let expected = Log { format: LogFormat::Json, level: LogLevel::Debug, access: false };
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
}
