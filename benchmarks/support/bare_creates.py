"""``python -m benchmarks.support.bare_creates PIPEDRIVE KEY DEALS``: the creates of a backfill, made with treq alone.

It prints how many seconds of processor time they took.
"""

import sys
import time

import treq
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react
from twisted.web.client import HTTPConnectionPool
from twisted.web.http_headers import Headers

from benchmarks.support.bare_scan import each
from pipetest.outbox.dispatcher import MAX_CONCURRENT


async def main(reactor: IReactorTime, root: str, key: str, deals: str) -> None:
    pool = HTTPConnectionPool(reactor)
    pool.maxPersistentPerHost = MAX_CONCURRENT

    url, headers = f"{root}/api/v2/deals", Headers({"x-api-token": [key]})

    async def create(title: str) -> None:
        response = await treq.post(url, json={"title": title}, headers=headers, pool=pool)
        await response.json()

    began = time.process_time()
    await each((f"{number:032x}" for number in range(int(deals))), create, MAX_CONCURRENT)
    print(time.process_time() - began, flush=True)


if __name__ == "__main__":
    react(main, sys.argv[1:])
