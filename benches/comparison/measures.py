"""What is measured: each measure is one way to call the load generator and one figure of its
answer."""

import dataclasses

NAMES = ("1k", "64k", "1m", "full", "resumed", "idle", "p50", "p99")


@dataclasses.dataclass(frozen=True)
class Measure:
    """A run of the load generator."""
    name: str
    # Title of its column, with the unit.
    title: str
    # Arguments of the load generator; `{rate}` is filled in.
    arguments: tuple
    # The key of the figure in its answer, and what to divide it by.
    figure: str
    unit: float = 1.0
    body_bytes: int = 1024
    # Whether other processes disturb it; memory they do not.
    noisy: bool = True
    # Shown from the same run as this other measure.
    same_run_as: str = None

    def is_for(self, proxy):
        # The second worker is measured for the price of a request alone.
        return self.same_run_as is None and (proxy.workers == 1 or self.name == "1k")

    def value(self, result):
        return result[self.figure] / self.unit


def plan(options):
    """The measures asked for, in the order of the table."""
    time = ("--seconds", options.seconds, "--warmup", min(1.0, 0.3 * options.seconds))
    idle = 1_000 if options.quick else 10_000
    cost = "cpu_us_per_request"

    def busy(body_bytes, *more):
        return ("busy", "--body-bytes", body_bytes, *time, *more)

    every = [
        Measure("1k", "1 KiB us", busy(1024), cost),
        Measure("64k", "64 KiB us", busy(65536), cost, body_bytes=65536),
        Measure("1m", "1 MiB us", busy(1048576), cost, body_bytes=1048576),
        Measure("full", "full handshake us", busy(1024, "--reuse", "full-handshake"), cost),
        Measure("resumed", "resumed us", busy(1024, "--reuse", "resumed-handshake"), cost),
        Measure("idle", "idle KB", ("hold", "--connections", idle), "bytes_per_connection", 1e3,
                noisy=False),
        Measure("p50", "p50 us", ("paced", "--rate", "{rate}", *time), "p50_us"),
        Measure("p99", "p99 us", (), "p99_us", same_run_as="p50"),
    ]
    if not options.measures:
        return every
    return [measure for measure in every if measure.name in options.measures
            or measure.same_run_as in options.measures]


def rate(options, results):
    """Half of what one core of the slowest proxy can do, the same for all and in all rounds."""
    if options.rate:
        return options.rate
    costs = [result["cpu_us_per_request"] for result in results
             if result["measure"] == "1k" and result["round"] == 1]
    return round(0.5 * 1e6 / max(costs)) if costs else 5000
