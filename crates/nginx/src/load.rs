//! Reads an nginx configuration with everything that it includes.
//!
//! In: the path of the main file. Out: one tree, in which what was included follows its `include`,
//! as nginx reads it. The only module of this package that touches files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glob::{MatchOptions, glob_with};

use super::parse::{self, Body, Directive, SourceLocation};
use super::syntax_error::SyntaxError;

/// A whole configuration.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) directives: Vec<Directive>,
    /// What became of each `include`.
    pub(super) includes: Vec<Include>,
    /// Where relative paths start.
    pub(super) directory: PathBuf,
}

/// What became of one `include`.
#[derive(Debug)]
pub(super) struct Include {
    pub(super) place: SourceLocation,
    pub(super) files: usize,
    /// Files that could not be read.
    pub(super) unread: Vec<(PathBuf, io::Error)>,
}

/// Why a configuration could not be read at all.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The main file cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// A file is no configuration of nginx.
    #[error("{place}: {fault}")]
    Syntax {
        /// Where.
        place: SourceLocation,
        /// What is wrong there.
        fault: SyntaxError,
    },
    /// Files include each other.
    #[error("{place}: files are included more than {MAXIMUM_DEPTH} deep")]
    IncludeDepth {
        /// The last `include`.
        place: SourceLocation,
    },
    /// There are more files than anybody has.
    #[error("{place}: more than {MAXIMUM_FILES} files are included")]
    IncludeCount {
        /// The `include` that was one too many.
        place: SourceLocation,
    },
}

/// Reads the main file and everything that it includes.
pub(super) fn load(path: &Path) -> Result<Loaded, LoadError> {
    let directory = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut loader = Loader { directory, includes: Vec::new(), files: 0 };
    let text = read(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
    let mut directives = loader.parse(path, &text)?;
    loader.follow(&mut directives, 0)?;
    let mut next = 0;
    number(&mut directives, &mut next);
    Ok(Loaded { directives, includes: loader.includes, directory: loader.directory })
}

struct Loader {
    directory: PathBuf,
    includes: Vec<Include>,
    files: usize,
}

impl Loader {
    fn parse(&self, path: &Path, text: &str) -> Result<Vec<Directive>, LoadError> {
        let shown = path.strip_prefix(&self.directory).unwrap_or(path).display().to_string();
        parse::parse(text, &Arc::from(shown))
            .map_err(|(fault, place)| LoadError::Syntax { place, fault })
    }

    fn follow(&mut self, directives: &mut Vec<Directive>, depth: usize) -> Result<(), LoadError> {
        for mut directive in std::mem::take(directives) {
            if let Body::Block(children) = &mut directive.body {
                self.follow(children, depth)?;
            }
            let included = match directive.name.as_str() {
                "include" => self.include(&directive, depth)?,
                _ => Vec::new(),
            };
            directives.push(directive);
            directives.extend(included);
        }
        Ok(())
    }

    fn include(
        &mut self,
        directive: &Directive,
        depth: usize,
    ) -> Result<Vec<Directive>, LoadError> {
        let place = directive.place.clone();
        if depth >= MAXIMUM_DEPTH {
            return Err(LoadError::IncludeDepth { place });
        }
        let path = self.directory.join(directive.argument());
        let paths = match directive.argument().contains(['*', '?', '[']) {
            true => matching(&path),
            false => vec![path],
        };
        let mut include = Include { place: place.clone(), files: 0, unread: Vec::new() };
        let mut included = Vec::new();
        for path in paths {
            self.files += 1;
            if self.files > MAXIMUM_FILES {
                return Err(LoadError::IncludeCount { place });
            }
            match read(&path) {
                Ok(text) => {
                    let mut directives = self.parse(&path, &text)?;
                    self.follow(&mut directives, depth + 1)?;
                    included.extend(directives);
                    include.files += 1;
                }
                Err(error) => include.unread.push((path, error)),
            }
        }
        self.includes.push(include);
        Ok(included)
    }
}

/// nginx does not care about encodings; what is not UTF-8 is marked as such.
fn read(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > MAXIMUM_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}

fn number(directives: &mut [Directive], next: &mut usize) {
    for directive in directives {
        directive.id = *next;
        *next += 1;
        if let Body::Block(children) = &mut directive.body {
            number(children, next);
        }
    }
}

const MAXIMUM_DEPTH: usize = 16;
const MAXIMUM_FILES: usize = 4096;
/// 16 MiB: no configuration, but a log or an image that a pattern fits.
const MAXIMUM_BYTES: u64 = 1 << 24;

/// Every file that fits the pattern, as glob(3) reads it, in the order of their names; directories
/// that cannot be read hold none.
fn matching(pattern: &Path) -> Vec<PathBuf> {
    let options = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let found = glob_with(&pattern.to_string_lossy(), options);
    found.into_iter().flatten().flatten().filter(|path| path.is_file()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(directory: &Path, name: &str, text: &str) {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().expect("is in the directory")).expect("a directory");
        fs::write(path, text).expect("the directory can be written to");
    }

    #[test]
    fn what_is_included_follows_its_include_in_the_order_of_names() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        write(directory.path(), "nginx.conf", "http {\n include conf.d/*.conf;\n}\nlast;");
        write(directory.path(), "conf.d/b.conf", "b;");
        write(directory.path(), "conf.d/a.conf", "# one\na { include part; }");
        write(directory.path(), "conf.d/not.conf~", "not;");
        write(directory.path(), "part", "c;");

        let loaded = load(&directory.path().join("nginx.conf")).expect("can be read");

        let mut places = Vec::new();
        fn walk(directives: &[Directive], places: &mut Vec<String>) {
            for directive in directives {
                places.push(format!("{} {} {}", directive.id, directive.name, directive.place));
                walk(directive.children(), places);
            }
        }
        walk(&loaded.directives, &mut places);
        assert_eq!(
            places,
            [
                "0 http nginx.conf:1",
                "1 include nginx.conf:2",
                "2 a conf.d/a.conf:2",
                "3 include conf.d/a.conf:2",
                "4 c part:1",
                "5 b conf.d/b.conf:1",
                "6 last nginx.conf:4",
            ]
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_told_and_the_rest_is_read() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        write(directory.path(), "nginx.conf", "include gone;\ninclude none/*;\na;");

        let loaded = load(&directory.path().join("nginx.conf")).expect("can be read");

        let unread: Vec<_> = loaded.includes.iter().map(|include| include.unread.len()).collect();
        assert_eq!((unread, loaded.directives.len()), (vec![1, 0], 3));
    }

    #[test]
    fn files_that_include_each_other_end_in_an_error_with_a_place() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        write(directory.path(), "nginx.conf", "include nginx.conf;");

        let error = load(&directory.path().join("nginx.conf")).expect_err("never ends");

        assert_eq!(error.to_string(), "nginx.conf:1: files are included more than 16 deep");
    }
}
