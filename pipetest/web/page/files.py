"""The page's style sheet, script and icon: read once, and identified by what is in them."""

from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files

from msgspec import Struct
from twisted.web.http import CACHED
from werkzeug.exceptions import NotFound

from pipetest.web.request import ApiRequest

_MEDIA_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


class File(Struct, frozen=True):
    media_type: str
    etag: bytes
    body: bytes


def _load() -> Mapping[str, File]:
    found = [file for file in files("pipetest.web.page").joinpath("static").iterdir() if file.is_file()]
    return {file.name: _file(file.name.rpartition(".")[2], file.read_bytes()) for file in found}


def _file(suffix: str, body: bytes) -> File:
    return File(_MEDIA_TYPES[suffix], b'"%s"' % sha256(body).hexdigest()[:16].encode(), body)


FILES = _load()


def answer(request: ApiRequest, name: str) -> bytes:
    """
    :raises NotFound: there is no such file.
    """
    file = FILES.get(name)
    if file is None:
        raise NotFound
    request.setHeader("Cache-Control", "no-cache")  # ask each time, by ETag: a new version shows at once
    if request.setETag(file.etag) is CACHED:
        return b""
    return request.whole(200, file.media_type, file.body)
