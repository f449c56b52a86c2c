"""Starts a proxy, proves that its checks are on, loads it, ends it."""

import contextlib
import json
import pathlib
import socket
import subprocess
import sys
import time

from . import machine


class Place:
    """A directory with a PKI, and an application behind every proxy."""

    def __init__(self, directory, programs, quiet_cores):
        self.directory = directory
        self.quiet_cores = quiet_cores
        self.programs = programs
        self.pki = directory / "pki"
        subprocess.run([programs["load"], "pki", "--dir", self.pki], check=True)
        self.origin = subprocess.Popen(
            pinned(machine.LOAD_CORE, programs["origin"], "--listen", "127.0.0.1:0"),
            stdout=subprocess.PIPE, text=True)
        self.origin_address = self.origin.stdout.readline().split()[1]

    def stop(self):
        end(self.origin)

    def run(self, proxy, measure, rate):
        """One measure of one freshly started proxy; what the load generator says, and more."""
        port, admin = free_ports(2)
        values = {"LISTEN": f"127.0.0.1:{port}", "ADMIN": f"127.0.0.1:{admin}",
                  "ORIGIN": self.origin_address, "PKI": self.pki}
        command = proxy.configure(self.directory, values, measure.body_bytes)
        both = f"{machine.PROXY_CORE},{machine.LOAD_CORE}"
        proxy_cores, load_cores = (
            (machine.PROXY_CORE, machine.LOAD_CORE) if proxy.workers == 1 else (both, both))

        with self.started(proxy, pinned(proxy_cores, *command), port) as pids:
            target = ["--connect", values["LISTEN"], "--pki", self.pki,
                      "--pids", ",".join(map(str, pids))]
            probe = ["probe", *target, "--origin", self.origin_address]
            probed = self.load(load_cores, *probe, *([] if proxy.signed else ["--unsigned"]))
            ours = [*pids, self.origin.pid]
            mode, *arguments = [str(part).format(rate=rate) for part in measure.arguments]

            def attempt():
                neighbours = machine.Neighbours(ours)
                result = self.load(load_cores, mode, *target, *arguments)
                return result | {"probe": probed, "neighbours": neighbours.cores()}

            with self.holding(proxy.held_connections, load_cores, target):
                return self.undisturbed(attempt) if measure.noisy else attempt()

    def undisturbed(self, attempt):
        """The first run that other processes leave alone; the least disturbed if none is."""
        if self.quiet_cores is None:
            return attempt()
        attempts = []
        for _ in range(ATTEMPTS):
            machine.wait_for_quiet(self.quiet_cores)
            attempts.append(attempt())
            if attempts[-1]["neighbours"] <= self.quiet_cores or attempts[-1]["errors"]:
                return attempts[-1]
        return min(attempts, key=lambda result: result["neighbours"])

    @contextlib.contextmanager
    def holding(self, count, cores, target):
        """So many connections that stay idle meanwhile."""
        if count == 0:
            yield
            return
        command = pinned(cores, self.programs["load"], "hold", *target, "--connections", count,
                         "--stay")
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            line = holder.stdout.readline()
            if not line or json.loads(line)["errors"]:
                sys.exit(f"cannot hold {count} connections: {line}")
            yield
        finally:
            # It stays until its input ends.
            holder.stdin.close()
            end(holder)

    def load(self, cores, *arguments):
        """Calls the load generator and reads its one line."""
        command = pinned(cores, self.programs["load"], *arguments)
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False,
                              timeout=LONGEST_RUN_S)
        if done.returncode != 0:
            sys.exit(f"the load generator failed: {' '.join(map(str, arguments))}")
        return json.loads(done.stdout)

    @contextlib.contextmanager
    def started(self, proxy, command, port):
        """Its process ids while it runs."""
        log_path = self.directory / f"{proxy.name}.log"
        with open(log_path, "wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT,
                                       stdin=subprocess.DEVNULL)
        try:
            if not accepts(port, process):
                tail = log_path.read_text(encoding="utf-8", errors="replace")[-2000:]
                sys.exit(f"{proxy.name} does not start:\n{tail}")
            yield [process.pid, *children(process.pid)]
        finally:
            end(process)


def pinned(cores, *command):
    return ["taskset", "-c", cores, *map(str, command)]


def accepts(port, process):
    """Waits until the proxy listens."""
    deadline = time.monotonic() + LONGEST_START_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            # For the workers that a parent starts after it has bound the socket.
            time.sleep(0.2)
            return True
        time.sleep(0.02)
    return False


def children(pid):
    listed = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in listed.split()]


def end(process):
    """Asks it to stop, and makes it stop if it does not."""
    process.terminate()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        # Workers first: a parent that is killed could not end them any more.
        for child in children(process.pid):
            subprocess.run(["kill", "-KILL", str(child)], check=False)
        process.kill()
        process.wait()


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


# Ten thousand routes take a second or two on a quiet machine.
LONGEST_START_S = 30

# A run of ten thousand slow handshakes ends well before.
LONGEST_RUN_S = 300

# Runs of one measure on a machine that does not become quiet.
ATTEMPTS = 4

# From the stop signal to the kill.
PATIENCE_S = 3
