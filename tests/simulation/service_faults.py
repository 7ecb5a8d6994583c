"""What goes wrong at GitHub and Pipedrive, and on the way to them."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from pipetest.domain.model import Reply, Request
from pipetest.sandbox.faults import FAULTS, Fault, Rule
from pipetest.sandbox.replies import pipedrive_error
from pipetest.sandbox.world import KEY
from tests.simulation.clock import HOUR_S
from tests.simulation.environment import TOKEN, Environment
from tests.simulation.graphql_hints import FAILURES
from tests.simulation.requests import asks_graphql, creates
from tests.simulation.run_plan import REFUSALS, STAMPS, TEMPLATES

OUTAGE_ANSWERS = ("refused", "reset", "silent", "500", "502", "503", "applied-silent", "403-html")
"""One of them is what a service answers as long as it is down."""


def _not_found(reply: Reply) -> Reply:
    return replace(reply, status=404) if reply.status == 400 else reply


WHOLE_ARCHIVE = "/deals/archived?sort_by=id&status="
"""What is asked for when all deals are listed: only there are deals expected that people take out of the archive."""

UNPROCESSABLE = Fault("422", None, pipedrive_error(422, "Unprocessable"))
NOT_FOUND = Fault("404", alter=_not_found)
"""For creates only: a search would have to believe them."""


class ServiceFaults:
    """The fault injector of both services. ``change_list`` changes the list at a URL while it is read."""

    def __init__(self, environment: Environment, change_list: Callable[[str], None]) -> None:
        self._environment = environment
        self._random = environment.random
        self._world = environment.world
        self._change_list = change_list
        latest_s = environment.plan.latest_s
        self._faults = [replace(fault, applied_after=fault.applied_after and latest_s) for fault in FAULTS.values()]
        self._create_faults = [*self._faults, UNPROCESSABLE, NOT_FOUND]
        self._outages: dict[str, Fault] = {}
        self._refusals: list[Rule] = []
        self._ended = False
        self._token_of = self._world.github_api.tokens.get(TOKEN, "")
        self._world.inject(self)
        if environment.has("limits"):
            self._tighten_limits()
        for hazard, mean_h, act in (
            ("outages", 12, self._begin_outage),
            ("key", 12, self._revoke_keys),
            (REFUSALS, 8, self._begin_refusal),
        ):
            if environment.has(hazard):
                environment.events.every(mean_h * HOUR_S, act)

        if environment.has(TEMPLATES) and self._random.random() < 0.5:
            self._refuse_for_a_while(Rule(FAULTS["400"], "Pipedrive", "POST", "/api/v2/deals"))

    def end(self) -> None:
        """From now on both services work."""
        self._ended = True
        self._outages.clear()
        self._refusals.clear()
        self._return_keys()
        self._world.lift_limits()

    def __call__(self, service: str, request: Request, /) -> Fault | None:
        environment, random = self._environment, self._random
        model = self._world.github if service == "GitHub" else self._world.pipedrive
        model.latency = random.choice((0.05, 0.3, 2.0)) * random.random() + 0.001
        if (environment.has(STAMPS) or self._ended) and WHOLE_ARCHIVE in request.url and random.random() < 0.5:
            self._change_archive()
        if self._ended:
            return None
        if service == "GitHub" and environment.has("shifts") and random.random() < 0.2:
            self._change_list(request.url)
        if service in self._outages:
            return self._outages[service]
        if (refusal := next((rule for rule in self._refusals if rule.matches(service, request)), None)) is not None:
            return refusal.fault
        rate = environment.plan.fault_rate * (2.0 if creates(request) else 1.0)
        if environment.has("faults") and random.random() < rate:
            return random.choice(self._faults_of(request))
        return None

    def _faults_of(self, request: Request) -> Sequence[Fault]:
        if creates(request):
            return self._create_faults
        return [*self._faults, *FAILURES] if asks_graphql(request) else self._faults

    def _change_archive(self) -> None:
        """Somebody takes a deal out of the archive just before that is listed."""
        crm = self._world.crm
        archived = [row.id for row in crm.deals.values() if row.fields["is_archived"] and row.deleted_at is None]
        if archived:
            crm.unarchive_deal(self._random.choice(archived))

    # --- what lasts for minutes or hours ------------------------------------------------------------------------------

    def _begin_outage(self) -> None:
        service = self._random.choice(("GitHub", "Pipedrive"))
        self._outages[service] = FAULTS[self._random.choice(OUTAGE_ANSWERS)]
        self._environment.clock.callLater(self._some_time(), self._outages.pop, service, None)

    def _begin_refusal(self) -> None:
        """For a while Pipedrive refuses to create deals or organizations: all of them, those of one organization, or
        one user's organization."""
        random, organizations = self._random, list(self._world.crm.organizations)
        one = random.random() < 0.7
        if organizations and random.random() < 0.6:
            path, field = "/api/v2/deals", f'"org_id":{random.choice(organizations)}'
            bodies: tuple[str, ...] = (f"{field}}}", f"{field},")  # what else a deal has, its template says
        else:
            path, bodies = "/api/v2/organizations", (f'"name":"{random.choice(self._environment.plan.users)}"',)
        fault = FAULTS[random.choice(("403", "400"))]
        self._refuse_for_a_while(
            *(Rule(fault, "Pipedrive", "POST", path, body=body) for body in (bodies if one else ("",)))
        )

    def _refuse_for_a_while(self, *rules: Rule) -> None:
        wait = self._some_time()
        for rule in rules:
            self._refusals.append(rule)
            self._environment.clock.callLater(wait, self._end_refusal, rule)

    def _end_refusal(self, rule: Rule) -> None:
        if rule in self._refusals:
            self._refusals.remove(rule)

    def _revoke_keys(self) -> None:
        """For a while."""
        self._world.pipedrive_api.key = "another"
        self._world.github_api.tokens.pop(TOKEN, None)
        self._environment.clock.callLater(self._some_time(), self._return_keys)

    def _return_keys(self) -> None:
        self._world.pipedrive_api.key = KEY
        if self._environment.plan.token:
            self._world.github_api.tokens[TOKEN] = self._token_of

    def _some_time(self) -> float:
        return self._random.expovariate(1.0 / self._random.choice((0.1, 3.0))) * HOUR_S

    def _tighten_limits(self) -> None:
        random, github, pipedrive = self._random, self._world.github_limits, self._world.pipedrive_limits
        github.without_token, github.with_token = 60, random.choice((100, 5000))
        github.points = random.choice((10, 900))
        github.primary_status, github.secondary_status = random.choice((403, 429)), random.choice((403, 429))
        github.primary_retry_after, github.secondary_retry_after = random.random() < 0.5, random.random() < 0.5
        pipedrive.burst, pipedrive.search_burst = 20, 10
        tokens = random.choice((None, 300, 30_000))
        # Some deals are found again in the list of all alone, which is too much of a small day's tokens.
        pipedrive.daily_tokens = 30_000 if tokens == 300 and self._environment.plan.needs_whole_list else tokens
        pipedrive.daily_writes = random.choice((None, 20, 10_000))
        pipedrive.daily_retry_after = random.random() < 0.5
        pipedrive.block_after = random.choice((None, 5))
