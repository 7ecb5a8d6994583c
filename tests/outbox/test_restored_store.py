"""What Pipedrive holds and an older database does not know is adopted, however late it is asked for."""

import pytest

from tests.support.in_memory import INTERVAL_S, SETTLE_S, InMemoryPipeline

DAY_S = 24 * 3600.0


def restart_with(memory: InMemoryPipeline, backup: bytes) -> None:
    """Put it in the previous generation's place, as people are told to."""
    memory.kill()
    memory.disk.take_away("")
    memory.disk.put(".previous", backup)
    memory.start()


@pytest.mark.parametrize("clock_behind_s", [0.0, 30 * DAY_S])
def test_deals_created_since_are_adopted_though_other_gists_were_searched_for_before(
    memory: InMemoryPipeline, clock_behind_s: float
) -> None:
    memory.write("a")
    memory.fail("applied-reset", "Pipedrive", method="POST", path="/api/v2/deals")
    memory.start()
    memory.pass_time_until(lambda: bool(memory.deals()))
    backup = memory.disk.files[""]
    memory.write("b")
    memory.pass_time(INTERVAL_S + SETTLE_S)
    memory.fail("500", "GitHub", times=10)
    memory.clock_behind_s = clock_behind_s
    restart_with(memory, backup)
    memory.pass_time(2 * INTERVAL_S)
    assert memory.feed() == ["a", "b"]
    assert memory.deals() == [("a", 1), ("b", 1)]


def test_deals_created_since_are_adopted_though_their_gists_lie_deep_in_the_list(memory: InMemoryPipeline) -> None:
    memory.world.github_api.per_page_most = 1
    memory.world.accounts.write("ada", gist_id="published-late", public=False)
    memory.write("a")
    memory.start()
    memory.settle()
    backup = memory.disk.files[""]
    memory.world.accounts.publish("published-late")
    memory.pass_time(DAY_S, step=60.0)
    memory.write("b")
    memory.fail("slow", "GitHub", times=4)  # the newest are read, two pages and once more,
    memory.fail("500", "GitHub", times=10)  # but not the whole list
    restart_with(memory, backup)
    memory.pass_time(2 * INTERVAL_S)
    assert sorted(memory.feed()) == ["a", "b", "published-late"]
    assert sorted(memory.deals()) == [("a", 1), ("b", 1), ("published-late", 1)]


def test_no_jump_of_the_clock_ends_the_settle_time_of_an_unreconciled_store_nor_does_a_restart_soon_after(
    memory: InMemoryPipeline,
) -> None:
    """A machine without power boots days behind, and its clock is set: a reactor's delayed calls come at once."""
    jumped_s = 0.0
    memory.monotonic = lambda: memory.clock.seconds() - jumped_s
    memory.write("a")
    memory.start()
    memory.pass_time(2.0)
    jumped_s = 10 * DAY_S
    memory.clock.advance(jumped_s)
    memory.pass_time(3.0)
    assert (memory.store.unreconciled, memory.pipedrive.requests) == (True, [])
    memory.kill()
    memory.start()
    memory.pass_time(SETTLE_S - 1.0)
    assert (memory.store.unreconciled, memory.pipedrive.requests) == (True, [])
    memory.pass_time(2.0)
    assert not memory.store.unreconciled
    assert memory.posts() > 0
