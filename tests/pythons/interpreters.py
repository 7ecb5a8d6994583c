"""Which Pythons the package is for, and where this machine has them."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from tests.support.distributions import ROOT, UV

PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))

FOR_TESTS = ("--cap-add=DAC_READ_SEARCH", "--env=UV_SYSTEM_CERTS=1")
"""For a container: its PostgreSQL reads root's files as nobody, and its uv trusts whom the image trusts."""


class Interpreter(Struct, frozen=True):
    """``before`` is a command that runs others where ``python`` is: none for this machine."""

    version: str
    python: str
    before: Sequence[str] = ()

    @property
    def name(self) -> str:
        return f"{self.version} ({' '.join((*self.before[-1:], self.python))})"


def versions() -> list[str]:
    """Those that ``setup.py`` names, the newest last."""
    metadata = (ROOT / "setup.py").read_text(encoding="utf-8")
    found = re.findall(r"Programming Language :: Python :: (3\.[0-9]+)", metadata)
    return sorted(found, key=lambda version: int(version.partition(".")[2]))


def answers(*command: str | Path) -> str:
    """What a command prints on its standard output; nothing where it cannot be run, or fails."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def on_the_path_or_of_uv(version: str) -> Iterator[Interpreter]:
    if python := answers(UV, "python", "find", "--system", "--no-python-downloads", version):
        yield Interpreter(version, python)


def of_pyenv(version: str) -> Iterator[Interpreter]:
    for python in sorted(PYENV.glob(f"versions/{version}.*/bin/python{version}")):
        if answers(python, "--version"):
            yield Interpreter(version, str(python))


def of_docker(version: str) -> Iterator[Interpreter]:
    """The official image, if a Docker engine has it. The container has the checkout with a ``.venv`` of its own."""
    image = f"python:{version}-slim"
    if answers("docker", "image", "inspect", image):
        run = ("docker", "run", "--rm", "--init", "--network=host", *FOR_TESTS, f"--workdir={ROOT}")
        checkout = (f"--volume={ROOT}:{ROOT}", f"--volume={ROOT / '.venv'}")
        yield Interpreter(version, "python", (*run, *checkout, f"--volume={UV.resolve()}:/usr/local/bin/uv:ro", image))


PLACES: Sequence[tuple[str, Callable[[str], Iterator[Interpreter]]]] = (
    ("on the path or among uv's", on_the_path_or_of_uv),
    (f"in {PYENV}/versions", of_pyenv),
    ("as python:{version}-slim in Docker", of_docker),
)


def find(version: str) -> Interpreter | None:
    """The first of the places that has it."""
    return next((found for _, place in PLACES for found in place(version)), None)


def looked_in(version: str) -> str:
    return ", ".join(name.format(version=version) for name, _ in PLACES)
