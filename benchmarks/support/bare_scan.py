"""``python -m benchmarks.support.bare_scan GITHUB USERS``: the requests of an idle scan, made with treq alone.

It reads each user's list once, then all of them again with their ETags, and prints how many seconds of processor time
the second reading took.
"""

import sys
import time
from collections.abc import Awaitable, Callable, Iterable

import treq
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react
from twisted.web.client import HTTPConnectionPool

from pipetest.scanner.passes import MAX_CONCURRENT


async def main(reactor: IReactorTime, root: str, users: str) -> None:
    pool = HTTPConnectionPool(reactor)
    pool.maxPersistentPerHost = MAX_CONCURRENT
    etags: dict[str, str] = {}

    async def read(url: str) -> None:
        response = await treq.get(url, headers=headers(etags.get(url)), pool=pool)
        await response.content()
        for etag in response.headers.getRawHeaders("ETag", []):
            etags[url] = etag

    urls = [f"{root}/users/user{number}/gists?per_page=100" for number in range(int(users))]
    await each(urls, read, MAX_CONCURRENT)
    began = time.process_time()
    await each(urls, read, MAX_CONCURRENT)
    print(time.process_time() - began, flush=True)


def headers(etag: str | None) -> dict[str | bytes, str | bytes]:
    return {"User-Agent": "benchmark", **({"If-None-Match": etag} if etag else {})}


async def each(items: Iterable[str], do: Callable[[str], Awaitable[None]], at_once: int) -> None:
    left = iter(items)

    async def work() -> None:
        for item in left:
            await do(item)

    await gatherResults([Deferred.fromCoroutine(work()) for _ in range(at_once)])


if __name__ == "__main__":
    react(main, sys.argv[1:])
