"""A virtual environment for each contestant, made of pinned packages: the project's own stays clean."""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1]
CODE = {".py", ".yml"}
HOME = FOLDER.parent / ".venv" / "duel"


def environment(name: str) -> Path:
    """The folder of its commands. It is made where ``requirements-NAME.txt`` has changed since, or was never met."""
    wanted = (FOLDER / f"requirements-{name}.txt").read_text(encoding="utf-8")
    home = HOME / name
    made_of = home / "requirements.txt"
    if not made_of.exists() or made_of.read_text(encoding="utf-8") != wanted:
        uv = (str(Path(sys.executable).with_name("uv")), "--quiet")
        subprocess.run((*uv, "venv", "--clear", "--python", sys.executable, home), check=True)
        pinned = ("--require-hashes", "-r", FOLDER / f"requirements-{name}.txt")
        subprocess.run((*uv, "pip", "install", "--python", home, *pinned), check=True)
        made_of.write_text(wanted, encoding="utf-8")
    return home / "bin"


def lines(*paths: Path) -> int:
    """Lines that are neither blank nor a comment, of these files and of all code in these folders."""
    files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]
    files = [file for file in files if file.suffix in CODE]
    texts = (file.read_text(encoding="utf-8", errors="ignore") for file in files)
    return sum(bool(line.strip()) and not line.lstrip().startswith("#") for text in texts for line in text.splitlines())
