"""The figures as tables: medians with their range, and ratios taken inside each round."""

import statistics

from . import proxies

# What is aimed at: the first proxy's figure over the second's, at most.
AIMS = (
    ("1k", "haproxy-hmac", 0.60), ("1k", "nginx-lua", 0.60), ("1k", "haproxy", 0.95),
    ("1k", "floor", 1.40),
    ("64k", "haproxy-hmac", 0.65), ("64k", "nginx-lua", 0.65), ("64k", "floor", 1.00),
    ("1m", "haproxy-hmac", 0.55), ("1m", "nginx-lua", 0.55), ("1m", "floor", 1.00),
    ("full", "floor", 1.15), ("full", "nginx", 0.30),
    ("resumed", "floor", 1.15), ("resumed", "nginx", 0.30),
    ("p50", "haproxy", 1.00), ("p99", "haproxy", 1.00),
    ("p50", "haproxy-hmac", 1.00), ("p99", "haproxy-hmac", 1.00),
)
IDLE_AIM_KB = 22
SCALING_AIM = 1.8


def progress(measure, result):
    probe = "checks on" if result["probe"]["ok"] else f"CHECKS OFF {result['probe']}"
    error = f" ({result['first_error']})" if result["errors"] else ""
    return (f"round {result['round']} {measure.title:>18} {result['proxy']:<13}"
            f" {shown(measure.value(result)):>8}  errors {result['errors']}{error}, {probe},"
            f" neighbours {result['neighbours']:.2f} cores")


def show(description, plan, results):
    figures = Figures(plan, results)
    plan = [measure for measure in plan if figures.has(measure.name)]
    head = ["", *(measure.title for measure in plan)]
    found = [name for name in proxies.NAMES if figures.knows(name)]
    alone = [name for name in found if name != "hubgate-2"]

    print("\n".join(description))
    print("\nMedian of the rounds (lowest-highest). CPU of the proxy alone, per request.\n")
    print(markdown(head, [[name, *(figures.cell(name, measure.name) for measure in plan)]
                          for name in found]))
    print("\nRatios: median of the rounds' own ratios (each round).\n")
    rows = [[f"hubgate over {name}",
             *(figures.ratio_cell("hubgate", name, measure.name) for measure in plan)]
            for name in alone if "hubgate" in found and name != "hubgate"]
    rows += [[f"{name} over floor",
              *(figures.ratio_cell(name, "floor", measure.name) for measure in plan)]
             for name in alone if "floor" in found and name not in ("floor", "hubgate")]
    print(markdown(head, rows))
    if "hubgate" in found:
        show_aims(figures)
    show_conditions(results)


def show_conditions(results):
    rates = sorted({result["rate"] for result in results if "rate" in result})
    if rates:
        print(f"\nLatency at {', '.join(f'{rate:.0f}' for rate in rates)} requests a second.")
    refused = sum(result["probe"]["ok"] for result in results)
    neighbours = [result["neighbours"] for result in results]
    print(f"\n{len(results)} runs, {sum(result['errors'] for result in results)} errors;"
          f" checks proven on in {refused} of {len(results)};"
          f" other processes kept {statistics.median(neighbours):.2f} cores busy (median;"
          f" highest {max(neighbours):.2f}).")


def show_aims(figures):
    print("\nAims\n")
    rows = []
    for measure, other, limit in AIMS:
        ratios = figures.ratios("hubgate", other, measure)
        if ratios:
            rows.append([measure, f"at most {limit:.2f} of {other}",
                         *verdict(statistics.median(ratios), limit)])
    idle = figures.values("hubgate", "idle")
    if idle:
        rows.append(["idle", f"at most {IDLE_AIM_KB} KB",
                     *verdict(statistics.median(idle), IDLE_AIM_KB)])
    scaling = figures.ratios("hubgate", "hubgate-2", "1k")
    if scaling:
        # What two cores can do over what one can, if each request costs what it was seen to cost.
        gain = 2 * statistics.median(scaling)
        rows.append(["1k", f"two workers do at least {SCALING_AIM} of one", shown(gain),
                     "met" if gain >= SCALING_AIM else "MISSED"])
    print(markdown(["measure", "aim", "found", ""], rows))


def verdict(found, limit):
    return f"{found:.2f}", "met" if found <= limit else "MISSED"


class Figures:
    """The results by proxy, measure and round."""

    def __init__(self, plan, results):
        self.by_round = {}
        for result in results:
            for measure in plan:
                if result["measure"] in (measure.name, measure.same_run_as):
                    key = (result["proxy"], measure.name)
                    rounds = self.by_round.setdefault(key, {})
                    rounds[result["round"]] = measure.value(result)

    def has(self, measure):
        return any(measured == measure for _, measured in self.by_round)

    def knows(self, proxy):
        return any(measured == proxy for measured, _ in self.by_round)

    def values(self, proxy, measure):
        return list(self.by_round.get((proxy, measure), {}).values())

    def ratios(self, proxy, other, measure):
        """One a round: only figures of the same round are compared."""
        mine = self.by_round.get((proxy, measure), {})
        theirs = self.by_round.get((other, measure), {})
        return [mine[number] / theirs[number] for number in mine if number in theirs]

    def cell(self, proxy, measure):
        values = self.values(proxy, measure)
        if not values:
            return "-"
        middle = shown(statistics.median(values))
        if len(values) == 1:
            return middle
        return f"{middle} ({shown(min(values))}-{shown(max(values))})"

    def ratio_cell(self, proxy, other, measure):
        ratios = self.ratios(proxy, other, measure)
        if not ratios:
            return "-"
        middle = f"{statistics.median(ratios):.2f}"
        if len(ratios) == 1:
            return middle
        return f"{middle} ({' '.join(f'{ratio:.2f}' for ratio in ratios)})"


def shown(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def markdown(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
