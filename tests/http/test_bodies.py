"""A body becomes a value, or malformed, and takes little memory for that; half a surrogate spoils nothing."""

import json
import tracemalloc
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetest.domain.errors import Malformed
from pipetest.domain.model import Reply, Secret
from pipetest.http.bodies import (
    LONGEST_QUOTE,
    MOST_HALVES,
    MOST_ITEMS,
    ErrorBody,
    Items,
    decoded,
    decoded_each,
    decoded_items,
    error_body,
    keys_of,
    quoted,
    text_of,
)

HALVES = st.text(st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF) | st.sampled_from('\\"u😀a'))


def strings(body: bytes) -> list[str]:
    return decoded("GitHub", Reply(200, {}, body), list[str])


@given(st.lists(HALVES))
def test_half_a_surrogate_counts_as_a_replacement_character(texts: list[str]) -> None:
    body = json.dumps(texts).encode()
    pairs: list[str] = json.loads(body)  # two halves beside each other are one character
    assert strings(body) == [text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in pairs]


def test_a_byte_order_mark_may_come_first() -> None:
    assert strings(b'\xef\xbb\xbf["\\ud83d"]') == ["\ufffd"]


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


def test_halves_are_repaired_up_to_a_number() -> None:
    assert strings(b'["' + rb"\ud800" * MOST_HALVES + b'"]') == ["\ufffd" * MOST_HALVES]
    with pytest.raises(Malformed, match=r"^GitHub: an answer \(200\) that is not as described$"):
        strings(b'["' + rb"\ud800" * (MOST_HALVES + 1) + b'"]')


@pytest.mark.parametrize("unit", [rb"\ud800", rb"\\", rb"\u", rb"\ud", rb"\ud83d\ude00", rb"\n"])
def test_a_large_body_of_escapes_is_refused_in_no_time(unit: bytes) -> None:
    began = process_time()
    with pytest.raises(Malformed):
        strings(b'["' + unit * (2**20 // len(unit)))
    assert process_time() - began < 1.0


# --- lists ------------------------------------------------------------------------------------------------------------


def items(body: bytes) -> list[object]:
    reply = Reply(200, {}, body)
    return list(decoded_items("GitHub", reply, decoded("GitHub", reply, Items), as_type=object))


@pytest.mark.parametrize("length", [0, 1, MOST_ITEMS])
def test_a_list_is_its_items(length: int) -> None:
    assert items(json.dumps([{"number": number} for number in range(length)]).encode()) == [
        {"number": number} for number in range(length)
    ]


def test_a_list_that_is_longer_than_any_is_refused_before_its_items_are_made() -> None:
    body = b"[" + b"{}," * 1_000_000 + b"{}]"
    tracemalloc.start()
    with pytest.raises(Malformed):
        items(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_list_is_refused_for_one_item_that_is_of_another_type() -> None:
    reply = Reply(200, {}, b"[1, null]")
    with pytest.raises(Malformed, match=r"^GitHub: an answer \(200\) that is not as described$"):
        decoded_items("GitHub", reply, decoded("GitHub", reply, Items), int)


def test_halves_in_items_are_repaired() -> None:
    assert items(rb'["a", "\ud800"]') == ["a", "\ufffd"]


def test_of_a_list_each_item_is_read_that_can_be() -> None:
    assert decoded_each("GitHub", Reply(200, {}, b'[1, null, "2", 3]'), int) == [1, None, None, 3]
    with pytest.raises(Malformed, match=r"^GitHub: an answer \(500\)"):
        decoded_each("GitHub", Reply(500, {}, b"{}"), int)


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"[" + b"{}," * 16_000 + b"{}]", b'{"data": [' + b"{}," * 16_000 + b"{}]}"])
def test_nothing_is_made_of_an_error_but_its_words(body: bytes) -> None:
    tracemalloc.start()
    error_body(Reply(422, {}, body))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * len(body)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"error"', b"[" * 60_000, b'{"a":' * 10_000])
def test_what_is_no_json_object_is_no_error_of_an_api(body: bytes) -> None:
    assert error_body(Reply(422, {}, body)) is None


@pytest.mark.parametrize(
    ("error", "text"), [('"no \\ud800"', "no \ufffd"), ('["no"]', ""), ("null", ""), ("1", ""), ('{"a": {}}', "")]
)
def test_an_error_has_words_where_they_are_a_text(error: str, text: str) -> None:
    body = error_body(Reply(422, {}, f'{{"error": {error}, "code": {{}}}}'.encode()))
    assert body is not None
    assert (text_of(body.error), text_of(body.code), text_of(body.message)) == (text, "", "")


@pytest.mark.parametrize(
    ("data", "keys"), [(rb'{"a": 1, "\ud800": {}}', ["a", "\ufffd"]), (b'["a"]', []), (b"{}", []), (b"1", [])]
)
def test_an_error_s_object_has_keys(data: bytes, keys: list[str]) -> None:
    body = decoded("GitHub", Reply(422, {}, b'{"error": ' + data + b"}"), ErrorBody)
    assert list(keys_of(body.error)) == keys


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("", ""),
        (" \n", ""),
        (" no\tsuch\n\n user ", ": no such user"),
        ("Open deals limit reached. ", ": Open deals limit reached"),
        ("the key secret is unknown", ": the key … is unknown"),
        ("x" * LONGEST_QUOTE, ": " + "x" * LONGEST_QUOTE),
        ("x" * (LONGEST_QUOTE + 1), ": " + "x" * LONGEST_QUOTE + "…"),
    ],
)
def test_words_are_quoted(words: str, line: str) -> None:
    assert quoted(words, Secret("secret")) == line
    assert quoted(words.replace("secret", "…"), None) == line


@given(st.text())
def test_words_are_quoted_as_one_short_printable_line_without_the_secret(words: str) -> None:
    line = quoted(words + "\x1b[31msecret\u202e\u2028" + words, Secret("secret"))
    assert line.isprintable()
    assert len(line) < 170
    assert "secret" not in line
