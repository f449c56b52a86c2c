//! The list of what became of each directive, with nothing left out and no secret shown.

use std::collections::BTreeSet;

use super::known;
use super::ledger::{Finding, Ledger, Outcome, Section};
use super::load::{Include, Loaded};
use super::parse::{Body, Directive};
use super::proof::Proofs;
use super::value::variables;

/// One finding for every directive; a block that was left alone is one with all that is in it.
pub(super) fn collect(
    loaded: &Loaded,
    proofs: &Proofs<'_>,
    ledger: &mut Ledger,
    left: &BTreeSet<usize>,
) -> Vec<Finding> {
    settle_includes(&loaded.directives, &loaded.includes, ledger);
    let mut collector = Collector { proofs, ledger, left, findings: Vec::new() };
    collector.walk(&loaded.directives, None);
    collector.findings
}

fn settle_includes(directives: &[Directive], includes: &[Include], ledger: &mut Ledger) {
    for directive in directives {
        settle_includes(directive.children(), includes, ledger);
        let include = includes.iter().find(|include| include.place == directive.place);
        let Some(include) = include.filter(|_| directive.name == "include") else { continue };
        match include.unread.first() {
            Some((path, error)) => {
                let note = format!("`{}` cannot be read: {error}", path.display());
                ledger.settle(directive, Section::Rest, Outcome::Missing, note);
            }
            None => {
                let note = format!("{} files were read in its place", include.files);
                ledger.settle(directive, Section::Rest, Outcome::Carried, note);
            }
        }
    }
}

struct Collector<'c, 'a> {
    proofs: &'c Proofs<'a>,
    ledger: &'c Ledger,
    left: &'c BTreeSet<usize>,
    findings: Vec<Finding>,
}

impl Collector<'_, '_> {
    fn walk(&mut self, directives: &[Directive], around: Option<&Directive>) {
        for directive in directives {
            let (outcome, note, section) = match self.ledger.entry(directive) {
                Some(entry) => (entry.outcome, entry.notes.join("; "), entry.section),
                None => self.unsettled(directive, around),
            };
            self.findings.push(Finding {
                place: directive.place.clone(),
                last_line: directive.last_line,
                directive: self.shown(directive, around),
                outcome,
                note,
                section,
            });
            let is_whole = self.left.contains(&directive.id)
                || matches!(directive.name.as_str(), "types" | "stream" | "mail");
            if !is_whole {
                self.walk(directive.children(), Some(directive));
            }
        }
    }

    fn unsettled(
        &self,
        directive: &Directive,
        around: Option<&Directive>,
    ) -> (Outcome, String, Section) {
        // Lines of a table are no directives; they share its fate.
        if let Some(table) = around.filter(|around| is_table(around)) {
            let outcome = match self.ledger.entry(table) {
                Some(entry) => entry.outcome,
                None => self.unsettled(table, None).0,
            };
            return (outcome, "as its block".to_owned(), Section::Rest);
        }
        if directive.body == Body::Code {
            let note = "code of another language is not read: do this in the application";
            return (Outcome::Missing, note.to_owned(), Section::Rest);
        }
        let is_for_upgrades = directive.name == "map" && directive.argument() == "$http_upgrade";
        if is_for_upgrades {
            let note = "a [[site]] whose location used it says `websocket = true`";
            return (Outcome::Unneeded, note.to_owned(), Section::Rest);
        }
        match known::fate(&directive.name) {
            Some((outcome, note)) => (outcome, note.to_owned(), Section::Rest),
            None => {
                let note = "not known here: see what it does, and whether it is needed";
                (Outcome::Missing, note.to_owned(), Section::Rest)
            }
        }
    }

    /// One line, without values that may be secret: nginx has no place for secrets, so they stand
    /// in headers, conditions and tables.
    fn shown(&self, directive: &Directive, around: Option<&Directive>) -> String {
        let is_entry = around.is_some_and(is_table);
        let keeps = |word: &String| self.keeps(directive, around, word);
        let name = match is_entry && !keeps(&directive.name) {
            true => HIDDEN,
            false => directive.name.as_str(),
        };
        let mut shown = quoted(name);
        for (index, word) in directive.arguments.iter().enumerate() {
            let is_name = index == 0 && !is_entry && directive.name != "if";
            shown.push(' ');
            shown.push_str(&if is_name && !word.contains("://") || keeps(word) {
                quoted(word)
            } else {
                HIDDEN.to_owned()
            });
        }
        shown.push_str(match directive.body {
            Body::None => ";",
            Body::Block(_) | Body::Code => " { .. }",
        });
        match shown.char_indices().nth(MAXIMUM_SHOWN) {
            Some((end, _)) => format!("{}..", shown.get(..end).unwrap_or_default()),
            None => shown,
        }
    }

    fn keeps(&self, directive: &Directive, around: Option<&Directive>, word: &str) -> bool {
        let is_about_proof =
            |directive: &Directive| directive.arguments.iter().any(|word| self.proofs.are_in(word));
        if let Some(table) = around.filter(|around| is_table(around)) {
            return is_about_proof(table) || table.argument() == "$http_upgrade";
        }
        match directive.name.as_str() {
            "proxy_set_header" | "set" | "fastcgi_param" | "uwsgi_param" | "proxy_set_body"
            | "secure_link_secret" | "secure_link_md5" | "sub_filter" => {
                word.len() <= 2 || word.contains('$') || word == "upgrade" || word == "close"
            }
            "if" => {
                let is_of_caller = |name: &str| {
                    ["http_", "arg_", "cookie_"].iter().any(|start| name.starts_with(start))
                };
                let words = directive.arguments.iter();
                let asks_caller = words.flat_map(|word| variables(word)).any(is_of_caller);
                !asks_caller || word.contains('$') || word.len() <= 2
            }
            "env" => !word.contains('='),
            _ => !word.contains("://") || !has_password(word),
        }
    }
}

fn has_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    rest.split('/').next().is_some_and(|authority| authority.contains('@'))
}

fn is_table(directive: &Directive) -> bool {
    matches!(directive.name.as_str(), "map" | "geo" | "split_clients" | "types")
}

/// In quotes where nginx needs them, on one line in any case.
fn quoted(word: &str) -> String {
    let escaped: String = word
        .chars()
        .flat_map(|character| {
            let escaped = character.is_control().then(|| character.escape_default());
            escaped.into_iter().flatten().chain((!character.is_control()).then_some(character))
        })
        .collect();
    let needs_quotes = escaped.is_empty() || escaped.contains([' ', ';', '{', '}', '"']);
    if needs_quotes { format!("\"{}\"", escaped.replace('"', "\\\"")) } else { escaped }
}

/// In place of what may be secret.
const HIDDEN: &str = "(not shown)";
const MAXIMUM_SHOWN: usize = 120;
