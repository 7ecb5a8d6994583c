"""The whole sandbox in memory: GitHub and Pipedrive side by side, with the people who use them."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from pipetest.sandbox.faults import Faults
from pipetest.sandbox.github.accounts import Accounts
from pipetest.sandbox.github.api import GitHub
from pipetest.sandbox.holds import Holds
from pipetest.sandbox.pipedrive.api import Pipedrive
from pipetest.sandbox.pipedrive.crm import Crm
from pipetest.sandbox.pipedrive.limits import GitHubLimits, PipedriveLimits
from pipetest.sandbox.service import Service

KEY = "sandbox-key"


class World:
    """``wall`` tells the seconds since the epoch; all chance comes from ``random``.

    People act through ``accounts`` and ``crm``; clients through the services ``github`` and ``pipedrive``.
    """

    def __init__(
        self, wall: Callable[[], float], random: Random, *, key: str = KEY, tokens: Mapping[str, str] | None = None
    ) -> None:
        self.accounts = Accounts(wall, random)
        self.crm = Crm(wall)
        self.faults = Faults(random)
        self.holds = Holds()
        self.github_rules = GitHub(self.accounts, tokens)
        self.github_limits = GitHubLimits()
        self.pipedrive_rules = Pipedrive(self.crm, key)
        self.pipedrive_limits = PipedriveLimits()
        self.github = Service(self.github_rules, self.github_limits, wall, self.faults)
        self.pipedrive = Service(self.pipedrive_rules, self.pipedrive_limits, wall, self.faults)

    def catch_up(self) -> None:
        """Carry out what was put off and is due by now; before somebody reads ``crm``."""
        self.github.catch_up()
        self.pipedrive.catch_up()

    def state(self) -> dict[str, Any]:
        """All that a checker wants to know, as JSON may hold it."""
        self.catch_up()
        services = (self.github, self.pipedrive)
        return {
            "organizations": [
                {key: row.shown[key] for key in ("id", "name", "is_deleted")} for row in self.crm.organizations.values()
            ],
            "deals": [
                {key: row.shown[key] for key in ("id", "title", "org_id", "status", "is_archived")}
                for row in self.crm.deals.values()
            ],
            "waiting": [new.title for new in self.crm.waiting],
            "gists": self.accounts.public_gists(),
            "calls": {service.name: service.calls for service in services},
            "statuses": {service.name: service.statuses for service in services},
            "faults": {service.name: service.acted_out for service in services},
            "held": len(self.holds),
            "tokens": self.pipedrive_limits.tokens_used,
        }
