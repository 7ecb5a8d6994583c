"""A body becomes a value, or malformed; half a surrogate spoils nothing."""

import json
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetest.domain.errors import Malformed
from pipetest.domain.model import Reply
from pipetest.http.bodies import decoded

HALVES = st.text(st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF) | st.sampled_from('\\"u😀a'))


def strings(body: bytes) -> list[str]:
    return decoded("GitHub", Reply(200, {}, body), list[str])


@given(st.lists(HALVES))
def test_half_a_surrogate_counts_as_a_replacement_character(texts: list[str]) -> None:
    body = json.dumps(texts).encode()
    pairs: list[str] = json.loads(body)  # two halves beside each other are one character
    assert strings(body) == [text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in pairs]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (rb'["\ud83d\ude00"]', "😀"),
        (rb'["\uD83D\uDE00\uDE00"]', "😀\ufffd"),
        (rb'["\ud83d\ud83d\ude00"]', "\ufffd😀"),
        (rb'["\\ud83d", "\ud83d"]', r"\ud83d"),
        (rb'["\\\ud83d"]', "\\\ufffd"),
    ],
)
def test_whole_characters_and_what_only_looks_like_half_of_one_stay(body: bytes, text: str) -> None:
    assert strings(body)[0] == text


@pytest.mark.parametrize("unit", [rb"\ud800", rb"\\", rb"\u", rb"\ud", rb"\ud83d\ude00", rb"\n"])
def test_a_large_body_of_escapes_is_refused_in_no_time(unit: bytes) -> None:
    began = process_time()
    with pytest.raises(Malformed):
        strings(b'["' + unit * (2**20 // len(unit)))
    assert process_time() - began < 1.0
