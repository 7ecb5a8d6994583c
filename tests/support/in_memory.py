"""Scanner and outbox in memory: with the sandbox, a simulated disk, and a clock that the test moves."""

from collections.abc import Callable, Sequence
from math import ceil, inf
from random import Random
from typing import Any, TypeVar

from msgspec import Struct
from twisted.internet.task import Clock

from pipetest.domain.interfaces import Exchange, Time
from pipetest.domain.model import Entry, Gist, PassResult, Reply, Request, Secret, User
from pipetest.domain.status import Scan
from pipetest.domain.template import CurrentTemplate, Template
from pipetest.github.client import GitHubClient
from pipetest.github.graphql import GraphQLClient
from pipetest.outbox.outbox import Outbox
from pipetest.pipedrive.client import PipedriveClient
from pipetest.sandbox.faults import FAULTS, Rule
from pipetest.sandbox.in_process import InProcessExchange
from pipetest.sandbox.pipedrive.bodies import NewDeal, NewOrganization
from pipetest.sandbox.world import KEY, World
from pipetest.scanner.scanner import Scanner
from pipetest.scanner.user_lists import ReadEntries, UserLists
from pipetest.store.tinydb.store import TinyStore
from tests.support.results import result_of
from tests.support.simulated_disk import SimDisk, run

START_AT = 1_700_000_000.0
SETTLE_S = 60.0
INTERVAL_S = 1800.0

T = TypeVar("T")


class RecordingExchange:
    """An exchange that remembers the requests."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.requests: list[Request] = []

    async def __call__(self, request: Request) -> Reply:
        self.requests.append(request)
        return await self.exchange(request)


class EndedScan(Struct, frozen=True):
    """How a scan ended, and the status at that moment."""

    failed: bool
    status: Scan


class InMemoryPipeline:
    """A pipeline whose process can be killed, and wired again on the same world, clock and disk."""

    def __init__(self, users: Sequence[str] = ("ada",)) -> None:
        self.clock = Clock()
        self.clock.advance(START_AT)
        self.users: Sequence[Any] = users
        self.interval = INTERVAL_S
        self.backfill_since = -inf
        self.token: Secret | None = None
        self.reads_a_minute = inf
        self.create_ready = 0.0
        self.creates_allowed = inf
        self.tokens_a_day = inf
        self.template = CurrentTemplate(Template())
        self.clock_behind_s = 0.0
        self.monotonic: Callable[[], float] = self.clock.seconds
        self.scans: list[EndedScan] = []
        self.done: dict[str, int] = {}
        self.world = World(self.clock.seconds, Random(1))
        self.disk = SimDisk(Random(2))
        for user in users:
            self.world.accounts.open(user)

    @property
    def read_entries(self) -> ReadEntries | None:
        """What reads the users from a file, where they are in one."""
        return None

    def wire(self, *, dry_run: bool = False, open_store: bool = True) -> None:
        """Make every object anew, as a start of the process does; nothing runs yet."""
        world, clock = self.world, self.clock
        time = Time(lambda: clock.seconds() - self.clock_behind_s, self.monotonic)
        self.github = RecordingExchange(InProcessExchange(world.github, clock, world.held_replies))
        self.pipedrive = RecordingExchange(InProcessExchange(world.pipedrive, clock, world.held_replies))
        self.store = TinyStore(self.disk.folder(), run, clock, roots={})
        if open_store:
            self.store.open()
        client = PipedriveClient(
            self.pipedrive,
            "https://company.pipedrive.com",
            Secret(KEY),
            stamp_field=lambda: self.outbox.shape.stamp_field,
        )
        self.outbox = Outbox(
            client,
            self.store,
            time,
            clock,
            lambda ahead: self.create_ready if ahead < self.creates_allowed else inf,
            self,
            settle=SETTLE_S,
            dry_run=dry_run,
            tokens_a_day=lambda: self.tokens_a_day,
            template=self.template,
        )
        root = "https://api.github.com"
        github = GitHubClient(self.github, root, self.token, clock.seconds)
        summaries = None if self.token is None else GraphQLClient(self.github, root, self.token, clock.seconds)
        self.lists = UserLists(self.users, self.read_entries, github, self.store)
        self.scanner = Scanner(
            github,
            self.store,
            time,
            clock,
            self,
            lists=self.lists,
            interval=self.interval,
            backfill_since=self.backfill_since,
            needs_text=lambda: self.template.value.needs_text,
            summaries=summaries,
            reads_a_minute=self.reads_a_minute,
        )

    def user_recorded(self, user: User, entries: Sequence[Entry]) -> None:
        self.outbox.enqueue(user, entries)

    def texts_known(self, entries: Sequence[Entry]) -> None:
        self.outbox.texts_known(entries)

    def skipped_no_more(self, entries: Sequence[Entry]) -> None:
        """It shows in the outbox."""

    def deal_done(self, gist_id: str, deal_id: int) -> None:
        self.done[gist_id] = deal_id

    def scan_ended(self, *, failed: bool) -> None:
        self.scans.append(EndedScan(failed, self.scanner.status()))

    def start(self, *, dry_run: bool = False) -> None:
        self.wire(dry_run=dry_run)
        result_of(self.outbox.start())
        self.scanner.start()

    def scan(self) -> None:
        """A new process whose outbox never starts: the first scan has come as far as it can without waiting."""
        self.wire()
        self.scanner.start()

    def kill(self) -> None:
        """The process is gone at once; the disk stays as it is."""
        self.disk.kill()
        for call in self.clock.getDelayedCalls():
            call.cancel()

    def pass_time(self, seconds: float, step: float = 1.0) -> None:
        steps = ceil(seconds / step)
        for _ in range(steps):
            self.clock.advance(seconds / steps)

    def pass_time_until(self, reached: Callable[[], bool], longest: float = 3600.0, step: float = 1.0) -> None:
        for _ in range(int(longest / step)):
            if reached():
                return
            self.clock.advance(step)
        raise AssertionError("not reached in time")

    # --- what happens at the services, and what is seen there ---------------------------------------------------------

    def feed(self) -> list[str]:
        return list(result_of(self.store.feed(0, 1_000_000)))

    def recorded_users(self) -> list[str]:
        return [user.name for user in result_of(self.store.users())]

    def error_of(self, user: str) -> str | None:
        return {queried.name: queried.error for queried in self.scanner.users.most()}[user]

    def fail(
        self,
        fault: str,
        service: str,
        *,
        method: str | None = None,
        path: str = "/",
        times: int | None = 1,
        body: str = "",
    ) -> None:
        self.world.faults.add(Rule(FAULTS[fault], service, method, path, times, body=body))

    def refuse(self, fault: str, path: str, body: str = "") -> None:
        """From now on Pipedrive answers so to creates there whose body holds this text."""
        self.fail(fault, "Pipedrive", method="POST", path=path, times=None, body=body)

    def deals(self) -> list[tuple[str, int]]:
        """Title and organization of every deal, in the order of creation."""
        self.world.apply_late_calls()
        return [(row.fields["title"], row.fields["org_id"]) for row in self.world.crm.deals.values()]

    def organizations(self) -> list[str]:
        self.world.apply_late_calls()
        return [row.fields["name"] for row in self.world.crm.organizations.values()]

    def write(self, *gists: str, user: str = "ada") -> None:
        """Publish gists with these ids, a second apart."""
        for gist in gists:
            self.world.accounts.write(user, gist_id=gist)
            self.clock.advance(1.0)

    def record(self, gist: Gist, user: str = "ada") -> None:
        """As when a pass has just found it."""
        self.outbox.enqueue(User(user), result_of(self.store.add_gists(PassResult(user, None, None, [gist]))))

    def settle(self) -> None:
        """Pass enough time for the start, for a lost answer, and for every wait that follows."""
        self.pass_time(10 * SETTLE_S)

    def posts(self) -> int:
        return sum(request.method == "POST" for request in self.pipedrive.requests)

    def searches(self) -> int:
        return sum(request.method == "GET" for request in self.pipedrive.requests)

    def add_organization(self, name: str) -> int:
        return self.world.crm.add_organization(NewOrganization(name), self.clock.seconds()).id

    def add_deal(self, title: str, organization_id: int) -> int:
        return self.world.crm.add_deal(NewDeal(title, organization_id), self.clock.seconds()).id
