"""Which connection gives way when there are too many."""

import pytest

from pipetest.web.connections import MOST, Connections, places


class Connection:
    def __init__(self) -> None:
        self.ended = False

    def end(self) -> None:
        self.ended = True


def full_house() -> tuple[Connections, list[Connection]]:
    connections, house = Connections(3), [Connection() for _ in range(3)]
    for connection in house:
        connections.idle(connection)
    return connections, house


def test_one_too_many_ends_the_longest_idle() -> None:
    connections, house = full_house()
    connections.busy(house[0])
    connections.idle(house[0])
    connections.idle(Connection())
    assert [connection.ended for connection in house] == [False, True, False]


def test_an_answer_under_way_is_not_cut_while_somebody_is_idle() -> None:
    connections, house = full_house()
    for connection in house[1:]:
        connections.busy(connection)
    connections.idle(Connection())
    assert [connection.ended for connection in house] == [True, False, False]


def test_where_all_are_busy_the_answer_longest_under_way_makes_room_for_a_newcomer() -> None:
    connections, house = full_house()
    for connection in (house[1], house[0], house[2]):
        connections.busy(connection)
    newcomer = Connection()
    connections.idle(newcomer)
    assert [connection.ended for connection in (*house, newcomer)] == [False, True, False, False]


def test_a_tenth_are_newcomers_whom_the_next_leave_the_time_to_ask() -> None:
    connections, house = Connections(20), [Connection() for _ in range(20)]
    for connection in house:
        connections.idle(connection)
        connections.busy(connection)
    newcomers = [Connection() for _ in range(3)]
    for newcomer in newcomers:
        connections.idle(newcomer)
    assert [newcomer.ended for newcomer in newcomers] == [True, False, False]
    assert [connection.ended for connection in house] == [True] * 2 + [False] * 18


def test_who_leaves_makes_room() -> None:
    connections, house = full_house()
    connections.busy(house[1])
    for connection in house[:2]:
        connections.gone(connection)
    for newcomer in (Connection(), Connection()):
        connections.idle(newcomer)
        assert not newcomer.ended
    assert not house[2].ended


def test_all_can_be_ended_at_once() -> None:
    connections, house = full_house()
    connections.busy(house[1])
    connections.end_all()
    assert all(connection.ended for connection in house)


@pytest.mark.parametrize(("files", "most"), [(-1, MOST), (1_024, MOST), (256, 92), (64, 1)])
def test_there_are_fewer_places_where_few_files_may_be_open(files: int, most: int) -> None:
    assert places(files) == most
