"""Who watches the daemon while it runs, and objects to whatever it promised not to do."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

from twisted.logger import ILogObserver, LogEvent, formatEvent
from zope.interface import implementer

from pipetest.domain.model import Reply, Request
from tests.simulation.environment import Environment
from tests.simulation.instance import STOPPED, Instance
from tests.simulation.log_checks import LogChecks
from tests.support.results import result_of

Tell = Callable[[str], None]

LONGEST_STOP_S = 10.0
EVERYTHING = 1_000_000


@implementer(ILogObserver)
class Invariants:
    """``violations`` are what it objected to. ``tell`` hears the story, line by line.

    ``published`` are the gists that ever were public, by user, with their creation time.
    """

    def __init__(
        self, environment: Environment, published: Mapping[str, Mapping[str, float]], tell: Tell | None = None
    ) -> None:
        self._environment = environment
        self._published = published
        self._tell = tell
        self._feed: list[str] = []
        self._log_checks = LogChecks()
        self._lives: list[Instance] = []
        self.violations: list[str] = []

    def objects(self, to: str) -> None:
        self.violations.append(to)
        self._say("violation: {}", to)

    def forget(self) -> None:
        """The database is another one from now on."""
        self._say("the database has come to harm")
        self._feed = []

    # --- what it sees -------------------------------------------------------------------------------------------------

    def __call__(self, event: LogEvent) -> None:
        """The log."""
        self._log_checks.log(event)
        if self._tell is not None:
            self._say("{} {}", event["log_level"].name, formatEvent(event))
        if event.get("log_failure") is not None and any(life.process.alive for life in self._lives):
            self.objects(f"a failure is logged: {formatEvent(event)}: {event['log_failure'].getTraceback()}")

    def begins(self, life: Instance) -> None:
        self._lives = [life, *(other for other in self._lives if other.process.alive)]

    def asked(self, life: Instance, request: Request) -> None:
        if request.method == "POST" and life.settings.dry_run:
            self.objects(f"a dry run creates: {request.body!r}")

    def replied(self, life: Instance, service: str, request: Request, reply: Reply | None) -> None:
        self._log_checks.reply(service, request, reply)
        if self._tell is not None:
            url, body = urlsplit(request.url), (request.body or b"").decode()
            status = "lost" if reply is None else reply.status
            self._say("{} {}?{} {} {}", request.method, url.path, url.query, body, status)

    def committed(self, life: Instance) -> None:
        """What was shown stays as it is; what is new has come in the order in which it was written, user by user."""
        feed = list(result_of(life.tables.feed(0, EVERYTHING)))
        if feed[: len(self._feed)] != self._feed:
            self.objects("the feed has changed where it was shown already")
        elif self._feed:
            new = feed[len(self._feed) :]
            for gists in self._published.values():
                written = [gists[gist] for gist in new if gist in gists]
                if written != sorted(written):
                    self.objects("new gists are not in the order in which they were written")
        self._feed = feed

    def ended(self, life: Instance, how: str) -> None:
        """Its last words have been spoken, too."""
        self._say("the daemon {}: {}", how, life.crash_plan)
        if self._environment.server is None:  # one of several counts anew each time that it takes the lock
            for unseen in self._log_checks.unseen(life.creator, life.scanner):
                self.objects(unseen)
        self._log_checks = LogChecks()
        if how == STOPPED and life.stopping_since is not None:
            took_s = life.process.seconds() - life.stopping_since
            if took_s > LONGEST_STOP_S:
                self.objects(f"the ordered stop took {took_s:.1f} s")

    def _say(self, form: str, *values: object) -> None:
        if self._tell is not None:
            at = datetime.fromtimestamp(self._environment.clock.seconds(), UTC)
            self._tell(f"{at:%d %H:%M:%S.%f} {form.format(*values)}")
