"""What the log looks like, to people, to programs and to systemd's journal."""

import fcntl
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import ILogObserver, LogEvent, LogLevel, capturedLogs, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import provider

from pipetest.domain.model import Secret
from pipetest.runtime.logging import (
    PipeLog,
    as_journal_lines,
    as_json,
    as_lines,
    debug,
    log_observer,
    writes_to_journal,
)
from tests.support.daemon_process import daemon, settings_for
from tests.support.in_memory import SETTLE_S, InMemoryPipeline
from tests.support.processes import until
from tests.support.running_pipeline import RunningPipeline
from tests.support.sandbox_process import sandbox
from tests.support.sandbox_state import titles

PLUGIN = """
from twisted.application.service import ServiceMaker

toy = ServiceMaker("toy", "toy", "Logs a little.", "toy")
"""

TOY = """
import os

from twisted.application.service import Service
from twisted.internet import reactor
from twisted.logger import Logger
from twisted.python import usage

from pipetest.runtime.logging import RootService, log_observer


class Options(usage.Options):
    pass


class Toy(Service):
    log = Logger()

    def startService(self):
        self.log.info("scan {scan} took {took_s} s", event="scan_ended", scan=7, took_s=1.5)
        try:
            raise ValueError("broken")
        except ValueError:
            self.log.failure("it broke", event="broken")
        print("said aloud")
        reactor.callLater(0, reactor.stop)


def makeService(options):
    whole = RootService(log_observer(options.parent, os.environ["FORMAT"], os.environ))
    Toy().setServiceParent(whole)
    return whole
"""


def event(log_format: str = "{user}: {count} new", **fields: object) -> LogEvent:
    """As a ``twisted.logger.Logger`` makes it."""
    own = {"log_level": LogLevel.warn, "log_namespace": "pipetest.scanner.scanner", "log_time": 1_800_000_000.25}
    return {**own, "log_format": log_format, "event": "gists_recorded", **fields}


def failed() -> Failure:
    try:
        raise ValueError("broken")
    except ValueError:
        return Failure()


# --- JSON -------------------------------------------------------------------------------------------------------------


def test_a_line_of_json_has_time_level_name_text_and_fields() -> None:
    text = as_json(event(user="ada", count=3, took_s=0.5, fresh=True))
    assert text.count("\n") == 1
    assert json.loads(text) == {
        "time": "2027-01-15T08:00:00.250+00:00",
        "level": "warn",
        "logger": "pipetest.scanner.scanner",
        "event": "gists_recorded",
        "message": "ada: 3 new",
        "user": "ada",
        "count": 3,
        "took_s": 0.5,
        "fresh": True,
    }


def test_lists_and_line_breaks_and_odd_characters_stay_on_one_line() -> None:
    text = as_json(event("{surplus} {path}", surplus=[1, 2], path="a\nb\udc80\u2028"))
    assert len(text.splitlines()) == 1
    assert json.loads(text)["surplus"] == [1, 2]


@pytest.mark.parametrize(
    "value", [Secret("hunter2"), {"key": Secret("hunter2")}, float("nan"), float("inf"), b"x", None]
)
def test_what_json_has_no_value_for_is_left_out(value: object) -> None:
    text = as_json(event("said", thing=value, many=[Secret("hunter2")]))
    assert "thing" not in json.loads(text)
    assert "hunter2" not in text
    assert "NaN" not in text
    assert "Infinity" not in text


def test_a_field_cannot_replace_one_of_the_line_itself() -> None:
    assert json.loads(as_json(event("said", level="low", time=0)))["level"] == "warn"


def test_a_failure_is_written_with_its_traceback() -> None:
    line = json.loads(as_json(event("it broke", log_failure=failed())))
    assert line["traceback"].startswith("Traceback")
    assert "ValueError: broken" in line["traceback"]


def test_an_event_may_ask_for_what_a_field_returns_as_twisted_s_may() -> None:
    assert as_lines(event("{count()} new", count=lambda: 3)).endswith(" 3 new\n")


def test_an_event_that_cannot_be_formatted_is_still_a_line() -> None:
    assert json.loads(as_json(event("{missing}")))["event"] == "gists_recorded"


def test_the_lines_of_others_have_one_event() -> None:
    assert json.loads(as_json({"log_time": 0.0, "log_format": "said"}))["event"] == "other"


def about(memory: InMemoryPipeline, words: str, **environ: str) -> dict[str, str]:
    """The gist and the user that the one line with these words names, after the daemon has run for a while."""
    lines: list[dict[str, str]] = []

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        lines.append(json.loads(as_json(event)))

    globalLogPublisher.addObserver(observe)
    RunningPipeline(memory, {"PIPETEST_QUERIED_USERS": "ada", **environ})
    memory.pass_time(SETTLE_S + 5.0)
    globalLogPublisher.removeObserver(observe)
    (line,) = (line for line in lines if words in line["message"])
    return {name: line[name] for name in ("gist", "user") if name in line}


def test_a_line_about_a_gist_that_failed_names_it_and_its_user() -> None:
    refused, lost, dry = InMemoryPipeline(), InMemoryPipeline(), InMemoryPipeline()
    refused.write("x" * 256)
    assert about(refused, "is quarantined") == {"gist": "x" * 256, "user": "ada"}
    lost.write("a")
    lost.fail("applied-reset", "Pipedrive", method="POST", path="/api/v2/deals")
    assert about(lost, "looked for in") == {"gist": "a", "user": "ada"}
    dry.write("a")
    assert about(dry, "gist a would be created", PIPETEST_DRY_RUN="true") == {"gist": "a", "user": "ada"}


def test_a_line_about_an_organization_that_failed_names_its_user() -> None:
    lost, dry = InMemoryPipeline(), InMemoryPipeline()
    lost.fail("applied-reset", "Pipedrive", method="POST", path="/api/v2/organizations")
    assert about(lost, "looked for in") == {"user": "ada"}
    assert about(dry, "user ada would be created", PIPETEST_DRY_RUN="true") == {"user": "ada"}


# --- what others have written -----------------------------------------------------------------------------------------

FOREIGN = [
    *("a\nZ", "a\r\nZ", "a\x1b[2JZ", "a\x9b2JZ", "a\x00Z", "a\x07Z", "a\x7fZ", "a\tZ", "a\x0bZ", "a\x85Z"),
    *("a\u2028Z", "a\u2029Z", "a\u202eZ", "a\u2066Z", "a\u200fZ", "a\ufeffZ", "a\ud800Z"),
]


def raised(words: str) -> Failure:
    try:
        raise ValueError(words)
    except ValueError:
        return Failure()


@pytest.mark.parametrize("write", [as_lines, as_journal_lines, as_json])
@pytest.mark.parametrize("words", FOREIGN, ids=ascii)
def test_nothing_that_others_have_written_begins_a_line_or_steers_a_terminal(
    words: str, write: Callable[[LogEvent], str]
) -> None:
    for text in (write(event(user=words, count=1)), write(event("it broke", log_failure=raised(words)))):
        assert text.encode().endswith(b"\n")
        assert all(line.removeprefix("\t").isprintable() for line in text.rstrip("\n").split("\n"))
        assert "\nZ" not in text.replace("\t", "").replace("<4>", "")
    assert words[0] in text
    assert write(event(user=words, count=1)).count("\n") == 1


@pytest.mark.parametrize("words", FOREIGN, ids=ascii)
def test_a_program_reads_what_can_be_printed_as_it_is(words: str) -> None:
    line = json.loads(as_json(event(user=words, count=1)))
    assert line["user"].isprintable()
    assert line["message"].isprintable()


def test_what_is_printable_stays_as_it_is() -> None:
    assert as_lines(event(user="Zoë 日本 🙂\\n", count=1)).endswith(" Zoë 日本 🙂\\n: 1 new\n")


def test_the_lines_of_a_traceback_are_indented_and_the_words_of_its_error_are_one_of_them() -> None:
    first, *others = as_lines(event("it broke", log_failure=raised("a\n2026-11-27 [forged] b"))).splitlines()
    assert first.endswith(" warn it broke")
    assert all(line.startswith("\t") for line in others)
    assert others[-1] == "\tbuiltins.ValueError: a\\n2026-11-27 [forged] b"


# --- the journal ------------------------------------------------------------------------------------------------------


def test_each_line_for_the_journal_has_its_priority() -> None:
    lines = as_journal_lines(event("it broke", log_failure=failed())).splitlines()
    assert len(lines) > 2
    assert all(line.startswith("<4>") for line in lines)
    assert lines[0] == "<4>it broke"


# --- twistd -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path) -> Path:
    plugins = tmp_path / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "toy_plugin.py").write_text(PLUGIN)
    (tmp_path / "toy.py").write_text(TOY)
    return tmp_path


def twistd(place: Path, *options: str, log_format: str = "text", journal: bool = False) -> str:
    """What a real twistd writes to its standard output, here a file."""
    output = place / "output"
    with output.open("w") as stdout:
        status = os.fstat(stdout.fileno())
        environ = {**os.environ, "PYTHONPATH": f"{place}:{Path.cwd()}", "FORMAT": log_format}
        environ["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}" if journal else "1:1"
        command = [str(Path(sys.executable).with_name("twistd")), "-n", "--pidfile=", *options, "toy"]
        subprocess.run(command, cwd=place, env=environ, stdout=stdout, stderr=subprocess.STDOUT, timeout=60, check=True)
    return output.read_text()


def test_twistd_writes_json_from_its_first_line_to_its_last_in_the_journal_too(place: Path) -> None:
    lines = [json.loads(line) for line in twistd(place, log_format="json", journal=True).splitlines()]
    assert "starting up" in lines[0]["message"]
    assert lines[-1]["message"] == "Server Shut Down."
    by_event = {line["event"]: line for line in lines}
    assert by_event["scan_ended"]["took_s"] == 1.5
    assert by_event["broken"]["level"] == "critical"
    assert "ValueError: broken" in by_event["broken"]["traceback"]
    assert "said aloud" in [line["message"] for line in lines]


def test_the_daemons_json_tells_scans_users_gists_and_durations_apart(tmp_path: Path) -> None:
    with (
        sandbox(tmp_path, "--gist-every", "0", "--latency", "0") as world,
        daemon(tmp_path, **settings_for(world), LOG_FORMAT="json") as process,
    ):
        until(world.settled)
        process.stop()
        state = world.state()
    lines = [json.loads(line) for line in process.output.splitlines()]
    first = next(line for line in lines if "duration_s" in line)
    assert {"time", "level", "event", "message"} <= set(first)
    assert isinstance(first["duration_s"], float)
    of_first = [line for line in lines if line.get("scan") == first["scan"]]
    assert {line["user"] for line in of_first if "user" in line} == set(world.users)
    created = [line for line in lines if "gist" in line]
    assert {line["gist"] for line in created} == set(titles(state))
    assert {line["user"] for line in created} == set(world.users)


def test_twistd_writes_time_level_and_message_for_people(place: Path) -> None:
    lines = twistd(place).splitlines()
    told = [line for line in lines if not line.startswith("\t")]
    assert all(re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d [a-z]+ .", line) for line in told)
    assert [line for line in lines if line[25:] == " info scan 7 took 1.5 s"]
    assert [line for line in lines if line[25:] == " critical it broke"]


def test_twistd_gives_each_line_its_priority_in_the_journal(place: Path) -> None:
    lines = twistd(place, journal=True).splitlines()
    assert "<6>scan 7 took 1.5 s" in lines
    assert "<2>ValueError: broken" in [line.replace("builtins.", "") for line in lines]
    assert all(line.startswith("<") for line in lines)


def test_a_log_file_is_written_as_json_too(place: Path) -> None:
    assert twistd(place, "--logfile", "toy.log", log_format="json") == ""
    assert all(json.loads(line) for line in (place / "toy.log").read_text().splitlines())


def test_the_log_file_is_rotated_by_the_signal_that_twistd_rotates_it_by(place: Path) -> None:
    rotating = TOY.replace('print("said aloud")', "os.kill(os.getpid(), signal.SIGUSR1)")
    (place / "toy.py").write_text(f"import signal\n{rotating}")
    twistd(place, "--logfile", "toy.log")
    assert "it broke" in (place / "toy.log.1").read_text()
    assert (place / "toy.log").read_text().splitlines()[-1].endswith("Server Shut Down.")


def test_a_daemon_cannot_log_to_a_standard_output_that_it_does_not_have() -> None:
    with pytest.raises(SystemExit, match="--nodaemon"):
        log_observer({"nodaemon": 0, "logfile": "-"}, "json", {})


def test_a_logger_named_on_the_command_line_wins(place: Path) -> None:
    (place / "own.py").write_text(
        "import sys\nfrom twisted.logger import jsonFileLogObserver\n"
        "def observer(): return jsonFileLogObserver(sys.stdout)\n"
    )
    assert twistd(place, "--logger", "own.observer", log_format="json").startswith("\x1e")


@pytest.mark.parametrize("options", [{"logger": print}, {"syslog": True}])
def test_twistd_s_own_options_win(options: dict[str, Any]) -> None:
    assert log_observer(options, "json", {}) is None


def test_a_daemon_writes_where_twistd_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write = log_observer({"nodaemon": 0}, "json", {})
    assert write is not None
    write(event(user="ada", count=3))
    write._observer._outFile.close()  # type: ignore[attr-defined]
    assert json.loads((tmp_path / "twistd.log").read_text())["user"] == "ada"


def test_a_stream_that_is_no_file_is_not_the_journal() -> None:
    assert not writes_to_journal({"JOURNAL_STREAM": "1:1"}, StringIO())


def test_what_only_debugging_needs_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    written = StringIO()
    monkeypatch.setattr(sys, "stdout", written)
    write = log_observer({"nodaemon": 1}, "text", {})
    assert write is not None
    write(event("whispered") | {"log_level": LogLevel.debug})
    write(event("said"))
    assert "whispered" not in written.getvalue()
    assert "said" in written.getvalue()


def test_the_debug_log_holds_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    written = StringIO()
    monkeypatch.setattr(sys, "stdout", written)
    debug()(event("whispered") | {"log_level": LogLevel.debug})
    assert written.getvalue().endswith(" debug pipetest.scanner.scanner: whispered\n")


# --- a pipe that nobody reads -----------------------------------------------------------------------------------------


def test_a_pipe_that_nobody_reads_costs_lines_and_no_time() -> None:
    reading, writing = os.pipe()
    log = PipeLog(writing)
    line = "x" * 999 + "\n"
    started_at = time.monotonic()
    with capturedLogs() as events:
        for _ in range(1000):
            log.write(line)
        assert time.monotonic() - started_at < 5.0
        assert events == []
        kept = os.read(reading, 1 << 20).count(b"\n")
        log.write("read again\n")
    assert os.read(reading, 1 << 20) == b"read again\n"
    assert 0 < kept < 1000
    assert [event["lines"] for event in events] == [1000 - kept]
    os.close(reading)
    log.write("nobody will ever read this\n")
    os.close(writing)


def test_a_line_longer_than_a_pipe_takes_at_once_arrives_whole() -> None:
    reading, writing = os.pipe()
    text = "ä" * 10_000 + "\n"
    PipeLog(writing).write(text)
    assert os.read(reading, 1 << 20).decode() == text
    os.close(reading)
    os.close(writing)


def test_the_daemon_answers_while_nobody_reads_its_log(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writing, b"x" * 4096)  # full from the start
    settings = {"PIEPEDRIVE_API_KEY": "k3y", "DATABASE_URL": "tinydb:db.json", "LISTEN": f"unix:{tmp_path}/web"}
    closing = ("sh", "-c", f'exec "$@" >/proc/{os.getpid()}/fd/{writing} 2>&1', "sh")
    with daemon(tmp_path, before=closing, **settings):
        until((tmp_path / "web").exists)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30.0)
            client.connect(str(tmp_path / "web"))
            client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(15).startswith(b"HTTP/1.1 ")
    os.close(reading)
    os.close(writing)
