"""How a command's text looks: in colour and as wide as a terminal is, or plain lines of any length where a pipe or a
file takes them."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pipetest.domain.text import printable

UNBOUNDED = 100_000
"""Columns: a line that a program reads is not broken."""

GAP = 2
"""Columns, between those of a table."""

LEAST_WORDS = 20
"""Columns: in less, a sentence cannot be read."""

SEPARATOR = " · "

Cell = str | Text

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
    grid = Table.grid(padding=(0, GAP))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for left, right in pairs:
        grid.add_row(left, right)
    return grid


class Rows:
    """A table with a head; the columns that are named in ``numbers`` stand on the right. Nothing but the words of the
    last column is broken over lines: where a terminal is too narrow for that, each row is a paragraph of its own."""

    def __init__(self, *columns: str, rows: Sequence[Sequence[Cell]], numbers: Sequence[str] = ()) -> None:
        self._columns = columns
        self._rows = rows
        self._numbers = numbers

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        columns = zip(self._columns, *self._rows, strict=True)
        *widths, last = (max(cell_len(str(cell)) for cell in column) for column in columns)
        if sum(widths) + GAP * len(widths) + min(last, LEAST_WORDS) <= options.max_width:
            yield self._table()
        else:
            yield from self._paragraphs(options.max_width)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
        for column in self._columns:
            side: JustifyMethod = "right" if column in self._numbers else "left"
            table.add_column(column, justify=side, overflow="fold", no_wrap=column != self._columns[-1])
        for row in self._rows:
            table.add_row(*row)
        return table

    def _paragraphs(self, width: int) -> Iterator[RenderableType]:
        yield Text(SEPARATOR.join(filter(None, self._columns)), "bold")
        for first, *others in self._rows:
            yield Text(str(first), overflow="fold")
            for line in _packed([str(cell) for cell in others if str(cell)], width - 1):
                yield Padding(Text(line, overflow="fold"), (0, 0, 0, 1))


def _packed(cells: Iterable[str], width: int) -> Iterator[str]:
    """Lines that hold as many of these as there is room for."""
    line = ""
    for cell in cells:
        joined = f"{line}{SEPARATOR}{cell}" if line else cell
        if line and cell_len(joined) > width:
            yield line
            joined = cell
        line = joined
    yield line
