"""Texts for people."""

import pytest

from pipetest.domain.text import duration, printable


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (119.0, "119 s"), (240.0, "4 minutes"), (9e3, "2 hours"), (1e5, "28 hours"), (1e6, "12 days")],
)
def test_durations_are_said_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_what_steers_a_terminal_is_escaped() -> None:
    assert printable("\x1b[31m red\n\u202e") == "\\x1b[31m red\\n\\u202e"
    assert printable("Zoë 日本 🙂") == "Zoë 日本 🙂"
