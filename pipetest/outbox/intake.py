"""Makes tasks of what is recorded: when the process starts, and whenever gists are added to the feed."""

from collections.abc import Mapping, Sequence

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from pipetest.domain.interfaces import Store, Time
from pipetest.domain.model import Done, Entry, Skipped, State, User, Wanted, key
from pipetest.outbox import rules
from pipetest.outbox.progress import Progress
from pipetest.outbox.queue import TaskQueue
from pipetest.outbox.recognition import is_long_id
from pipetest.outbox.registry import TaskRegistry
from pipetest.outbox.tasks import NEVER, DealTask, OrganizationTask

LOADED_AT_ONCE = 500
"""Gists loaded in one turn of the reactor, in a few milliseconds. There may be a hundred thousand of them, and visitors
are answered in between."""


class Intake:
    """Adds tasks to ``tasks`` and ``queue``. In a ``dry_run`` an organization that is yet to be created never is, so
    its gists are told of as they come."""

    def __init__(
        self,
        tasks: TaskRegistry,
        queue: TaskQueue,
        progress: Progress,
        store: Store,
        time: Time,
        clock: IReactorTime,
        *,
        dry_run: bool,
    ) -> None:
        self._tasks = tasks
        self._queue = queue
        self._progress = progress
        self._store = store
        self._time = time
        self._clock = clock
        self._dry_run = dry_run
        self._with_skipped: dict[str, User] = {}  # by key

    async def load(self) -> None:
        """Add all that is unfinished. What was left ``sent`` waits out the settle time from now on."""
        with_skipped = await self._store.skipped_counts()
        without_organization: dict[str, User] = {}
        async for users in self._store.users_in_parts():
            self._have_skipped({name: user for user in users if (name := key(user.name)) in with_skipped})
            for user in users:
                if isinstance(user.organization.state, Wanted):  # a gist that waits, or a pass, brings it
                    without_organization[key(user.name)] = user
                else:
                    self._find_or_add_organization(user)
        for number, entry in enumerate(await self._store.open_entries()):
            if number and not number % LOADED_AT_ONCE:
                await deferLater(self._clock, 0)
            known = self._tasks.organization(entry.user)
            self._add_deal(known or self._find_or_add_organization(without_organization[key(entry.user)]), entry)

    def recorded(self, user: User, entries: Sequence[Entry]) -> None:
        """A pass has just recorded these gists. A user who has any that are skipped gets no organization before a deal
        is wanted."""
        if key(user.name) in self._with_skipped or any(isinstance(entry.deal, Skipped) for entry in entries):
            self._have_skipped({key(user.name): user})
        else:
            self._find_or_add_organization(user)
        for entry in entries:
            self._progress.adopted_when_recorded(entry)
            if not isinstance(entry.deal, Done | Skipped):
                self._add_deal(self._find_or_add_organization(user), entry)

    def skipped_no_more(self, entries: Sequence[Entry]) -> None:
        """These gists were skipped and are wanted now; of some a deal was found, and they are done."""
        self._progress.skipped_no_more(entries)
        for entry in entries:
            if isinstance(entry.deal, Wanted):
                user = self._with_skipped.get(key(entry.user), User(entry.user))
                self._add_deal(self._find_or_add_organization(user), entry)

    def texts_known(self, entries: Sequence[Entry]) -> None:
        """What these gists say was not known when they were recorded, and is known now."""
        for entry in entries:
            if (task := self._tasks.deal(entry.gist.id)) is not None:
                task.learn(entry)
                self._queue.put(task, self._time.monotonic())

    def _have_skipped(self, users: Mapping[str, User]) -> None:
        """Gists of these users are skipped; deals in Pipedrive that the store does not know may show them wanted."""
        self._with_skipped.update(users)
        if users and self._store.unreconciled:
            self._queue.reconcile_alone()

    def _find_or_add_organization(self, user: User) -> OrganizationTask:
        known = self._tasks.organization(user.name)
        if known is not None:
            if user.owner_id is not None:
                known.account_known(user.owner_id)
            return known
        now = self._time.monotonic()
        due = now + self._wait_after_start(user.organization.state)
        task = OrganizationTask(user.name, user.organization, last_seen=now, account=user.owner_id, due=due)
        self._tasks.add_organization(task)
        self._queue.put(task, now)
        return task

    def _add_deal(self, parent: OrganizationTask, entry: Entry) -> None:
        now = self._time.monotonic()
        due = now + self._wait_after_start(entry.deal)
        listed = self._tasks.listed_at is not None and is_long_id(entry.gist.id)
        reconciled = rules.is_reconciled(entry.gist.created_at, parent.organization.reconciled_at, listed=listed)
        task = DealTask(entry, parent, entry.deal, waiting_since=now, reconciled=reconciled, due=due)
        self._tasks.add_deal(task)
        self._queue.put(task, now)
        if self._dry_run and parent.due == NEVER:
            self._progress.would_be_created(task)

    def _wait_after_start(self, state: State) -> float:
        return rules.wait_after_start(state, self._time.wall(), settle=self._progress.settle)
