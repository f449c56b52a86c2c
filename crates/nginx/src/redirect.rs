//! The server block on port 80 that sends callers to https.

use super::block::{Block, add_address, address};
use super::draft::RedirectDraft;
use super::ledger::{Ledger, Outcome, Section};
use super::location;
use super::parse::Directive;
use super::value;

/// Whether a plain block belongs to one that is taken over: it shares a name, or stands for all.
pub(super) fn belongs_to(plain: &Block<'_>, taken: &[Block<'_>]) -> bool {
    let names = plain.names();
    let is_for_all = names.is_empty() || names == ["_"];
    is_for_all || taken.iter().any(|block| block.names().iter().any(|name| names.contains(name)))
}

/// Turns a plain block into `[redirect]`; what else it does is not carried over.
pub(super) fn translate(
    plain: &Block<'_>,
    absolute: &impl Fn(&str) -> String,
    redirect: &mut RedirectDraft,
    ledger: &mut Ledger,
) {
    let section = Section::Redirect;
    ledger.settle(plain.directive, section, Outcome::Carried, "");
    let listens = plain.listens();
    if listens.is_empty() {
        add_address(&mut redirect.listen, "0.0.0.0:80".to_owned());
    }
    for listen in listens {
        match address(listen) {
            Some(address) => {
                add_address(&mut redirect.listen, address);
                ledger.settle(listen, section, Outcome::Carried, "");
            }
            None => {
                let note = "hubgate listens on IP addresses with a port: write it into `listen`";
                ledger.settle(listen, section, Outcome::Missing, note);
            }
        }
    }
    for directive in plain.scope.own() {
        match directive.name.as_str() {
            "server_name" => {
                let note = "each host is sent to https of itself";
                ledger.settle(directive, section, Outcome::Carried, note);
            }
            "if" => translate_if(directive, ledger),
            "return" | "rewrite" => settle_answer(directive, ledger),
            _ => {}
        }
    }
    for place in location::find(&plain.scope) {
        translate_location(&place, absolute, redirect, ledger);
    }
}

/// The form that certbot writes: `if ($host = name) { return 301 https://$host$request_uri; }`.
fn translate_if(directive: &Directive, ledger: &mut Ledger) {
    let asks_host = directive.arguments.iter().any(|word| word.contains("$host"));
    if asks_host && directive.children().iter().any(is_to_https) {
        let note = "each host is sent to https of itself";
        ledger.settle(directive, Section::Redirect, Outcome::Carried, note);
        for inner in directive.children() {
            settle_answer(inner, ledger);
        }
    }
}

fn translate_location(
    place: &location::Location<'_>,
    absolute: &impl Fn(&str) -> String,
    redirect: &mut RedirectDraft,
    ledger: &mut Ledger,
) {
    let section = Section::Redirect;
    let directive = place.directive;
    if place.path().is_some_and(|path| path.trim_end_matches('/') == ACME_PATH) {
        if let Some((files, path)) = acme_files(place, absolute) {
            redirect.acme_directory = Some(path);
            ledger.settle(directive, section, Outcome::Carried, "acme_directory");
            ledger.settle(files, section, Outcome::Carried, "acme_directory");
            let note = "the files are answered as they are, and nothing else is";
            for other in place.scope.own() {
                let is_about_files = matches!(
                    other.name.as_str(),
                    "default_type" | "try_files" | "allow" | "auth_basic"
                );
                if is_about_files && !ledger.is_settled(other) {
                    ledger.settle(other, section, Outcome::Carried, note);
                }
            }
            return;
        }
        let note = "write the directory with the files of the ACME client into `acme_directory`";
        return ledger.settle(directive, section, Outcome::Missing, note);
    }
    let is_redirect = place.scope.own().iter().any(is_to_https);
    let (outcome, note) = match is_redirect {
        true => (Outcome::Carried, "everything is sent to https"),
        false => (Outcome::Stricter, "not answered over plain HTTP: sent to https like the rest"),
    };
    ledger.settle(directive, section, outcome, note);
    for inner in place.scope.own() {
        if matches!(inner.name.as_str(), "return" | "rewrite") {
            settle_answer(inner, ledger);
        } else if !is_redirect {
            ledger.settle(inner, section, Outcome::Stricter, "not done over plain HTTP");
        }
    }
}

/// The directory whose files are the tokens, with the directive that says so.
pub(super) fn acme_files<'a>(
    place: &location::Location<'a>,
    absolute: &impl Fn(&str) -> String,
) -> Option<(&'a Directive, String)> {
    let is_fixed = |directive: &&Directive| !directive.argument().contains('$');
    if let Some(alias) = place.scope.find("alias").filter(is_fixed) {
        return Some((alias, absolute(alias.argument().trim_end_matches('/'))));
    }
    let root = place.scope.find("root").filter(is_fixed)?;
    let directory = absolute(root.argument().trim_end_matches('/'));
    Some((root, format!("{directory}{ACME_PATH}")))
}

fn settle_answer(directive: &Directive, ledger: &mut Ledger) {
    let (outcome, note) = if is_to_https(directive) {
        (Outcome::Carried, "301 for GET and HEAD, 308 for what has a body")
    } else {
        (Outcome::Uncertain, "everything is sent to https of the host that was asked for")
    };
    ledger.settle(directive, Section::Redirect, outcome, note);
}

/// `return 301 https://..$request_uri` and `rewrite ^ https://..`, to the same host.
fn is_to_https(directive: &Directive) -> bool {
    let target = match directive.name.as_str() {
        "return" => match directive.arguments.as_slice() {
            [status, target] if value::number(status).is_some_and(|s| (301..=308).contains(&s)) => {
                target
            }
            [target] => target,
            _ => return false,
        },
        "rewrite" => match directive.arguments.get(1) {
            Some(target) => target,
            None => return false,
        },
        _ => return false,
    };
    let Some(rest) = target.strip_prefix("https://") else { return false };
    ["$host", "$server_name", "$http_host"].iter().any(|host| rest.starts_with(host))
        || rest.ends_with("$request_uri")
}

pub(super) const ACME_PATH: &str = "/.well-known/acme-challenge";
