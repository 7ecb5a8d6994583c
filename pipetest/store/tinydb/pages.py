"""A table's rows, kept encoded by the page, and a TinyDB that works on them in place.

A hundred thousand rows as dictionaries would take 40 MB, and be encoded again at each commit. Encoded they take what
the file takes, and a commit encodes only the pages it has changed.
"""

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from itertools import groupby
from typing import Any, TypeVar

import msgspec
from msgspec import Raw
from tinydb import TinyDB
from tinydb.table import Table

Row = dict[str, Any]
R = TypeVar("R")

ROWS_A_PAGE = 16
"""Few, since a change of one row decodes and encodes its whole page; enough to make the page itself cost little."""

_decode = msgspec.json.Decoder(dict[int, Row]).decode
_encode = msgspec.json.Encoder().encode


class Pages(MutableMapping[int, Row]):
    """Rows by document id. Those of a page in use are decoded until :meth:`pack`."""

    def __init__(self, rows: Mapping[int, Raw]) -> None:
        self._open: dict[int, dict[int, Row]] = {}
        self._packed = {
            number: _joined((doc_id, bytes(rows[doc_id])) for doc_id in doc_ids)
            for number, doc_ids in groupby(sorted(rows), key=_page_of)
        }

    def pack(self) -> None:
        """Encode the pages in use."""
        for number, rows in self._open.items():
            if rows:
                self._packed[number] = _joined((doc_id, _encode(row)) for doc_id, row in rows.items())
            else:
                self._packed.pop(number, None)
        self._open.clear()

    def encoded(self) -> Iterator[bytes]:
        """The packed pages: members of a JSON object, without the comma between two of them."""
        return iter(self._packed.values())

    def rows(self, row: type[R], after: int = 0) -> Iterator[tuple[int, R]]:
        """The packed rows beyond the document id ``after``, each decoded as ``row``.

        :raises msgspec.DecodeError: one of them is none.
        """
        decode = msgspec.json.Decoder(dict[int, row]).decode  # type: ignore[valid-type]
        for number, page in self._packed.items():
            if number >= _page_of(after):
                yield from (pair for pair in decode(b"{%b}" % page).items() if pair[0] > after)

    # TinyDB asks by number when it updates, and by text when it reads
    def __getitem__(self, doc_id: int | str) -> Row:
        return self._page(_page_of(int(doc_id)))[int(doc_id)]

    def __setitem__(self, doc_id: int, row: Row) -> None:
        self._page(_page_of(doc_id))[doc_id] = row

    def __delitem__(self, doc_id: int) -> None:
        del self._page(_page_of(doc_id))[doc_id]

    def __iter__(self) -> Iterator[int]:
        for number in {**self._packed, **self._open}:
            yield from self._page(number)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _page(self, number: int) -> dict[int, Row]:
        if number not in self._open:
            self._open[number] = _decode(b"{%b}" % self._packed.get(number, b""))
        return self._open[number]


def _page_of(doc_id: int) -> int:
    return doc_id // ROWS_A_PAGE


def _joined(rows: Iterator[tuple[int, bytes]]) -> bytes:
    return b",\n".join(b'"%d":%b' % row for row in rows)  # a row a line, for people with grep


class PagedTable(Table):
    """A table of TinyDB over :class:`Pages`."""

    def _update_table(self, updater: Callable[[Any], None]) -> None:
        """TinyDB's own way copies the whole table twice at every update."""
        tables: dict[str, Any] = self._storage.read() or {}
        updater(tables[self.name])
        self._storage.write(tables)
        self.clear_cache()


class PagedDB(TinyDB):
    """TinyDB with paged tables."""

    table_class = PagedTable
