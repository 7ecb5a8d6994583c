"""What a gist says of itself: whatever GitHub lists becomes what every database holds and a title can show."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from pipetest.domain.model import Reply, Text
from pipetest.github.pages import parsed_gists
from pipetest.github.texts import LONGEST, gist_text


def text(description: bytes, files: bytes = b"{}") -> Text:
    """As read from a whole page."""
    fields = b'"id": "a", "created_at": "2026-11-23T12:00:00Z", "public": true'
    body = b'[{%b, "description": %b, "files": %b}]' % (fields, description, files)
    (gist,) = parsed_gists(Reply(200, {}, body), "https://api.github.com/users/ada/gists?per_page=100").gists
    assert gist.text is not None
    return gist.text


def test_a_text_is_the_description_and_the_names_of_the_files() -> None:
    files = b'{"b.py": {"filename": "b.py", "size": 1, "language": null}, "a.md": {}, "c": {}}'
    assert text(b'"Primes below n"', files) == Text("Primes below n", ("b.py", "a.md", "c"))


@pytest.mark.parametrize("description", [b"null", b'""', b'" \\n "', b"7", b"[]", b"{}", b"true", b'"\xff"'])
@pytest.mark.parametrize("files", [b"null", b"{}", b"[]", b'"a"', b"7", b"[" * 900 + b"]" * 900, b'{"\xff": {}}'])
def test_what_is_no_text_counts_as_none_and_does_not_cost_the_gist(description: bytes, files: bytes) -> None:
    assert text(description, files) == Text()


def test_it_is_one_line_without_anything_that_a_database_cannot_hold_or_that_turns_what_stands_beside_it() -> None:
    assert text(rb'"a\u0000b\r\n\tc \u202ed\ud800e\u2028f\u001b[2J"') == Text("a b c d\ufffde f [2J")
    assert text(b'""', rb'{"a\u0000\n.py": {}, "\udfff.c": {}, "\u0007": {}}') == Text("", ("a .py", "\ufffd.c"))
    assert text('"👩\u200d💻 قهوة"'.encode()) == Text("👩\u200d💻 قهوة")


def test_of_names_that_are_too_long_together_those_that_fit_are_taken() -> None:
    names = dict.fromkeys(["a" * 300, "b" * 300, "c" * 50, "d" * 150, "e" * 149, "f"])
    assert text(b'"d"', msgspec.json.encode(names)) == Text("d", ("a" * 300, "c" * 50, "e" * 149))
    assert text(msgspec.json.encode("d" * 501), msgspec.json.encode(names)) == Text("d" * 500)


@given(st.text(), st.lists(st.text(), max_size=20))
def test_any_text_is_one_line_within_its_bounds(description: str, names: list[str]) -> None:
    read = gist_text(Raw(msgspec.json.encode(description)), Raw(msgspec.json.encode(dict.fromkeys(names))))
    parts = (read.description, *read.files)
    assert sum(map(len, parts)) <= LONGEST
    assert all("\0" not in part and len(part.splitlines()) <= 1 for part in parts)
    assert all(read.files)
