"""Whatever happens at whichever step of a commit: what was acknowledged is there afterwards, and nothing is half there.

The same changes are made over and over, each time with a fault at another step of the disk.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from errno import EIO, ENOSPC
from itertools import product
from random import Random

import pytest

from pipetest.domain.errors import DatabaseRefused
from pipetest.domain.model import DealChange, Done, Gist, Organization, OrganizationChange, PassResult, Sent
from pipetest.store.tinydb.generations import WRITE_BYTES
from pipetest.store.tinydb.group_commit import RETRY_LONGEST_S
from pipetest.store.tinydb.store import TinyStore
from tests.support.results import result_of
from tests.support.simulated_disk import Crash, Fault, SimDisk, Step, error, no_fault
from tests.support.store.machine import Machine, begun

ONE, TWO = Gist("one", 1.0), Gist("two", 2.0)

CHANGES: list[Callable[[TinyStore], Awaitable[object]]] = [
    lambda store: store.add_gists(PassResult("ada", 7, '"a"', [ONE, TWO], 50.0)),
    lambda store: store.save(DealChange(ONE.id, Sent()), OrganizationChange("ada", Organization(Sent()))),
    lambda store: store.save(DealChange(ONE.id, Done(5)), OrganizationChange("ada", Organization(Done(6)))),
    lambda store: store.put_value("paused", True),
    lambda store: store.add_gists(PassResult("bob", 8, None, [Gist(f"bob's {number}", 3.0) for number in range(200)])),
]


def content(store: TinyStore) -> tuple[object, ...]:
    """All that a store would answer."""
    feed = result_of(store.feed(0, result_of(store.feed_length())))
    return result_of(store.users()), result_of(store.open_entries()), feed, result_of(store.get_value("paused", bool))


def contents() -> list[tuple[object, ...]]:
    """What a store holds before the first change, and after each of them."""
    store = Machine().start()
    after_each = [content(store)]
    for change in CHANGES:
        result_of(change(store))
        after_each.append(content(store))
    return after_each


CONTENTS = contents()


def make_changes(machine: Machine) -> int:
    """Make the changes as far as it goes, and wait out what can be waited out; how many were stored."""
    store = machine.start()
    for number, change in enumerate(CHANGES):
        stored = begun(change(store))
        machine.clock.advance(RETRY_LONGEST_S)
        if not stored.called:
            return number
    return len(CHANGES)


def steps_of_the_changes() -> int:
    machine = Machine()
    make_changes(machine)
    return machine.disk.steps


STEPS = range(1, steps_of_the_changes() + 1)


def at(number: int, fault: BaseException) -> Fault:
    """A fault at this step, once."""
    return lambda step: fault if step.number == number else None


def since(number: int, fault: BaseException) -> Fault:
    """A fault at this step and all later ones."""
    return lambda step: fault if step.number >= number else None


def survive(machine: Machine, fault: Fault, end: Callable[[SimDisk], None]) -> None:
    """Make the changes with a fault on the way, end the process, and see that the next one knows what was
    acknowledged."""
    machine.disk.fault = fault
    acknowledged = 0
    with suppress(Crash, DatabaseRefused):
        acknowledged = make_changes(machine)
    end(machine.disk)
    machine.disk.fault = no_fault
    assert content(machine.start()) in CONTENTS[acknowledged : acknowledged + 2]
    assert ".damaged" not in machine.disk.files, "an unsynced file took the current generation's place"


def test_a_kill_at_any_step_loses_nothing_acknowledged() -> None:
    for step in STEPS:
        survive(Machine(), at(step, Crash()), SimDisk.kill)


def test_a_power_cut_at_any_step_loses_nothing_acknowledged() -> None:
    for step, seed in product(STEPS, range(10)):
        survive(Machine(SimDisk(Random(seed))), at(step, Crash()), SimDisk.cut_power)


def test_a_power_cut_while_nothing_can_be_written_loses_nothing_acknowledged() -> None:
    for step, seed in product(STEPS, range(10)):
        survive(Machine(SimDisk(Random(seed))), since(step, error(EIO)), SimDisk.cut_power)


@pytest.mark.parametrize("number", [ENOSPC, EIO], ids=["ENOSPC", "EIO"])
def test_an_error_at_any_step_is_overcome_and_nothing_is_lost(number: int) -> None:
    for step in STEPS:
        machine = Machine()
        machine.disk.fault = at(step, error(number))
        try:
            acknowledged = make_changes(machine)
        except DatabaseRefused:  # at the start, which is then made again
            acknowledged = make_changes(machine)
        assert acknowledged == len(CHANGES), step
        machine.disk.cut_power()
        assert content(machine.start()) == CONTENTS[-1], step
        assert set(machine.disk.files) == {"", ".previous"}, step


def test_between_the_two_renames_the_previous_generation_is_what_was_acknowledged() -> None:
    machine = Machine()
    store = machine.start()
    result_of(store.mark_reconciled())
    result_of(store.put_value("paused", True))
    machine.disk.fault = lambda step: Crash() if (step.operation, step.suffix) == ("rename", ".new") else None
    begun(store.put_value("paused", False))
    assert set(machine.disk.files) == {".previous", ".new"}
    machine.disk.fault = no_fault
    store = machine.start()
    assert (result_of(store.get_value("paused", bool)), store.unreconciled) == (True, True)


def test_a_large_generation_is_written_in_few_pieces() -> None:
    machine, written = Machine(), list[Step]()
    store = machine.start()
    machine.disk.fault = lambda step: written.append(step) if step.operation == "write" else None
    result_of(
        store.add_gists(PassResult("ada", 7, None, [Gist(f"gist {number:032}", 1.0) for number in range(20_000)]))
    )
    assert len(written) == 1 + len(machine.disk.files[""]) // WRITE_BYTES == 3


def test_a_left_over_new_file_is_neither_read_nor_in_the_way() -> None:
    machine = Machine()
    result_of(machine.start().put_value("paused", True))
    machine.disk.kill()
    machine.disk.put(".new", machine.disk.files[""].replace(b"true", b"null"))
    store = machine.start()
    assert result_of(store.get_value("paused", bool)) is True
    result_of(store.put_value("paused", False))
    assert set(machine.disk.files) == {"", ".previous"}
