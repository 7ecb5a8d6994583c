"""Tests on real containers and machines. ``make image-test`` and ``make systemd-test`` run the modules ``try_…``, which
pytest does not collect by itself."""

from collections.abc import Callable, Iterator

import pytest

FIGURES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = []


@pytest.fixture(scope="session")
def measured(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Takes a line for the summary at the end of the run."""
    return request.config.stash[FIGURES].append


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> Iterator[None]:
    if config.stash[FIGURES]:
        terminalreporter.section("measured")
        for line in config.stash[FIGURES]:
            terminalreporter.line(line)
    yield
