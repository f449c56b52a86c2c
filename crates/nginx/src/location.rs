//! The locations of a server block, and which of them nginx takes for a path.

use super::parse::Directive;
use super::scope::Scope;

/// One `location`.
#[derive(Clone, Debug)]
pub(super) struct Location<'a> {
    pub(super) directive: &'a Directive,
    /// Its own directives and those that it inherits.
    pub(super) scope: Scope<'a>,
    pub(super) pattern: Pattern,
}

/// What a location asks of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// `= /path`
    Exact(String),
    /// `/path`, of whole bytes: `/app` fits `/apple`, too.
    Prefix(String),
    /// A regular expression that says no more than `Exact` does.
    ExactRegex(String),
    /// A regular expression that says no more than `Prefix` does.
    PrefixRegex(String),
    /// Any other regular expression; what it fits begins with this, as far as is known.
    Regex(String),
    /// `@name`
    Named(String),
}

/// Every location of a server, in the order of the file, nested ones after the one around them.
pub(super) fn find<'a>(server: &Scope<'a>) -> Vec<Location<'a>> {
    let mut found = Vec::new();
    for directive in server.own().iter().filter(|directive| directive.name == "location") {
        let scope = server.inside(directive);
        let nested = find(&scope);
        found.push(Location { directive, scope, pattern: Pattern::read(&directive.arguments) });
        found.extend(nested);
    }
    found
}

/// The location that nginx takes for a path, as far as no regular expression of another kind has a
/// say.
pub(super) fn choose<'s, 'a>(
    locations: &'s [Location<'a>],
    path: &str,
) -> Option<&'s Location<'a>> {
    let exact =
        |location: &&Location<'_>| matches!(&location.pattern, Pattern::Exact(own) if own == path);
    let regex = |location: &&Location<'_>| match &location.pattern {
        Pattern::ExactRegex(own) => own == path,
        Pattern::PrefixRegex(own) => path.starts_with(own),
        Pattern::Exact(_) | Pattern::Prefix(_) | Pattern::Regex(_) | Pattern::Named(_) => false,
    };
    let prefix = |location: &&Location<'_>| matches!(&location.pattern, Pattern::Prefix(own) if path.starts_with(own));
    let longest = locations.iter().filter(prefix).max_by_key(|location| location.length());
    let is_final = |location: &&Location<'_>| location.directive.argument().starts_with("^~");
    locations
        .iter()
        .find(exact)
        .or_else(|| longest.filter(is_final))
        .or_else(|| locations.iter().find(regex))
        .or(longest)
}

impl Location<'_> {
    /// The path in its pattern, if that is all there is to it.
    pub(super) fn path(&self) -> Option<&str> {
        match &self.pattern {
            Pattern::Exact(path)
            | Pattern::Prefix(path)
            | Pattern::ExactRegex(path)
            | Pattern::PrefixRegex(path) => Some(path),
            Pattern::Regex(_) | Pattern::Named(_) => None,
        }
    }

    /// Whether it takes one path only.
    pub(super) fn is_exact(&self) -> bool {
        matches!(self.pattern, Pattern::Exact(_) | Pattern::ExactRegex(_))
    }

    fn length(&self) -> usize {
        self.path().map_or(0, str::len)
    }
}

impl Pattern {
    fn read(arguments: &[String]) -> Self {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (modifier, text) = match words.as_slice() {
            [modifier @ ("=" | "~" | "~*" | "^~"), text] => (*modifier, *text),
            // nginx takes both in one word.
            [word] => ["=", "~*", "^~", "~"]
                .into_iter()
                .find_map(|modifier| Some((modifier, word.strip_prefix(modifier)?)))
                .unwrap_or(("", word)),
            _ => ("~", ""),
        };
        match modifier {
            "=" => Self::Exact(text.to_owned()),
            "~" => Self::regex(text),
            "~*" => Self::Regex(String::new()),
            _ if text.starts_with('@') => Self::Named(text.to_owned()),
            _ => Self::Prefix(text.to_owned()),
        }
    }

    fn regex(text: &str) -> Self {
        let Some(rest) = text.strip_prefix('^') else {
            return Self::Regex(String::new());
        };
        let mut path = String::new();
        let mut characters = rest.chars();
        let mut left = rest;
        loop {
            match characters.next() {
                None => return Self::PrefixRegex(path),
                Some('$') if characters.as_str().is_empty() => return Self::ExactRegex(path),
                Some('\\') => match characters.next() {
                    Some(escaped @ ('.' | '-' | '/' | '_')) => path.push(escaped),
                    _ => break,
                },
                Some(plain) if plain.is_ascii_alphanumeric() || "/-_~".contains(plain) => {
                    path.push(plain);
                }
                Some(_) => break,
            }
            left = characters.as_str();
        }
        // An alternative anywhere may begin with something else; a repetition may take the last
        // character away.
        if rest.contains('|') {
            return Self::Regex(String::new());
        }
        if left.starts_with(['?', '*', '{']) {
            path.pop();
        }
        Self::Regex(path)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::parse::parse;

    fn pattern(text: &str) -> Pattern {
        Pattern::read(&text.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn patterns_are_told_apart() {
        let text = str::to_owned;
        assert_eq!(pattern("/a"), Pattern::Prefix(text("/a")));
        assert_eq!(pattern("^~ /a"), Pattern::Prefix(text("/a")));
        assert_eq!(pattern("= /a"), Pattern::Exact(text("/a")));
        assert_eq!(pattern("=/a"), Pattern::Exact(text("/a")));
        assert_eq!(pattern("@a"), Pattern::Named(text("@a")));
        assert_eq!(pattern(r"~ ^/a\.b$"), Pattern::ExactRegex(text("/a.b")));
        assert_eq!(pattern("~ ^/a/"), Pattern::PrefixRegex(text("/a/")));
        assert_eq!(pattern("~^/ab?c"), Pattern::Regex(text("/a")));
        assert_eq!(pattern("~ ^/a/(b|c)"), Pattern::Regex(text("")));
        assert_eq!(pattern("~ ^/a/[0-9]+"), Pattern::Regex(text("/a/")));
        assert_eq!(pattern(r"~ /\.git"), Pattern::Regex(text("")));
        assert_eq!(pattern("~* ^/a$"), Pattern::Regex(text("")));
    }

    #[test]
    fn a_path_gets_the_location_that_nginx_would_take() {
        let text = "location / {} location /a {} location = /a/x {} location ~ ^/a/r {}\n\
                    location ^~ /a/r/s {}";
        let directives = parse(text, &Arc::from("f")).expect("has no fault");
        let locations = find(&Scope::outermost(&directives));

        let chosen = |path| choose(&locations, path).and_then(Location::path);

        assert_eq!(chosen("/b"), Some("/"));
        assert_eq!(chosen("/apple"), Some("/a"));
        assert_eq!(chosen("/a/x"), Some("/a/x"));
        assert_eq!(chosen("/a/rx"), Some("/a/r"));
        assert_eq!(chosen("/a/r/s"), Some("/a/r/s"));
    }
}
