//! Which directives are in force in a block: its own, and those that it inherits.

use super::parse::Directive;

/// A block and those around it, innermost first.
#[derive(Clone, Debug)]
pub(super) struct Scope<'a> {
    levels: Vec<&'a [Directive]>,
}

impl<'a> Scope<'a> {
    pub(super) fn outermost(level: &'a [Directive]) -> Self {
        Self { levels: vec![level] }
    }

    /// A block inside this one.
    pub(super) fn inside(&self, block: &'a Directive) -> Self {
        let mut levels = vec![block.children()];
        levels.extend(&self.levels);
        Self { levels }
    }

    /// Every directive of this name in the innermost block that has one: nginx inherits lists
    /// whole or not at all.
    pub(super) fn all(&self, name: &str) -> Vec<&'a Directive> {
        let of_level = |level: &&'a [Directive]| -> Vec<&'a Directive> {
            level.iter().filter(|directive| directive.name == name).collect()
        };
        self.levels.iter().map(of_level).find(|found| !found.is_empty()).unwrap_or_default()
    }

    /// The directive of this name that is in force.
    pub(super) fn find(&self, name: &str) -> Option<&'a Directive> {
        self.all(name).into_iter().next()
    }

    /// The first argument of the directive that is in force.
    pub(super) fn argument(&self, name: &str) -> Option<&'a str> {
        self.find(name).map(Directive::argument)
    }

    /// The block's own directives.
    pub(super) fn own(&self) -> &'a [Directive] {
        self.levels.first().copied().unwrap_or_default()
    }

    /// Every directive of this and of each surrounding block, innermost block first.
    pub(super) fn everything(&self) -> impl Iterator<Item = &'a Directive> {
        self.levels.iter().copied().flatten()
    }
}
