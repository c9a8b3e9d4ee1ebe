"""What was measured: values by who and what, and what is said of them in the table."""

import math
import statistics
from dataclasses import dataclass


@dataclass
class Line:
    """One of the table."""

    what: str
    bar: str
    figure: str = "-"
    beside: str = ""
    met: bool | None = None
    remark: str = ""


class Samples:
    def __init__(self):
        self.values = {}
        self.remarks = []

    def add(self, who, what, value):
        self.values.setdefault((who, what), []).append(value)

    def take(self, other, suffix):
        """All of another's values, with a word behind their names."""
        for (who, what), values in other.values.items():
            self.values.setdefault((who, what + suffix), []).extend(values)
        for text in other.remarks:
            self.remark(text)

    def remark(self, text):
        if text not in self.remarks:
            self.remarks.append(text)

    def median(self, who, what):
        values = self.values.get((who, what))
        return statistics.median(values) if values else None

    def ratio(self, above, below):
        """Of two medians, each named by (who, what)."""
        a, b = self.median(*above), self.median(*below)
        return a / b if a is not None and b else None

    def text(self, who, what, form=None):
        """median (min-max)."""
        values = self.values.get((who, what))
        if not values:
            return "-"
        form = form or milliseconds
        middle = form(statistics.median(values))
        if len(values) == 1:
            return middle
        return f"{middle} ({bare(form(min(values)))}-{bare(form(max(values)))})"

    def beside(self, what, *whos, form=None):
        """The same thing of others, those that there are."""
        return [f"{who} {self.text(who, what, form)}" for who in whos if (who, what) in self.values]

    def json(self):
        return {f"{who}: {what}": {"values": values, "median": statistics.median(values),
                                   "min": min(values), "max": max(values)}
                for (who, what), values in self.values.items()}


def bare(text):
    return text.split()[0]


def milliseconds(seconds):
    value = seconds * 1e3
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms"


def mebibytes(count):
    value = count / (1 << 20)
    return f"{value:.0f} MiB" if value >= 100 else f"{value:.1f} MiB"


def percent(share):
    return f"{share * 100:.1f} %" if abs(share) < 0.1 else f"{share * 100:.0f} %"


def at_most(value, limit):
    return None if value is None or limit is None else value <= limit


def at_least(value, limit):
    return None if value is None or limit is None else value >= limit


def both(*verdicts):
    """No when one is no, unknown when one is unknown."""
    if False in verdicts:
        return False
    return None if None in verdicts else True


def peer_limit(samples, what, share, peers):
    """That share of the fastest peer's time, and what to call it."""
    found = [(samples.median(who, what), who) for who in peers if (who, what) in samples.values]
    if not found:
        return None
    return min(found)[0] * share


def exponent(points):
    """The b of time = a * n^b that fits best to {n: time}; None with fewer than two points."""
    if len(points) < 2:
        return None
    xs = [math.log(n) for n in points]
    ys = [math.log(t) for t in points.values()]
    x0, y0 = statistics.fmean(xs), statistics.fmean(ys)
    return (sum((x - x0) * (y - y0) for x, y in zip(xs, ys))
            / sum((x - x0) ** 2 for x in xs))
