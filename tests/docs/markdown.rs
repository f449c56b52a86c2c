//! Pages, their code blocks, and what stands in the comment above a block.

use std::fs;
use std::path::{Path, PathBuf};

/// A page by its path in the repository.
pub struct Page {
    pub path: String,
    pub text: String,
}

/// A fenced code block.
#[derive(Clone, Debug)]
pub struct Block {
    pub page: String,
    /// Of the opening fence.
    pub line: usize,
    pub language: String,
    pub text: String,
    pub run_by: Option<RunBy>,
}

#[derive(Clone, Debug)]
pub enum RunBy {
    Session {
        name: String,
        /// Another session, whose blocks are run before.
        after: Option<String>,
        /// The block is not run, but becomes this file.
        file: Option<String>,
    },
    Test {
        file: String,
        function: String,
    },
}

/// One command of a console block, and what the page shows below it.
#[derive(Clone, Debug)]
pub struct Command {
    pub command: String,
    pub shown: String,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README.md first, then the rest by name.
pub fn pages() -> Vec<Page> {
    let mut paths: Vec<PathBuf> = fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    paths.sort();
    let others = ["certs/README.md", "CONTRIBUTING.md", "SECURITY.md"];
    paths.insert(0, root().join("README.md"));
    paths.extend(others.map(|path| root().join(path)).into_iter().filter(|path| path.exists()));
    let page = |path: &PathBuf| Page {
        path: path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(),
        text: fs::read_to_string(path).unwrap(),
    };
    paths.iter().map(page).collect()
}

impl Page {
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        let mut above = "";
        for (number, line) in self.text.lines().enumerate() {
            match (&mut open, line.strip_prefix("```")) {
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(block), None) => block.text += &format!("{line}\n"),
                (None, Some(language)) => {
                    open = Some(Block {
                        page: self.path.clone(),
                        line: number + 1,
                        language: language.to_owned(),
                        text: String::new(),
                        run_by: RunBy::read(above),
                    });
                }
                (None, None) => {}
            }
            above = line;
        }
        assert!(open.is_none(), "a block of {} is not closed", self.path);
        blocks
    }

    /// The text without code blocks, by numbered lines.
    pub fn prose(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut is_code = false;
        let numbered = self.text.lines().enumerate().map(|(number, line)| (number + 1, line));
        numbered.filter(move |(_, line)| {
            let is_fence = line.starts_with("```");
            is_code ^= is_fence;
            !is_code && !is_fence
        })
    }
}

impl RunBy {
    fn read(line: &str) -> Option<Self> {
        let comment = line.strip_prefix("<!-- ")?.strip_suffix(" -->")?;
        let mut fields = comment.split("; ").filter_map(|field| field.split_once(": "));
        let (kind, value) = fields.next()?;
        match kind {
            "session" => {
                let (mut after, mut file) = (None, None);
                for (key, value) in fields {
                    match key {
                        "after" => after = Some(value.to_owned()),
                        "file" => file = Some(value.to_owned()),
                        _ => panic!("`{key}` is not known: {line}"),
                    }
                }
                Some(Self::Session { name: value.to_owned(), after, file })
            }
            "test" => {
                let (file, function) = value.split_once(' ').expect("a file and a function");
                Some(Self::Test { file: file.to_owned(), function: function.to_owned() })
            }
            _ => None,
        }
    }
}

impl Block {
    /// A command begins with `$ ` and goes on in indented lines below a `\` at the end.
    pub fn commands(&self) -> Vec<Command> {
        let mut commands: Vec<Command> = Vec::new();
        let mut goes_on = false;
        for line in self.text.lines() {
            let start = line.strip_prefix("$ ");
            if let Some(start) = start {
                commands.push(Command { command: start.to_owned(), shown: String::new() });
            }
            let last = commands.last_mut().unwrap_or_else(|| {
                panic!("{}:{} does not begin with a command", self.page, self.line)
            });
            match start {
                None if goes_on => last.command += &format!("\n{line}"),
                None => last.shown += &format!("{line}\n"),
                Some(_) => {}
            }
            goes_on = (start.is_some() || goes_on) && line.ends_with('\\');
        }
        assert!(!commands.is_empty(), "{}:{} has no command", self.page, self.line);
        commands
    }
}
