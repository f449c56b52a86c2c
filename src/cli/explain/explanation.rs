//! What is said of one code.

/// What a code means, and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Explanation {
    /// One sentence.
    pub(super) meaning: &'static str,
    /// The likeliest first.
    pub(super) causes: &'static [&'static str],
    /// The next command to type.
    pub(super) next: &'static str,
}
