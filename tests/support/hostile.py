"""Answers as only a broken or hostile server sends them: well-formed ones, spoilt by chance."""

import gzip
import zlib
from collections.abc import Callable, Sequence
from random import Random

import msgspec

BODIES: Sequence[Callable[[Random], bytes]] = (
    lambda random: b"",
    lambda random: random.randbytes(random.randrange(2_000)),
    lambda random: b"[" * random.randrange(100_000),
    lambda random: b'{"data":' * random.randrange(10_000),
    lambda random: b"[" + b"{}," * random.randrange(50_000) + b"{}]",
    lambda random: b"<html>" + b"a" * random.randrange(100_000),
    lambda random: msgspec.json.encode([_gist(random) for _ in range(random.randrange(101))]),
    lambda random: msgspec.json.encode({"success": True, "data": {"id": random.choice(NUMBERS)}}),
    lambda random: msgspec.json.encode({"success": False, "error": random.choice(TEXTS), "code": random.choice(TEXTS)}),
)
NUMBERS: Sequence[object] = (0, -1, 1, 2**63, 2**64, 1e300, None, "1", True, [], {})
TEXTS: Sequence[object] = ("", "a" * 10_000, "a\nb\x1b[2J\x00\u202e", "\ufffe", "../pause?", None, 1, [], {})
TIMES: Sequence[object] = (
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-12:00",
    "2026-11-27T12:00:00Z",
    "yesterday",
    None,
    0,
)
HEADERS: Sequence[tuple[str, Sequence[bytes]]] = (
    ("content-encoding", (b"gzip", b"GZIP, gzip", b"br", b"identity", b"x-gzip", b",", b"\xff")),
    ("set-cookie", (b"a=\xe9", b"a=b; domain=localhost", b"=" * 10_000)),
    ("link", (b'<http://localhost/>; rel="next"', b'<a>; rel="' * 1_000, b"<" * 10_000, b';"' * 5_000, b"<>;" * 5_000)),
    ("etag", (b'"a"', b"\x00", b"W/" * 5_000, b"\xff\xfe")),
    ("retry-after", (b"1e309", b"-1", b"nan", b"9" * 10_000, b"\xb2")),
    ("x-ratelimit-remaining", (b"0", b"-0", b"1e308", b"inf")),
    ("x-ratelimit-reset", (b"0", b"1e308", b"-1e308")),
    ("x-daily-ratelimit-token-remaining", (b"0", b"\x00")),
    ("location", (b"//elsewhere/", b"http://[", b"\x00", b"a" * 10_000)),
    ("transfer-encoding", (b"chunked", b"gzip", b"chunked, chunked")),
    ("content-length", (b"-1", b"0", b"9" * 5_000, b"1, 2", b"+1", b"\xb2")),
    ("connection", (b"close", b"keep-alive", b"upgrade")),
)
STATUSES = (b"200", b"201", b"204", b"304", b"203", b"301", b"400", b"404", b"422", b"403", b"429", b"500", b"503")
ODD_STATUSES = (b"0", b"-1", b"999", b"99999999999999999999", b"two", b"", b"2_00", b"100", b"101")


def _gist(random: Random) -> dict[str, object]:
    return {
        "id": random.choice((*TEXTS, "a", "b")),
        "created_at": random.choice(TIMES),
        "public": random.choice((True, False, None, 1)),
        "owner": random.choice((None, {}, {"id": random.choice(NUMBERS)})),
    }


def hostile_answer(random: Random) -> bytes:
    """What is sent before the connection is closed."""
    body = _packed(random, random.choice(BODIES)(random))
    status = random.choice(STATUSES if random.random() < 0.9 else ODD_STATUSES)
    lines = [b"HTTP/1.%d %s A\xe9" % (random.randrange(3), status)]
    if random.random() < 0.8:
        lines.append(b"content-length: %d" % max(0, len(body) + random.choice((0, 0, 0, 0, 1, -1))))
    for name, values in random.sample(HEADERS, random.randrange(6)):
        lines += [name.encode() + b": " + random.choice(values)] * random.choice((1, 1, 1, 2, 200))
    sent = random.choice((b"\r\n", b"\r\n", b"\n")).join([*lines, b"", b""]) + body
    if random.random() < 0.2:
        sent = _damaged(random, sent)
    return b"HTTP/1.1 103 A\r\n\r\n" * random.choice((0,) * 15 + (1, 5_000)) + sent


def _packed(random: Random, body: bytes) -> bytes:
    match random.randrange(8):
        case 0:
            return gzip.compress(body, 1)
        case 1:
            return gzip.compress(gzip.compress(body, 1), 1)
        case 2:
            return gzip.compress(body, 1) * random.randrange(2, 2_000)
        case 3:
            return gzip.compress(b"\0" * 2 ** random.randrange(10, 23), 1)
        case 4:
            return zlib.compress(body)
        case 5:
            return gzip.compress(body, 1)[: random.randrange(1, 20)]
        case _:
            return body


def _damaged(random: Random, sent: bytes) -> bytes:
    damaged = bytearray(sent[: random.randrange(1, len(sent) + 1)])
    for _ in range(random.randrange(4)):
        damaged[random.randrange(len(damaged))] = random.randrange(256)
    return bytes(damaged)
