"""What deals look like, in some runs: as a template says, of which something goes away for hours."""

from collections.abc import Iterator
from random import Random

from pipetest.config.deals import template
from pipetest.domain.template import CurrentTemplate
from pipetest.outbox.template_names import BETWEEN_S
from tests.simulation.clock import HOUR_S
from tests.simulation.environment import Environment
from tests.simulation.run_plan import STAMPS, TEMPLATES, UNSEEN

TEMPLATE = """
title = "{user}, {created}: {description} {id}"
pipeline = "Community"
stage = "New"
owner = "Anna"
labels = ["gist"]
fields = {"Gist id" = "{id}", "About" = "{url} {files}"}
organization = {owner = "Anna", fields = {"GitHub" = "{profile_url}"}}
"""

OTHERS = ("", 'title = "{user}: {id}"', TEMPLATE.replace("Anna", "Bob").replace("{description}", "-"))
"""Templates that take the first one's place at a start, now and then."""

STAMPED = ('fields = {"Gist id" = "{id}"}', 'title = "{description} · {id}"\nfields = {"Gist id" = "{id}"}')
"""Templates of runs in which people rewrite titles, and the field with the id stays."""


class Templates:
    """``text`` is the setting of whoever starts next."""

    def __init__(self, environment: Environment) -> None:
        self.text = ""
        self._clock = environment.clock
        self._random = Random(f"template {environment.plan.seed}")
        self._has, self._stamped = environment.has(TEMPLATES), environment.has(STAMPS)
        self._hides = environment.has(UNSEEN) and (self._has or self._stamped)
        self._crm = environment.world.crm
        self._company = company = self._crm.company
        self._changed_at = 0.0
        self._away: list[Iterator[None]] = []
        if self._stamped:
            company.deal_fields.add("Gist id")
        if not self._has:
            return
        self.text = TEMPLATE
        company.add_pipeline("Community", ("New", "Talking"))
        company.add_user("Anna", "anna@example.com")
        company.add_user("Bob", "bob@example.com")
        company.deal_fields.add_label("gist")
        company.deal_fields.add("Gist id")
        company.deal_fields.add("About", "text")
        company.organization_fields.add("GitHub")
        environment.events.every(8 * HOUR_S, self._take_away)

    def choose(self) -> None:
        """Those who start the daemon may write another one."""
        if self._has:
            self.text = self._random.choice(OTHERS) if self._random.random() < 0.2 else TEMPLATE
        self._choose_stamp()
        self._hide_deals()

    def choose_another(self) -> None:
        """While the daemon runs."""
        if self._has:
            self.text = self._random.choice((TEMPLATE, *OTHERS))
        self._choose_stamp()
        self._hide_deals()

    def _choose_stamp(self) -> None:
        if self._stamped:
            self.text = self._random.choice(("", *STAMPED))

    def _hide_deals(self) -> None:
        """For some hours the key's user may not see the deals that it creates by this template."""
        if self._hides and self._random.random() < 0.3:
            self._crm.hides_new_deals = True
            self._clock.callLater(self._random.uniform(0.5, 6.0) * HOUR_S, self._crm.show_all)

    @property
    def in_force(self) -> CurrentTemplate:
        """``text``, as it is read again."""
        return template(self.text)

    def explains(self, reason: str) -> bool:
        """Whether a record was refused for what the template names, and that could have been looked up again."""
        named = any(word in reason for word in ("Unknown key", "User with id", "there is no stage", "label_ids"))
        return named and self._clock.seconds() > self._changed_at + 2 * BETWEEN_S

    def end(self) -> None:
        """All of it is back."""
        for away in self._away:
            self._change(away)

    def _take_away(self) -> None:
        away = self._random.choice((self._field, self._second_field, self._stage, self._owner))()
        self._away.append(away)
        self._change(away)
        self._clock.callLater(self._random.uniform(0.2, 6.0) * HOUR_S, self._change, away)

    def _change(self, away: Iterator[None]) -> None:
        """It goes away, or comes back; then there is nothing left to do."""
        next(away, None)
        self._changed_at = self._clock.seconds()

    def _field(self) -> Iterator[None]:
        fields = self._company.deal_fields
        if not fields.custom:
            return
        field = self._random.choice(list(fields.custom.values()))
        fields.delete(field.code)
        yield
        if not self._named(field.name):
            fields.add(field.name, field.type)

    def _second_field(self) -> Iterator[None]:
        """There are two of one name."""
        second = self._company.deal_fields.add("About", "text")
        yield
        if second.code in self._company.deal_fields.custom and self._named("About") > 1:
            self._company.deal_fields.delete(second.code)

    def _named(self, name: str) -> int:
        return sum(field.name == name for field in self._company.deal_fields.custom.values())

    def _stage(self) -> Iterator[None]:
        stages = [stage for stage in self._company.stages.values() if stage.name == "New" and not stage.is_deleted]
        if stages:
            self._company.delete_stage(stages[0].id)
            yield
            self._company.add_stage(stages[0].pipeline_id, "New")

    def _owner(self) -> Iterator[None]:
        self._company.deactivate_user(2)
        yield
        self._company.activate_user(2)
