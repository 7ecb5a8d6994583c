"""Speaks TLS for servers that do not: ``tls_front.py PEM PORT=BACKEND ...``, each pair two ports of the loopback.

It runs on the machine under test, where there is nothing but Python.
"""

import asyncio
import ssl
import sys
from functools import partial


async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        target.write(data)
        await target.drain()
    target.close()


async def forward(backend: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    responses, requests = await asyncio.open_connection("127.0.0.1", backend)
    await asyncio.gather(copy(reader, requests), copy(responses, writer))


async def main(pem: str, *pairs: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    for port, backend in (pair.split("=") for pair in pairs):
        await asyncio.start_server(partial(forward, int(backend)), "127.0.0.1", int(port), ssl=context)
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
