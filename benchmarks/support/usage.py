"""Processor time and memory of processes, as Linux counts them."""

import os
import re
from pathlib import Path

from tests.support.processes import Process

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(process: Process) -> float:
    """Seconds of processor time that it has taken so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def peak_mib(process: Process) -> float:
    """The most memory that it has held so far."""
    return _status_mib(str(process.pid), "VmHWM")


def rss_mib(process: Process) -> float:
    """The memory that it holds now."""
    return _status_mib(str(process.pid), "VmRSS")


def own_mib() -> float:
    """The memory that this process holds now."""
    return _status_mib("self", "VmRSS")


def own_peak_mib() -> float:
    """The most memory that this process has held so far."""
    return _status_mib("self", "VmHWM")


def _status_mib(pid: str, name: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(rf"{name}:\s+([0-9]+) kB", status)
    assert found, status
    return int(found[1]) / 1024
