"""A daemon whose database is a file of its own leads from its start to its end, and takes commands from nobody else."""

from pipetest.store.tinydb.lease import FileLease
from tests.support.results import result_of


def test_it_is_had_at_once_and_never_lost() -> None:
    lost: list[str] = []
    lease = FileLease()
    lease.on_lost(lambda: lost.append("lost"))
    assert (result_of(lease.acquire()), result_of(lease.renew()), lease.is_fresh()) == (True, (), True)
    result_of(lease.release())
    assert (lost, lease.holder, lease.shared) == ([], None, False)
