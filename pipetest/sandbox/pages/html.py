"""Renders the pages' templates, and serves the files that they load."""

from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from twisted.web.iweb import IRequest

if TYPE_CHECKING:
    from jinja2 import Environment

POLICY = "; ".join(
    [
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)

TYPES = {"sandbox.css": "text/css; charset=utf-8", "playground.js": "text/javascript; charset=utf-8"}
"""The files that a page may load."""


def page(request: IRequest, template: str, status: int = 200, **values: object) -> bytes:
    request.setResponseCode(status)
    request.setHeader("content-type", "text/html; charset=utf-8")
    request.setHeader("content-security-policy", POLICY)
    request.setHeader("cache-control", "no-store")
    return _templates().get_template(template).render(values).encode()


def missing(request: IRequest, what: str) -> bytes:
    return page(request, "missing.html", 404, what=what)


def static_file(request: IRequest, name: str) -> bytes:
    if name not in TYPES:
        return missing(request, "file")
    request.setHeader("content-type", TYPES[name])
    return files(__package__).joinpath("static", name).read_bytes()


def utc(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%-d %b %Y, %H:%M} UTC"


@cache
def _templates() -> "Environment":
    """Made for the first who looks, as Jinja2 takes a while."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(
        loader=PackageLoader("pipetest.sandbox.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters["utc"] = utc
    return templates
