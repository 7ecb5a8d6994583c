"""The sandbox on loopback ports: GitHub, Pipedrive, and people who write gists."""

from collections.abc import Callable
from random import Random
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IReactorTCP, IReactorTime
from twisted.internet.protocol import ServerFactory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.web.resource import IResource

from pipetest.sandbox.http import QuietSite, resource
from pipetest.sandbox.pages.github import GitHubPages
from pipetest.sandbox.pages.pipedrive import PipedrivePages
from pipetest.sandbox.pages.playground import Playground
from pipetest.sandbox.sales import set_up
from pipetest.sandbox.scenario import Scenario
from pipetest.sandbox.world import World

LOOPBACK = "127.0.0.1"


class IReactor(IReactorTCP, IReactorTime):
    """What the sandbox needs of a reactor."""


class SandboxSettings(Struct, frozen=True):
    """Ports, where 0 is any that is free; the seconds between two gists, where 0 is no gist; and the seconds that every
    reply takes."""

    github_port: int = 0
    pipedrive_port: int = 0
    gist_every: float = 5.0
    latency: float = 0.05


class Sandbox:
    """``wall`` tells the seconds since the epoch; all chance comes from ``random``. The URLs are known once started."""

    _log = Logger()

    github_url: str
    pipedrive_url: str

    def __init__(
        self, reactor: IReactor, wall: Callable[[], float], random: Random, settings: SandboxSettings | None = None
    ) -> None:
        self._reactor = reactor
        self._wall = wall
        self._settings = settings or SandboxSettings()
        self._ports: list[IListeningPort] = []
        self._writing = LoopingCall(self.write_gist)
        self._writing.clock = reactor
        self._writing_ended: Deferred[LoopingCall] | None = None
        self.world = World(wall, random, latency=self._settings.latency)
        self._scenario = Scenario(self.world.accounts, random)

    @property
    def users(self) -> list[str]:
        return list(self._scenario.users)

    @property
    def key(self) -> str:
        return self.world.pipedrive_api.key

    def start(self) -> None:
        """:raises CannotListenError: a port is taken."""
        world, settings = self.world, self._settings
        github, pipedrive = (
            resource(service, self._reactor, world.held_replies) for service in (world.github, world.pipedrive)
        )
        self.github_url = self.serve(GitHubPages(world.accounts, github).app.resource(), settings.github_port)
        self.pipedrive_url = self.serve(PipedrivePages(world.crm, pipedrive).app.resource(), settings.pipedrive_port)
        for service, url in (("GitHub", self.github_url), ("Pipedrive", self.pipedrive_url)):
            self._log.info("simulated {service} at {url}", event="sandbox_started", service=service, url=url)
        set_up(world.crm.company)
        self._scenario.begin(self._wall())
        if settings.gist_every > 0.0:
            self._writing_ended = self._writing.start(settings.gist_every, now=False)

    def serve_playground(self, port: int, daemon_url: str | None = None) -> str:
        """Once it has started; the URL.

        :raises CannotListenError: the port is taken.
        """
        playground = Playground(self.world, self.write_gist, self.pipedrive_url, daemon_url)
        return self.serve(playground.app.resource(), port)

    def serve(self, resource: IResource, port: int) -> str:
        """Serve it on a loopback port until the sandbox stops; the URL."""
        site: ServerFactory[Any] = QuietSite(resource)
        listening = self._reactor.listenTCP(port, site, interface=LOOPBACK)
        self._ports.append(listening)
        address: Any = listening.getHost()
        return f"http://{LOOPBACK}:{address.port}"

    async def stop(self) -> None:
        if self._writing_ended is not None:
            self._writing.stop()
            await self._writing_ended
        for port in self._ports:
            await maybeDeferred(port.stopListening)

    def write_gist(self) -> None:
        """Somebody writes one, or makes a secret one public."""
        event = self._scenario.advance()
        self._log.info(
            "{user} {action} gist {gist}, {description}",
            event="sandbox_gist_written",
            user=event.user,
            action=event.action,
            gist=event.gist_id,
            description=f"“{event.description}”" if event.description else "without a description",
        )
