//! Cuts the text of an nginx configuration into words and marks.
//!
//! In: a text. Out: words, `;`, `{` and `}`, each with its line. The rules are those of
//! `ngx_conf_read_token`: quotes count only at the start of a word, a comment begins only where a
//! word could, and `${name}` does not open a block. Knows no directive.

use std::iter::Peekable;
use std::str::Chars;

use super::syntax_error::SyntaxError;

/// A piece of the text, and the line on which it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) line: usize,
}

/// What a piece is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A word without its quotes and escapes.
    Word(String),
    /// `;`
    End,
    /// `{`
    Open,
    /// `}`
    Close,
}

/// Reads tokens one after the other.
pub(super) struct Tokens<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        // Windows editors put a byte order mark there; nginx would take it for a word.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { rest: text.chars().peekable(), line: 1 }
    }

    /// The line that is being read.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// The next token; `None` at the end of the text.
    pub(super) fn next(&mut self) -> Result<Option<Token>, (SyntaxError, usize)> {
        self.skip_blank();
        let line = self.line;
        let Some(first) = self.take() else {
            return Ok(None);
        };
        let kind = match first {
            ';' => TokenKind::End,
            '{' => TokenKind::Open,
            '}' => TokenKind::Close,
            quote @ ('"' | '\'') => TokenKind::Word(self.quoted(quote, line)?),
            first => TokenKind::Word(self.bare(first)),
        };
        Ok(Some(Token { kind, line }))
    }

    /// Skips the code of a block in another language, up to the brace that closes it.
    pub(super) fn skip_lua(&mut self) -> Result<(), (SyntaxError, usize)> {
        let began = self.line;
        let mut depth = 1_usize;
        while let Some(character) = self.take() {
            match character {
                '{' => depth += 1,
                '}' => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                quote @ ('"' | '\'') => self.skip_lua_string(quote),
                '-' if self.rest.peek() == Some(&'-') => {
                    self.take();
                    self.skip_lua_comment();
                }
                '[' => self.skip_long_bracket(),
                _ => {}
            }
        }
        Err((SyntaxError::BlockUnclosed, began))
    }

    fn take(&mut self) -> Option<char> {
        let next = self.rest.next();
        if next == Some('\n') {
            self.line += 1;
        }
        next
    }

    fn skip_blank(&mut self) {
        while let Some(&next) = self.rest.peek() {
            match next {
                '#' => while self.take().is_some_and(|skipped| skipped != '\n') {},
                next if is_blank(next) => {
                    self.take();
                }
                _ => return,
            }
        }
    }

    fn bare(&mut self, first: char) -> String {
        let mut word = String::new();
        let mut current = Some(first);
        while let Some(character) = current {
            match character {
                '\\' => self.escape(&mut word),
                character => word.push(character),
            }
            let is_variable = character == '$';
            current = match self.rest.peek() {
                Some('{') if is_variable => self.take(),
                Some(&next) if is_blank(next) || next == ';' || next == '{' => None,
                Some(_) => self.take(),
                None => None,
            };
        }
        word
    }

    fn quoted(&mut self, quote: char, began: usize) -> Result<String, (SyntaxError, usize)> {
        let mut word = String::new();
        loop {
            match self.take() {
                None => return Err((SyntaxError::QuoteUnclosed, began)),
                Some('\\') => self.escape(&mut word),
                Some(character) if character == quote => break,
                Some(character) => word.push(character),
            }
        }
        match self.rest.peek() {
            None | Some(';' | '{' | ')') => Ok(word),
            Some(&next) if is_blank(next) => Ok(word),
            Some(_) => Err((SyntaxError::AfterQuote, self.line)),
        }
    }

    /// After a backslash. Those that nginx does not know stay, for regular expressions.
    fn escape(&mut self, word: &mut String) {
        match self.take() {
            Some(character @ ('"' | '\'' | '\\')) => word.push(character),
            Some('t') => word.push('\t'),
            Some('r') => word.push('\r'),
            Some('n') => word.push('\n'),
            Some(other) => word.extend(['\\', other]),
            None => word.push('\\'),
        }
    }

    fn skip_lua_string(&mut self, quote: char) {
        while let Some(character) = self.take() {
            match character {
                '\\' => {
                    self.take();
                }
                // A string ends with its line, so a stray quote costs no more than that.
                '\n' => return,
                character if character == quote => return,
                _ => {}
            }
        }
    }

    fn skip_lua_comment(&mut self) {
        if self.rest.peek() == Some(&'[') {
            let line = self.line;
            self.take();
            self.skip_long_bracket();
            if self.line != line {
                return;
            }
        }
        while let Some(&next) = self.rest.peek() {
            if next == '\n' {
                return;
            }
            self.take();
        }
    }

    /// After a `[`: skips `[[ .. ]]` and `[=[ .. ]=]`; a lone bracket is an index.
    fn skip_long_bracket(&mut self) {
        let mut level = 0_usize;
        while self.rest.peek() == Some(&'=') {
            self.take();
            level += 1;
        }
        if self.rest.peek() != Some(&'[') {
            return;
        }
        self.take();
        // Equals signs since a closing bracket, if there was one.
        let mut seen = None;
        while let Some(character) = self.take() {
            seen = match (character, seen) {
                (']', Some(count)) if count == level => return,
                (']', _) => Some(0),
                ('=', Some(count)) => Some(count + 1),
                _ => None,
            };
        }
    }
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}
