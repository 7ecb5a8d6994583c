"""The page as a whole, and its regions one by one, so that only what has changed has to be sent again."""

from collections.abc import Mapping

from pipetest.domain.status import Status
from pipetest.web.page.html import render

POLICY = "; ".join(
    [
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
"""What a browser may load for the page: only files of ours, and nothing inline."""

REGIONS = ("health", "quarantine", "scan", "deals", "days", "quotas", "users", "latest", "audit")
"""In their order on the page. Each has a template of this name, and its element has this id."""


def page(status: Status, *, admin: bool) -> bytes:
    """The page as of this status; with ``admin`` it can take the admin token."""
    return render("page.html", status, regions=REGIONS, admin=admin).encode()


def regions(status: Status) -> Mapping[str, str]:
    """The HTML of every region, by its name."""
    return {name: render(f"{name}.html", status) for name in REGIONS}
