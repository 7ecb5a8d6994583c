"""Where a Python is looked for."""

from pathlib import Path

import pytest

from tests.pythons import interpreters
from tests.pythons.interpreters import Interpreter, of_pyenv


def command(path: Path, status: int) -> Path:
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho Python\nexit {status}\n")
    path.chmod(0o755)
    return path


def test_a_python_that_does_not_run_counts_as_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreters, "PYENV", tmp_path)
    command(tmp_path / "versions" / "3.12.1" / "bin" / "python3.12", 1)
    assert list(of_pyenv("3.12")) == []
    runs = command(tmp_path / "versions" / "3.12.9" / "bin" / "python3.12", 0)
    assert list(of_pyenv("3.12")) == [Interpreter("3.12", str(runs))]
