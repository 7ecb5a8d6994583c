"""The page as a whole."""

from twisted.web.template import Tag

from pipetest.domain.status import Status
from pipetest.web.page.html import h, html, when
from pipetest.web.page.sections import REGIONS

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
"""What a browser may load for the page, and from where: only from us, and nothing inline."""


async def page(status: Status, *, admin: bool) -> bytes:
    """The page as of this status; with ``admin`` it can take the admin token."""
    return b"<!DOCTYPE html>\n" + await html(h("html", _head(status), _body(status, admin), lang="en"))


def _head(status: Status) -> Tag:
    return h(
        "head",
        h("meta", charset="utf-8"),
        h("meta", name="viewport", content="width=device-width, initial-scale=1"),
        h("meta", name="color-scheme", content="light dark"),
        h("title", f"pipetest · {status.instance.company}"),
        h("link", rel="icon", href="static/icon.svg", type="image/svg+xml"),
        h("link", rel="stylesheet", href="static/page.css"),
        h("script", src="static/page.js", type="module"),
    )


def _body(status: Status, admin: bool) -> Tag:
    regions = [region(status) for region in REGIONS.values()]
    return h("body", _header(status), h("main", *regions, id="main"), _footer(status, admin))


def _header(status: Status) -> Tag:
    return h(
        "header",
        h("a", "Skip to content", href="#main", class_="skip"),
        h("p", h("img", src="static/icon.svg", alt="", width=28, height=28), h("strong", "pipetest"), class_="brand"),
        h("p", status.instance.company, class_="company"),
        h("p", "A snapshot; reload for another", id="line"),
        h("p", "", id="told", role="status"),
    )


def _footer(status: Status, admin: bool) -> Tag:
    links = [h("li", h("a", path, href=path)) for path in ("status", "ready", "metrics", "openapi.json")]
    return h(
        "footer",
        _controls() if admin else None,
        h("nav", h("ul", *links), aria_label="For programs"),
        h("p", f"pipetest {status.instance.version}, started ", when(status.instance.started_at)),
    )


def _controls() -> Tag:
    """Shown by the script, as without it nothing here would work."""
    token = h("input", type="password", name="token", autocomplete="off", required=True)
    buttons = [
        h("button", text, type="button", data_post=path)
        for path, text in (("scan", "Scan now"), ("pause", "Pause creation"), ("resume", "Resume creation"))
    ]
    return h(
        "form",
        h("label", "Admin token ", token),
        h("button", "Use", type="submit"),
        h("div", *buttons, class_="buttons"),
        h("output", ""),
        id="controls",
        aria_label="Controls",
        hidden=True,
    )
