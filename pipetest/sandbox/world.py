"""The whole sandbox in memory: GitHub and Pipedrive side by side, with the people who use them."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from pipetest.sandbox.calls import HeldReplies
from pipetest.sandbox.faults import FaultInjector, FaultRules
from pipetest.sandbox.github.accounts import Accounts
from pipetest.sandbox.github.api import GitHubApi
from pipetest.sandbox.github.limits import GitHubLimits
from pipetest.sandbox.pipedrive.api import PipedriveApi
from pipetest.sandbox.pipedrive.crm import Crm
from pipetest.sandbox.pipedrive.limits import PipedriveLimits
from pipetest.sandbox.service import Service

KEY = "sandbox-key"


class World:
    """``wall`` tells the seconds since the epoch; all chance comes from ``random``. ``latency`` is in seconds.

    People act through ``accounts`` and ``crm``; clients through the services ``github`` and ``pipedrive``.
    """

    def __init__(
        self,
        wall: Callable[[], float],
        random: Random,
        *,
        key: str = KEY,
        tokens: Mapping[str, str] | None = None,
        latency: float = 0.0,
    ) -> None:
        self.accounts = Accounts(wall, random)
        self.crm = Crm(wall)
        self.faults = FaultRules(random)
        self.held_replies = HeldReplies()
        self.github_api = GitHubApi(self.accounts, tokens)
        self.github_limits = GitHubLimits()
        self.pipedrive_api = PipedriveApi(self.crm, key)
        self.pipedrive_limits = PipedriveLimits()
        self.github = Service(self.github_api, self.github_limits, wall, self.faults, latency=latency)
        self.pipedrive = Service(self.pipedrive_api, self.pipedrive_limits, wall, self.faults, latency=latency)

    def inject(self, faults: FaultInjector) -> None:
        """From now on these decide about both services, and the rules in ``faults`` no longer do."""
        self.github.faults = self.pipedrive.faults = faults

    def lift_limits(self) -> None:
        """From now on both services are generous, and have forgotten what was used."""
        self.github.limits = self.github_limits = GitHubLimits()
        self.pipedrive.limits = self.pipedrive_limits = PipedriveLimits()

    def apply_late_calls(self) -> None:
        """Carry out the late calls that are due by now: before somebody reads ``crm``."""
        self.github.apply_late_calls()
        self.pipedrive.apply_late_calls()

    def state(self) -> dict[str, Any]:
        """All that a test asks about, as JSON may hold it."""
        self.apply_late_calls()
        services = (self.github, self.pipedrive)
        return {
            "organizations": [
                {name: row.fields[name] for name in ("id", "name", "is_deleted")}
                for row in self.crm.organizations.values()
            ],
            "deals": [
                {name: row.fields[name] for name in ("id", "title", "org_id", "status", "is_archived")}
                for row in self.crm.deals.values()
            ],
            "waiting": [new.title for new in self.crm.waiting_list],
            "gists": self.accounts.public_gists(),
            "calls": {service.name: service.calls for service in services},
            "statuses": {service.name: service.statuses for service in services},
            "faults": {service.name: service.injected for service in services},
            "held": len(self.held_replies),
            "tokens": self.pipedrive_limits.tokens_used,
        }
