"""``python -m benchmarks.support.site GISTS``: our site over that many gists.

Beside it, a route that returns a constant.

It prints both addresses as one line of JSON.
"""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.internet.threads import deferToThread
from twisted.web.server import Request

from benchmarks.support.database import fill
from pipetest.domain.interfaces import Time
from pipetest.domain.status import Instance, Status
from pipetest.sandbox.http import QuietSite
from pipetest.sandbox.server import LOOPBACK, IReactor
from pipetest.store.tinydb.disk import FolderDisk
from pipetest.store.tinydb.store import TinyStore
from pipetest.web.site import make_site

DAY_S = 24 * 3600.0

# What visitors do not ask for.
STATUS = Status(at=0.0, instance=Instance(company="", version="", started_at=0.0, gists_url="", deals_url=""))


class NoControls:
    """Nobody operates it."""

    async def scan(self) -> None: ...

    async def pause(self, paused: bool) -> None: ...

    async def retry(self, gist_id: str) -> bool:
        return False


class Bare:
    app = Klein()

    @app.route("/")
    def constant(self, request: Request) -> bytes:
        request.setHeader("Content-Type", "application/json")
        return b"[]"


async def main(reactor: IReactor, gists: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "db.json"
        fill(path, {}, int(gists))
        store = TinyStore(FolderDisk(str(path)), deferToThread, reactor, roots={})
        store.open()
        wall = Time(time.time, time.monotonic)
        ours = make_site(store, ["user0"], wall, reactor, DAY_S, status=lambda: STATUS, controls=NoControls())
        told = {"bare": serve(reactor, QuietSite(Bare().app.resource())), "ours": serve(reactor, ours)}
        print(msgspec.json.encode(told).decode(), flush=True)
        await Deferred()


def serve(reactor: IReactor, site: Any) -> str:
    port: Any = reactor.listenTCP(0, site, interface=LOOPBACK)
    return f"http://{LOOPBACK}:{port.getHost().port}"


if __name__ == "__main__":
    react(main, sys.argv[1:])
