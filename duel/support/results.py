"""What a run found out."""

from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from benchmarks.support.judge import Verdict
from duel.speed import Speed

NOTHING_WRONG = "nothing goes wrong"


class Result(Struct):
    """Of one contestant. ``unmeasured``: why there is nothing to tell of it. ``failed``: the scenarios of which
    a trial ended with an error of ours. ``written`` and ``brought`` are lines of code: what its user writes, and what
    comes with it."""

    name: str
    unmeasured: str = ""
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    speed: Speed = Speed()
    written: int = 0
    brought: int = 0

    @property
    def total(self) -> Verdict:
        return sum(self.verdicts.values(), Verdict())

    def add(self, scenario: str, verdict: Verdict) -> None:
        self.verdicts[scenario] = self.verdicts.get(scenario, Verdict()) + verdict

    def set_speed(self, speed: Speed) -> None:
        self.speed = speed
        self.add(NOTHING_WRONG, speed.verdict)


class Run(Struct, frozen=True):
    """``titles`` tells each scenario's size; the first result is pipetest's. ``heading`` says how it was measured."""

    titles: Mapping[str, str]
    results: Sequence[Result]
    heading: str
