"""While the key's user does not see what it creates by a template, no more is created than the first of a kind."""

import json
from collections import defaultdict
from collections.abc import Mapping
from urllib.parse import urlsplit

from msgspec import Struct

from pipetest.domain.model import Reply, Request
from pipetest.domain.template import Template
from pipetest.outbox.first_creates import digest
from pipetest.outbox.tasks import KINDS, Kind
from pipetest.sandbox.pipedrive.crm import Crm, Record
from tests.simulation.run_log import RunLog


class Look(Struct, frozen=True):
    """What records of a kind look like, for the ``number``-th time that this has changed."""

    kind: Kind
    digest: str
    number: int


class FirstCreateChecks:
    def __init__(self, crm: Crm, run_log: RunLog) -> None:
        self._records: Mapping[Kind, Mapping[int, Record]] = {"organization": crm.organizations, "deal": crm.deals}
        self._run_log = run_log
        self._looks: dict[Kind, Look] = {}
        self._leaving: dict[int, Look] = {}
        self._created: defaultdict[Look, list[Record]] = defaultdict(list)

    def template_in_force(self, template: Template) -> None:
        for kind in KINDS:
            before, now = self._looks.get(kind), digest(kind, template)
            if before is None or before.digest != now:
                self._looks[kind] = Look(kind, now, 1 if before is None else before.number + 1)

    def leaves(self, create: Request) -> None:
        self._leaving[id(create)] = self._looks[
            "deal" if urlsplit(create.url).path.endswith("/deals") else "organization"
        ]

    def answered(self, create: Request, reply: Reply) -> None:
        look = self._leaving.pop(id(create))
        if reply.status >= 300:
            return
        self._created[look].append(self._records[look.kind][json.loads(reply.body)["data"]["id"]])
        unseen = [record.id for record in self._created[look] if record.hidden]
        if len(unseen) > 1 and not self._was_seen(look):
            self._run_log.violation(f"{look.kind}s {unseen} were created, though the first was not seen")

    def _was_seen(self, look: Look) -> bool:
        """Whether any record that looks like that can be seen."""
        same = (of for of in self._created if (of.kind, of.digest) == (look.kind, look.digest))
        return any(not record.hidden for of in same for record in self._created[of])
