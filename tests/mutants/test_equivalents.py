"""Survivors need a reason, and reasons a survivor."""

from pathlib import Path

from tests.mutants.equivalents import Change, objections, read

ROOT = Path(__file__).parents[2]

ALIVE: Change = ("pipetest/http/bodies.py read", "a < b", "a <= b")
DEAD: Change = ("pipetest/http/bodies.py read", "a < b", "a > b")


def test_survivors_are_told_in_the_table_and_no_others() -> None:
    tried = {ALIVE: True, DEAD: False}
    assert objections([ALIVE], tried) == []
    assert [text.partition(":")[0] for text in objections([], tried)] == ["survived"]
    assert [text.partition(":")[0] for text in objections([ALIVE, DEAD], tried)] == ["argued equivalent, but killed"]
    assert [text.partition(":")[0] for text in objections([ALIVE], {})] == ["argued equivalent, but no mutant"]


def test_each_line_of_the_table_is_in_the_code_and_has_its_reason() -> None:
    for (at, was, became), because in read().items():
        code = " ".join((ROOT / at.partition(" ")[0]).read_text(encoding="utf-8").split())
        assert was in code, at
        assert was != became
        assert because.endswith("."), because
