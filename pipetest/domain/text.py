"""Texts for people, whoever shows them: a log, a page, a terminal. Pure."""

from datetime import UTC, datetime

EARLIEST = datetime(1, 1, 2, tzinfo=UTC).timestamp()
LATEST = datetime(9999, 12, 30, tzinfo=UTC).timestamp()


def utc(at: float) -> datetime:
    """A database of 1.0.0 may hold moments that are no dates in every time zone: the nearest that is one is shown."""
    return datetime.fromtimestamp(min(max(at, EARLIEST), LATEST), UTC)


def printable(text: str) -> str:
    """With an escape, as in a Python string, for each character that is not printable: controls, marks that turn the
    direction of writing, halves of surrogates."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def capitalized(text: str) -> str:
    """As a sentence begins: with a capital, and all else as it is."""
    return text[:1].upper() + text[1:]


def duration(seconds: float) -> str:
    """In words, as 45 s, 4 minutes, 3 hours, 5 days."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} minutes"
    if seconds < 2 * 86_400:
        return f"{seconds / 3600:.0f} hours"
    return f"{seconds / 86_400:.0f} days"


def number_of(number: int, one: str, many: str | None = None) -> str:
    """1 deal, 2 deals, 1,234 deals."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
