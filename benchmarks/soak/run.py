"""The run: the real process on a sandbox process, disturbed and visited, and a sample every few seconds."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

from msgspec import Struct

from benchmarks.soak.disturbances import OUTAGES, SETTLE_S, Disturbances
from benchmarks.soak.samples import End, Sample, SampleFile, Setup
from benchmarks.soak.visitors import ADMIN_TOKEN, Visitors
from benchmarks.support.judge import judge
from benchmarks.support.report import machine
from benchmarks.support.sandbox import BenchmarkSandbox, run_sandbox
from benchmarks.support.serving import endpoint, free_port, wait_until_healthy
from benchmarks.support.usage import cpu_s, rss_mib
from tests.support.daemon_process import daemon
from tests.support.processes import Process

PACE = 100.0
USERS = 100
EARLIER = 5
"""Gists that each user has written before."""

SCAN_EVERY_S = 30 * 60.0 / PACE
GIST_EVERY_S = 24 * 3600.0 / (2 * USERS) / PACE
"""Each user writes two gists a day, times the pace. Every tenth gist is secret."""

SECRET_EVERY = 10
SESSION_DAYS = 0.02
"""So that visitors are forgotten while it runs."""

SAMPLE_EVERY_S = 15.0
VISIT_EVERY_S = 5.0
RELEASE_EVERY_S = 7.0
RETRY_EVERY_S = 300.0
OUTAGE_EVERY_S = 600.0
OUTAGE_SHARE = 0.1
"""Of that time, an outage lasts."""

QUIET_S = 60.0
"""At the end nothing is asked for so long: kept connections are closed, and what is open then stays open."""

LONGEST_END_S = 900.0
TICK_S = 0.1

SAMPLES = "samples.jsonl"
LOG = "pipetest.log"

LOG_INTO_FILE = ("sh", "-c", f'exec "$@" >> {LOG} 2>&1', "sh")


class Soak:
    """One run in ``folder``, which holds the process's log and database, and the samples."""

    def __init__(self, folder: Path, sandbox: BenchmarkSandbox, process: Process, visitors: Visitors) -> None:
        self._folder = folder
        self._sandbox = sandbox
        self._process = process
        self._visitors = visitors
        self._disturbances = Disturbances(sandbox)
        self._file = SampleFile(folder / SAMPLES)
        self._began = time.monotonic()
        self._written = 0

    def run(self, minutes: float) -> None:
        self._file.append(Setup(machine(), minutes, PACE, USERS, SCAN_EVERY_S, GIST_EVERY_S))
        self._disturbances.begin()
        outage_every = min(OUTAGE_EVERY_S, minutes * 60 / len(OUTAGES))
        acts = [
            *self._usual(),
            Periodic(GIST_EVERY_S, self._write_gist),
            Periodic(RELEASE_EVERY_S, self._disturbances.release),
            Periodic(outage_every, self._disturbances.begin_outage, first_s=outage_every / 2),
            Periodic(outage_every, self._disturbances.end_outage, first_s=outage_every * (0.5 + OUTAGE_SHARE)),
        ]
        self._act(acts, lambda: self._elapsed >= minutes * 60)
        self._disturbances.end()
        faults_ended = self._elapsed
        self._act(self._usual(), lambda: self._all_are_deals() or self._elapsed >= faults_ended + LONGEST_END_S)
        worked_off_s = self._elapsed - faults_ended
        quiet_until = self._elapsed + QUIET_S
        self._act([], lambda: self._elapsed >= quiet_until)
        self._sample()
        stopping = time.monotonic()
        self._process.stop()
        self._file.append(self._end(worked_off_s, time.monotonic() - stopping))

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _usual(self) -> list["Periodic"]:
        return [
            Periodic(SAMPLE_EVERY_S, self._sample),
            Periodic(VISIT_EVERY_S, self._visitors.visit),
            Periodic(RETRY_EVERY_S, self._visitors.retry_quarantine),
        ]

    def _act(self, acts: list["Periodic"], ended: Callable[[], bool]) -> None:
        began = self._elapsed
        while not ended():
            for act in acts:
                act.run_if_due(self._elapsed - began)
            time.sleep(TICK_S)

    def _write_gist(self) -> None:
        self._written += 1
        user = self._sandbox.users[self._written % USERS]
        self._sandbox.post("/gists", user=user, public=self._written % SECRET_EVERY != 0)

    def _sample(self) -> None:
        state = self._sandbox.state()
        sample = Sample(
            elapsed_s=round(self._elapsed, 1),
            rss_mib=rss_mib(self._process),
            descriptors=len(list(Path(f"/proc/{self._process.pid}/fd").iterdir())),
            log_bytes=size(self._folder / LOG),
            database_bytes=sum(map(size, (self._folder / "db").iterdir())),
            deals=len(state["deals"]),
            gists=judge(state, self._sandbox.users).gists,
            faults=sum(sum(met.values()) for met in state["faults"].values()),
            refused=sum(statuses.get("429", 0) for statuses in state["statuses"].values()),
            visits=self._visitors.visits,
            failed_visits=self._visitors.failed,
            cpu_s=cpu_s(self._process),
            outage=self._disturbances.now,
        )
        self._file.append(sample)
        print(sample, flush=True)

    def _all_are_deals(self) -> bool:
        return judge(self._sandbox.state(), self._sandbox.users).missing == 0

    def _end(self, worked_off_s: float, stop_s: float) -> End:
        state = self._sandbox.state()
        verdict = judge(state, self._sandbox.users)
        met = {
            f"{service} {name}": count for service, faults in state["faults"].items() for name, count in faults.items()
        }
        return End(verdict.gists, verdict.doubles, verdict.missing, round(worked_off_s, 1), round(stop_s, 1), met)


class Periodic(Struct):
    """``act`` is due ``first_s`` seconds after the beginning, then every ``every_s``; what was late is made up for."""

    every_s: float
    act: Callable[[], None]
    first_s: float = 0.0
    times: int = 0

    def run_if_due(self, elapsed_s: float) -> None:
        if elapsed_s >= self.first_s + self.times * self.every_s:
            self.times += 1
            self.act()


def size(path: Path) -> int:
    """In bytes; 0 if there is no such file any more."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def run(folder: Path, minutes: float) -> None:
    """What an earlier run left in ``folder`` is removed."""
    rmtree(folder, ignore_errors=True)
    (folder / "db").mkdir(parents=True)
    with run_sandbox(USERS, EARLIER) as sandbox, _daemon(folder, sandbox) as (process, visitors):
        Soak(folder, sandbox, process, visitors).run(minutes)


@contextmanager
def _daemon(folder: Path, sandbox: BenchmarkSandbox) -> Iterator[tuple[Process, Visitors]]:
    """It writes its log into a file, as an operator has it."""
    port = free_port()
    settings = sandbox.settings(
        folder / "db",
        LISTEN=endpoint(port),
        QUERYING_INTERVAL=str(SCAN_EVERY_S / 60),
        SETTLE_TIME=str(SETTLE_S),
        SESSION_LIFETIME=str(SESSION_DAYS),
        ADMIN_TOKEN=ADMIN_TOKEN,
    )
    with daemon(folder, before=LOG_INTO_FILE, **settings) as process:
        wait_until_healthy(port)
        yield process, Visitors(f"http://127.0.0.1:{port}")
