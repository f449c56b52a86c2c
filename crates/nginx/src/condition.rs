//! The condition of an `if`, and what its block does.

use super::parse::Directive;
use super::value::number;

/// A condition as far as it is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition<'a> {
    /// Usually a variable.
    pub(super) left: &'a str,
    pub(super) test: Test,
    pub(super) right: &'a str,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// Neither empty nor `0`.
    IsTrue,
    Equals,
    Differs,
    Fits,
    FitsNot,
}

impl<'a> Condition<'a> {
    /// The condition of an `if`; `None` for tests of files and for what nginx would refuse.
    pub(super) fn read(directive: &'a Directive) -> Option<Self> {
        let mut words: Vec<&str> = directive.arguments.iter().map(String::as_str).collect();
        if let Some(first) = words.first_mut() {
            *first = first.strip_prefix('(').unwrap_or(first);
        }
        if let Some(last) = words.last_mut() {
            *last = last.strip_suffix(')').unwrap_or(last);
        }
        let is_bracket = |word: &&str| word.is_empty();
        // A bracket that stood alone is no operand, but an empty text between quotes is one.
        if words.first().is_some_and(is_bracket) {
            words.remove(0);
        }
        if words.len() != 3 && words.last().is_some_and(is_bracket) {
            words.pop();
        }
        match words.as_slice() {
            [left] if left.starts_with('$') => Some(Self { left, test: Test::IsTrue, right: "" }),
            [left, operator, right] => {
                let test = match *operator {
                    "=" => Test::Equals,
                    "!=" => Test::Differs,
                    "~" | "~*" => Test::Fits,
                    "!~" | "!~*" => Test::FitsNot,
                    _ => return None,
                };
                Some(Self { left, test, right })
            }
            _ => None,
        }
    }

    /// Whether a literal value of the left side meets the condition; `None` if that takes a
    /// regular expression.
    pub(super) fn is_met_by(&self, value: &str) -> Option<bool> {
        match self.test {
            Test::IsTrue => Some(!value.is_empty() && value != "0"),
            Test::Equals => Some(value == self.right),
            Test::Differs => Some(value != self.right),
            Test::Fits | Test::FitsNot => None,
        }
    }
}

/// Whether a block turns the caller away.
pub(super) fn refuses(block: &[Directive]) -> bool {
    block.iter().any(|directive| match directive.name.as_str() {
        "return" => number(directive.argument()).is_some_and(|status| status >= 400),
        "deny" => directive.argument() == "all",
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::parse::parse;

    #[test]
    fn conditions_are_read_however_their_brackets_stand() {
        let cases = [
            ("($a)", Some(("$a", Test::IsTrue, ""))),
            ("( $a )", Some(("$a", Test::IsTrue, ""))),
            ("($a = b)", Some(("$a", Test::Equals, "b"))),
            ("($a != \"b c\")", Some(("$a", Test::Differs, "b c"))),
            ("( $a = \"\" )", Some(("$a", Test::Equals, ""))),
            ("($a = '')", Some(("$a", Test::Equals, ""))),
            ("($a ~* (x|y))", Some(("$a", Test::Fits, "(x|y)"))),
            ("($a !~ \"CN=x\")", Some(("$a", Test::FitsNot, "CN=x"))),
            ("(-f $a)", None),
            ("()", None),
        ];
        for (text, expected) in cases {
            let directives = parse(&format!("if {text} {{}}"), &Arc::from("f")).expect("is good");
            let condition = directives.first().and_then(Condition::read);
            let found = condition.map(|found| (found.left, found.test, found.right));
            assert_eq!(found, expected, "{text}");
        }
    }
}
