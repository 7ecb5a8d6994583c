"""``equivalents.toml``: mutants that no test can tell from the code, each with the reason."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

TABLE = Path(__file__).with_suffix(".toml")

Change = tuple[str, str, str]
"""Where (file and function), the line as it was, and as it became."""


class Equivalent(Struct, frozen=True, rename={"at": "in"}, forbid_unknown_fields=True):
    """Changes of one line that make no difference, for one reason."""

    at: str
    was: str
    became: tuple[str, ...]
    because: str


class Equivalents(Struct, frozen=True, forbid_unknown_fields=True):
    equivalent: tuple[Equivalent, ...] = ()


def read(path: Path = TABLE) -> dict[Change, str]:
    """Each change with the reason why it makes no difference."""
    rows = msgspec.toml.decode(path.read_bytes(), type=Equivalents).equivalent
    return {(row.at, row.was, became): row.because for row in rows for became in row.became}


def objections(rows: Iterable[Change], survived: Mapping[Change, bool]) -> list[str]:
    """What is wrong with survivors and rows. ``survived`` tells it of every mutant that was tried; rows are those of
    the packages that were."""
    argued = set(rows)
    alive = {change for change, survives in survived.items() if survives}
    return [
        *(f"survived: {told(change)}" for change in sorted(alive - argued)),
        *(f"argued equivalent, but killed: {told(change)}" for change in sorted(argued & survived.keys() - alive)),
        *(f"argued equivalent, but no mutant: {told(change)}" for change in sorted(argued - survived.keys())),
    ]


def told(change: Change) -> str:
    at, was, became = change
    return f"{at}\n    - {was}\n    + {became}"
