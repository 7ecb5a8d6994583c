"""The unit on a real systemd: ``make systemd-test``."""

import json
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.support.deploy import machine
from tests.support.deploy.machine import URL, ask, post, run, settled, show, state
from tests.support.processes import until
from tests.support.sandbox_state import gists, titles

Measured = Callable[[str], None]

MAX_EXPOSURE = 1.5


@pytest.fixture(scope="session", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory, measured: Measured) -> None:
    began = time.monotonic()
    machine.copy_checkout(tmp_path_factory.mktemp("wheels"))
    machine.install()
    measured(f"on {run('systemctl --version | head -n 1')}; installed in {time.monotonic() - began:.0f} s")


@pytest.fixture(autouse=True)
def fresh_sandbox(installed: None) -> None:
    machine.start_sandbox()


def start() -> None:
    run("systemctl start pipetest")


def logged(text: str) -> dict[str, str] | None:
    """The last journal entry of this run that has this text, if there is one."""
    run("journalctl --sync")
    of_this_run = f"_SYSTEMD_INVOCATION_ID={show('InvocationID')}"
    found = run(f"journalctl --quiet {of_this_run} --output=json --lines=1 --grep='{text}'", check=False)
    return json.loads(found) if found else None


def test_systemd_finds_nothing_wrong_with_the_units() -> None:
    assert run("systemd-analyze verify /etc/systemd/system/pipetest.service /etc/systemd/system/pipetest.socket") == ""


def test_systemd_finds_it_hardly_exposed(measured: Measured) -> None:
    start()
    last = run("systemd-analyze security --no-pager pipetest.service").splitlines()[-1]
    found = re.search(r"level for pipetest.service: ([0-9.]+)", last)
    assert found, last
    assert float(found[1]) <= MAX_EXPOSURE
    measured(f"exposure: {found[1]}")


def test_it_is_started_once_it_serves(measured: Measured) -> None:
    began = time.monotonic()
    start()
    measured(f"systemctl start takes {time.monotonic() - began:.1f} s")
    assert ask(f"{URL}/health") == {"status": "UP"}
    assert show("ActiveState") == "active"


def test_gists_become_deals_with_the_key_from_its_credential_as_a_user_of_its_own() -> None:
    start()
    until(settled)
    assert sorted(titles(state())) == sorted(gists(state()))
    pid = show("MainPID")
    key = run("cat /etc/pipetest/pipedrive-api-key")
    assert key not in run(f"tr '\\0' '\\n' </proc/{pid}/environ; tr '\\0' ' ' </proc/{pid}/cmdline")
    uid = int(run(f"stat -c %u /proc/{pid}"))
    assert 61184 <= uid <= 65519  # the range of dynamic users (systemd docs: UIDS-GIDS)
    assert run("stat -Lc '%a %n' /var/lib/private/pipetest/db.json").startswith("600 ")


def test_the_command_is_found_by_its_name() -> None:
    start()
    until(settled)
    assert run("pipetest status").startswith("Healthy")


def test_gists_become_deals_over_tls() -> None:
    """A TLS client in Python may need what a hardened service is denied: OpenSSL's callbacks are made at run time."""
    machine.put_tls_before_the_sandbox()
    start()
    until(settled)
    assert sorted(titles(state())) == sorted(gists(state()))


def test_it_stops_cleanly_and_a_restart_makes_no_second_deal(measured: Measured) -> None:
    start()
    until(settled)
    began = time.monotonic()
    run("systemctl stop pipetest")
    measured(f"systemctl stop takes {time.monotonic() - began:.1f} s")
    assert (show("ActiveState"), show("Result")) == ("inactive", "success")
    post("/gists", user="ada-of-sandbox")
    start()
    until(settled)
    assert sorted(titles(state())) == sorted(gists(state()))


def test_the_journal_has_each_line_with_its_priority() -> None:
    run("sed -i 's/^PIPETEST_QUERIED_USERS=.*/&,nobody-at-all/' /etc/pipetest/pipetest.env")
    start()
    for text, priority in (("no such user", "4"), ("answering on", "6")):
        assert until(partial(logged, text))["PRIORITY"] == priority


def test_an_update_keeps_settings_and_database() -> None:
    start()
    until(settled)
    settings = run("cat /etc/pipetest/*")
    machine.install()
    run("systemctl restart pipetest")
    assert run("cat /etc/pipetest/*") == settings
    post("/gists", user="ada-of-sandbox")
    until(settled)
    assert sorted(titles(state())) == sorted(gists(state()))


def test_an_empty_answer_is_not_stored_as_the_key() -> None:
    run("rm /etc/pipetest/pipedrive-api-key")
    with pytest.raises(AssertionError, match="No key was given"):
        machine.install(answer="")
    assert run("ls /etc/pipetest") == "pipetest.env"


def test_removing_it_as_the_document_says_leaves_settings_and_database_alone() -> None:
    start()
    run(machine.documented_commands("To remove it:"))
    assert run("ls -d /opt/pipetest /usr/local/bin/pipetest /etc/systemd/system/pipetest* 2>/dev/null || true") == ""
    assert run("ls /etc/pipetest /var/lib/private/pipetest").split().count("db.json") == 1
    machine.install()


def test_a_reload_keeps_the_process_and_its_port() -> None:
    start()
    pid = show("MainPID")
    run("systemctl reload pipetest")
    until(lambda: logged("secrets, certificates and template were read again"))
    assert (show("MainPID"), show("ActiveState")) == (pid, "active")
    assert ask(f"{URL}/health") == {"status": "UP"}


def test_a_stall_is_noticed_after_half_a_minute_and_five_failures_in_ten_minutes_end_it() -> None:
    start()
    assert show("WatchdogUSec") == "30s"
    assert (show("StartLimitBurst"), show("StartLimitIntervalUSec")) == ("5", "10min")


def test_a_stalled_reactor_is_restarted_and_makes_no_second_deal(measured: Measured) -> None:
    machine.configure("Service", "WatchdogSec=3s")  # for the test's sake; the unit has 30
    start()
    until(settled)
    pid = show("MainPID")
    began = time.monotonic()
    run(f"kill -STOP {pid}")
    until(lambda: show("MainPID") not in {"0", pid} and show("ActiveState") == "active")
    measured(f"with WatchdogSec=3s a stopped process is replaced {time.monotonic() - began:.1f} s later")
    assert show("NRestarts") == "1"
    assert "most recent call first" in run("journalctl --unit=pipetest")  # the traceback of where it stalled
    post("/gists", user="ada-of-sandbox")
    until(settled)
    assert sorted(titles(state())) == sorted(gists(state()))


def test_a_crash_with_a_create_under_way_is_restarted_and_makes_no_second_deal() -> None:
    start()
    until(settled)
    pid = show("MainPID")
    post("/faults", fault="held", method="POST", path="/api/v2/deals")
    gist = post("/gists", user="ada-of-sandbox")["id"]
    until(lambda: gist in titles(state()))  # made, and the reply is held back
    run(f"kill -KILL {pid}")
    until(lambda: show("MainPID") not in {"0", pid} and show("ActiveState") == "active")
    post("/release")
    last = post("/gists", user="ada-of-sandbox")["id"]
    until(lambda: last in titles(state()))
    until(settled)
    assert sorted(titles(state())) == sorted(gists(state()))


def test_with_the_socket_a_restart_refuses_nobody(measured: Measured) -> None:
    run("echo PIPETEST_LISTEN=systemd:domain=INET:name=http >>/etc/pipetest/pipetest.env")
    run("systemctl start pipetest.socket pipetest.service")
    machine.put(Path(machine.__file__).parent, "visitor.py", to="/root")
    seen = run("""
        python3 /root/visitor.py 10 &
        sleep 1; systemctl restart pipetest.service
        sleep 2; systemctl restart pipetest.service
        wait
    """)
    measured(f"what visitors got during two restarts with pipetest.socket: {seen}")
    assert json.loads(seen)["200"] > 0
    assert "ConnectionRefusedError" not in json.loads(seen)
