"""What docs/capacity.md says of the limits is what the rules do."""

from pathlib import Path

from benchmarks.capacity import table

CAPACITY = Path(__file__).parents[2] / "docs" / "capacity.md"


def test_the_table_is_what_the_rules_say() -> None:
    assert "\n".join(table()) in CAPACITY.read_text(encoding="utf-8")
