"""Renders the page's templates: it escapes every value, and a name that is not defined is an error."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from pipetest.domain.status import Day, Quota, Status

if TYPE_CHECKING:
    from jinja2 import Environment
from pipetest.domain.text import number_of

EARLIEST = datetime(1, 1, 2, tzinfo=UTC).timestamp()
LATEST = datetime(9999, 12, 30, tzinfo=UTC).timestamp()

DAYS_SHOWN = 15  # odd, so that there is one in the middle


def thousands(number: float) -> str:
    return f"{number:,.0f}"


def utc(at: float) -> datetime:
    """A database of 1.0.0 may hold moments that are no dates in every time zone: the nearest that is one is shown."""
    return datetime.fromtimestamp(min(max(at, EARLIEST), LATEST), UTC)


def segment(text: str) -> str:
    """As one part of a URL's path, whatever is in it."""
    return quote(text, safe="")


def short_date(day: str) -> str:
    return f"{date.fromisoformat(day):%-d %b}"


def calendar(days: Sequence[Day]) -> Sequence[Day]:
    """As many days as are shown, up to the last one of ``days``; those on which nothing happened are there too."""
    known = {day.day: day for day in days}
    last = date.fromisoformat(max(known))
    names = [(last - timedelta(days=ago)).isoformat() for ago in reversed(range(DAYS_SHOWN))]
    return [known.get(name, Day(day=name)) for name in names]


def share_used(quota: Quota) -> float:
    """Of a quota whose limit is known: 0 to 1."""
    return min(1.0, max(0.0, 1.0 - quota.left / quota.limit)) if quota.left and quota.limit else 1.0


FILTERS = (number_of, thousands, utc, segment, short_date, calendar, share_used)


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
        "max_rows": 50,  # of quarantined gists; /status has more
        "max_latest": 10,  # so many rows stand well beside a few users
    }
    return templates


def render(template: str, status: Status, **values: object) -> str:
    return _templates().get_template(template).render(status=status, **values)
