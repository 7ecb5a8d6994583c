"""What can be done next for one task or several."""

from collections.abc import Sequence

from msgspec import Struct

from pipetest.outbox.prerequisites import FirstTask, NamesTask, StoreTask
from pipetest.outbox.tasks import DealTask, OrganizationTask, Task


class FindOrganizations(Struct, frozen=True):
    """One search decides for all organizations that need one now."""

    tasks: Sequence[OrganizationTask]


class CreateOrganization(Struct, frozen=True):
    task: OrganizationTask

    @property
    def tasks(self) -> Sequence[Task]:
        return (self.task,)


class ReconcileDeals(Struct, frozen=True):
    """One search, begun now, decides for all of these ``deals``: the settle time of each is over."""

    parent: OrganizationTask
    organization_id: int
    deals: Sequence[DealTask]

    @property
    def tasks(self) -> Sequence[Task]:
        return (self.parent, *self.deals)


class CreateDeal(Struct, frozen=True):
    task: DealTask
    organization_id: int

    @property
    def tasks(self) -> Sequence[Task]:
        return (self.task,)


class ReadBack(Struct, frozen=True):
    """See whether Pipedrive shows the first record of its kind: nothing more is created before it does."""

    task: FirstTask

    @property
    def tasks(self) -> Sequence[FirstTask]:
        return (self.task,)


class ReconcileStore(Struct, frozen=True):
    """Learn what Pipedrive holds and the store does not know: nothing else goes on before."""

    task: StoreTask

    @property
    def tasks(self) -> Sequence[StoreTask]:
        return (self.task,)


class LookUpNames(Struct, frozen=True):
    """Find out what the names in the template stand for: nothing is created before."""

    task: NamesTask

    @property
    def tasks(self) -> Sequence[NamesTask]:
        return (self.task,)


Action = FindOrganizations | CreateOrganization | ReconcileDeals | CreateDeal | ReadBack | ReconcileStore | LookUpNames
