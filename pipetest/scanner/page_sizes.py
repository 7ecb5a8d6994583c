"""How much is asked for on a page of a list, and of how many pages. What failed may have been too much: a server may
give up on it, or a proxy cut it short. Pure."""

from collections import Counter

from pipetest.domain.errors import RateLimited, Transient

PAGE_SIZES = (100, 30, 10)
"""The most that GitHub allows, and what is asked for instead where that is too much for a server."""

MAX_PAGES = 1000
"""No list has more; one that seems to has no end."""


def may_be_too_much(error: Transient) -> bool:
    """Whether a page may have failed for its size: nobody has said when to ask again."""
    return error.wait is None and not isinstance(error, RateLimited)


class PageSizes:
    """How much to ask for on a page of each list, by the list's key."""

    def __init__(self) -> None:
        self._steps: Counter[str] = Counter()
        self._failed_first: str | None = None

    def begin_scan(self) -> None:
        """Another list may be the first that fails: that one may be read no more."""
        self._failed_first = None

    def of(self, key: str) -> int:
        return PAGE_SIZES[self._steps[key] % len(PAGE_SIZES)]

    def failed(self, key: str) -> None:
        """Ask for less next time, and after the least for the most again. Where no list is answered, it is no size that
        is at fault: so until one is, only the first that failed is asked for in another size."""
        if self._failed_first in (None, key):
            self._failed_first = key
            self._steps[key] += 1

    def answered(self) -> None:
        self._failed_first = None

    def forget(self, key: str) -> None:
        """Try the most again."""
        del self._steps[key]
