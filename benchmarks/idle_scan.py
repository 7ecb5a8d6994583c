"""A scan that finds nothing new: what it asks, stores and takes."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.support.database import write
from benchmarks.support.report import Figure
from benchmarks.support.sandbox import LONGEST_S, SCAN_ONCE, BenchmarkSandbox, helper, run_sandbox
from benchmarks.support.usage import cpu_s, peak_mib


def measure() -> Iterator[Figure]:
    yield from scan(1_000)
    yield from scan(10_000)


def scan(users: int) -> Iterator[Figure]:
    """The database holds what GitHub shows, so that the first scan finds nothing new."""
    with TemporaryDirectory() as folder, run_sandbox(users, 1) as sandbox:
        write(Path(folder) / "db.json", sandbox.roots, sandbox.pass_results())
        yield from figures(sandbox, Path(folder))


def figures(sandbox: BenchmarkSandbox, folder: Path) -> Iterator[Figure]:
    users = len(sandbox.users)
    before = sandbox.state()["calls"]
    with sandbox.run_daemon(folder, QUERYING_INTERVAL=SCAN_ONCE) as process:
        process.line("starting on", LONGEST_S)
        cpu_before = cpu_s(process)
        process.line("answering on", LONGEST_S)
        with kept_files(folder) as files:  # a start's own commit is over
            process.line("scan of .* ended", LONGEST_S)
            commits = len(inodes(folder) - files)
        cpu, memory = cpu_s(process) - cpu_before, peak_mib(process)
        process.stop()
    after = sandbox.state()["calls"]
    asked = {service: sum(after[service].values()) - sum(before[service].values()) for service in after}
    name = f"idle scan of {users:,} users:"
    yield Figure(f"{name} GitHub requests per user", asked["GitHub"] / users, 1, at_most=True)
    yield Figure(f"{name} Pipedrive requests, with the one that a start makes", asked["Pipedrive"], 1, at_most=True)
    yield Figure(f"{name} commits", commits, 1, at_most=True)
    yield Figure(f"{name} CPU, times a bare treq loop's", cpu / bare_scan_cpu_s(sandbox), 1.5, at_most=True)
    yield Figure(f"{name} peak memory, MiB", memory, 150, at_most=True)


@contextmanager
def kept_files(folder: Path) -> Iterator[set[int]]:
    """The inodes of the database's files, which are kept open: ext4 gives the inode of a file that is gone to a new
    one."""
    with ExitStack() as files:
        for path in folder.glob("db.json*"):
            files.enter_context(path.open("rb"))
        yield inodes(folder)


def inodes(folder: Path) -> set[int]:
    """Each commit writes a new file and keeps the one before: where two are new, there were two commits or more."""
    return {path.stat().st_ino for path in folder.glob("db.json*")}


def bare_scan_cpu_s(sandbox: BenchmarkSandbox) -> float:
    with helper("bare_scan", sandbox.github, str(len(sandbox.users))) as process:
        return float(process.line(r"^[0-9.]+$", LONGEST_S)[0])
