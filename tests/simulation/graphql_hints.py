"""Runs whose scans go by GraphQL's hints: right ones, whose queries are too much now and then; or wrong ones, to the
end. They are hints only: a wrong one may hide a gist until the daily pass, and no longer."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from pipetest.sandbox.faults import Fault
from pipetest.sandbox.replies import as_json
from tests.simulation.clock import HOUR_S
from tests.simulation.environment import Environment
from tests.simulation.run_plan import HINTS

Line = dict[str, Any]
"""What is told of one account."""


def _failure(kind: str, data: object = None) -> Fault:
    """Errors come with status 200."""
    return Fault(f"200-{kind}", None, as_json(200, {"data": data, "errors": [{"type": kind, "message": "No."}]}))


FAILURES = (
    _failure("RESOURCE_LIMITS_EXCEEDED", {"nodes": [None]}),
    _failure("RATE_LIMITED"),
    _failure("INTERNAL"),
    _failure("INTERNAL", {"nodes": None}),
)
"""Besides what any request may meet."""


class GraphQLHints:
    """``known_gists`` lists gists that may be recorded by now."""

    def __init__(self, environment: Environment, known_gists: Callable[[], Sequence[str]]) -> None:
        self._random = random = Random(f"hints {environment.plan.seed}")
        self._known_gists = known_gists
        if not environment.has(HINTS):
            return
        self._graphql = graphql = environment.world.github_api.graphql
        graphql.heaviest = random.choice((None, 1, 3))
        if "limits" in environment.plan.hazards:
            environment.world.github_limits.graphql_points = random.choice((3, 5_000))
        if environment.plan.wrong_hints:
            self._be_wrong()
            environment.events.every(6 * HOUR_S, self._be_wrong)

    def _be_wrong(self) -> None:
        """In one way from now on."""
        self._graphql.stale = self._random.random() < 0.3
        self._graphql.altered = self._random.choice(
            (self._as_it_is, self._another_total, self._a_known_gist, self._a_strange_gist, self._nothing, self._broken)
        )

    def _as_it_is(self, line: Line) -> Line:
        return line

    def _another_total(self, line: Line) -> Line:
        return _with_gists(line, totalCount=self._random.randint(0, 3))

    def _a_known_gist(self, line: Line) -> Line:
        known = self._known_gists()
        return _with_gists(line, nodes=[{"name": self._random.choice(known)}] if known else [])

    def _a_strange_gist(self, line: Line) -> Line:
        return _with_gists(line, nodes=[{"name": f"{self._random.getrandbits(128):032x}"}])

    def _nothing(self, line: Line) -> Line | None:
        return None if self._random.random() < 0.5 else _with_gists(line, nodes=[], totalCount=0)

    def _broken(self, line: Line) -> Line:
        broken: Sequence[Line] = (
            {"gists": None},
            {"databaseId": None},
            {"login": 7},
            {"id": ""},
            {"databaseId": line["databaseId"] + 1},
        )
        return line | self._random.choice(broken)


def _with_gists(line: Line, **gists: object) -> Line:
    return line | {"gists": line["gists"] | gists}
