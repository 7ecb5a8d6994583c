"""What is looked at, in its order."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from pipetest.cli.check.database import check_database, daemon_runs
from pipetest.cli.check.github import GitHubCheck
from pipetest.cli.check.line import CheckLine, warning
from pipetest.cli.check.listeners import check_listeners
from pipetest.cli.check.pipedrive import check_pipedrive
from pipetest.cli.check.settings import check_settings, loaded
from pipetest.cli.progress import bar
from pipetest.cli.reactor import run
from pipetest.config.settings import Settings
from pipetest.http.exchange import connect

Tell = Callable[[CheckLine], object]


def check_all(environ: Mapping[str, str], tell: Tell) -> None:
    """``tell`` is told of each line at once. With a wrong setting nothing else can be looked at."""
    for line in check_settings(environ):
        tell(line)
    settings = loaded(environ)
    if settings is None:
        tell(warning("settings", "nothing else was looked at", "Correct them first, and check again"))
    else:
        run(lambda reactor: _check_all(settings, reactor, tell))


async def _check_all(settings: Settings, reactor: Any, tell: Tell) -> None:
    for line in check_database(settings):
        tell(line)
    async for line in check_listeners(settings.listen, reactor, daemon_runs=daemon_runs(settings)):
        tell(line)
    async for line in _check_services(settings, reactor):
        tell(line)


async def _check_services(settings: Settings, reactor: Any) -> AsyncIterator[CheckLine]:
    github, pipedrive = connect("GitHub", reactor), connect("Pipedrive", reactor)
    try:
        async for line in check_pipedrive(settings, pipedrive, reactor):
            yield line
        with bar("users", len(settings.queried_users)) as asked:
            lines = await GitHubCheck(settings, github, reactor, asked).run()
        for line in lines:
            yield line
    finally:
        await github.close()
        await pipedrive.close()
