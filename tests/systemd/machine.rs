//! A machine made of namespaces, with a systemd of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// Runs until it is dropped.
pub struct Machine {
    _dir: TempDir,
    cgroup: PathBuf,
    outer: Child,
    init: String,
}

/// What a command in the machine came to.
#[derive(Debug)]
pub struct Ran {
    pub is_success: bool,
    /// Standard output and error, one after the other.
    pub text: String,
}

impl Machine {
    /// Why none can be made here; `None` if one can be tried.
    pub fn lacks() -> Option<&'static str> {
        let is_there = |program: &str| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).any(|folder| folder.join(program).exists())
        };
        if !rustix::process::geteuid().is_root() {
            Some("only root can make namespaces with mounts of their own")
        } else if !Path::new("/lib/systemd/systemd").exists() || !is_there("systemctl") {
            Some("there is no systemd on this machine")
        } else if !is_there("unshare") || !is_there("nsenter") {
            Some("there is no unshare or nsenter on this machine")
        } else if cgroup_root().is_none() {
            Some("there is no cgroup2 file system here that can be written to")
        } else {
            None
        }
    }

    /// Boots one in which the files under `files` stand as if under `/`.
    pub async fn boot(fill: impl FnOnce(&Path)) -> Result<Self, String> {
        let dir = tempfile::tempdir().unwrap();
        let files = dir.path().join("files");
        fs::create_dir(&files).unwrap();
        fs::create_dir(dir.path().join("mount")).unwrap();
        fill(&files);
        let name = format!("hubgate-test-{}", std::process::id());
        let cgroup = cgroup_root().ok_or("no cgroup2")?.join(name);
        fs::create_dir(&cgroup).map_err(|error| format!("cannot make a cgroup: {error}"))?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/systemd/machine.sh");
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let outer = Command::new("bash")
            .args(["-c", "echo $$ > \"$1/cgroup.procs\"; shift; exec \"$@\"", "bash"])
            .arg(&cgroup)
            .args(["unshare", "--mount", "--pid", "--fork", "--ipc", "--uts", "--cgroup"])
            .args(["--kill-child=SIGKILL", "bash"])
            .args([&script, dir.path()])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut machine = Self { _dir: dir, cgroup, outer, init: String::new() };
        machine.wait_for_boot().await?;
        Ok(machine)
    }

    async fn wait_for_boot(&mut self) -> Result<(), String> {
        let outer = self.outer.id();
        let mut state = String::new();
        for _ in 0..300 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let children = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children"));
            let Ok(children) = children else { break };
            self.init = children.trim().to_owned();
            let name = fs::read_to_string(format!("/proc/{}/comm", self.init)).unwrap_or_default();
            if name.trim() != "systemd" {
                continue;
            }
            state = self.run("systemctl is-system-running").text;
            if state.starts_with("running") || state.starts_with("degraded") {
                return Ok(());
            }
        }
        let log = fs::read_to_string(self._dir.path().join("log")).unwrap_or_default();
        Err(format!("the machine did not boot: {state}{log}"))
    }

    /// Runs a line of shell in the machine.
    pub fn run(&self, line: &str) -> Ran {
        let output = Command::new("nsenter")
            .args(["-t", &self.init, "-m", "-p", "-i", "-u", "-C", "--", "bash", "-c", line])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text += &String::from_utf8_lossy(&output.stderr);
        Ran { is_success: output.status.success(), text }
    }

    /// Runs a line of shell that must succeed, without holding up what else the test does.
    pub async fn must(&self, line: &str) -> String {
        let child = Command::new("nsenter")
            .args(["-t", &self.init, "-m", "-p", "-i", "-u", "-C", "--", "bash", "-c", line])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let waiting = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
        let output = waiting.await.unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`{line}`: {error}{}", self.journal());
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// A property of the service, as `systemctl show` has it.
    pub fn property(&self, name: &str) -> String {
        self.run(&format!("systemctl show --value -p {name} hubgate.service"))
            .text
            .trim()
            .to_owned()
    }

    pub async fn until_property(&self, name: &str, is_it: impl Fn(&str) -> bool) -> String {
        for _ in 0..200 {
            let value = self.property(name);
            if is_it(&value) {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{name} is `{}`: {}", self.property(name), self.journal());
    }

    pub fn journal(&self) -> String {
        self.run("journalctl --no-pager -o cat -u hubgate.service -u hubgate.socket").text
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Its init goes with it, and with that every process inside.
        let _is_gone_already = self.outer.kill();
        let _status = self.outer.wait();
        for _ in 0..50 {
            remove_groups(&self.cgroup);
            if !self.cgroup.exists() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        eprintln!("left behind: {}", self.cgroup.display());
    }
}

/// The unified hierarchy, wherever this machine has it.
fn cgroup_root() -> Option<PathBuf> {
    let candidates = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(PathBuf::from);
    candidates.into_iter().find(|root| {
        let procs = root.join("cgroup.procs");
        root.join("cgroup.controllers").exists()
            && fs::metadata(procs).is_ok_and(|procs| !procs.permissions().readonly())
    })
}

/// Innermost first, as the kernel asks for; a group that still holds a process stays.
fn remove_groups(group: &Path) {
    let Ok(entries) = fs::read_dir(group) else { return };
    for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
        remove_groups(&entry.path());
    }
    let _is_busy = fs::remove_dir(group);
}
