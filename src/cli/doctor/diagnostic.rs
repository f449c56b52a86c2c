//! What an examination found, one thing at a time, and how people are told.

use crate::cli::page::Page;

/// One thing that was looked at.
#[derive(Debug)]
pub(super) struct Diagnostic {
    verdict: Verdict,
    /// What was looked at.
    what: &'static str,
    sentence: String,
    /// The dashboard's words, where it shows any.
    meta_says: Option<String>,
    remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// As it should be.
    Good,
    /// Meta gets no further, or would not be content.
    Wrong,
    /// Meta gets by, but somebody should know.
    Warning,
    /// Not looked at.
    Skipped,
}

impl Diagnostic {
    pub(super) fn good(what: &'static str, sentence: impl Into<String>) -> Self {
        Self::new(Verdict::Good, what, sentence.into())
    }

    pub(super) fn wrong(what: &'static str, sentence: impl Into<String>) -> Self {
        Self::new(Verdict::Wrong, what, sentence.into())
    }

    pub(super) fn warning(what: &'static str, sentence: impl Into<String>) -> Self {
        Self::new(Verdict::Warning, what, sentence.into())
    }

    pub(super) fn skipped(what: &'static str, sentence: impl Into<String>) -> Self {
        Self::new(Verdict::Skipped, what, sentence.into())
    }

    fn new(verdict: Verdict, what: &'static str, sentence: String) -> Self {
        Self { verdict, what, sentence, meta_says: None, remedy: None }
    }

    /// With what the dashboard would show: an error of libcurl's.
    pub(super) fn curl(self, number: u8, error: impl AsRef<str>) -> Self {
        let error = error.as_ref();
        self.meta_says(format!("curl_errno = {number}; curl_error = {error}"))
    }

    /// With what the dashboard would show.
    pub(super) fn meta_says(self, words: impl Into<String>) -> Self {
        Self { meta_says: Some(words.into()), ..self }
    }

    /// With what to do about it.
    pub(super) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    pub(super) fn is_wrong(&self) -> bool {
        self.verdict == Verdict::Wrong
    }

    /// Two lines more if there is something to do.
    pub(super) fn show(&self, page: &mut Page) {
        // As wide as the widest of them; colour has no width.
        let mark = match self.verdict {
            Verdict::Good => page.paint.good("ok  "),
            Verdict::Wrong => page.paint.error("no  "),
            Verdict::Warning => page.paint.warning("look"),
            Verdict::Skipped => "skip".to_owned(),
        };
        page.line(&format!("{mark}  {:<15}  {}", self.what, self.sentence));
        for (key, text) in [("Meta says", &self.meta_says), ("to do", &self.remedy)] {
            if let Some(text) = text {
                page.line(&format!("      {key:<15}  {text}"));
            }
        }
    }
}
