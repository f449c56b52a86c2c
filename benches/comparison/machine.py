"""The machine: what it has, what is built on it, and what else is running."""

import json
import os
import pathlib
import platform
import resource
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The proxy has one core to itself; who sends and who answers share the other.
PROXY_CORE = "0"
LOAD_CORE = "1"

PROGRAMS = ("load", "origin", "floor", "hubgate")


def require(program, purpose):
    if shutil.which(program) is None:
        sys.exit(f"`{program}` is missing; it is needed for {purpose}")
    if os.cpu_count() < 2:
        sys.exit("two cores are needed: one for the proxy, one for the load")


def raise_descriptor_limit():
    """Up to the hard limit; ten thousand idle connections need as many in two processes each."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def build(directory):
    """Paths of the programs, built as for packages unless `directory` has them."""
    if directory is not None:
        return {name: directory.resolve() / name for name in PROGRAMS
                if (directory / name).exists()}
    command = ["cargo", "build", "--profile", "dist", "--bin", "hubgate", "--bench", "load",
               "--bench", "origin", "--bench", "floor", "--message-format", "json"]
    built = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if built.returncode != 0:
        sys.exit("cargo could not build what is to be measured")
    messages = (json.loads(line) for line in built.stdout.splitlines() if line.startswith("{"))
    return {message["target"]["name"]: pathlib.Path(message["executable"])
            for message in messages if message.get("executable")}


def description(found):
    """Lines that say where and with what the figures were taken."""
    model = next((line.split(":")[1].strip() for line in
                  pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
                  if line.startswith("model name")), "unknown processor")
    congestion = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control")
    yield (f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, TCP"
           f" {congestion.read_text(encoding='ascii').strip()}, {time.strftime('%Y-%m-%d')}")
    for proxy in found:
        yield f"{proxy.name}: {proxy.version()}"


class Neighbours:
    """How many cores processes other than ours keep busy from now on: noise in every figure."""

    def __init__(self, ours=()):
        self.ours = ours
        self.started = time.monotonic()
        self.busy = self.others_seconds()

    def cores(self):
        elapsed = time.monotonic() - self.started
        return max(0.0, (self.others_seconds() - self.busy) / elapsed)

    def others_seconds(self):
        return busy_seconds() - process_seconds(self.ours) - children_seconds()


def wait_for_quiet(cores):
    """Waits, though not for ever, until other processes keep fewer than `cores` cores busy."""
    deadline = time.monotonic() + LONGEST_WAIT_S
    while time.monotonic() < deadline:
        neighbours = Neighbours()
        time.sleep(QUIET_SPELL_S)
        if neighbours.cores() < cores:
            return


def busy_seconds():
    """All that is not idle, of all cores, with what the hypervisor gave to others."""
    fields = pathlib.Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:9]
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, fields)
    ticks = user + nice + system + irq + softirq + steal
    return ticks / os.sysconf("SC_CLK_TCK")


def process_seconds(pids):
    """CPU time that these processes have used."""
    total = 0
    for pid in pids:
        for thread in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
            total += int(thread.read_text(encoding="utf-8").split()[0])
    return total / 1e9


def children_seconds():
    """CPU time of our own children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


# How long it must have been quiet before a run.
QUIET_SPELL_S = 0.2

# Then the run is done all the same; its figure says how noisy it was.
LONGEST_WAIT_S = 10
