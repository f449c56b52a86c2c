//! Reads the text of one nginx configuration file into a tree of directives.
//!
//! In: a text and the name of its file. Out: every directive with its place, or the first fault.
//! Pure: `include` is a directive like any other here, and is followed by [`super::load`].

use std::fmt;
use std::sync::Arc;

use super::syntax_error::{MAXIMUM_DEPTH, SyntaxError};
use super::token::{Token, TokenKind, Tokens};

/// A directive of nginx: a name, its arguments, and a block or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directive {
    /// Position in the whole configuration, counted from zero; see [`super::load`].
    pub(super) id: usize,
    pub(super) name: String,
    pub(super) arguments: Vec<String>,
    pub(super) body: Body,
    pub(super) place: SourceLocation,
    /// The line on which it ends.
    pub(super) last_line: usize,
}

/// What follows the arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// A semicolon.
    None,
    /// Directives in braces.
    Block(Vec<Directive>),
    /// Code of another language in braces, not read.
    Code,
}

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceLocation {
    /// The file, as it is shown.
    pub file: Arc<str>,
    /// The line, counted from one.
    pub line: usize,
}

impl fmt::Display for SourceLocation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

impl Directive {
    /// The directives in its block.
    pub(super) fn children(&self) -> &[Self] {
        match &self.body {
            Body::Block(children) => children,
            Body::None | Body::Code => &[],
        }
    }

    /// The first argument, or an empty text.
    pub(super) fn argument(&self) -> &str {
        self.arguments.first().map_or("", String::as_str)
    }

    /// Whether it is `name` with this one argument.
    pub(super) fn is(&self, name: &str, argument: &str) -> bool {
        self.name == name && self.arguments.len() == 1 && self.argument() == argument
    }
}

/// Reads one file. A fault comes with its place.
pub(super) fn parse(
    text: &str,
    file: &Arc<str>,
) -> Result<Vec<Directive>, (SyntaxError, SourceLocation)> {
    let at = |(fault, line)| (fault, SourceLocation { file: Arc::clone(file), line });
    let mut reader = Reader { tokens: Tokens::new(text), file, open: Vec::new(), done: Vec::new() };
    let mut words: Vec<Token> = Vec::new();
    while let Some(token) = reader.tokens.next().map_err(at)? {
        match token.kind {
            TokenKind::Word(_) => words.push(token),
            TokenKind::End | TokenKind::Open => {
                let directive = reader.directive(&mut words, token.line).map_err(at)?;
                reader.take(directive, &token.kind).map_err(at)?;
            }
            TokenKind::Close => {
                if let Some(word) = words.first() {
                    return Err(at((SyntaxError::EndMissing, word.line)));
                }
                reader.close(token.line).map_err(at)?;
            }
        }
    }
    match (words.first(), reader.open.last()) {
        (Some(word), _) => Err(at((SyntaxError::EndMissing, word.line))),
        (None, Some((directive, _))) => Err(at((SyntaxError::BlockUnclosed, directive.place.line))),
        (None, None) => Ok(reader.done),
    }
}

struct Reader<'a> {
    tokens: Tokens<'a>,
    file: &'a Arc<str>,
    /// Blocks around the reading point, outermost first, each with what stood before it.
    open: Vec<(Directive, Vec<Directive>)>,
    /// Directives of the innermost block.
    done: Vec<Directive>,
}

impl Reader<'_> {
    fn directive(
        &self,
        words: &mut Vec<Token>,
        line: usize,
    ) -> Result<Directive, (SyntaxError, usize)> {
        let place = words.first().map(|word| word.line).ok_or((SyntaxError::NameMissing, line))?;
        let mut texts = words.drain(..).filter_map(|word| match word.kind {
            TokenKind::Word(text) => Some(text),
            TokenKind::End | TokenKind::Open | TokenKind::Close => None,
        });
        Ok(Directive {
            id: 0,
            name: texts.next().unwrap_or_default(),
            arguments: texts.collect(),
            body: Body::None,
            place: SourceLocation { file: Arc::clone(self.file), line: place },
            last_line: line,
        })
    }

    /// What follows the directive decides whether it is complete.
    fn take(
        &mut self,
        mut directive: Directive,
        mark: &TokenKind,
    ) -> Result<(), (SyntaxError, usize)> {
        if *mark != TokenKind::Open {
            self.done.push(directive);
        } else if directive.name.ends_with("_by_lua_block") {
            self.tokens.skip_lua()?;
            directive.body = Body::Code;
            directive.last_line = self.tokens.line();
            self.done.push(directive);
        } else if self.open.len() >= MAXIMUM_DEPTH {
            return Err((SyntaxError::TooDeep, directive.place.line));
        } else {
            self.open.push((directive, std::mem::take(&mut self.done)));
        }
        Ok(())
    }

    fn close(&mut self, line: usize) -> Result<(), (SyntaxError, usize)> {
        let (mut block, before) = self.open.pop().ok_or((SyntaxError::CloseUnexpected, line))?;
        block.body = Body::Block(std::mem::replace(&mut self.done, before));
        block.last_line = line;
        self.done.push(block);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Directive> {
        parse(text, &Arc::from("nginx.conf")).expect("has no fault")
    }

    fn fault(text: &str) -> (SyntaxError, usize) {
        let (fault, place) = parse(text, &Arc::from("nginx.conf")).expect_err("has a fault");
        (fault, place.line)
    }

    fn words(directive: &Directive) -> Vec<&str> {
        let arguments = directive.arguments.iter().map(String::as_str);
        std::iter::once(directive.name.as_str()).chain(arguments).collect()
    }

    /// The words of the only directive.
    fn only(text: &str) -> Vec<String> {
        let directives = read(text);
        let [directive] = directives.as_slice() else { unreachable!("{directives:?}") };
        words(directive).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn blocks_keep_their_directives_with_their_lines() {
        let directives = read("http {\n  server {\n    listen 443 ssl;\n  }\n}\nuser www;");

        let [http, user] = directives.as_slice() else { unreachable!("{directives:?}") };
        let [server] = http.children() else { unreachable!("{http:?}") };
        let [listen] = server.children() else { unreachable!("{server:?}") };
        assert_eq!(words(listen), ["listen", "443", "ssl"]);
        assert_eq!((listen.place.to_string(), http.last_line), ("nginx.conf:3".to_owned(), 5));
        assert_eq!(words(user), ["user", "www"]);
    }

    #[test]
    fn quotes_and_escapes_are_taken_as_nginx_takes_them() {
        assert_eq!(only(r#"a "b c" 'd "e"' f"g;"#), ["a", "b c", "d \"e\"", "f\"g"]);
        assert_eq!(only(r#"a "b\"c" d\;e \. \\.;"#), ["a", "b\"c", r"d\;e", r"\.", r"\."]);
        assert_eq!(only("a \"\\t\" 'two\nlines' \"\";"), ["a", "\t", "two\nlines", ""]);
        assert_eq!(only("a ${b}c;"), ["a", "${b}c"]);
        assert_eq!(only("if ($a = \"b c\") {}"), ["if", "($a", "=", "b c", ")"]);
    }

    #[test]
    fn a_comment_begins_only_where_a_word_could() {
        assert_eq!(only("# none;\na b#c; # d;"), ["a", "b#c"]);
        assert_eq!(only("\u{feff}a;"), ["a"]);
    }

    #[test]
    fn code_of_another_language_is_skipped_with_its_braces() {
        let text = "content_by_lua_block {\n local a = { '}', \"\\\"}\" } -- }\n --[[ }\n } ]]\n \
                    b = [=[ ]] } ]=] c[1] = {}\n}\nnext;";
        let directives = read(text);

        let [code, next] = directives.as_slice() else { unreachable!("{directives:?}") };
        assert_eq!((&code.body, code.last_line), (&Body::Code, 6));
        assert_eq!((next.name.as_str(), next.place.line), ("next", 7));
    }

    #[test]
    fn each_fault_is_told_apart_with_its_line() {
        assert_eq!(fault("a;\nb 'c;\n"), (SyntaxError::QuoteUnclosed, 2));
        assert_eq!(fault("a 'b'c;"), (SyntaxError::AfterQuote, 1));
        assert_eq!(fault("a {\n b;\n"), (SyntaxError::BlockUnclosed, 1));
        assert_eq!(fault("a_by_lua_block {\n {}"), (SyntaxError::BlockUnclosed, 1));
        assert_eq!(fault("a;\n}"), (SyntaxError::CloseUnexpected, 2));
        assert_eq!(fault("a;;"), (SyntaxError::NameMissing, 1));
        assert_eq!(fault("{}"), (SyntaxError::NameMissing, 1));
        assert_eq!(fault("a {\n b\n}"), (SyntaxError::EndMissing, 2));
        assert_eq!(fault("a {}\nb"), (SyntaxError::EndMissing, 2));
        assert_eq!(fault(&"a {".repeat(40)).0, SyntaxError::TooDeep);
    }

    /// Small steps of a linear congruential generator: the same texts each time.
    #[test]
    fn no_text_makes_the_parser_panic_or_forget_a_place() {
        let pieces = [
            "a",
            "\"",
            "'",
            "\\",
            ";",
            "{",
            "}",
            "#",
            "\n",
            " ",
            "$",
            "${",
            ")",
            "é",
            "\0",
            "x_by_lua_block ",
            "--[[",
            "]]",
            "[=[",
            "\u{fffd}",
        ];
        let mut state = 1_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..(state >> 40) % 24 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let index = usize::try_from(state >> 33).unwrap_or_default() % pieces.len();
                text.push_str(pieces.get(index).copied().unwrap_or_default());
            }
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let lines = text.matches('\n').count() + 1;
            match parse(&text, &Arc::from("nginx.conf")) {
                Ok(directives) => assert!(directives.iter().all(|d| d.place.line <= lines)),
                Err((_, place)) => assert!((1..=lines).contains(&place.line), "{text:?}"),
            }
        }
    }
}
