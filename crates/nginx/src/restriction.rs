//! What keeps callers from a location, other than their client certificate.

use super::condition::{Condition, Test, refuses};
use super::ledger::{Ledger, Outcome, Section};
use super::location::Location;
use super::parse::{Body, Directive};
use super::proof::Proofs;
use super::scope::Scope;
use super::{known, value};

/// Why a location cannot be opened to everybody.
pub(super) fn restrictions(place: &Location<'_>, proofs: &Proofs<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let own = place.scope.own();
    for directive in place.scope.everything() {
        let name = directive.name.as_str();
        let is_own = own.iter().any(|other| other.id == directive.id);
        let is_in_force = || place.scope.all(name).iter().any(|other| other.id == directive.id);
        let is_in_the_way = match name {
            "allow" => false,
            // A list of addresses replaces the one around it, also if it only lets in.
            "deny" => is_in_force() && (is_own || own.iter().all(|other| other.name != "allow")),
            "auth_basic" | "auth_request" => is_in_force() && directive.argument() != "off",
            "satisfy" | "auth_basic_user_file" => false,
            "limit_except" => is_own && methods_of(directive).is_none(),
            "try_files" => {
                is_own && !directive.arguments.last().is_some_and(|l| l.starts_with('@'))
            }
            "if" => !proofs.are_asked_by(directive) && is_restriction_by_if(directive),
            // What stands in other blocks, or only adds to what is there.
            "location" | "server" | "upstream" | "map" | "http" => false,
            _ if directive.body == Body::Code => true,
            name => known::is_restriction(name),
        };
        if is_in_the_way {
            found.push(format!("`{name}` at {}", directive.place));
        }
    }
    found
}

fn is_restriction_by_if(directive: &Directive) -> bool {
    let inner = directive.children();
    let is_harmless = inner.iter().all(|line| match line.name.as_str() {
        "set" | "add_header" | "access_log" | "break" => true,
        "return" => value::number(line.argument()).is_some_and(|status| status < 400),
        _ => false,
    });
    !is_harmless && method_condition(directive).is_none()
}

/// The methods that a location is limited to; empty for any.
pub(super) fn methods(scope: &Scope<'_>, section: Section, ledger: &mut Ledger) -> Vec<String> {
    let limited = scope.own().iter().find_map(|line| Some((line, methods_of(line)?)));
    let asked = scope.everything().find_map(|line| Some((line, method_condition(line)?)));
    let Some((directive, mut methods)) = limited.or(asked) else { return Vec::new() };
    for line in std::iter::once(directive).chain(directive.children()) {
        ledger.settle(line, section, Outcome::Carried, "methods");
    }
    // nginx counts HEAD as GET in `limit_except`.
    if directive.name == "limit_except" && methods.contains(&"GET".to_owned()) {
        methods.push("HEAD".to_owned());
    }
    methods
}

/// `limit_except A B { deny all; }`
fn methods_of(directive: &Directive) -> Option<Vec<String>> {
    let is_whole = directive.name == "limit_except"
        && directive.children().iter().all(|line| line.is("deny", "all"))
        && !directive.children().is_empty();
    let methods = directive.arguments.clone();
    (is_whole && methods.iter().all(|method| is_method(method))).then_some(methods)
}

/// `if ($request_method !~ ^(A|B)$) { return 405; }`
fn method_condition(directive: &Directive) -> Option<Vec<String>> {
    if directive.name != "if" || !refuses(directive.children()) {
        return None;
    }
    let condition = Condition::read(directive)?;
    if condition.left != "$request_method" {
        return None;
    }
    let list = match condition.test {
        Test::Differs => condition.right,
        Test::FitsNot => condition.right.strip_prefix("^(")?.strip_suffix(")$")?,
        Test::IsTrue | Test::Equals | Test::Fits => return None,
    };
    let methods: Vec<String> = list.split('|').map(str::to_owned).collect();
    methods.iter().all(|method| is_method(method)).then_some(methods)
}

fn is_method(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_uppercase())
        && !matches!(text, "CONNECT" | "TRACE")
}
