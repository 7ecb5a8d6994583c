"""How a command's text looks: in colour and as wide as a terminal is, or plain lines of any length where a pipe or a
file takes them."""

import sys
from collections.abc import Iterable, Sequence
from io import StringIO

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from pipetest.domain.text import printable

UNBOUNDED = 100_000
"""Columns: a line that a program reads is not broken."""

GOOD, WARNING, FAULT = Text("✓", "green"), Text("!", "yellow"), Text("✗", "red")


def show(*parts: RenderableType) -> None:
    """Print this to standard output."""
    if sys.stdout.isatty():
        Console(highlight=False).print(*parts, sep="\n")
        return
    text = StringIO()
    Console(file=text, width=UNBOUNDED, color_system=None, highlight=False).print(*parts, sep="\n")
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def plain(words: str, style: str = "") -> Text:
    """Words that may be anybody's: nothing in them is markup, nor steers the terminal."""
    return Text(printable(words), style)


def lines(*pairs: tuple[RenderableType, RenderableType]) -> Table:
    """A mark or a name on the left of each, and what there is to say on its right."""
    grid = Table.grid(padding=(0, 2))
    for left, right in pairs:
        grid.add_row(left, right)
    return grid


def table(*columns: str, rows: Iterable[Sequence[RenderableType]], numbers: Sequence[str] = ()) -> Table:
    """With a head; the columns that are named in ``numbers`` stand on the right."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made
