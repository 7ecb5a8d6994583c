"""What may go wrong with a request to GitHub or Pipedrive."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from pipetest.domain.model import Request
from pipetest.sandbox.calls import LostReply
from pipetest.sandbox.faults import FAULTS, Fault
from tests.exploration.small_world import SETTLE_S, SmallWorld

LATEST_S = SETTLE_S - 2.0
"""So late a create may be carried out, or be shown; never both, as together they have to fit into the settle time."""

SHOWN_LATE, LOST_AND_SHOWN_LATE = "shown late", "shown late, and the answer lost"

READ_FAULTS: Mapping[str, Fault | None] = {"the answer lost": FAULTS["reset"], "503": FAULTS["503"]}


def create_faults(list_lag: float) -> Mapping[str, Fault | None]:
    """Where lists lag by so much anyway."""
    return {
        "refused before it was sent": FAULTS["refused"],
        "the answer lost": FAULTS["applied-reset"],
        "carried out late, after the answer was lost": Fault("late", LATEST_S - list_lag, LostReply("reset")),
        "503": FAULTS["503"],
        SHOWN_LATE: None,
        LOST_AND_SHOWN_LATE: FAULTS["applied-reset"],
    }


class ServiceChoices:
    """The fault injector of both services. ``settled_at``: by then all that is late is carried out, and shown."""

    def __init__(self, environment: SmallWorld) -> None:
        self._choices = environment.choices
        self._clock = environment.clock
        self._world = environment.world
        self._list_lag = environment.plan.list_lag
        self._create_faults = create_faults(self._list_lag)
        self.settled_at = 0.0
        environment.world.inject(self)

    def __call__(self, service: str, request: Request, /) -> Fault | None:
        crm, faults = self._world.crm, self._create_faults if request.method == "POST" else READ_FAULTS
        crm.list_lag = self._list_lag
        self._world.apply_late_calls()
        where = f"{request.method} {urlsplit(request.url).path}"
        chosen = self._choices.choose(tuple(faults), where)
        if chosen is None:
            return None
        if chosen in (SHOWN_LATE, LOST_AND_SHOWN_LATE):
            crm.list_lag = LATEST_S
        self.settled_at = self._clock.seconds() + LATEST_S
        return faults[chosen]
