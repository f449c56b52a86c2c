"""hubgate with one thing changed: an option on or off, or more of something."""

import dataclasses
import pathlib
import subprocess
import typing

from . import proxies

NAMES = ("log", "routes", "secrets", "anchors", "proof-1k", "proof-64k", "proof-1m", "idle")


@dataclasses.dataclass(frozen=True)
class Cost:
    """One thing that is changed, step by step; the first step is what the others are held to."""
    name: str
    title: str
    # The name of a measure.
    measure: str
    variants: tuple


@dataclasses.dataclass(frozen=True)
class Variant(proxies.Proxy):
    """hubgate with a configuration of its own."""
    # Called with the text of the usual configuration and the directory for files that it names.
    change: typing.Callable[[str, pathlib.Path], str] = lambda text, _directory: text

    def configure(self, directory, values, body_bytes):
        command = super().configure(directory, values, body_bytes)
        config = directory / f"{self.name}.conf"
        text = self.change(config.read_text(encoding="utf-8"), directory)
        config.write_text(text, encoding="utf-8")
        return command


def known(hubgate, quick):
    """Every cost; fewer steps of each if it has to be quick."""
    def variant(name, change, held=0):
        return Variant(name, (hubgate, "run", "--config", "{config}"), "hubgate.toml",
                       change=change, held_connections=held)

    def steps(full, short):
        return short if quick else full

    return [
        Cost("log", "The access log", "1k", (
            variant("log-off", lambda text, _: f"{text}\n[log]\naccess = false\n"),
            variant("log-on", lambda text, _: f"{text}\n[log]\naccess = true\n"))),
        Cost("routes", "Routes", "1k", tuple(
            variant(f"routes-{count}", with_routes(count))
            for count in steps((1, 100, 10_000), (1, 100, 10_000)))),
        Cost("secrets", "App secrets of the route, of which the last one signs", "1k", tuple(
            variant(f"secrets-{count}", with_secrets(count))
            for count in steps((1, 2, 4, 8), (1, 8)))),
        Cost("anchors", "Trust anchors", "full", tuple(
            variant(f"anchors-{count}", with_anchors(count, hubgate))
            for count in steps((1, 2, 5, 10), (1, 10)))),
        *(Cost(f"proof-{measure}", f"A proof for the application, {title}", measure, (
            variant(f"proof-off-{measure}", lambda text, _: text),
            variant(f"proof-on-{measure}", with_proof)))
          for measure, title in (("1k", "1 KiB"), ("64k", "64 KiB"), ("1m", "1 MiB"))),
        Cost("idle", "Idle connections that are held meanwhile", "1k", tuple(
            variant(f"idle-{count}", lambda text, _: text, count)
            for count in steps((0, 1_000, 10_000), (0, 1_000)))),
    ]


def with_routes(count):
    """So many webhooks, of which one is called."""
    def change(text, _directory):
        one = text[text.index("[[webhook]]"):text.index("[admin]")]
        more = (one.replace("/webhooks", f"/hooks/{number}") for number in range(1, count))
        return text + "".join(more)
    return change


def with_secrets(count):
    def change(text, directory):
        more = ""
        for number in range(1, count):
            (directory / f"secret-{number}").write_text(f"{number:032x}", encoding="ascii")
            more += f'{{ file = "secret-{number}" }}, '
        return text.replace("app_secrets = [", f"app_secrets = [{more}")
    return change


def with_proof(text, directory):
    (directory / "proof").write_text(64 * "5", encoding="ascii")
    return text.replace("[[webhook]]", 'proof = { file = "proof" }\n\n[[webhook]]', 1)


def with_anchors(count, hubgate):
    """Others before the one that callers have."""
    def change(text, directory):
        more = ""
        for number in range(1, count):
            anchor = directory / f"anchor-{number}.pem"
            if not anchor.exists():
                made = directory / f"anchor-{number}"
                subprocess.run([hubgate, "certs", "--dir", made], check=True,
                               stdout=subprocess.DEVNULL)
                anchor.write_bytes((made / "meta-ca.pem").read_bytes())
            more += f'"{anchor}", '
        return text.replace("trust_anchors = [", f"trust_anchors = [{more}")
    return change
