//! Words of a configuration inside the sentences of [`super::error`].

use std::fmt;

/// "; did you mean ..?", or nothing.
pub(super) struct Suggestion(pub(super) Option<&'static str>);

impl fmt::Display for Suggestion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(near) => write!(formatter, "; did you mean `{near}`?"),
            None => Ok(()),
        }
    }
}

/// A list of words, each in backquotes.
pub(super) struct Words<'a, T>(pub(super) &'a [T]);

impl<T: fmt::Display> fmt::Display for Words<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return formatter.write_str("none");
        }
        for (index, word) in self.0.iter().enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            write!(formatter, "{separator}`{word}`")?;
        }
        Ok(())
    }
}
