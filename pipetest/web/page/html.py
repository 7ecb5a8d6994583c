"""Marking up in Python what :mod:`twisted.web.template` then writes, and escapes, as HTML."""

from datetime import UTC, datetime

from twisted.web.template import Tag, flattenString

Content = Tag | str | int | None


def h(name: str, /, *content: Content, **attributes: str | int | float | bool | None) -> Tag:
    """An element. ``class_`` is class, ``aria_label`` aria-label; True is an attribute without a value, None none."""
    tag = Tag(name)
    for key, value in attributes.items():
        if value is not None and value is not False:
            tag.attributes[key.rstrip("_").replace("_", "-")] = "" if value is True else str(value)
    return tag(*(str(part) if isinstance(part, int) else part for part in content if part is not None))


def section(name: str, title: str, *content: Content, hidden: bool = False) -> Tag:
    """A part of the page under a heading of its own, named by it."""
    heading = f"{name}-title"
    head = h("h2", title, id=heading)
    return h("section", head, *content, id=name, class_="card", hidden=hidden, aria_labelledby=heading)


def count(number: int, one: str, many: str | None = None) -> str:
    """1 deal, 2 deals, 1,234 deals."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def when(at: float) -> Tag:
    """A time that the script turns into how long ago that is."""
    moment = datetime.fromtimestamp(at, UTC)
    return h("time", f"{moment:%d %b %Y, %H:%M} UTC", datetime=f"{moment:%Y-%m-%dT%H:%M:%SZ}")


def link(url: str, text: str) -> Tag:
    """A link to another site, which learns nothing of this page."""
    return h("a", text, href=url, rel="noreferrer")


async def html(tag: Tag) -> bytes:
    return await flattenString(None, tag)
