"""What goes wrong in a soak: every fault of the sandbox by chance, all the time; and outages, one after the other."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from benchmarks.support.sandbox import BenchmarkSandbox
from pipetest.sandbox.faults import FAULTS
from tests.support.processes import ask

Body = Mapping[str, Any]

GITHUB_CHANCE = 0.001
PIPEDRIVE_CHANCE = 0.01
"""Of each fault, for each request: about one of 70 requests to GitHub, and one of 5 to Pipedrive, meets one."""

OF_PIPEDRIVE = ("400", "401", "402", "403", "late-reset", "late-silent", "late-504", "201")
IN_OUTAGES_ALONE = ("403-html",)
"""After it Pipedrive is left alone for ten minutes: by chance, it would be all that ever happens."""

TIMEOUT_S = 20.0
"""After which the daemon gives up a request."""

LATE_S = 3.0
"""After the client was told that it failed. The time to settle has to be longer than this and the lag of lists."""

LIST_LAG_S = 1.0
SETTLE_S = 6.0

LIMITS: Mapping[str, Body] = {
    "github": {"without_token": 500_000, "points": 900},
    "pipedrive": {"burst": 20, "search_burst": 10, "daily_tokens": 3_000_000, "list_lag": LIST_LAG_S, "latency": 0.05},
}
"""Those of a day and of an hour are a hundred times the real ones, those of seconds and of a minute are the real
ones."""


class Outage(Struct, frozen=True):
    """``faults`` are what every request meets, or as many of them as it says; ``limits`` replace the usual ones."""

    name: str
    faults: Sequence[Body] = ()
    limits: Mapping[str, Body] = {}


def _every(service: str, fault: str) -> Outage:
    return Outage(f"{service}: {fault}", [{"fault": fault, "service": service, "times": None}])


OUTAGES: Sequence[Outage] = (
    _every("Pipedrive", "503"),
    _every("GitHub", "502"),
    _every("Pipedrive", "silent"),
    _every("GitHub", "silent"),
    Outage("Pipedrive: burst limit", limits={"pipedrive": {"burst": 1, "search_burst": 1}}),
    _every("Pipedrive", "refused"),
    _every("GitHub", "reset"),
    Outage("Pipedrive: blocked", [{"fault": "403-html", "service": "Pipedrive", "times": 1}]),
    _every("Pipedrive", "401"),
    Outage("GitHub: secondary limit", limits={"github": {"points": 50}}),
    _every("Pipedrive", "402"),
    Outage("both slow", [{"fault": "slow", "times": None, "delay": 15.0}]),
)


def by_chance() -> Iterator[Body]:
    """Every fault, for all requests."""
    for name in FAULTS:
        if name in IN_OUTAGES_ALONE:
            continue
        late = {"late-silent": {"applied": TIMEOUT_S + LATE_S}}.get(name, {"applied": LATE_S})
        more = late if name.startswith("late-") else {}
        yield {"fault": name, "service": "Pipedrive", "times": None, "chance": PIPEDRIVE_CHANCE, **more}
        if name not in OF_PIPEDRIVE:
            yield {"fault": name, "service": "GitHub", "times": None, "chance": GITHUB_CHANCE}


class Disturbances:
    """``now``: what fails whole at this moment, empty for nothing."""

    def __init__(self, sandbox: BenchmarkSandbox) -> None:
        self._sandbox = sandbox
        self._outages = 0
        self.now = ""

    def begin(self) -> None:
        """From now on faults come by chance."""
        self._set([])

    def begin_outage(self) -> None:
        """The next one."""
        outage = OUTAGES[self._outages % len(OUTAGES)]
        self._outages += 1
        self._set(outage.faults)
        self._sandbox.post("/settings", **outage.limits)
        self.now = outage.name

    def end_outage(self) -> None:
        self._set([])
        self.now = ""

    def end(self) -> None:
        """From now on all is well."""
        self._forget()
        self.release()
        self.now = ""

    def release(self) -> None:
        """What was held is answered."""
        self._sandbox.post("/release")

    def _set(self, before: Sequence[Body]) -> None:
        """The first fault that matches decides: an outage's come before those by chance."""
        self._forget()
        for fault in (*before, *by_chance()):
            self._sandbox.post("/faults", **fault)

    def _forget(self) -> None:
        ask(f"{self._sandbox.control}/faults", "DELETE")
        self._sandbox.post("/settings", **LIMITS)
