"""What the log tells of the outbox: whose record it is, what became of it, and why."""

from collections.abc import Iterable

from twisted.logger import LogEvent, capturedLogs

from tests.support.in_memory import INTERVAL_S, InMemoryPipeline
from tests.support.log import lines

DEALS = "/api/v2/deals"
OTHERS = {"database_prepared", "scan_ended", "gists_recorded", None}


def told(events: Iterable[LogEvent]) -> list[tuple[str, str | None]]:
    """Each line of the outbox, and the gist or else the user for programs."""
    own = [event for event in events if event.get("event") not in OTHERS]
    return list(zip(lines(own), (event.get("gist", event.get("user")) for event in own), strict=True))


def test_a_line_tells_of_each_record_what_became_of_it_and_why(memory: InMemoryPipeline) -> None:
    with capturedLogs() as events:
        memory.start()
        memory.settle()
        memory.fail("applied-reset", "Pipedrive", method="POST", path=DEALS)
        memory.write("lost")
        memory.pass_time(INTERVAL_S)
        memory.fail("400", "Pipedrive", method="POST", path=DEALS)
        memory.write("refused")
        memory.pass_time(INTERVAL_S)
        memory.world.crm.merge_organizations(1, memory.add_organization("A customer"))
        memory.outbox.retry_all()
        memory.settle()
    assert told(events) == [
        ("nothing is created for 60 s: what was sent before may still show up in Pipedrive", None),
        ("ada: organization 1 created", "ada"),
        ("gist lost: the connection was reset; looked for in 60 s", "lost"),
        ("ada: gist lost is in Pipedrive already, as deal 1", "lost"),
        ("gist refused is quarantined for a day: refused (400): Validation failed", "refused"),
        ("all in quarantine are tried again, 1 in number", None),
        ("ada: organization 1 was deleted in Pipedrive", "ada"),
        ("ada: most deals are in organization 2 now, so new ones go there as well", "ada"),
        ("ada: gist refused is deal 2", "refused"),
    ]


def test_a_dry_run_tells_what_would_be_created_and_what_was_found(memory: InMemoryPipeline) -> None:
    memory.users = ("ada", "bob")
    memory.world.accounts.open("bob")
    memory.add_organization("bob")
    memory.write("a")
    memory.write("b", user="bob")
    with capturedLogs() as events:
        memory.start(dry_run=True)
        memory.settle()
        memory.write("later")
        memory.pass_time(INTERVAL_S)
    assert told(events)[1:] == [
        ("bob: organization 1 is in Pipedrive already", "bob"),
        ("dry run: gist b would be created", "b"),
        ("dry run: user ada would be created", "ada"),
        ("dry run: gist a would be created", "a"),
        ("dry run: gist later would be created", "later"),
    ]
