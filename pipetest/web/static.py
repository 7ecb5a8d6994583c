"""The files that the page is styled and run by: read once, told apart by what is in them."""

from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files

from attrs import frozen
from twisted.web.http import CACHED
from werkzeug.exceptions import NotFound

from pipetest.web.request import ApiRequest

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


@frozen
class File:
    media_type: str
    etag: bytes
    body: bytes


def _load() -> Mapping[str, File]:
    found = [file for file in files("pipetest.web").joinpath("static").iterdir() if file.is_file()]
    return {file.name: _file(file.name.rpartition(".")[2], file.read_bytes()) for file in found}


def _file(kind: str, body: bytes) -> File:
    return File(_TYPES[kind], b'"%s"' % sha256(body).hexdigest()[:16].encode(), body)


FILES = _load()


def answer(visit: ApiRequest, name: str) -> bytes:
    """
    :raises NotFound: there is no such file.
    """
    file = FILES.get(name)
    if file is None:
        raise NotFound
    visit.setHeader("Cache-Control", "no-cache")  # ask each time, by ETag: a new version shows at once
    if visit.setETag(file.etag) is CACHED:
        return b""
    return visit.whole(200, file.media_type, file.body)
