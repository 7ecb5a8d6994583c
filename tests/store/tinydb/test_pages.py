"""Rows by the page behave as a dictionary of rows, and TinyDB works on them as on its own."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from tinydb import TinyDB
from tinydb.storages import MemoryStorage

from pipetest.store.tinydb.pages import ROWS_A_PAGE, PagedDB, Pages, Row

DOC_IDS = st.integers(1, 3 * ROWS_A_PAGE)
STEPS = st.one_of(
    st.tuples(st.just("put"), DOC_IDS, st.integers()),
    st.tuples(st.just("take"), DOC_IDS, st.none()),
    st.tuples(st.just("pack"), st.none(), st.none()),
    st.tuples(st.just("reload"), st.none(), st.none()),
)


def text_of(pages: Pages) -> bytes:
    return b"{" + b",".join(pages.encoded()) + b"}"


def reloaded(pages: Pages) -> Pages:
    pages.pack()
    return Pages(msgspec.json.decode(text_of(pages), type=dict[int, Raw]))


@given(st.lists(STEPS))
def test_pages_hold_what_a_dictionary_would(steps: list[tuple[str, Any, Any]]) -> None:
    pages, expected = Pages({}), dict[int, Row]()
    for step, doc_id, value in steps:
        match step:
            case "put":
                pages[doc_id] = {"value": value}
                expected[doc_id] = {"value": value}
            case "take":
                assert pages.pop(doc_id, None) == expected.pop(doc_id, None)
            case "pack":
                pages.pack()
            case "reload":
                pages = reloaded(pages)
    assert dict(pages) == expected
    pages.pack()
    assert msgspec.json.decode(text_of(pages), type=dict[int, Row]) == expected


class PagedMemory(MemoryStorage):
    """The pages under a TinyDB of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.memory: dict[str, Any] = {"gists": Pages({})}


def use(db: TinyDB) -> list[object]:
    """Everything of TinyDB's that we, or a person with a shell, might use."""
    gists = db.table("gists")
    inserted = gists.insert_multiple({"gist": f"g{number}", "deal": None} for number in range(100))
    gists.update({"deal": 5}, doc_ids=[7, 90])
    gists.update(lambda row: row.update(deal=6), doc_ids=[8])
    gists.remove(doc_ids=[1, 2])
    row = gists.get(doc_id=90)
    found = gists.search(lambda row: row["deal"] is not None)
    return [inserted, row, found, len(gists), gists.insert({"gist": "last"}), list(gists)]


def test_tinydb_does_with_pages_what_it_does_with_its_own_tables() -> None:
    assert use(PagedDB(storage=PagedMemory)) == use(TinyDB(storage=MemoryStorage))
