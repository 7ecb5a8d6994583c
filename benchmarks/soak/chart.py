"""The samples of a run as a picture: memory with its trend, open descriptors, and gists with their deals, over time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from math import ceil

from msgspec import Struct

from benchmarks.soak.samples import Sample
from benchmarks.soak.trend import Trend
from benchmarks.support.picture import picture

WIDTH, LEFT, RIGHT = 860, 70, 20
TOP, PANEL, GAP = 84, 130, 50
BOTTOM = 30
STEPS = 12
"""Marks on the axis of time, about."""

BLUE, ORANGE, GREY = "#2563eb", "#c2410c", "#9aa5b1"


class Curve(Struct, frozen=True):
    colour: str
    of: Callable[[Sample], float]


class Panel(Struct, frozen=True):
    title: str
    curves: Sequence[Curve]


PANELS = (
    Panel("memory, MiB, with its trend after the warm-up", [Curve(BLUE, lambda sample: sample.rss_mib)]),
    Panel("open descriptors", [Curve(BLUE, lambda sample: sample.descriptors)]),
    Panel(
        "gists that users have written (orange), and deals that are made (blue)",
        [Curve(ORANGE, lambda sample: sample.gists), Curve(BLUE, lambda sample: sample.deals)],
    ),
)


def chart(samples: Sequence[Sample], memory: Trend, since_s: float, heading: str) -> str:
    """An SVG picture. ``memory`` is the trend in MiB per second from ``since_s`` on. Outages are grey."""
    scale = Scale(max(sample.elapsed_s for sample in samples))
    parts: list[str] = []
    for number, panel in enumerate(PANELS):
        top = TOP + number * (PANEL + GAP)
        parts += _panel(panel, samples, scale, top)
    highest = _highest(PANELS[0], samples)
    ends = [(s, memory.at(s)) for s in (since_s, scale.longest_s)]
    parts.append(_line(ORANGE, (scale.point(s, value / highest, TOP) for s, value in ends), dashed=True))
    height = TOP + len(PANELS) * (PANEL + GAP) - GAP + BOTTOM
    return picture("A soak: one process, with all faults on", heading, WIDTH, height, parts)


class Scale(Struct, frozen=True):
    longest_s: float

    def x(self, elapsed_s: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * elapsed_s / self.longest_s

    def point(self, elapsed_s: float, share: float, top: int) -> str:
        """In the panel at ``top``; ``share`` of its height."""
        return f"{self.x(elapsed_s):.1f},{top + PANEL * (1 - share):.1f}"

    def marks(self) -> Iterable[int]:
        """Minutes."""
        minutes = self.longest_s / 60
        step = next((step for step in (1, 2, 5, 10, 20, 30, 60, 120) if minutes / step <= STEPS), ceil(minutes / STEPS))
        return range(0, int(minutes) + 1, step)


def _panel(panel: Panel, samples: Sequence[Sample], scale: Scale, top: int) -> Iterator[str]:
    highest, bottom = _highest(panel, samples), top + PANEL
    yield f'<text x="{LEFT}" y="{top - 10}">{panel.title}</text>'
    for name, during in groupby(samples, lambda sample: sample.outage):
        if name:
            times = [sample.elapsed_s for sample in during]
            left, right = scale.x(times[0]), max(scale.x(times[-1]), scale.x(times[0]) + 2)
            box = f'x="{left:.1f}" y="{top}" width="{right - left:.1f}" height="{PANEL}"'
            yield f'<rect {box} fill="{GREY}" fill-opacity="0.3"><title>{name}</title></rect>'
    for share in (0.0, 0.5, 1.0):
        y = bottom - PANEL * share
        yield f'<line class="line" x1="{LEFT}" y1="{y:g}" x2="{WIDTH - RIGHT}" y2="{y:g}" stroke-opacity="0.5"/>'
        yield f'<text class="quiet" x="{LEFT - 8}" y="{y + 4:g}" text-anchor="end">{highest * share:,g}</text>'
    for minute in scale.marks():
        x = scale.x(minute * 60)
        yield f'<text class="quiet" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{minute} min</text>'
    for curve in panel.curves:
        points = (scale.point(sample.elapsed_s, curve.of(sample) / highest, top) for sample in samples)
        yield _line(curve.colour, points)


def _line(colour: str, points: Iterable[str], *, dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="6 4"' if dashed else ""
    return f'<polyline fill="none" stroke="{colour}" stroke-width="1.5"{dashes} points="{" ".join(points)}"/>'


def _highest(panel: Panel, samples: Sequence[Sample]) -> float:
    """The top of its axis: every axis begins with 0."""
    most = max(curve.of(sample) for curve in panel.curves for sample in samples)
    step = 10 ** max(1, len(str(int(most))) - 1)
    return float(max(1, ceil(most / step)) * step)
