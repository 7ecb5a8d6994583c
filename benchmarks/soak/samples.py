"""What a run leaves in its file, a line of JSON each: how it was set up, samples as they come, and how it ended."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct


class Setup(Struct, frozen=True, tag="setup"):
    """``minutes``: how long faults come. ``pace``: how many times the normal pace it runs."""

    machine: str
    minutes: float
    pace: float
    users: int
    scan_every_s: float
    gist_every_s: float


class Sample(Struct, frozen=True, tag="sample"):
    """At ``elapsed_s`` seconds since the process was healthy. Sizes of files are bytes; all but memory and descriptors
    counts from the start. ``faults``: requests that met one. ``outage``: what fails whole at this moment."""

    elapsed_s: float
    rss_mib: float
    descriptors: int
    log_bytes: int
    database_bytes: int
    deals: int
    gists: int
    faults: int
    refused: int
    visits: int
    failed_visits: int
    cpu_s: float
    outage: str = ""


class End(Struct, frozen=True, tag="end"):
    """``doubles`` and ``missing``: records made twice, and gists without a deal. ``worked_off_s``: from the end of all
    faults until every gist was a deal. ``met``: how many requests met each fault."""

    gists: int
    doubles: int
    missing: int
    worked_off_s: float
    stop_s: float
    met: Mapping[str, int]


Line = Setup | Sample | End


class SampleFile:
    """Each line is in the file once it is written: a run that is interrupted leaves what it has measured."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.write_bytes(b"")

    def append(self, line: Line) -> None:
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")


def read(path: Path) -> Iterable[Line]:
    """
    :raises msgspec.DecodeError: a line is none of a run.
    """
    return msgspec.json.Decoder(Line).decode_lines(path.read_bytes())
