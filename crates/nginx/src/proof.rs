//! Where nginx looks at the client certificate, and which names it lets in.
//!
//! A variable that is made from `$ssl_client_*` by `map` or `set` counts like these. A name is taken
//! only where the configuration says that it is let in.

use std::collections::BTreeSet;

use super::condition::{Condition, Test, refuses};
use super::parse::Directive;
use super::scope::Scope;
use super::value::variables;

/// The variables through which a configuration looks at the client certificate.
#[derive(Debug)]
pub(super) struct Proofs<'a> {
    variables: BTreeSet<&'a str>,
    maps: Vec<&'a Directive>,
}

/// What a block asks of the client certificate.
#[derive(Debug, Default)]
pub(super) struct Checks<'a> {
    /// Every `if` that asks.
    pub(super) conditions: Vec<&'a Directive>,
    /// Every `map` that they use.
    pub(super) maps: Vec<&'a Directive>,
    /// Common names that are let in.
    pub(super) names: BTreeSet<String>,
    /// Tests of the subject that no name could be taken from.
    pub(super) unclear: Vec<&'a Directive>,
}

impl<'a> Proofs<'a> {
    /// Looks through a whole configuration.
    pub(super) fn find(directives: &'a [Directive]) -> Self {
        let mut found = Self { variables: BTreeSet::new(), maps: Vec::new() };
        // What is made from a variable may itself be used above: until nothing new is found.
        loop {
            let before = found.variables.len();
            found.walk(directives, false);
            if found.variables.len() == before {
                return found;
            }
        }
    }

    /// Whether a text says anything about the client certificate.
    pub(super) fn are_in(&self, text: &str) -> bool {
        variables(text).any(|name| name.starts_with("ssl_client_") || self.variables.contains(name))
    }

    /// Whether an `if` asks anything about the client certificate.
    pub(super) fn are_asked_by(&self, directive: &Directive) -> bool {
        directive.name == "if" && directive.arguments.iter().any(|word| self.are_in(word))
    }

    /// What the block of this scope asks.
    pub(super) fn checks(&self, scope: &Scope<'a>) -> Checks<'a> {
        let mut checks = Checks::default();
        for directive in scope.everything().filter(|directive| self.are_asked_by(directive)) {
            checks.conditions.push(directive);
            let Some(condition) = Condition::read(directive) else {
                checks.unclear.push(directive);
                continue;
            };
            let is_refusal = refuses(directive.children());
            if is_about_subject(condition.left) {
                read_test(directive, &condition, is_refusal, &mut checks);
            }
            for map in self.maps.iter().copied().filter(|map| is_made_by(condition.left, map)) {
                checks.maps.push(map);
                if is_about_subject(map.argument()) {
                    read_map(map, &condition, is_refusal, &mut checks);
                }
            }
        }
        checks
    }

    fn walk(&mut self, directives: &'a [Directive], is_asked: bool) {
        for directive in directives {
            let target = match directive.name.as_str() {
                "map" if self.are_in(directive.argument()) => {
                    if !self.maps.contains(&directive) {
                        self.maps.push(directive);
                    }
                    directive.arguments.get(1)
                }
                "set" => {
                    let values = directive.arguments.iter().skip(1);
                    let is_proof = is_asked || values.into_iter().any(|value| self.are_in(value));
                    directive.arguments.first().filter(|_| is_proof)
                }
                _ => None,
            };
            self.variables.extend(target.and_then(|name| variables(name).next()));
            let is_asked = is_asked || self.are_asked_by(directive);
            self.walk(directive.children(), is_asked);
        }
    }
}

fn is_made_by(variable: &str, map: &Directive) -> bool {
    let made = map.arguments.get(1).and_then(|name| variables(name).next());
    made.is_some_and(|made| variables(variable).any(|name| name == made))
}

fn is_about_subject(text: &str) -> bool {
    variables(text).any(|name| name.starts_with("ssl_client_s_dn"))
}

fn read_test<'a>(
    directive: &'a Directive,
    condition: &Condition<'a>,
    is_refusal: bool,
    checks: &mut Checks<'a>,
) {
    let is_positive = match condition.test {
        Test::Equals | Test::Fits => true,
        Test::Differs | Test::FitsNot => false,
        Test::IsTrue => return checks.unclear.push(directive),
    };
    let does_pass = directive
        .children()
        .iter()
        .any(|inner| inner.name.ends_with("_pass") || (inner.name == "return" && !is_refusal));
    let name = common_name(condition.right, matches!(condition.test, Test::Fits | Test::FitsNot));
    match name {
        // Whoever has the name gets on, or whoever has another does not.
        Some(name) if is_positive == does_pass && is_positive != is_refusal => {
            checks.names.insert(name);
        }
        // A mark that is looked at elsewhere: good for the name that cannot be meant badly.
        Some(name) if name == DOCUMENTED_NAME && !(is_positive && is_refusal) => {
            checks.names.insert(name);
        }
        _ => checks.unclear.push(directive),
    }
}

fn read_map<'a>(
    map: &'a Directive,
    condition: &Condition<'a>,
    is_refusal: bool,
    checks: &mut Checks<'a>,
) {
    for entry in map.children() {
        if matches!(entry.name.as_str(), "default" | "hostnames" | "volatile" | "include") {
            continue;
        }
        let Some(is_met) = condition.is_met_by(entry.argument()) else {
            checks.unclear.push(entry);
            continue;
        };
        if is_met == is_refusal {
            continue;
        }
        let (pattern, is_regex) = match entry.name.strip_prefix('~') {
            Some(pattern) => (pattern.strip_prefix('*').unwrap_or(pattern), true),
            None => (entry.name.as_str(), false),
        };
        match common_name(pattern, is_regex) {
            Some(name) => {
                checks.names.insert(name);
            }
            None => checks.unclear.push(entry),
        }
    }
}

/// The whole common name that a pattern asks for, if it asks for one.
fn common_name(pattern: &str, is_regex: bool) -> Option<String> {
    let rest = match pattern.find("CN") {
        Some(start) => pattern.get(start + 2..)?.trim_start().strip_prefix('=')?.trim_start(),
        None if is_regex => pattern.strip_prefix('^').unwrap_or(pattern),
        None => return None,
    };
    let mut name = String::new();
    let mut characters = rest.chars();
    let mut end = "";
    while let Some(character) = characters.next() {
        match character {
            // In a regular expression a bare dot means any character, which nobody means here.
            '\\' if is_regex => match characters.next() {
                Some(escaped @ ('.' | '-')) => name.push(escaped),
                _ => return None,
            },
            character if character.is_ascii_alphanumeric() || ".-_".contains(character) => {
                name.push(character);
            }
            other => {
                end = rest.get(rest.len() - characters.as_str().len() - other.len_utf8()..)?;
                break;
            }
        }
    }
    let is_whole = match is_regex {
        true => ["", "$", ",", "/", "(,|$)", "(?:,|$)", "($|,)", "[,/]"]
            .iter()
            .any(|ending| end == *ending || (ending.len() == 1 && end.starts_with(ending))),
        false => end.is_empty() || end.starts_with(','),
    };
    (is_whole && name.contains(|character: char| character != '.')).then_some(name)
}

/// The name that Meta documents.
pub(super) const DOCUMENTED_NAME: &str = "client.webhooks.fbclientcerts.com";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::parse::parse;

    /// Names let in, and the lines of unclear tests, of the first location.
    fn checks(text: &str) -> (Vec<String>, Vec<usize>, usize) {
        let directives = parse(text, &Arc::from("f")).expect("has no fault");
        let location = directives.iter().find(|directive| directive.name == "location");
        let scope = Scope::outermost(&directives);
        let scope = scope.inside(location.expect("there is one"));
        let checks = Proofs::find(&directives).checks(&scope);
        let unclear = checks.unclear.iter().map(|directive| directive.place.line).collect();
        (checks.names.into_iter().collect(), unclear, checks.conditions.len())
    }

    #[test]
    fn a_name_is_taken_from_each_way_to_ask_for_it() {
        for text in [
            r#"location / { if ($ssl_client_s_dn !~ "CN=a.example") { return 403; } }"#,
            r#"location / { if ($ssl_client_s_dn !~ "^CN=a\.example(,|$)") { return 403; } }"#,
            r#"location / { if ($ssl_client_s_dn ~ "CN=a\.example,") { proxy_pass http://b; } }"#,
            r#"location / { if ($ssl_client_s_dn != "CN=a.example,O=A") { return 403; } }"#,
            r#"map $ssl_client_s_dn $ok { default 0; "~CN=a\.example$" 1; }
               location / { if ($ok = 0) { return 403; } }"#,
            r#"map "$ssl_client_verify:$ssl_client_s_dn" $bad { default 1; ~^SUCCESS:CN=a.example 0; }
               location / { if ($bad) { return 403; } }"#,
        ] {
            assert_eq!(checks(text), (vec!["a.example".to_owned()], vec![], 1), "{text}");
        }
    }

    #[test]
    fn a_name_that_is_refused_or_unreadable_is_not_taken() {
        for text in [
            r#"location / { if ($ssl_client_s_dn ~ "CN=a.example") { return 403; } }"#,
            r#"location / { if ($ssl_client_s_dn !~ "CN=(a|b)\.example") { return 403; } }"#,
            r#"location / { if ($ssl_client_s_dn !~ "CN=.*\.example") { return 403; } }"#,
            r#"location / { if ($ssl_client_s_dn ~ "CN=a.example") { set $x 1; } }"#,
            r#"map $ssl_client_s_dn $ok { default 0; "~CN=.*" 1; }
               location / { if ($ok = 0) { return 403; } }"#,
        ] {
            let (names, unclear, _) = checks(text);
            assert_eq!((names.len(), unclear.len()), (0, 1), "{text}");
        }
    }

    #[test]
    fn variables_made_from_the_certificate_count_as_checks() {
        let text = r#"
            location / {
                if ($ssl_client_verify = SUCCESS) { set $ok 1; }
                if ($ssl_client_s_dn ~ "CN=client\.webhooks\.fbclientcerts\.com") { set $ok "${ok}1"; }
                if ($ok != 11) { return 403; }
                if ($http_x) { return 403; }
            }"#;

        let (names, unclear, conditions) = checks(text);

        assert_eq!(names, [DOCUMENTED_NAME]);
        assert_eq!((unclear.len(), conditions), (0, 3));
    }
}
