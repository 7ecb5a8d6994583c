"""TinyDB's storage on our disk: all tables in memory, and on disk the last two generations of them.

A commit writes a new generation beside the current one, and only a whole, synced one takes its place. At every moment
one of the two files on disk holds all that was ever acknowledged:

==========================  ==================================================
crash                       what a start finds
==========================  ==================================================
before the first rename     the current generation, and a useless ``.new``
between the two renames     no current one; the previous one is the last that was acknowledged
after the second rename     the new generation, acknowledged or about to be
==========================  ==================================================

A ``.new`` is never read, not even a whole one when the current generation is missing: nothing in it was acknowledged,
and somebody who restores a backup puts it in the previous generation's place, where a left-over ``.new`` must not win.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from tinydb.storages import Storage

from pipetest.store.tinydb.disk import Disk
from pipetest.store.tinydb.pages import Pages

CURRENT = ""
NEW = ".new"
PREVIOUS = ".previous"

Tables = dict[str, Pages]

WRITE_BYTES = 1 << 20
"""Pages are written together, this many bytes at a time. Each write gives up the interpreter's lock, and a busy reactor
takes 5 ms to hand it back: with a write for each page, a commit would wait for most of its time."""


class Generations(Storage):
    """What TinyDB reads and writes is in memory; :meth:`flush` makes it durable."""

    def __init__(self, disk: Disk, tables: Tables) -> None:
        self._disk = disk
        self._tables = tables

    def read(self) -> dict[str, Any]:
        return dict(self._tables)

    def write(self, data: dict[str, Any]) -> None:
        self._tables = data

    def flush(self, aside: str = PREVIOUS) -> None:
        """One commit of all tables; the current generation is renamed to ``aside``.

        :raises OSError: it failed. The next one writes a new file from the start.
        """
        _commit(self._disk, encoded(self._tables), aside)

    def rewrite(self) -> None:
        """One commit that changes nothing: the current generation once more, in its own place.

        :raises OSError: it failed, as every commit would.
        """
        write(self._disk, NEW, encoded(self._tables))
        try:
            self._disk.rename(NEW, CURRENT)
        except OSError:
            with suppress(OSError):
                self._disk.remove(NEW)
            raise
        self._disk.sync()

    def close(self) -> None:
        self._disk.close()


def _commit(disk: Disk, chunks: Iterator[bytes], aside: str) -> None:
    """Put a new generation in the place of the current one, durably."""
    write(disk, NEW, chunks)
    if disk.exists(CURRENT):  # it doesn't when an earlier commit failed between its renames
        disk.rename(CURRENT, aside)
    disk.rename(NEW, CURRENT)
    disk.sync()


def write(disk: Disk, suffix: str, chunks: Iterator[bytes]) -> None:
    """A whole new file, synced. One that cannot be written is removed: it may be what fills the disk."""
    file = disk.create(suffix)
    try:
        for chunk in chunks:
            file.write(chunk)
        file.sync()
    except OSError:
        with suppress(OSError):
            disk.remove(suffix)
        raise
    finally:
        file.close()


def encoded(tables: Tables) -> Iterator[bytes]:
    """The file of these tables, in chunks."""
    for pages in tables.values():
        pages.pack()
    return _chunks(_text(tables))


def _text(tables: Tables) -> Iterator[bytes]:
    """The tables in TinyDB's own layout."""
    opening = b"{"
    for name, pages in tables.items():
        yield opening + b'\n"%b": {\n' % name.encode()
        comma = b""
        for page in pages.encoded():
            yield comma + page
            comma = b",\n"
        yield b"\n}"
        opening = b","
    yield b"\n}\n"


def _chunks(text: Iterator[bytes]) -> Iterator[bytes]:
    parts, size = [], 0
    for part in text:
        parts.append(part)
        size += len(part)
        if size >= WRITE_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
    yield b"".join(parts)
