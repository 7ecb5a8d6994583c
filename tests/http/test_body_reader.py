"""Bodies, however they are cut into pieces: whole, unpacked, and never more than they may be."""

import gzip
import tracemalloc
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone

from pipetest.http.body_reader import LARGEST_TOGETHER, BodyReader, OversizeBody, SizeBudget, UnreadableBody, encodings
from tests.support.results import result_of

DONE = Failure(ResponseDone())


class Reader(BodyReader):
    """Reads from a connection that is only in memory."""

    def __init__(self, packed: Sequence[str] = (), limit: int = 1_000_000, budget: SizeBudget | None = None) -> None:
        super().__init__(packed, limit, SizeBudget() if budget is None else budget)
        self.connection = StringTransport()
        self.makeConnection(self.connection)

    def read(self, pieces: Iterator[bytes]) -> bytes:
        for piece in pieces:
            self.dataReceived(piece)
        self.connectionLost(DONE)
        return result_of(self.whole)


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@given(st.lists(st.binary(max_size=300), max_size=4), st.integers(1, 100), st.booleans())
def test_a_packed_body_is_the_same_whatever_its_members_and_pieces(
    members: list[bytes], size: int, padded: bool
) -> None:
    packed = b"".join(gzip.compress(member) for member in members) + b"\0" * padded * bool(members)
    assert Reader(["gzip"]).read(cut(packed, size)) == b"".join(members)


@pytest.mark.parametrize("size", [1, 100, 10_000])
def test_a_packed_body_may_be_as_large_as_the_limit_and_no_larger(size: int) -> None:
    packed = gzip.compress(b"a" * 4_000) + gzip.compress(b"b" * 6_000)
    assert len(Reader(["gzip"], limit=10_000).read(cut(packed, size))) == 10_000
    over = Reader(["gzip"], limit=9_999)
    with pytest.raises(OversizeBody):
        over.read(cut(packed, size))
    assert over.connection.disconnecting


def test_what_unpacks_to_a_thousand_times_its_size_takes_no_more_memory_than_the_limit() -> None:
    bomb = gzip.compress(b"\0" * 30_000_000)
    tracemalloc.start()
    with pytest.raises(OversizeBody):
        Reader(["gzip"]).read(iter([bomb]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def test_what_unpacks_to_nothing_has_an_end_too() -> None:
    empty = gzip.compress(b"")
    with pytest.raises(UnreadableBody):
        Reader(["gzip"]).read(iter([empty * 500] * 10))
    with pytest.raises(OversizeBody):
        Reader(["gzip"], limit=100).read(iter([empty, b"\0" * 101]))


def test_a_body_in_pieces_of_one_byte_takes_no_more_memory_than_its_size() -> None:
    tracemalloc.start()
    assert len(Reader().read(b"a" for _ in range(100_000))) == 100_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_all_bodies_together_have_a_limit() -> None:
    budget = SizeBudget()
    half = bytes(LARGEST_TOGETHER // 2)
    first, second, third = (Reader(limit=LARGEST_TOGETHER, budget=budget) for _ in range(3))
    first.dataReceived(half)
    second.dataReceived(half)
    third.dataReceived(b"a")
    with pytest.raises(OversizeBody):
        result_of(third.whole)
    assert third.connection.disconnecting
    first.connectionLost(DONE)
    assert len(result_of(first.whole)) == len(half)
    second.whole.cancel()
    with pytest.raises(CancelledError):
        result_of(second.whole)
    assert budget.held == 0


def test_what_comes_after_the_cut_is_not_kept() -> None:
    reader = Reader(limit=10)
    for _ in range(3):
        reader.dataReceived(b"a" * 100)
    reader.connectionLost(DONE)
    with pytest.raises(OversizeBody):
        result_of(reader.whole)


def test_the_layers_of_a_packing_are_counted_over_all_lines() -> None:
    assert encodings([b"GZIP, identity", b"", b" x-gzip"]) == ["gzip", "x-gzip"]
    assert encodings([]) == []
