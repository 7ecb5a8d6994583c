"""Renders the page's templates: it escapes every value, and a name that is not defined is an error."""

import re
from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from pipetest.domain.problems import PAUSED
from pipetest.domain.status import Day, Quota, Status
from pipetest.domain.text import capitalized, duration, number_of, utc

if TYPE_CHECKING:
    from jinja2 import Environment

DAYS_SHOWN = 14

LONG_ID = re.compile("([0-9a-fA-F]{20,})")


def thousands(number: float) -> str:
    return f"{number:,.0f}"


def segment(text: str) -> str:
    """As one part of a URL's path, whatever is in it."""
    return quote(text, safe="")


def ids_apart(text: str) -> Sequence[str]:
    """Turn by turn what stands between the ids of gists, and an id."""
    return LONG_ID.split(text)


def short_date(day: str) -> str:
    return f"{date.fromisoformat(day):%-d %b}"


def calendar(days: Sequence[Day], at: float) -> Sequence[Day]:
    """As many days as are shown, up to the day of ``at``; those on which nothing happened are there too."""
    known = {day.day: day for day in days}
    last = utc(at).date()
    names = [(last - timedelta(days=ago)).isoformat() for ago in reversed(range(DAYS_SHOWN))]
    return [known.get(name, Day(day=name)) for name in names]


def round_top(number: int) -> int:
    """The least even number of one digit and noughts that is not below it: a scale that ends there can be halved."""
    unit = 1
    while 10 * unit < number:
        unit *= 10
    return next(digit * unit for digit in (2, 4, 6, 8, 10) if digit * unit >= number)


def share_used(quota: Quota) -> float:
    """Of a quota whose limit is known: 0 to 1."""
    return min(1.0, max(0.0, 1.0 - quota.left / quota.limit)) if quota.left and quota.limit else 1.0


FILTERS = (
    capitalized,
    number_of,
    thousands,
    utc,
    duration,
    segment,
    ids_apart,
    short_date,
    calendar,
    round_top,
    share_used,
)


@cache
def _templates() -> "Environment":
    """Made for the first who looks: Jinja2 takes 5 MiB, and a seventh of the time that a start takes."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(
        loader=PackageLoader("pipetest.web.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    templates.filters |= {function.__name__: function for function in FILTERS}
    templates.globals |= {
        "max_rows": 50,  # of quarantined records; /status has more
        "max_open": 5,  # of them, without being asked for more
        "PAUSED": PAUSED,
        "max_latest": 10,  # so many rows stand well beside the days
    }
    return templates


def render(template: str, status: Status, **values: object) -> str:
    return _templates().get_template(template).render(status=status, **values)
