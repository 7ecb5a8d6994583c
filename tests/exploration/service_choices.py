"""What may go wrong with a request to GitHub or Pipedrive, and what people do there just before it is carried out."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import urlsplit

from pipetest.domain.model import Reply, Request
from pipetest.sandbox.calls import LostReply
from pipetest.sandbox.faults import FAULTS, Fault
from tests.exploration.small_world import SETTLE_S, SmallWorld

LATEST_S = SETTLE_S - 2.0
"""So late a create may be carried out, or be shown; never both, as together they have to fit into the settle time."""

SHOWN_LATE, LOST_AND_SHOWN_LATE = "shown late", "shown late, and the answer lost"
UNASKED_304 = "304, though no ETag was sent"
READ_FAULTS: Mapping[str, Fault | None] = {"the answer lost": FAULTS["reset"], "503": FAULTS["503"]}
UNCONDITIONAL_FAULTS: Mapping[str, Fault | None] = {
    **READ_FAULTS,
    UNASKED_304: Fault("304", None, Reply(304, {}, b"")),
}


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
        self._pages = environment.plan.per_page < max(map(len, environment.published.values()))
        self.settled_at = 0.0
        environment.world.inject(self)

    def __call__(self, service: str, request: Request, /) -> Fault | None:
        self._world.crm.list_lag = self._list_lag
        self._world.apply_late_calls()
        faults = self._faults(service, request)
        acts = self._acts_at_github() if service == "GitHub" else self._acts_at_pipedrive(request)
        chosen = self._choices.choose((*faults, *acts), f"{request.method} {urlsplit(request.url).path}")
        if chosen is None:
            return None
        if chosen in acts:
            acts[chosen]()
            return None
        if chosen in (SHOWN_LATE, LOST_AND_SHOWN_LATE):
            self._world.crm.list_lag = LATEST_S
        self.settled_at = self._clock.seconds() + LATEST_S
        return faults[chosen]

    def _faults(self, service: str, request: Request) -> Mapping[str, Fault | None]:
        if request.method == "POST":
            return self._create_faults
        is_unconditional = service == "GitHub" and "if-none-match" not in {name.lower() for name in request.headers}
        return UNCONDITIONAL_FAULTS if is_unconditional else READ_FAULTS

    # --- what people do -----------------------------------------------------------------------------------------------

    def _acts_at_github(self) -> Mapping[str, Callable[[], object]]:
        """A list of several pages shifts while it is read."""
        newest = [gist for gists in self._world.accounts.public_gists().values() for gist in gists[:1]]
        if not self._pages or not newest:
            return {}
        return {"the newest gist deleted first": partial(self._world.accounts.delete, newest[0])}

    def _acts_at_pipedrive(self, request: Request) -> Mapping[str, Callable[[], object]]:
        crm = self._world.crm
        if request.method == "POST":
            organization = crm.organizations.get(json.loads(request.body or b"{}").get("org_id"))
            if organization is None or organization.deleted_at is not None:
                return {}
            return {"its organization deleted first": partial(crm.delete_organization, organization.id)}
        deals = [row.id for row in crm.deals.values() if row.deleted_at is None and not row.fields["is_archived"]]
        if not deals:
            return {}
        return {
            "the newest deal archived first": partial(crm.archive_deal, deals[-1]),
            "the newest deal deleted first": partial(crm.delete_deal, deals[-1]),
        }
