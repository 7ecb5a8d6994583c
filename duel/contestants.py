"""Who takes part, and how each is installed and run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

from msgspec import Struct

from duel.support.environments import FOLDER, environment, lines
from tests.support.postgres.server import Server, free_port, server
from tests.support.processes import clean_environment

PACKAGE = FOLDER.parent / "pipetest"
SETTLE_S = "2"
"""A late answer comes within half of it, so that a run does not take hours: 60 s is usual, for answers of 20 s."""

INTERVAL_S = 1.0
"""Between two looks at GitHub."""


class Setup(Struct, frozen=True):
    """What a contestant is told. ``folder`` is for what it keeps, ``database`` the address of its PostgreSQL database,
    where it needs one; ``burst`` is Pipedrive's limit of requests in two seconds, where the plan has one."""

    github: str
    pipedrive: str
    key: str
    users: Sequence[str]
    folder: Path
    database: str = ""
    burst: int | None = None


class Contestant:
    """``is_daemon``: else it ends when it has done its work, and is run again and again. ``written``: what its user has
    to write; ``packages``: what it brings along, by the names of its folders. ``missing``: why it cannot be run.
    """

    name: str
    missing = ""
    is_daemon = True
    written: Sequence[str] = ()
    packages: Sequence[str] = ()

    def install(self, setup: Setup) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        """Its command, and the command's environment."""
        raise NotImplementedError

    def open_database(self) -> str:
        """The address of a new database for one trial."""
        return ""

    def back_up(self, setup: Setup) -> None:
        """What is not in its folder."""

    def restore(self, setup: Setup) -> None: ...

    @property
    def lines_written(self) -> int:
        return lines(*(FOLDER / path for path in self.written))

    @property
    def lines_brought(self) -> int:
        raise NotImplementedError


class Pipetest(Contestant):
    """The daemon, as people start it, with its default settings but for the settle time."""

    name = "pipetest"

    def install(self, setup: Setup) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        settings = {
            "GITHUB_URL": setup.github,
            "PIPEDRIVE_URL": setup.pipedrive,
            "PIEPEDRIVE_API_KEY": setup.key,
            "QUERIED_USERS": ",".join(setup.users),
            "QUERYING_INTERVAL": f"{INTERVAL_S / 60:.4f}",
            "SETTLE_TIME": SETTLE_S,
            "DATABASE_URL": f"tinydb:{setup.folder / 'db.json'}",
            "LISTEN": "tcp:0:interface=127.0.0.1",
        }
        twistd = Path(sys.executable).with_name("twistd")
        return [twistd, "--nodaemon", "--pidfile=", "pipetest"], clean_environment(**settings)

    @property
    def lines_brought(self) -> int:
        return lines(PACKAGE) - lines(PACKAGE / "sandbox")


class Script(Contestant):
    """A program of one file. ``requirements`` names its environment."""

    requirements: str

    def install(self, setup: Setup) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        python = environment(self.requirements) / "python"
        return [python, FOLDER / self.written[0]], variables(setup)

    @property
    def lines_brought(self) -> int:
        return lines(*(packages_of(self.requirements) / package for package in self.packages))


class OlderService(Script):
    name = "the older service's way"
    written = ("older_service.py",)
    packages = ("requests", "tinydb")
    requirements = "older"


class PlainOutbox(Script):
    name = "a plain outbox"
    written = ("plain_outbox.py",)
    packages = ("requests",)
    requirements = "outbox"


class Dlt(Script):
    name = "dlt"
    is_daemon = False
    written = ("dlt_pipeline.py",)
    packages = ("dlt",)
    requirements = "dlt"


class Drt(Script):
    """With its idempotency ledger, which needs PostgreSQL: there dlt loads what drt reads. A cron job runs one after
    the other. The server's processor time and memory are not counted."""

    name = "drt"
    is_daemon = False
    written = ("drt_project",)
    packages = ("drt", "dlt")
    requirements = "drt"

    def __init__(self, server: Server) -> None:
        self._server = server

    def open_database(self) -> str:
        return self._server.database().reveal()

    def install(self, setup: Setup) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        project, commands = setup.folder / "project", environment(self.requirements)
        shutil.copytree(FOLDER / self.written[0], project, dirs_exist_ok=True)
        url = urlsplit(setup.database)
        profiles = setup.folder / ".drt" / "profiles.yml"
        profiles.parent.mkdir(exist_ok=True)
        template = Template((project / profiles.name).read_text(encoding="utf-8"))
        profiles.write_text(template.substitute(port=url.port, dbname=url.path[1:]), encoding="utf-8")
        env = variables(setup) | {
            "HOME": str(setup.folder),
            "DESTINATION__POSTGRES__CREDENTIALS": setup.database,
            "DO_NOT_TRACK": "1",  # nothing goes out
            "REQUESTS_PER_SECOND": f"{setup.burst / 2 if setup.burst else 0:g}",
        }
        return ["sh", "-c", f"cd {project} && {commands}/python load.py && {commands}/drt run"], env

    def back_up(self, setup: Setup) -> None:
        self._copy(_name_of(setup.database), f"{_name_of(setup.database)}_backup")

    def restore(self, setup: Setup) -> None:
        self._copy(f"{_name_of(setup.database)}_backup", _name_of(setup.database))

    def _copy(self, source: str, target: str) -> None:
        end_sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        with self._server.connect() as connection:
            connection.execute(end_sessions, [source])  # they outlive a killed client for a moment
            connection.execute(f"DROP DATABASE IF EXISTS {target} WITH (FORCE)".encode())
            connection.execute(f"CREATE DATABASE {target} TEMPLATE {source}".encode())


class N8n(Contestant):
    """Where the variable ``N8N`` names its command. Its user draws a workflow and publishes it. Executions follow one
    another instead of overlapping, as else two of them would see the same gist as new."""

    name = "n8n"
    missing = "" if "N8N" in os.environ else "as the variable N8N names no installation of it"
    written = ("n8n_workflow.json",)
    packages = ("n8n", "n8n-core", "n8n-workflow", "n8n-nodes-base")

    def install(self, setup: Setup) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        n8n = os.environ["N8N"]
        env = variables(setup) | {
            "N8N_USER_FOLDER": str(setup.folder),
            "N8N_BLOCK_ENV_ACCESS_IN_NODE": "false",
            "N8N_CONCURRENCY_PRODUCTION_LIMIT": "1",
            "N8N_DIAGNOSTICS_ENABLED": "false",  # nothing goes out
            "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
            "N8N_TEMPLATES_ENABLED": "false",
            "N8N_PORT": f"{free_port()}",
            "N8N_RUNNERS_BROKER_PORT": f"{free_port()}",
        }
        for command in (f"import:workflow --input={FOLDER / self.written[0]}", "publish:workflow --id=gists-to-deals"):
            subprocess.run([n8n, *command.split()], env=env, check=True, capture_output=True)
        return [n8n, "start"], env

    @property
    def lines_brought(self) -> int:
        installed = Path(os.environ["N8N"]).resolve().parents[2]
        return lines(*(installed / package / "dist" for package in self.packages))


def _name_of(database: str) -> str:
    return urlsplit(database).path[1:]


CONTESTANTS: Sequence[type[Contestant]] = (Pipetest, OlderService, PlainOutbox, Dlt, Drt, N8n)


@contextmanager
def open_contestants(kinds: Sequence[type[Contestant]]) -> Iterator[Sequence[Contestant]]:
    """Those of these kinds, each with its environment installed."""
    with ExitStack() as stack:
        yield [Drt(stack.enter_context(server())) if kind is Drt else kind() for kind in kinds if not kind.missing]


def variables(setup: Setup) -> dict[str, str]:
    """What every contestant but pipetest is told by."""
    return clean_environment() | {
        "GITHUB_URL": setup.github,
        "PIPEDRIVE_URL": setup.pipedrive,
        "PIPEDRIVE_KEY": setup.key,
        "USERS": ",".join(setup.users),
        "STATE": str(setup.folder),
        "INTERVAL": f"{INTERVAL_S:g}",
        "RUNTIME__DLTHUB_TELEMETRY": "false",  # nothing goes out
    }


def packages_of(name: str) -> Path:
    """Where an environment has its packages."""
    return next(environment(name).parent.glob("lib/python*/site-packages"))
