"""A scan under GitHub's limit goes on in the next hour, and gives each user its turn."""

from tests.support.in_memory import INTERVAL_S, InMemoryDaemon

HOUR_S = 3600.0
USERS = [f"user-{number:02}" for number in range(30)]
HOURLY = 10


def limited() -> InMemoryDaemon:
    """A scan of three times as many users as GitHub allows requests an hour has begun."""
    memory = InMemoryDaemon(USERS)
    memory.world.github_limits.without_token = HOURLY
    memory.wire()
    memory.scanner.start()
    return memory


def asked(memory: InMemoryDaemon) -> list[str]:
    return [request.url.split("/users/")[1].split("/")[0] for request in memory.github.requests]


def test_once_github_refuses_for_a_limit_nobody_else_is_asked_about() -> None:
    memory = limited()
    memory.pass_time(HOUR_S / 2)
    assert len(memory.github.requests) == HOURLY + 1
    assert memory.scanner.problem is not None


def test_a_scan_that_does_not_fit_into_the_hour_goes_on_in_the_next_rather_than_fail() -> None:
    memory = limited()
    memory.pass_time_until(lambda: len(memory.scans) > 0, longest=3 * HOUR_S)
    assert [(scan.failed, scan.status.visited) for scan in memory.scans] == [(False, len(USERS))]
    assert memory.scanner.problem is None


def test_whoever_was_not_read_for_longest_goes_first() -> None:
    memory = InMemoryDaemon(["ada", "bob", "cyd"])
    memory.fail("500", "GitHub", path="/users/bob")
    memory.wire()
    memory.scanner.start()
    memory.pass_time(INTERVAL_S - 1.0)
    assert asked(memory) == ["ada", "bob", "cyd", "bob"]
    memory.github.requests.clear()
    memory.pass_time(1.0)
    assert asked(memory) == ["ada", "cyd", "bob"]
