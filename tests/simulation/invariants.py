"""What must hold at every moment of a run; checked while the instances run."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from twisted.logger import ILogObserver, LogEvent, formatEvent
from zope.interface import implementer

from pipetest.domain.model import Reply, Request
from pipetest.domain.template import Template
from tests.simulation.clock import HOUR_S
from tests.simulation.crm_users import gist_of
from tests.simulation.environment import Environment
from tests.simulation.exchange import Defect
from tests.simulation.first_create_checks import FirstCreateChecks
from tests.simulation.github_users import GitHubUsers
from tests.simulation.instance import STOPPED, Instance
from tests.simulation.log_checks import LogChecks
from tests.simulation.requests import creates
from tests.simulation.run_log import RunLog
from tests.simulation.run_plan import BACKFILL, UNSEEN
from tests.simulation.templates import Templates
from tests.support.results import result_of

_USER = re.compile(r"/users/([^/]+)/gists$")
LONGEST_STOP_S = 10.0
MOST_FORBIDDEN = 300
"""Creates that are answered 403 in an hour: what is refused is tried again, but not in one go."""
MOST_LOOK_UPS = 11
"""In an hour: six after refusals, and up to four where the template does not fit; as many again for each instance."""
EVERYTHING = 1_000_000


@implementer(ILogObserver)
class Invariants:
    """Observes the log and every instance. Since the database is this one: ``first_asked``, when GitHub was first asked
    for a user's list, and the number of the account whose name that was; and ``first_recorded``, when each account was
    first seen in it, by its number."""

    def __init__(
        self,
        environment: Environment,
        github_users: GitHubUsers,
        templates: Templates,
        run_log: RunLog,
    ) -> None:
        self._environment = environment
        self._templates = templates
        self._github_users = github_users
        self._published: Mapping[str, Mapping[str, float]] = github_users.published
        self._run_log = run_log
        self.first_asked: dict[str, tuple[float, int | None]] = {}
        self.first_recorded: dict[int, float] = {}
        self._feed: list[str] = []
        self._log_checks = LogChecks()
        self._instances: list[Instance] = []
        self._asks: Instance | None = None
        self._forbidden: list[float] = []
        self._look_ups: list[float] = []
        self._quarantined: set[str] = set()
        self._first_creates = FirstCreateChecks(environment.world.crm, run_log)

    @property
    def feed(self) -> Sequence[str]:
        """What was shown of the feed so far."""
        return self._feed

    def database_replaced(self) -> None:
        """From now on the database is another one."""
        self._run_log.write("the database is damaged, lost or an older one from now on")
        self._feed = []
        self._quarantined.clear()
        self.first_asked, self.first_recorded = {}, {}

    def __call__(self, event: LogEvent) -> None:
        """Observe the log."""
        self._log_checks.log(event)
        if self._run_log.is_read:
            self._run_log.write("{} {}", event["log_level"].name, formatEvent(event))
        if event.get("event") == "deal_refused":
            if self._templates.explains(event["reason"]) and event["what"] not in self._quarantined:
                self._run_log.violation(f"quarantined for what the template names: {formatEvent(event)}")
            self._quarantined.add(event["what"])  # from then on it is tried again once a day, whatever refuses it
        failure = event.get("log_failure")
        if (
            failure is not None
            and not failure.check(Defect)
            and any(instance.process.alive for instance in self._instances)
        ):
            self._run_log.violation(f"a failure is logged: {formatEvent(event)}: {failure.getTraceback()}")

    def starts(self, instance: Instance) -> None:
        self._instances = [instance, *(other for other in self._instances if other.process.alive)]
        self._first_creates.template_in_force(instance.settings.deals.value)

    def request_leaves(self, instance: Instance, request: Request) -> None:
        self._quarantined.update(instance.outbox.tasks.quarantined)  # an older database may hold them so
        if instance is not self._asks:
            self._asks = instance
            self.store_worked(instance)  # what it has loaded, a process may have recorded that then died at once
        if creates(request):
            self._check_create(instance, request)

    def _check_create(self, instance: Instance, request: Request) -> None:
        path, record = urlsplit(request.url).path, json.loads(request.body or b"")
        if instance.settings.dry_run:
            self._run_log.violation(f"a dry run creates: {request.body!r}")
        if self._environment.has(UNSEEN):
            self._first_creates.leaves(request)
        if path.endswith("/deals"):
            self._check_new_deal(instance, record)
        if path.endswith("/organizations"):
            self._check_new_organization(instance, record["name"])

    def template_changed(self, template: Template) -> None:
        self._run_log.write("another template is in force")
        self._first_creates.template_in_force(template)

    def _check_new_deal(self, instance: Instance, deal: Mapping[str, Any]) -> None:
        """It leaves as the template in force says, whole, though another one came while it waited to leave."""
        template = instance.settings.deals.value
        named = {
            "stage_id": template.stage,
            "owner_id": template.owner,
            "label_ids": template.labels,
            "custom_fields": template.fields,
        }
        said = {name for name, names in named.items() if names}
        given = set(deal) & set(named)
        if given != said or len(deal.get("custom_fields", ())) != len(template.fields):
            self._run_log.violation(f"a deal is created with {sorted(given)}, and the template names {sorted(said)}")

    def _check_new_organization(self, instance: Instance, user: str) -> None:
        """None is made for a user whose known deals are mostly in one that lives, whatever its name is."""
        crm, tasks = self._environment.world.crm, instance.outbox.tasks
        published = self._published.get(self._github_users.known_as(user), ())
        gists = {gist for gist in published if gist in self._feed and tasks.deal(gist) is None}
        places = Counter(row.fields["org_id"] for row in crm.deals.values() if gist_of(row) in gists)
        for organization, deals in places.items():
            if deals > places.total() / 2 and crm.organizations[organization].deleted_at is None:
                self._run_log.violation(f"{user} gets another organization, though the deals are in {organization}")

    def exchange_ended(self, instance: Instance, service: str, request: Request, reply: Reply | None) -> None:
        self._log_checks.reply(service, request, reply)
        url = urlsplit(request.url)
        if (asked := _USER.search(url.path)) is not None:
            account = self._environment.world.accounts.by_login(asked[1])
            now = self._environment.clock.seconds()
            user = self._github_users.known_as(asked[1])
            self.first_asked.setdefault(user, (now, account.id if account else None))
        if creates(request) and reply is not None and reply.status == 403:
            now = self._environment.clock.seconds()
            self._forbidden = [*(moment for moment in self._forbidden if moment > now - HOUR_S), now]
            if len(self._forbidden) == MOST_FORBIDDEN:
                self._run_log.violation(f"{MOST_FORBIDDEN} creates were forbidden within an hour")
        if creates(request) and reply is not None and self._environment.has(UNSEEN):
            self._first_creates.answered(request, reply)
        first_page = url.path.endswith("/dealFields") and "cursor" not in url.query
        if first_page and reply is not None and reply.status == 200:
            now = self._environment.clock.seconds()
            self._look_ups = [*(moment for moment in self._look_ups if moment > now - HOUR_S), now]
            if len(self._look_ups) > MOST_LOOK_UPS * self._environment.plan.instances:
                self._run_log.violation(f"{len(self._look_ups)} look-ups within an hour")
        if self._run_log.is_read:
            body, status = (request.body or b"").decode(), "lost" if reply is None else reply.status
            self._run_log.write("{} {}?{} {} {}", request.method, url.path, url.query, body, status)

    def store_worked(self, instance: Instance) -> None:
        """What the feed showed stays as it is; each user's new gists come in the order in which they were written."""
        feed = list(result_of(instance.content.feed(0, EVERYTHING)))
        if feed[: len(self._feed)] != self._feed:
            self._run_log.violation("the feed has changed where it was shown already")
        elif self._feed:
            new = feed[len(self._feed) :]
            for gists in self._published.values():
                written = [gists[gist] for gist in new if gist in gists]
                if written != sorted(written):
                    self._run_log.violation("new gists are not in the order in which they were written")
        self._feed = feed
        if self._environment.has(BACKFILL):
            for user in result_of(instance.content.users()):
                if user.owner_id is not None:
                    self.first_recorded.setdefault(user.owner_id, self._environment.clock.seconds())

    def ended(self, instance: Instance, how: str) -> None:
        """Called when its last log lines are written."""
        self._run_log.write("the daemon {}: {}", how, instance.crash_plan)
        if self._environment.server is None:  # one of several counts anew each time that it acquires the lease
            for unreported in self._log_checks.unreported(instance.outbox, instance.scanner, instance.health):
                self._run_log.violation(unreported)
        self._log_checks = LogChecks()
        self._forbidden = []
        self._look_ups = []
        if how == STOPPED and instance.stopping_since is not None:
            took_s = instance.process.seconds() - max(instance.stopping_since, instance.process.thawed_at)
            if took_s > LONGEST_STOP_S:
                self._run_log.violation(f"the ordered stop took {took_s:.1f} s")
