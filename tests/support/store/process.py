"""A process that holds a database and changes it without end: ``python -m tests.support.store.process PATH``.

It prints each number once it is stored.
"""

import sys
from itertools import count

from twisted.internet.task import Clock

from pipetest.domain.errors import DatabaseRefused
from pipetest.domain.model import Gist, PassResult
from pipetest.store.tinydb.disk import FolderDisk
from pipetest.store.tinydb.store import TinyStore
from tests.support.results import result_of
from tests.support.simulated_disk import run
from tests.support.store.worlds import ROOTS


def main(path: str) -> None:
    store = TinyStore(FolderDisk(path), run, Clock(), roots=ROOTS)
    try:
        store.open()
    except DatabaseRefused as e:
        sys.exit(str(e))
    for number in count(result_of(store.feed_length()) + 1):
        result_of(store.add_gists(PassResult("ada", 7, None, [Gist(f"gist {number}", 1.0)])))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
