//! What makes a text no configuration of nginx.

/// Why a text is not a configuration of nginx.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// The text ends inside quotes.
    #[error("this quote is never closed")]
    QuoteUnclosed,
    /// Something stands right behind a closing quote.
    #[error("a blank or a semicolon must follow a closing quote")]
    AfterQuote,
    /// The text ends inside a block.
    #[error("this block is never closed")]
    BlockUnclosed,
    /// A brace closes what was never opened.
    #[error("this closing brace has no opening one")]
    CloseUnexpected,
    /// A semicolon or an opening brace without a name before it.
    #[error("a directive must begin with a name")]
    NameMissing,
    /// A directive ends with neither a semicolon nor a block.
    #[error("this directive must end with a semicolon")]
    EndMissing,
    /// More blocks inside each other than anybody writes.
    #[error("blocks are nested more than {MAXIMUM_DEPTH} deep")]
    TooDeep,
}

/// nginx itself knows five levels, and nested locations.
pub(super) const MAXIMUM_DEPTH: usize = 32;
