"""A deal that is made of what its gist says waits for that where the gist was recorded without it: for one pass to the
end of the list, and no longer than that can help."""

from collections.abc import Callable
from math import inf

import pytest

from pipetest.config.deals import template
from pipetest.domain.model import Gist, PassResult, Text, UserList
from tests.support.in_memory import INTERVAL_S, InMemoryPipeline
from tests.support.results import result_of

SAYS = Text("", ("notes.txt",))
"""What the sandbox shows of each gist."""


@pytest.fixture
def memory() -> InMemoryPipeline:
    """1.0.0 has read ada's list, and recorded "gone" and "old"; GitHub still lists the second."""
    memory = InMemoryPipeline()
    memory.write("old")
    memory.wire()
    now = memory.clock.seconds()
    gists = [Gist("gone", now - 2.0), Gist("old", now - 1.0)]
    result_of(memory.store.add_gists(PassResult("ada", None, None, gists, read_to_end_at=now)))
    memory.kill()
    memory.template = template("title = '{description} {id}'")
    return memory


def texts(memory: InMemoryPipeline) -> dict[str, Text | None]:
    """Of gists without a deal."""
    return {entry.gist.id: entry.gist.text for entry in result_of(memory.store.open_entries())}


def test_it_is_read_in_the_first_scan_and_what_github_no_longer_shows_stays_empty(memory: InMemoryPipeline) -> None:
    memory.create_ready = inf
    memory.start()
    memory.settle()
    assert texts(memory) == {"old": SAYS, "gone": Text()}
    memory.create_ready = 0.0
    memory.write("new")
    memory.pass_time(INTERVAL_S)
    assert sorted(title.split()[-1] for title, _ in memory.deals()) == ["gone", "new", "old"]


def test_no_deal_is_made_before_it_is_read(memory: InMemoryPipeline) -> None:
    memory.fail("503", "GitHub", times=None)
    memory.start()
    memory.settle()
    assert (memory.organizations(), memory.deals()) == (["ada"], [])
    memory.world.faults.clear()
    memory.pass_time(INTERVAL_S)
    assert sorted(title.split()[-1] for title, _ in memory.deals()) == ["gone", "old"]


def test_where_no_text_is_needed_nothing_waits_for_it_and_no_list_is_read_to_the_end(memory: InMemoryPipeline) -> None:
    memory.template = template("")
    memory.fail("503", "GitHub", times=None)
    memory.start()
    memory.settle()
    assert sorted(title.split()[-1] for title, _ in memory.deals()) == ["gone", "old"]
    assert texts(memory) == {}


def test_where_no_text_is_needed_none_is_looked_for(memory: InMemoryPipeline) -> None:
    memory.template = template("")
    memory.create_ready = inf
    memory.start()
    memory.settle()
    assert texts(memory) == {"old": None, "gone": None}


def test_once_the_template_needs_no_text_any_more_nothing_waits_for_it(memory: InMemoryPipeline) -> None:
    memory.fail("503", "GitHub", times=None)
    memory.start()
    memory.settle()
    assert memory.deals() == []
    memory.template.renew(template(""))
    memory.outbox.template_changed()
    memory.settle()
    assert sorted(title for title, _ in memory.deals()) == ["gone", "old"]


def test_a_gist_that_was_skipped_and_is_wanted_now_waits_for_the_next_scan(memory: InMemoryPipeline) -> None:
    memory.users = ("bob",)
    memory.world.accounts.open("bob")
    memory.write("skipped", user="bob")
    memory.backfill_since = inf
    memory.start()
    memory.settle()
    memory.outbox.skipped_no_more(result_of(memory.store.want_skipped("bob")))
    memory.settle()
    assert texts(memory) == {"skipped": None}
    memory.pass_time(INTERVAL_S)
    assert "skipped" in [title.split()[-1] for title, _ in memory.deals()]


def nobody_queries(memory: InMemoryPipeline) -> None:
    memory.users = ("bob",)
    memory.world.accounts.open("bob")


HIDDEN: dict[str, Callable[[InMemoryPipeline], None]] = {
    "its user is queried no more": nobody_queries,
    "its user has no account any more": lambda memory: memory.world.accounts.close("ada"),
    "GitHub does not show the list": lambda memory: memory.fail("403", "GitHub", times=None),
}


@pytest.mark.parametrize("hide", HIDDEN.values(), ids=list(HIDDEN))
def test_nothing_waits_for_what_github_will_not_tell(
    memory: InMemoryPipeline, hide: Callable[[InMemoryPipeline], None]
) -> None:
    hide(memory)
    memory.start()
    memory.settle()
    assert sorted(title.split()[-1] for title, _ in memory.deals()) == ["gone", "old"]


def everybody_is_refused(memory: InMemoryPipeline) -> None:
    memory.users = ("ada", "bob", "cyd")
    memory.fail("403", "GitHub", times=None)


def whom_bob_follows_cannot_be_read(memory: InMemoryPipeline) -> None:
    memory.users = (UserList("following", "bob"),)
    memory.fail("503", "GitHub", path="/users/bob/following", times=None)


@pytest.mark.parametrize("hide", [everybody_is_refused, whom_bob_follows_cannot_be_read])
def test_what_github_may_tell_later_is_waited_for(
    memory: InMemoryPipeline, hide: Callable[[InMemoryPipeline], None]
) -> None:
    memory.world.accounts.open("bob")
    memory.world.accounts.follow("bob", "ada")
    hide(memory)
    memory.start()
    memory.pass_time(2 * INTERVAL_S)
    assert texts(memory) == {"old": None, "gone": None}
    memory.world.faults.clear()
    memory.pass_time(2 * INTERVAL_S)
    assert sorted(title.split()[-1] for title, _ in memory.deals()) == ["gone", "old"]
