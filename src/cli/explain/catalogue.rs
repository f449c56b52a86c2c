//! Every code there is, with its explanation; a code that means two things is explained once.

use std::fmt::Write as _;

use super::explanation::Explanation;
use super::{connection_refusals, faults, refusals};
use crate::error_code::ErrorCode;
use crate::refusal::{ConnectionRefusal, Refusal};

/// One code.
#[derive(Clone, Debug)]
pub(super) struct CatalogueEntry {
    pub(super) label: &'static str,
    effects: Vec<Effect>,
    pub(super) explanation: Explanation,
}

/// What a code does to whom.
#[derive(Clone, Copy, Debug)]
enum Effect {
    ConnectionRefusal,
    /// With this status.
    Refusal(u16),
    Fault,
}

/// All of them: as callers come by, and then what keeps the proxy from serving.
pub(super) fn entries() -> Vec<CatalogueEntry> {
    let connection_refusals = ConnectionRefusal::ALL
        .map(|one| (one.label(), Effect::ConnectionRefusal, connection_refusals::explanation(one)));
    let refusals = Refusal::ALL.map(|refusal| {
        let status = refusal.status().as_u16();
        (refusal.label(), Effect::Refusal(status), refusals::explanation(refusal))
    });
    let faults = ErrorCode::ALL.iter();
    let faults = faults.map(|code| (code.label(), Effect::Fault, faults::explanation(*code)));
    let mut entries: Vec<CatalogueEntry> = Vec::new();
    for (label, effect, explanation) in
        connection_refusals.into_iter().chain(refusals).chain(faults)
    {
        match entries.iter_mut().find(|entry| entry.label == label) {
            Some(entry) => entry.effects.push(effect),
            None => entries.push(CatalogueEntry { label, effects: vec![effect], explanation }),
        }
    }
    entries
}

/// The entry with this label, or else the label that looks most like it.
pub(super) fn find(label: &str) -> Result<CatalogueEntry, Option<&'static str>> {
    let entries = entries();
    if let Some(entry) = entries.iter().find(|entry| entry.label == label) {
        return Ok(entry.clone());
    }
    let alike = |entry: &CatalogueEntry| (strsim::jaro_winkler(entry.label, label), entry.label);
    let nearest = entries.iter().map(alike).max_by(|(one, _), (other, _)| one.total_cmp(other));
    Err(nearest.filter(|(alike, _)| *alike >= ALIKE_ENOUGH).map(|(_, label)| label))
}

/// Of 1, which is the same; a letter or two, or an ending, may be wrong.
const ALIKE_ENOUGH: f64 = 0.8;

/// A line for each code.
pub(super) fn list() -> String {
    let entries = entries();
    let mut text = String::new();
    for (heading, is_in) in SECTIONS {
        let _infallible = writeln!(text, "{heading}");
        for entry in entries.iter().filter(|entry| entry.effects.iter().any(is_in)) {
            let CatalogueEntry { label, explanation, .. } = entry;
            let _infallible = writeln!(text, "  {label:<29} {}", explanation.meaning);
        }
        text.push('\n');
    }
    text.push_str("hubgate explain CODE says what may have caused it, and what to type next.\n");
    text
}

type IsIn = fn(&Effect) -> bool;

const SECTIONS: [(&str, IsIn); 3] = [
    ("Ends a connection before HTTP (log field `reason`)", |e| {
        matches!(e, Effect::ConnectionRefusal)
    }),
    ("Refuses a request (log field `refusal`)", |e| matches!(e, Effect::Refusal(_))),
    ("Keeps a configuration from being put in force (`error[..]`, log field `code`)", |effect| {
        matches!(effect, Effect::Fault)
    }),
];

/// All that there is to say about one code.
pub(super) fn page(entry: &CatalogueEntry) -> String {
    let CatalogueEntry { label, effects, explanation } = entry;
    let effects: Vec<_> = effects.iter().map(Effect::sentence).collect();
    let mut text = format!("{label}: {}\n\n", effects.join("; or "));
    let _infallible = writeln!(text, "{}\n\nLikely causes", explanation.meaning);
    for (index, cause) in explanation.causes.iter().enumerate() {
        let _infallible = writeln!(text, "  {}. {cause}", index + 1);
    }
    let _infallible = writeln!(text, "\nNext\n  {}", explanation.next);
    text
}

impl Effect {
    fn sentence(&self) -> String {
        match self {
            Self::ConnectionRefusal => "the connection ends in the TLS handshake".to_owned(),
            Self::Refusal(status) => format!("the request is answered with {status}"),
            Self::Fault => "the configuration is not put in force".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn a_label_that_means_two_things_is_explained_once() {
        for connection_refusal in ConnectionRefusal::ALL {
            let of_refusal =
                Refusal::ALL.iter().find(|refusal| refusal.label() == connection_refusal.label());
            let Some(refusal) = of_refusal else { continue };
            assert_eq!(
                connection_refusals::explanation(connection_refusal),
                refusals::explanation(*refusal)
            );
        }
        let entry = find("certificate_missing").expect("is there");
        let page = page(&entry);
        assert!(
            page.contains("in the TLS handshake; or the request is answered with 403"),
            "{page}"
        );
    }

    #[test]
    fn every_explanation_is_whole() {
        for CatalogueEntry { label, explanation, .. } in entries() {
            let Explanation { meaning, causes, next } = explanation;
            assert!(meaning.ends_with('.') && meaning.len() < 150, "{label}: {meaning}");
            assert!(!causes.is_empty() && !next.is_empty(), "{label}");
            assert!(causes.iter().all(|cause| !cause.ends_with('.')), "{label}");
            assert!(label.len() <= 29, "{label} is wider than its column");
        }
    }

    #[test]
    fn a_next_command_of_ours_is_one_that_we_take() {
        let commands = entries().into_iter().map(|entry| entry.explanation.next);
        let ours: Vec<_> = commands.filter(|command| command.starts_with("hubgate ")).collect();
        assert!(!ours.is_empty());
        for command in ours {
            let parsed = crate::cli::Arguments::try_parse_from(command.split_whitespace());
            assert!(parsed.is_ok(), "{command}: {parsed:?}");
        }
    }

    #[test]
    fn a_code_with_a_typing_error_is_recognised_and_nonsense_is_not() {
        let near = |label| find(label).expect_err("is no code");
        assert_eq!(near("signature_mismatched"), Some("signature_mismatch"));
        assert_eq!(near("config_unknow_key"), Some("config_unknown_key"));
        assert_eq!(near("xyz"), None);
    }
}
