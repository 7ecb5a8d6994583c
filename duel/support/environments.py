"""A virtual environment for each contestant, made of pinned packages: the project's own stays clean."""

import subprocess
import sys
from pathlib import Path

from tests.support.distributions import UV

FOLDER = Path(__file__).parents[1]
COMMENTS = {".js": "//", ".py": "#", ".yml": "#"}
"""What a comment begins with, by the suffix of a file of code."""

HOME = FOLDER.parent / ".venv" / "duel"


def environment(name: str) -> Path:
    """The folder of its commands. It is made where ``requirements-NAME.txt`` has changed since, or was never met."""
    wanted = (FOLDER / f"requirements-{name}.txt").read_text(encoding="utf-8")
    home = HOME / name
    made_of = home / "requirements.txt"
    if not made_of.exists() or made_of.read_text(encoding="utf-8") != wanted:
        uv = (UV, "--quiet")
        subprocess.run((*uv, "venv", "--clear", "--python", sys.executable, home), check=True)
        pinned = ("--require-hashes", "-r", FOLDER / f"requirements-{name}.txt")
        subprocess.run((*uv, "pip", "install", "--python", home, *pinned), check=True)
        made_of.write_text(wanted, encoding="utf-8")
    return home / "bin"


def lines(*paths: Path) -> int:
    """Lines that are neither blank nor a comment, of these files and of all code in these folders."""
    code = (file for path in paths for file in path.rglob("*") if file.suffix in COMMENTS)
    return sum(_lines_of(file) for file in [*filter(Path.is_file, paths), *code])


def _lines_of(file: Path) -> int:
    comment, text = COMMENTS.get(file.suffix, "#"), file.read_text(encoding="utf-8", errors="ignore")
    return sum(bool(line.strip()) and not line.lstrip().startswith(comment) for line in text.splitlines())
