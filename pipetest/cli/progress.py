"""A progress bar, drawn where standard error is a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress


@contextmanager
def bar(what: str, total: int) -> Iterator[Callable[[], None]]:
    """What this gives is called after each of ``total`` steps. Nothing of the bar is left in the end."""
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)
