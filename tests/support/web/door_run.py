"""A daemon, strangers at its door, and what must hold afterwards."""

from pathlib import Path

from tests.support.daemon_process import daemon
from tests.support.processes import ask, until
from tests.support.web.certificate import key_and_certificate
from tests.support.web.door import STATUSES, Strangers

NOBODY = "http://127.0.0.1:9"
CHECK_EVERY = 50


def strangers_at_the_door(folder: Path, *, seed: int, requests: int, down: bool) -> None:
    """``down``: the database's folder is gone, as when a volume is unmounted."""
    files = {name: folder / name for name in ("key", "cert")}
    for file, text in zip(files.values(), key_and_certificate(), strict=True):
        file.write_bytes(text)
    at = "0:interface=127.0.0.1"
    with daemon(
        folder,
        GITHUB_URL=NOBODY,
        PIPEDRIVE_URL=NOBODY,
        PIPEDRIVE_API_KEY="key",
        ADMIN_TOKEN="nobody-of-them-knows-it",
        DATABASE_URL=f"tinydb:{folder}/db/db.json",
        LISTEN=f"tcp:{at} ssl:{at}:privateKey={files['key']}:certKey={files['cert']}",
    ) as process:
        plain, secure = (int(process.line(r"starting on ([0-9]+)")[1]) for _ in range(2))
        process.line("answering on")  # the database is open
        url = f"http://127.0.0.1:{plain}"
        health = 503 if down else 200
        if down:
            (folder / "db").rename(folder / "gone")  # at once: a commit may be under way
            until(lambda: ask(f"{url}/getGists").status == 200 and ask(f"{url}/health").status == health)
        process.line("connection refused")  # all files are open that stay so
        descriptors = Path(f"/proc/{process.pid}/fd")
        before = len(list(descriptors.iterdir()))
        strangers = Strangers(seed, plain, secure)
        while strangers.requests < requests:
            for _ in range(CHECK_EVERY):
                strangers.come()
            assert ask(f"{url}/health").status == health
        assert strangers.statuses <= STATUSES, strangers.statuses
        assert {200, 400, 404} <= strangers.statuses
        assert ask(f"{url}/status").json()["creation"]["paused"] is False
        until(lambda: len(list(descriptors.iterdir())) <= before)
        assert "Traceback" not in process.output
        assert len(process.output) < 100 * requests
