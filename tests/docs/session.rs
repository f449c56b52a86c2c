//! Runs the blocks of one session in order, in one shell and a directory of its own.
//!
//! Blocks in `console` are compared with what comes, those in `sh` must succeed, and one of another
//! language becomes the file that its comment names. What the page takes for granted stands in
//! `setup/NAME.sh`. Ports of the pages are replaced by free ones, and `/etc` by a directory.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::compare::is_as_shown;
use crate::markdown::{Block, Page, RunBy, root};
use crate::ports::Ports;

/// What the blocks use, apart from our own executable.
const PROGRAMS: [&str; 5] = ["bash", "curl", "jq", "openssl", "python3"];

/// A whole session, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(180);

/// Fails unless all that the session shows comes.
pub fn run(pages: &[Page], name: &str) {
    if let Some(program) = PROGRAMS.iter().find(|program| !is_there(program)) {
        eprintln!("SKIPPED: the session `{name}` was not run, for there is no {program}");
        return;
    }
    let differences = differences(pages, name);
    if std::env::var_os("HUBGATE_WRITE_DOCS").is_some() {
        differences.iter().for_each(Difference::write);
    }
    let messages: Vec<_> = differences.iter().map(|difference| &*difference.message).collect();
    assert!(messages.is_empty(), "{}", messages.join("\n"));
}

/// A block that does not show what comes.
pub struct Difference {
    message: String,
    /// The block and what should stand in it.
    real: Option<(Block, String)>,
}

/// All that differs; nothing is written.
pub fn differences(pages: &[Page], name: &str) -> Vec<Difference> {
    let mut steps = Vec::new();
    gather(pages, name, true, &mut steps);
    let dir = tempfile::tempdir().unwrap();
    let ports = Ports::choose(std::process::id() ^ name.bytes().map(u32::from).sum::<u32>() << 8);
    let scope = Scope { dir: dir.path(), ports };
    let ended = scope.run(&steps);

    let mut differences = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        differences.extend(scope.judge(index, step));
    }
    if !ended && differences.is_empty() {
        let message = format!("the session `{name}` did not come to its end");
        differences.push(Difference { message, real: None });
    }
    differences
}

/// What is done in a session.
enum Step {
    Setup(String),
    Block { block: Block, is_compared: bool },
}

/// The blocks of a session, behind those of the one that it comes after.
fn gather(pages: &[Page], name: &str, is_compared: bool, steps: &mut Vec<Step>) {
    let mut blocks = Vec::new();
    for block in pages.iter().flat_map(Page::blocks) {
        let Some(RunBy::Session { name: its, after, .. }) = &block.run_by else { continue };
        if its == name {
            if let Some(after) = after {
                gather(pages, after, false, steps);
            }
            blocks.push(block);
        }
    }
    assert!(!blocks.is_empty(), "no block belongs to the session `{name}`");
    let setup = root().join("tests/docs/setup").join(format!("{name}.sh"));
    steps.extend(fs::read_to_string(setup).ok().map(Step::Setup));
    steps.extend(blocks.into_iter().map(|block| Step::Block { block, is_compared }));
}

/// Where a session is run.
struct Scope<'a> {
    dir: &'a Path,
    ports: Ports,
}

impl Scope<'_> {
    /// Whether all steps were taken in time.
    fn run(&self, steps: &[Step]) -> bool {
        for folder in ["work", "out", "bin", "etc/hubgate"] {
            fs::create_dir_all(self.dir.join(folder)).unwrap();
        }
        let wrapper = self.dir.join("bin/hubgate");
        fs::write(&wrapper, WRAPPER).unwrap();
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
        let mut script = String::new();
        for (index, step) in steps.iter().enumerate() {
            script += &self.script(index, step);
        }
        let path = self.dir.join("script");
        fs::write(&path, self.put_in(&script) + "touch \"$OUT/end\"\n").unwrap();
        let search = std::env::var("PATH").unwrap();
        let mut command = Command::new("bash");
        command
            .arg(path)
            .current_dir(self.dir.join("work"))
            .env("PATH", format!("{}:{search}", self.dir.join("bin").display()))
            .env("HUBGATE", env!("CARGO_BIN_EXE_hubgate"))
            .env("ETC", self.dir.join("etc"))
            .env("OUT", self.dir.join("out"))
            .env("REPOSITORY", root())
            .env("LC_ALL", "C")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0);
        let mut shell = Shell(command.spawn().unwrap());
        shell.ends_in(PATIENCE) && self.dir.join("out/end").exists()
    }

    /// The step as a piece of the script.
    fn script(&self, index: usize, step: &Step) -> String {
        let block = match step {
            Step::Setup(text) => return format!("{{\n{text}\n}} > \"$OUT/{index}.0\" 2>&1\n"),
            Step::Block { block, .. } => block,
        };
        let Some(RunBy::Session { file, .. }) = &block.run_by else { return String::new() };
        if let Some(file) = file {
            return format!("cat > {file} <<'END OF FILE'\n{}END OF FILE\n", block.text);
        }
        match &*block.language {
            "console" => {
                let numbered = block.commands().into_iter().enumerate();
                let lines = numbered.map(|(number, command)| {
                    format!("{{ {}\n}} > \"$OUT/{index}.{number}\" 2>&1\n", command.command)
                });
                lines.collect()
            }
            "sh" => {
                let run = format!("{{\n{}}} > \"$OUT/{index}.0\" 2>&1", block.text);
                format!("{run} || touch \"$OUT/{index}.failed\"\n")
            }
            other => panic!("a block in `{other}` cannot be run: {}:{}", block.page, block.line),
        }
    }

    /// What is wrong with a block.
    fn judge(&self, index: usize, step: &Step) -> Option<Difference> {
        let Step::Block { block, is_compared: true } = step else { return None };
        let place = format!("{}:{}", block.page, block.line);
        match &*block.language {
            "console" => {}
            "sh" if self.dir.join("out").join(format!("{index}.failed")).exists() => {
                let message = format!("{place} failed:\n{}", self.output(index, 0));
                return Some(Difference { message, real: None });
            }
            _ => return None,
        }
        let mut real = String::new();
        let mut is_right = true;
        for (number, command) in block.commands().iter().enumerate() {
            let came = self.output(index, number);
            is_right &= is_as_shown(&command.shown, &came);
            real += &format!("$ {}\n{came}", command.command);
        }
        if is_right {
            return None;
        }
        let message = format!("{place} should have:\n\n{real}");
        Some(Difference { message, real: Some((block.clone(), real)) })
    }

    /// What a command wrote, with the ports and paths of the page.
    fn output(&self, index: usize, number: usize) -> String {
        let path = self.dir.join("out").join(format!("{index}.{number}"));
        let output = fs::read(path).unwrap_or_else(|_| b"(never run)\n".to_vec());
        let output = String::from_utf8_lossy(&output);
        let output = output.replace(&format!("{}/etc/", self.dir.display()), "/etc/");
        let lines = self.ports.take_out(&output);
        // A page has no blanks at the end of a line.
        lines.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
    }

    fn put_in(&self, script: &str) -> String {
        let etc = format!("{}/etc/", self.dir.display());
        let in_place = [" /etc/", "\"/etc/", "'/etc/", "=/etc/"].map(|found| {
            let before = found.trim_end_matches("/etc/");
            (found, format!("{before}{etc}"))
        });
        let swap = |text: String, (from, to): &(&str, String)| text.replace(from, to);
        in_place.iter().fold(self.ports.put_in(script), swap)
    }
}

/// What the pages call `hubgate`. `hubgate status` without an option reads a file of the system; here
/// it is that of the session.
const WRAPPER: &str = r#"#!/usr/bin/env bash
if [ "$*" = status ]; then
    file=$ETC/hubgate/config.toml
    [ -e "$file" ] || file=hubgate.toml
    set -- status --config "$file"
fi
exec "$HUBGATE" "$@"
"#;

fn is_there(program: &str) -> bool {
    let search = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&search).any(|folder| folder.join(program).is_file())
}

impl Difference {
    /// Puts what came into the page, unless the page leaves something out.
    fn write(&self) {
        static PAGES: Mutex<()> = Mutex::new(());
        let Some((block, real)) = &self.real else { return };
        if !block.text.lines().any(|line| line == "...") {
            let _one_at_a_time = PAGES.lock();
            let path = root().join(&block.page);
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, text.replacen(&block.text, real, 1)).unwrap();
        }
    }
}

/// A shell with all that it started; killed when dropped.
struct Shell(Child);

impl Shell {
    fn ends_in(&mut self, time: Duration) -> bool {
        let start = Instant::now();
        while start.elapsed() < time {
            if self.0.try_wait().unwrap().is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _is_gone_already = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _status = self.0.wait();
    }
}
