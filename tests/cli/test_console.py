"""How a table fits a terminal."""

from io import StringIO

import pytest
from rich.console import Console, RenderableType
from rich.text import Text

from pipetest.cli.console import Rows, lines

GIST = "02f6a1c09be24d7788aa000000000002"
USER = "a-name-of-the-39-letters-GitHub-allows1"
WORDS = "400: the title <script>alert(1)</script> is not valid"


def drawn(drawing: RenderableType, width: int) -> str:
    terminal = StringIO()
    Console(file=terminal, width=width).print(drawing)
    return terminal.getvalue()


ROWS = Rows("GIST", "USER", "DEALS", "", rows=[(Text(GIST), Text(USER), "12,345", Text(WORDS))], numbers=["DEALS"])


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_nothing_but_the_words_of_the_last_column_is_broken_over_lines(width: int) -> None:
    drawing = drawn(ROWS, width)
    assert all(len(line) <= width for line in drawing.splitlines())
    for whole in (GIST, USER, "12,345"):
        assert whole in drawing
    assert WORDS in " ".join(drawing.split())


def test_rows_stand_in_columns_where_there_is_room_for_them() -> None:
    assert drawn(ROWS, 200).splitlines()[1].rstrip() == f"{GIST}  {USER}  12,345  {WORDS}"


def test_a_word_that_is_wider_than_the_terminal_is_shown_whole() -> None:
    path = "/var/lib/pipetest/a-folder-of-some-name/db.json"
    drawing = drawn(lines(("✗", f"database: {path} is held by another process")), 40)
    assert path in "".join(drawing.split())
