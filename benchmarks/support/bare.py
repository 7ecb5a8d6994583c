"""``python -m benchmarks.support.bare GITHUB USERS``: treq alone making the requests of an idle scan.

It reads each user's list once, then asks for each again with its ETag, and prints the seconds of processor time that
this second round took.
"""

import sys
import time
from collections.abc import Awaitable, Callable, Iterable

import treq
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react
from twisted.web.client import HTTPConnectionPool

from pipetest.scanner.scanner import MAX_CONCURRENT


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
    await each(urls, read)
    begun = time.process_time()
    await each(urls, read)
    print(time.process_time() - begun, flush=True)


def headers(etag: str | None) -> dict[str | bytes, str | bytes]:
    return {"User-Agent": "benchmark", **({"If-None-Match": etag} if etag else {})}


async def each(urls: Iterable[str], read: Callable[[str], Awaitable[None]]) -> None:
    """Read them all, as many at once as a scan does."""
    left = iter(urls)

    async def work() -> None:
        for url in left:
            await read(url)

    await gatherResults([Deferred.fromCoroutine(work()) for _ in range(MAX_CONCURRENT)])


if __name__ == "__main__":
    react(main, sys.argv[1:])
