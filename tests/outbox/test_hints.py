"""Hints come up in order, once each, and their number does not grow with how often they are put."""

from hypothesis import given
from hypothesis import strategies as st

from pipetest.outbox.hints import SPARE, Hints

ITEMS = st.sampled_from("abcdef")
STEPS = st.lists(
    st.tuples(st.just("put"), ITEMS, st.integers(0, 9)) | st.tuples(st.sampled_from(["discard", "pop"]), ITEMS)
)


@given(STEPS)
def test_hints_are_what_a_plain_list_of_the_latest_would_be(
    steps: list[tuple[str, str] | tuple[str, str, int]],
) -> None:
    hints, model, number = Hints[str](), dict[str, tuple[int, int]](), 0
    for step in steps:
        match step:
            case ("put", item, order):
                if model.get(item, (None,))[0] != order:
                    number += 1
                    model[item] = (order, number)
                hints.put(item, order)
            case ("discard", item):
                model.pop(item, None)
                hints.discard(item)
            case ("pop", _) if model:
                first = min(model, key=lambda item: model[item])
                assert hints.pop() == first
                del model[first]
        assert hints.first() == min((order for order, _ in model.values()), default=None)


def test_what_is_put_again_and_again_takes_no_more_room() -> None:
    hints = Hints[int]()
    for time in range(1_000):
        for item in range(100):
            hints.put(item, time)
        assert len(hints) <= 2 * 100 + SPARE
    assert [hints.pop() for _ in range(100)] == list(range(100))
