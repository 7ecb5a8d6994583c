"""A contestant's process, started again whenever it ends: as cron or systemd do."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

STOP_S = 15.0
POLL_S = 0.005
SAMPLE_S = 0.1


class Usage(Struct, frozen=True):
    """Processor time of all that has ended, and the most memory that one of its processes has held when it was last
    looked at, every tenth of a second."""

    cpu_s: float = 0.0
    peak_mib: float = 0.0


class Supervised:
    """``pause``: the seconds between an end and the next start. Its output goes to ``log`` in its folder.

    It is a group of processes of its own, so that a kill meets all of them.
    """

    def __init__(self, argv: Sequence[str | Path], env: Mapping[str, str], folder: Path) -> None:
        self.pause = 1.0
        self.usage = Usage()
        self.starts = 0
        self._argv = argv
        self._env = env
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._group = 0
        self._start_at = 0.0
        self._sample_at = 0.0

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._argv,
                env=self._env,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._group = self._process.pid
        self.starts += 1

    def tend(self) -> None:
        """Start it again where it has ended, once the pause is over. To be called often."""
        if self._process is not None and self._wait(os.WNOHANG):
            self._start_at = time.monotonic() + self.pause
        if self._process is None and time.monotonic() >= self._start_at:
            self.start()
        if self._process is not None and time.monotonic() >= self._sample_at:
            self._sample_at = time.monotonic() + SAMPLE_S
            self.usage = Usage(self.usage.cpu_s, max(self.usage.peak_mib, _peak_mib(self._process.pid)))

    def kill(self) -> None:
        """SIGKILL to all of its processes."""
        self._signal(signal.SIGKILL)
        self._wait(0)

    def stop(self) -> None:
        """SIGTERM to all of its processes, and SIGKILL to those that do not end."""
        deadline = time.monotonic() + STOP_S
        is_there = self._signal(signal.SIGTERM)
        while is_there and time.monotonic() < deadline:
            time.sleep(POLL_S)
            self._wait(os.WNOHANG)
            is_there = self._signal(None)
        self.kill()

    def _signal(self, number: signal.Signals | None) -> bool:
        """Whether there was somebody to receive it. The group outlives its first process."""
        with suppress(ProcessLookupError):
            if self._group:
                os.killpg(self._group, number or 0)
                return True
        self._group = 0
        return False

    def _wait(self, options: int) -> bool:
        """Whether it has ended; then what it used is known."""
        if self._process is None:
            return True
        pid, status, used = os.wait4(self._process.pid, options)
        if not pid:
            return False
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self._process = None
        self.usage = Usage(self.usage.cpu_s + used.ru_utime + used.ru_stime, self.usage.peak_mib)
        return True


def _peak_mib(pid: int) -> float:
    """Of a process and its descendants: the most that one of them has held so far. What wait4 tells is no less than
    what we have held ourselves, as a process begins as its parent's copy."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # it has just ended
    found = re.search(r"VmHWM:\s+([0-9]+) kB", status)
    return max(int(found[1]) / 1024 if found else 0.0, *(_peak_mib(int(child)) for child in children), 0.0)
