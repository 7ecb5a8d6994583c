"""How many connections there may be, and which one makes room for another."""

import pytest

from pipetest.web.connection_limit import MAX_CONNECTIONS, Connections, connection_limit


class StubConnection:
    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


def full() -> tuple[Connections, list[StubConnection]]:
    """As many connections as there may be, all idle."""
    connections, held = Connections(3), [StubConnection() for _ in range(3)]
    for connection in held:
        connections.idle(connection)
    return connections, held


def test_one_too_many_ends_the_longest_idle() -> None:
    connections, held = full()
    connections.busy(held[0])
    connections.idle(held[0])
    connections.idle(StubConnection())
    assert [connection.aborted for connection in held] == [False, True, False]


def test_an_answer_under_way_is_not_cut_while_somebody_is_idle() -> None:
    connections, held = full()
    for connection in held[1:]:
        connections.busy(connection)
    connections.idle(StubConnection())
    assert [connection.aborted for connection in held] == [True, False, False]


def test_where_all_are_busy_the_answer_longest_under_way_makes_room_for_a_newcomer() -> None:
    connections, held = full()
    for connection in (held[1], held[0], held[2]):
        connections.busy(connection)
    newcomer = StubConnection()
    connections.idle(newcomer)
    assert [connection.aborted for connection in (*held, newcomer)] == [False, True, False, False]


def test_a_tenth_may_be_idle_newcomers_so_that_each_has_the_time_to_ask() -> None:
    connections, held = Connections(20), [StubConnection() for _ in range(20)]
    for connection in held:
        connections.idle(connection)
        connections.busy(connection)
    newcomers = [StubConnection() for _ in range(3)]
    for newcomer in newcomers:
        connections.idle(newcomer)
    assert [newcomer.aborted for newcomer in newcomers] == [True, False, False]
    assert [connection.aborted for connection in held] == [True] * 2 + [False] * 18


def test_one_that_is_lost_makes_room() -> None:
    connections, held = full()
    connections.busy(held[1])
    for connection in held[:2]:
        connections.lost(connection)
    for newcomer in (StubConnection(), StubConnection()):
        connections.idle(newcomer)
        assert not newcomer.aborted
    assert not held[2].aborted


def test_all_can_be_aborted_at_once() -> None:
    connections, held = full()
    connections.busy(held[1])
    connections.abort_all()
    assert all(connection.aborted for connection in held)


@pytest.mark.parametrize(("files", "limit"), [(-1, MAX_CONNECTIONS), (1_024, MAX_CONNECTIONS), (256, 92), (64, 1)])
def test_there_are_fewer_connections_where_few_files_may_be_open(files: int, limit: int) -> None:
    assert connection_limit(files) == limit
