"""What installing pipetest brings: the whole package, and a command that twistd lists in any directory."""

import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.distributions import ROOT, Distributions
from tests.support.processes import SIGTERMED, Process, clean_environment, powerless

pytestmark = pytest.mark.xdist_group("packaging")


def source_files() -> set[str]:
    files = (path for path in (ROOT / "pipetest").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(ROOT)) for path in files} | {"twisted/plugins/pipetest_plugin.py"}


def test_the_wheel_holds_every_file_of_the_package_and_the_plugin(built: Distributions) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == source_files()


def test_the_source_distribution_holds_what_a_packager_needs(built: Distributions) -> None:
    with tarfile.open(built.sdist) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert names >= {"README.md", "LICENSE", "setup.py", "pyproject.toml"} | source_files()


def twistd_help(python: Path, cwd: Path, *before: str) -> str:
    """The output of ``twistd --help``, errors included."""
    argv: list[str | Path] = [*before, python.with_name("twistd"), "--help"]
    return subprocess.run(argv, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True).stdout


def test_twistd_lists_pipetest_from_any_directory(python: Path, tmp_path: Path) -> None:
    assert "pipetest" in twistd_help(python, tmp_path)
    assert "pipetest" in twistd_help(python, Path("/"))


def test_an_installation_that_cannot_be_written_lists_it_without_complaint(python: Path, tmp_path: Path) -> None:
    plugins = python.parents[1].glob("lib/python*/site-packages/twisted/plugins")
    (folder,) = plugins
    (folder / "dropin.cache").unlink(missing_ok=True)
    folder.chmod(0o555)
    try:
        listing = twistd_help(python, tmp_path, *powerless())
    finally:
        folder.chmod(0o755)
    assert not (folder / "dropin.cache").exists()
    assert "pipetest" in listing
    assert "cache" not in listing


def test_in_the_foreground_it_works_in_a_folder_that_cannot_be_written(python: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    bare = (*powerless(), str(python.with_name("twistd")), "-n", "pipetest", "--sandbox", "--listen", "tcp:0")
    with Process(*bare, env=clean_environment(), cwd=locked) as process:
        process.line("answering on")
        assert process.stop() == SIGTERMED
