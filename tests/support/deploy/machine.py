"""A machine with systemd, with pipetest installed as the README says, and the sandbox beside it.

``$MACHINE`` is a command, such as ``ssh root@vm``, that runs there as root whatever follows it.
"""

import json
import os
import shlex
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent
from typing import Any

import pytest

from tests.support.processes import until
from tests.support.sandbox_state import all_are_deals
from tests.support.web.certificate import key_and_certificate

ROOT = Path(__file__).parents[3]
URL = "http://127.0.0.1:8080"
SANDBOX_OPTIONS = "--gist-every 0 --latency 0 --github-port 9101 --pipedrive-port 9102 --control-port 9103"
CONTROL = "http://127.0.0.1:9103"
TLS_FRONT = "9111=9101 9112=9102"
CHECKOUT = (
    "LICENSE",
    "README.md",
    "deploy",
    "pipetest",
    "pyproject.toml",
    "requirements",
    "setup.py",
    "systemd",
    "twisted",
)


def _there(*argv: str, sent: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    prefix = shlex.split(os.environ.get("MACHINE", ""))
    if not prefix:
        pytest.exit("No machine to try it on: name the command that runs one there, e.g. MACHINE='ssh root@vm'.", 1)
    return subprocess.run([*prefix, *argv], input=sent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


def run(script: str, check: bool = True) -> str:
    """Run a shell script there; its output, stderr included."""
    done = _there("sh", "-eu", sent=dedent(script).encode())
    output = done.stdout.decode().strip()
    assert not check or done.returncode == 0, output
    return output


def put(folder: Path, *names: str, to: str) -> None:
    """Copy these parts of a folder there."""
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in names:
            archive.add(folder / name, name, filter=_without_caches)
    run(f"mkdir -p {to}")
    done = _there("tar", "-x", "--no-same-owner", "-C", to, sent=packed.getvalue())
    assert done.returncode == 0, done.stdout


def _without_caches(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if Path(member.name).name in {"__pycache__", "dropin.cache"} else member


def copy_checkout(wheels: Path) -> None:
    """Copy this checkout there, with the wheels that it needs, because the machine may have no network."""
    version = run("python3 -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])'")
    locks = [option for name in ("build", "run") for option in ("-r", ROOT / "requirements" / f"{name}.txt")]
    download = (sys.executable, "-m", "pip", "download", "-qq", "--require-hashes", "--only-binary=:all:")
    subprocess.run([*download, "--python-version", version, "--dest", wheels, *locks], check=True)
    put(wheels, ".", to="/root/wheels")
    put(ROOT, *CHECKOUT, to="/root/pipetest")


def install(answer: str = "a-key") -> str:
    """Install or update pipetest there as people do, with this answer to the question for the key; its output."""
    return run(f"echo {answer} | PIP_NO_INDEX=1 PIP_FIND_LINKS=/root/wheels /root/pipetest/deploy/install-vm")


def documented_commands(what: str) -> str:
    """The commands that docs/deploy-vm.md has after these words, as root types them."""
    document = (ROOT / "docs" / "deploy-vm.md").read_text(encoding="utf-8")
    commands = document.partition(what)[2].partition("```console\n")[2].partition("```")[0]
    return commands.replace("$ ", "").replace("sudo ", "")


def start_sandbox() -> None:
    """Start a new sandbox there, and make pipetest use it."""
    run(f"""
        systemctl stop pipetest.socket pipetest.service
        systemctl reset-failed || true
        rm -rf /var/lib/private/pipetest /run/systemd/system/pipetest.service.d
        mkdir -p /run/systemd/system
        cat >/run/systemd/system/pipetest-sandbox.service <<END
        [Service]
        ExecStart=/opt/pipetest/bin/python -m pipetest.sandbox {SANDBOX_OPTIONS}
        END
        systemctl daemon-reload
        systemctl restart pipetest-sandbox
    """)
    until(lambda: run(f"curl -sf {CONTROL}/state", check=False))
    use(_printed_by_sandbox())


def _printed_by_sandbox() -> dict[str, Any]:
    """The JSON that the sandbox printed: its URLs, Pipedrive's key, its users."""
    printed: dict[str, Any] = json.loads(
        run(
            "journalctl --output=cat _SYSTEMD_INVOCATION_ID=$(systemctl show --property=InvocationID --value "
            "pipetest-sandbox) | grep '^{'"
        )
    )
    return printed


def use(sandbox: dict[str, Any]) -> None:
    """Write the settings for this sandbox."""
    run(f"""
        umask 077
        echo {sandbox["key"]} >/etc/pipetest/pipedrive-api-key
        cat >/etc/pipetest/pipetest.env <<END
        PIPETEST_GITHUB_URL={sandbox["github"]}
        PIPETEST_PIPEDRIVE_URL={sandbox["pipedrive"]}
        PIPETEST_QUERIED_USERS={",".join(sandbox["users"])}
        PIPETEST_QUERYING_INTERVAL=0.02
        PIPETEST_SETTLE_TIME=1
        END
    """)


def put_tls_before_the_sandbox() -> None:
    """Serve the sandbox's services over TLS, too; make pipetest use that, and trust its certificate alone."""
    with TemporaryDirectory() as folder:
        Path(folder, "localhost.pem").write_bytes(b"".join(key_and_certificate("localhost")))
        put(Path(folder), "localhost.pem", to="/root/tls")
    put(Path(__file__).parent, "tls_front.py", to="/root")
    run(f"""
        install -m 644 /root/tls/localhost.pem /run/localhost.pem
        cat >/run/systemd/system/pipetest-tls.service <<END
        [Service]
        ExecStart=/usr/bin/python3 /root/tls_front.py /run/localhost.pem {TLS_FRONT}
        END
        systemctl daemon-reload
        systemctl restart pipetest-tls
    """)
    configure("Service", "Environment=SSL_CERT_FILE=/run/localhost.pem")
    use(_printed_by_sandbox() | {"github": "https://localhost:9111", "pipedrive": "https://localhost:9112"})


def configure(section: str, *lines: str) -> None:
    """Add a drop-in to pipetest's unit."""
    text = "\n".join((f"[{section}]", *lines))
    run(
        f"mkdir -p /run/systemd/system/pipetest.service.d\n"
        f"cat >/run/systemd/system/pipetest.service.d/{section}.conf <<'END'\n{text}\nEND\nsystemctl daemon-reload"
    )


def show(name: str) -> str:
    """A property of pipetest's unit."""
    return run(f"systemctl show --property={name} --value pipetest.service")


def ask(url: str) -> Any:
    return json.loads(run(f"curl -sf {url}"))


def post(path: str, /, **body: object) -> Any:
    """Send this to the sandbox's control port, see :mod:`pipetest.sandbox.control`."""
    return json.loads(run(f"curl -sf -d '{json.dumps(body)}' {CONTROL}{path}"))


def state() -> Any:
    """All that the sandbox holds."""
    return ask(f"{CONTROL}/state")


def settled() -> bool:
    return all_are_deals(state())
