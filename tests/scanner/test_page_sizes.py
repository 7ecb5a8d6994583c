import pytest

from pipetest.domain.errors import RateLimited, Transient, Unanswered
from pipetest.scanner.page_sizes import PAGE_SIZES, PageSizes, may_be_too_much


@pytest.mark.parametrize(
    ("error", "may_be"),
    [
        (Transient("GitHub", "fails"), True),
        (Unanswered("GitHub", "times out"), True),
        (Transient("GitHub", "says when to come back", wait=5.0), False),
        (RateLimited("GitHub", "limits"), False),
    ],
)
def test_what_fails_may_be_too_much_where_nobody_has_said_when_to_ask_again(error: Transient, may_be: bool) -> None:
    assert may_be_too_much(error) == may_be


def test_where_every_list_fails_only_the_first_is_asked_for_in_another_size() -> None:
    sizes = PageSizes()
    for _ in range(2):
        for key in ("ada", "bela"):
            sizes.failed(key)
    assert (sizes.of("ada"), sizes.of("bela")) == (PAGE_SIZES[2], PAGE_SIZES[0])


def test_once_a_list_is_answered_another_one_that_fails_is_asked_for_in_another_size() -> None:
    sizes = PageSizes()
    sizes.failed("ada")
    sizes.answered()
    sizes.failed("bela")
    assert (sizes.of("ada"), sizes.of("bela")) == (PAGE_SIZES[1], PAGE_SIZES[1])


def test_where_the_first_that_failed_is_read_no_more_another_one_is_asked_for_in_another_size_in_the_next_scan() -> (
    None
):
    sizes = PageSizes()
    sizes.failed("who has left")
    sizes.begin_scan()
    sizes.failed("bela")
    assert sizes.of("bela") == PAGE_SIZES[1]
