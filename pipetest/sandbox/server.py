"""The sandbox on loopback ports: GitHub, Pipedrive, and people who write gists."""

from collections.abc import Callable
from random import Random
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IReactorTCP, IReactorTime
from twisted.internet.protocol import ServerFactory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.web.resource import IResource

from pipetest.sandbox.http import QuietSite, resource
from pipetest.sandbox.scenario import Story
from pipetest.sandbox.world import World

LOOPBACK = "127.0.0.1"


class IReactor(IReactorTCP, IReactorTime):
    """What the sandbox needs of a reactor."""


@frozen
class Plan:
    """How a sandbox is set up: ports (0: any that is free), seconds between gists (0: nobody writes of their own
    accord), and seconds that every answer takes."""

    github_port: int = 0
    pipedrive_port: int = 0
    gist_every: float = 5.0
    latency: float = 0.05


class Sandbox:
    """``wall`` tells the seconds since the epoch; all chance comes from ``random``. The URLs are known once started."""

    _log = Logger()

    github_url: str
    pipedrive_url: str

    def __init__(self, reactor: IReactor, wall: Callable[[], float], random: Random, plan: Plan | None = None) -> None:
        self._reactor = reactor
        self._wall = wall
        self._plan = plan or Plan()
        self._ports: list[IListeningPort] = []
        self._writing = LoopingCall(self._go_on)
        self._writing.clock = reactor
        self._written: Deferred[LoopingCall] | None = None
        self.world = World(wall, random)
        self._story = Story(self.world.accounts, random)

    @property
    def users(self) -> list[str]:
        return list(self._story.users)

    @property
    def key(self) -> str:
        return self.world.pipedrive_rules.key

    def start(self) -> None:
        """:raises CannotListenError: a port is taken."""
        world, plan = self.world, self._plan
        world.github.latency = world.pipedrive.latency = plan.latency
        self.github_url = self.serve(resource(world.github, self._reactor, world.holds), plan.github_port)
        self.pipedrive_url = self.serve(resource(world.pipedrive, self._reactor, world.holds), plan.pipedrive_port)
        self._log.info("GitHub is played at {url}", url=self.github_url)
        self._log.info("Pipedrive is played at {url}", url=self.pipedrive_url)
        self._story.begin(self._wall())
        if plan.gist_every > 0.0:
            self._written = self._writing.start(plan.gist_every, now=False)

    def serve(self, what: IResource, port: int) -> str:
        """Serve on a loopback port until the sandbox stops; the URL."""
        site: ServerFactory[Any] = QuietSite(what)
        listening = self._reactor.listenTCP(port, site, interface=LOOPBACK)
        self._ports.append(listening)
        at: Any = listening.getHost()
        return f"http://{LOOPBACK}:{at.port}"

    async def stop(self) -> None:
        if self._written is not None:
            self._writing.stop()
            await self._written
        for port in self._ports:
            await maybeDeferred(port.stopListening)

    def _go_on(self) -> None:
        event = self._story.go_on()
        about = f"“{event.about}”" if event.about else "without a word about it"
        self._log.info(
            "{who} {doing} gist {gist}, {about}", who=event.who, doing=event.doing, gist=event.gist_id, about=about
        )
