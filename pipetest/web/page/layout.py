"""The page as a whole, and its regions one by one, so that only what has changed has to be sent again."""

from collections.abc import Mapping, Sequence

from pipetest.domain.status import QueriedUser, Status
from pipetest.web.page.html import render
from pipetest.web.page.users import EVERYBODY, SORTS, Choice, shown

POLICY = "; ".join(
    [
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)
"""What a browser may load for the page: only files of ours, and nothing inline."""

MAIN_REGIONS = ("health", "figures", "quarantine", "latest", "days", "quotas", "audit", "users", "next_deal")
REGIONS = (*MAIN_REGIONS, "about")
"""In their order on the page, the last one in its footer. Each has a template of this name, and its element has this
id."""


def page(
    status: Status, *, admin: bool, choice: Choice = EVERYBODY, users: Sequence[QueriedUser] | None = None
) -> bytes:
    """The page as of this status; with ``admin`` it can take the admin token. Of ``users``, or else of those whom the
    status names, it shows those chosen."""
    found = shown(status.users if users is None else users, choice)
    return render("page.html", status, regions=MAIN_REGIONS, admin=admin, shown=found, sorts=SORTS).encode()


def regions(status: Status) -> Mapping[str, str]:
    """The HTML of every region, by its name."""
    first = shown(status.users, EVERYBODY)
    return {name: render(f"{name}.html", status, shown=first, sorts=SORTS) for name in REGIONS}
