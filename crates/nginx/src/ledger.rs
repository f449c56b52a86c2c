//! What becomes of each directive, so that none is dropped silently.
//!
//! Whoever understands a directive settles it here; what nobody settled is found by its absence.

use std::collections::BTreeMap;

use super::parse::{Directive, SourceLocation};

/// What became of a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It belongs to a server block that was not taken over.
    LeftAlone,
    /// There is nothing to carry over: hubgate does it by itself, or has no use for it.
    Unneeded,
    /// The same is written in hubgate's way.
    Carried,
    /// Carried over, and more is refused than before.
    Stricter,
    /// Carried over as well as could be told; the operator has to look.
    Uncertain,
    /// Not carried over; the operator has to look.
    Missing,
}

impl Outcome {
    /// As it stands in comments and summaries.
    pub fn label(self) -> &'static str {
        match self {
            Self::LeftAlone => "left alone",
            Self::Unneeded => "not needed",
            Self::Carried => "carried over",
            Self::Stricter => "made stricter",
            Self::Uncertain => "CARRIED OVER, BUT LOOK",
            Self::Missing => "NOT CARRIED OVER",
        }
    }
}

/// Which part of the written file a directive went into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Section {
    Server,
    ClientCertificate,
    Limits,
    Upstream(usize),
    Route(usize),
    Redirect,
    Rest,
}

/// One directive and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where it begins.
    pub place: SourceLocation,
    /// The line on which it ends.
    pub last_line: usize,
    /// The directive, cut to one line and without values that may be secret.
    pub directive: String,
    /// What became of it.
    pub outcome: Outcome,
    /// How, or why not and what to do.
    pub note: String,
    pub(super) section: Section,
}

/// What has been settled so far.
#[derive(Debug)]
pub(super) struct Ledger {
    may_name_identity: fn(&str) -> bool,
    entries: BTreeMap<usize, LedgerEntry>,
}

#[derive(Debug)]
pub(super) struct LedgerEntry {
    pub(super) outcome: Outcome,
    pub(super) notes: Vec<String>,
    pub(super) section: Section,
}

impl Ledger {
    pub(super) fn new(may_name_identity: fn(&str) -> bool) -> Self {
        Self { may_name_identity, entries: BTreeMap::new() }
    }

    /// Whether an application can be told who called under this name.
    pub(super) fn may_name_identity(&self, name: &str) -> bool {
        (self.may_name_identity)(name)
    }

    /// A directive that is in force in several places may be settled several times: the worst
    /// outcome counts, every note stands, and the first place keeps it.
    pub(super) fn settle(
        &mut self,
        directive: &Directive,
        section: Section,
        outcome: Outcome,
        note: impl Into<String>,
    ) {
        let note = note.into();
        let entry = self.entries.entry(directive.id);
        let entry = entry.or_insert_with(|| LedgerEntry { outcome, notes: Vec::new(), section });
        entry.outcome = entry.outcome.max(outcome);
        if !note.is_empty() && !entry.notes.contains(&note) {
            entry.notes.push(note);
        }
    }

    /// What was settled for the directive of this id turned out worse.
    pub(super) fn worsen(&mut self, id: usize, outcome: Outcome, note: &str) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.outcome = entry.outcome.max(outcome);
            entry.notes = vec![note.to_owned()];
        }
    }

    pub(super) fn entry(&self, directive: &Directive) -> Option<&LedgerEntry> {
        self.entries.get(&directive.id)
    }

    pub(super) fn is_settled(&self, directive: &Directive) -> bool {
        self.entries.contains_key(&directive.id)
    }
}
