"""How a company has set up its Pipedrive: who its users are, and through which pipelines and stages its deals go.

Its methods are what administrators do. Ids are never used twice.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from msgspec import Struct

from pipetest.sandbox.pipedrive.fields import deal_fields, organization_fields
from pipetest.sandbox.replies import rfc3339

STAGES = ("Qualified", "Contact made", "Demo scheduled", "Proposal made", "Negotiations started")
"""Those that a new pipeline has."""


class CrmUser(Struct):
    id: int
    name: str
    email: str
    active: bool = True


class SalesPipeline(Struct):
    """The one with the lowest ``order_nr`` is the default."""

    id: int
    name: str
    order_nr: int
    add_time: str
    update_time: str
    is_deleted: bool = False
    is_deal_probability_enabled: bool = True


class SalesStage(Struct):
    id: int
    order_nr: int
    name: str
    pipeline_id: int
    add_time: str
    update_time: str
    is_deleted: bool = False
    deal_probability: int = 100
    is_deal_rot_enabled: bool = False
    days_to_rotten: int | None = None


P = TypeVar("P", SalesPipeline, SalesStage)


class Company:
    """``wall`` tells the seconds since the epoch. ``me`` is the user whose key it is."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self.deal_fields = deal_fields()
        self.organization_fields = organization_fields()
        self.users: dict[int, CrmUser] = {}
        self.pipelines: dict[int, SalesPipeline] = {}
        self.stages: dict[int, SalesStage] = {}
        self.me = self.add_user("Sandbox", "sandbox@example.com")
        self.add_pipeline("Pipeline")

    # --- users --------------------------------------------------------------------------------------------------------

    def add_user(self, name: str, email: str) -> CrmUser:
        user = self.users[len(self.users) + 1] = CrmUser(len(self.users) + 1, name, email)
        return user

    def deactivate_user(self, user_id: int) -> None:
        """They have left: they stay on the list, and can own nothing new."""
        self.users[user_id].active = False

    def activate_user(self, user_id: int) -> None:
        """They are back."""
        self.users[user_id].active = True

    def is_active(self, user_id: int) -> bool:
        return user_id in self.users and self.users[user_id].active

    # --- pipelines and stages -----------------------------------------------------------------------------------------

    def add_pipeline(self, name: str, stages: Sequence[str] = STAGES) -> SalesPipeline:
        number, at = len(self.pipelines) + 1, rfc3339(self._wall())
        pipeline = self.pipelines[number] = SalesPipeline(number, name, number, at, at)
        for stage in stages:
            self.add_stage(number, stage)
        return pipeline

    def add_stage(self, pipeline_id: int, name: str) -> SalesStage:
        number, at = len(self.stages) + 1, rfc3339(self._wall())
        stage = self.stages[number] = SalesStage(number, number, name, pipeline_id, at, at)
        return stage

    def rename_pipeline(self, pipeline_id: int, name: str) -> None:
        pipeline = self.pipelines[pipeline_id]
        pipeline.name, pipeline.update_time = name, rfc3339(self._wall())

    def rename_stage(self, stage_id: int, name: str) -> None:
        stage = self.stages[stage_id]
        stage.name, stage.update_time = name, rfc3339(self._wall())

    def delete_pipeline(self, pipeline_id: int) -> None:
        """Its stages go with it. At least one pipeline stays."""
        _delete(self.pipelines[pipeline_id], rfc3339(self._wall()))
        for stage in self.stages.values():
            if stage.pipeline_id == pipeline_id:
                self.delete_stage(stage.id)

    def delete_stage(self, stage_id: int) -> None:
        """At least one stage of a living pipeline stays."""
        _delete(self.stages[stage_id], rfc3339(self._wall()))

    def stage_for(self, pipeline_id: int | None = None, stage_id: int | None = None) -> SalesStage | None:
        """Where a deal goes that names these two: to the first stage of the default pipeline where it names neither.
        None where there is no such pipeline, or no such stage in it."""
        if stage_id is not None:
            stage = _living(self.stages).get(stage_id)
            return stage if stage is not None and pipeline_id in {None, stage.pipeline_id} else None
        if pipeline_id is None:
            pipeline_id = min(_living(self.pipelines).values(), key=_order).id
        stages = [stage for stage in _living(self.stages).values() if stage.pipeline_id == pipeline_id]
        return min(stages, key=_order, default=None)


def _order(ordered: SalesPipeline | SalesStage) -> int:
    return ordered.order_nr


def _delete(record: SalesPipeline | SalesStage, at: str) -> None:
    record.is_deleted, record.update_time = True, at


def _living(records: Mapping[int, P]) -> Mapping[int, P]:
    return {number: record for number, record in records.items() if not record.is_deleted}
