"""What is drawn, as SVG: gauges and the chart. Colours and fonts come from the style sheet."""

from collections.abc import Sequence
from datetime import date, timedelta

from twisted.web.template import Tag

from pipetest.domain.status import Day
from pipetest.web.page.html import count, h

WIDTH, HEIGHT, BASE, TOP = 400, 140, 120, 16
DAYS = 15  # odd, so that there is one in the middle
GAP = 0.3  # of a day's width, between the days


def gauge(share: float | None, text: str) -> Tag:
    """Half a ring, filled from the left by ``share`` (0 to 1; None where that is unknown), with a text in it."""
    arc = "M 10 52 A 40 40 0 0 1 90 52"
    return h(
        "svg",
        h("path", d=arc, class_="track"),
        None
        if share is None
        else h("path", d=arc, class_=_level(share), pathLength=100, stroke_dasharray=f"{100 * share:.1f} 200"),
        h("text", text, x=50, y=50),
        viewBox="0 0 100 58",
        class_="gauge",
        aria_hidden="true",
    )


def _level(share: float) -> str:
    return "low" if share < 0.1 else "middling" if share < 0.25 else "plenty"


def chart(days: Sequence[Day]) -> Tag:
    """Two bars a day: gists recorded, deals created. The last of ``days`` is at the right end."""
    drawn = calendar(days)
    most = max(max(day.gists, day.deals, 1) for day in drawn)
    pitch = WIDTH / len(drawn)
    gists, deals = sum(day.gists for day in drawn), sum(day.deals for day in drawn)
    return h(
        "svg",
        h("line", x1=0, x2=WIDTH, y1=TOP, y2=TOP, class_="rule"),
        h("line", x1=0, x2=WIDTH, y1=BASE, y2=BASE, class_="rule"),
        h("text", f"{most:,}", x=0, y=TOP - 5),
        *(bar for place, day in enumerate(drawn) for bar in _bars(day, place * pitch, pitch, most)),
        *_labels(drawn),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        class_="chart",
        role="img",
        aria_label=f"{count(gists, 'gist')} and {count(deals, 'deal')} in {DAYS} days",
    )


def calendar(days: Sequence[Day]) -> Sequence[Day]:
    """The days up to the last one, as many as are drawn, those without anything too."""
    known = {day.day: day for day in days}
    last = date.fromisoformat(max(known))
    names = [(last - timedelta(days=ago)).isoformat() for ago in reversed(range(DAYS))]
    return [known.get(name, Day(day=name)) for name in names]


def _bars(day: Day, left: float, pitch: float, most: int) -> Sequence[Tag]:
    width = pitch * (1 - GAP) / 2
    start = left + pitch * GAP / 2
    return [
        _bar(day.gists / most, start, width, "gists"),
        _bar(day.deals / most, start + width, width, "deals"),
    ]


def _bar(share: float, x: float, width: float, kind: str) -> Tag:
    height = share * (BASE - TOP)
    return h("rect", x=f"{x:.1f}", y=f"{BASE - height:.1f}", width=f"{width:.1f}", height=f"{height:.1f}", class_=kind)


def _labels(days: Sequence[Day]) -> Sequence[Tag]:
    """The first day, one between, the last."""
    places = ((days[0], 0, "first"), (days[len(days) // 2], WIDTH // 2, "middle"), (days[-1], WIDTH, "last"))
    return [
        h("text", f"{date.fromisoformat(day.day):%-d %b}", x=x, y=BASE + 16, class_=where) for day, x, where in places
    ]
