"""``python -m pipetest.sandbox`` as people and tests start it."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from socket import socket
from urllib.request import Request, urlopen

COMMAND = (sys.executable, "-m", "pipetest.sandbox")


def test_it_prints_where_it_serves_serves_and_ends_with_sigterm(tmp_path: Path) -> None:
    with subprocess.Popen((*COMMAND, "--gist-every", "0"), stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        try:
            printed = json.loads(process.stdout.readline())
            new_gist = Request(f"{printed['control']}/gists", b'{"user": "zoe", "id": "z"}')  # noqa: S310 - our own URL
            with urlopen(new_gist, timeout=30) as response:  # noqa: S310
                assert json.load(response) == {"id": "z"}
            with urlopen(f"{printed['github']}/users/zoe/gists", timeout=30) as response:  # noqa: S310
                assert [gist["id"] for gist in json.load(response)] == ["z"]
            list_deals = Request(f"{printed['pipedrive']}/api/v2/deals", headers={"x-api-token": printed["key"]})  # noqa: S310
            with urlopen(list_deals, timeout=30) as response:  # noqa: S310
                assert json.load(response)["data"] == []
            assert len(printed["users"]) == 3
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        assert process.stdout.read() == ""


def test_a_wrong_option_is_one_clear_line(tmp_path: Path) -> None:
    ended = subprocess.run(
        (*COMMAND, "--latency", "soon"), capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert "soon" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    with socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            (*COMMAND, "--control-port", port), capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False
        )
    assert ended.returncode == 1
    assert port in ended.stderr
    assert ended.stderr.count("\n") == 1
