"""As whom somebody is recorded: an account is known by its number, whatever it is called by now."""

import pytest

from pipetest.domain.model import User
from pipetest.scanner.recorded_users import RecordedUsers

ADA, BOB, OLD = User("Ada", 1), User("bob", 2), User("old")
"""Nobody has told yet whose the last name is."""


@pytest.mark.parametrize(
    ("name", "account_id", "recorded_as"),
    [
        ("ada", None, ADA),
        ("ada", 1, ADA),
        ("ada2", 1, ADA),
        ("ada", 2, BOB),
        ("bob", 1, ADA),
        ("ada", 3, ADA),  # has taken over the name, which is not for us to decide
        ("old", 3, OLD),
        ("new", None, None),
        ("new", 3, None),
    ],
)
def test_an_account_is_who_it_was_and_a_name_alone_whoever_had_it(
    name: str, account_id: int | None, recorded_as: User | None
) -> None:
    assert RecordedUsers([ADA, BOB, OLD]).find(name, account_id) == recorded_as


def test_of_two_records_of_an_account_the_one_of_its_name_counts() -> None:
    later = User("ada2", 1)
    assert RecordedUsers([ADA, later]).find("ada2", 1) == later
    assert RecordedUsers([ADA, later]).find("ada3", 1) == ADA
