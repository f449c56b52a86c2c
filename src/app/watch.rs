//! Notices that files have changed, by looking at them.
//!
//! In: paths. Out: whether what stands there differs from what was last acted on, and has settled.
//! Looks at inodes and times, not at contents; follows symbolic links, for that is how renewed
//! certificates are put in place.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The files that are watched.
#[derive(Debug)]
pub(crate) struct Watch {
    acted_on: BTreeMap<PathBuf, Mark>,
    seen: BTreeMap<PathBuf, Mark>,
}

/// What a changed file does not have in common with what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    /// Or not to be looked at.
    Absent,
    File {
        device: u64,
        inode: u64,
        bytes: u64,
        modified: (i64, i64),
        changed: (i64, i64),
    },
}

impl Watch {
    /// Begins with one file, as it is now.
    pub(crate) fn new(file: &Path) -> Self {
        let acted_on = BTreeMap::from([(file.to_owned(), mark(file))]);
        Self { seen: acted_on.clone(), acted_on }
    }

    /// Watches these files. Those that were watched before are still held against what they were
    /// when they were acted on, so that no change falls between two.
    pub(crate) fn follow(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        let marked = files.into_iter().map(|file| {
            let known = self.acted_on.get(&file).copied();
            let mark = known.unwrap_or_else(|| mark(&file));
            (file, mark)
        });
        self.acted_on = marked.collect();
        self.seen = self.acted_on.clone();
    }

    /// The files as they are now are about to be acted on.
    pub(crate) fn act(&mut self) {
        self.acted_on = self.now();
        self.seen = self.acted_on.clone();
    }

    /// Whether something changed and has stayed as it is since the last look.
    pub(crate) fn look(&mut self) -> bool {
        let now = self.now();
        let has_settled = now == self.seen;
        self.seen = now;
        has_settled && self.seen != self.acted_on
    }

    fn now(&self) -> BTreeMap<PathBuf, Mark> {
        self.acted_on.keys().map(|file| (file.clone(), mark(file))).collect()
    }
}

fn mark(file: &Path) -> Mark {
    fs::metadata(file).map_or(Mark::Absent, |file| Mark::File {
        device: file.dev(),
        inode: file.ino(),
        bytes: file.size(),
        modified: (file.mtime(), file.mtime_nsec()),
        // A copy that keeps times still sets this one.
        changed: (file.ctime(), file.ctime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Files(tempfile::TempDir);

    impl Files {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a temporary directory"))
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.path(name), text).expect("the directory can be written to");
        }
    }

    #[test]
    fn a_change_counts_once_it_has_settled() {
        let files = Files::new();
        files.write("a", "1");
        let mut watch = Watch::new(&files.path("a"));
        assert!(!watch.look() && !watch.look());

        files.write("a", "22");
        assert!(!watch.look(), "it may still be written");
        files.write("a", "333");
        assert!(!watch.look(), "it was still written");
        assert!(watch.look());

        watch.act();
        assert!(!watch.look() && !watch.look(), "it was acted on");
    }

    #[test]
    fn a_file_put_in_place_and_one_taken_away_are_changes() {
        let files = Files::new();
        files.write("a", "1");
        files.write("b", "1");
        let mut watch = Watch::new(&files.path("a"));
        fs::rename(files.path("b"), files.path("a")).expect("can be renamed");
        assert!(!watch.look());
        assert!(watch.look());

        watch.act();
        fs::remove_file(files.path("a")).expect("can be removed");
        assert!(!watch.look());
        assert!(watch.look());
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_a_change() {
        let files = Files::new();
        files.write("old", "1");
        files.write("new", "1");
        let link = files.path("link");
        std::os::unix::fs::symlink("old", &link).expect("a new name");
        let mut watch = Watch::new(&link);

        fs::remove_file(&link).expect("can be removed");
        std::os::unix::fs::symlink("new", &link).expect("a new name");

        assert!(!watch.look());
        assert!(watch.look());
    }

    #[test]
    fn a_change_during_a_reload_is_not_lost() {
        let files = Files::new();
        files.write("a", "1");
        let mut watch = Watch::new(&files.path("a"));
        watch.act();
        files.write("a", "22");
        watch.follow([files.path("a"), files.path("b")]);

        assert!(!watch.look());
        assert!(watch.look());
    }
}
