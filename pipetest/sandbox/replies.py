"""Replies as the two services write them, and the times in them."""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from pipetest.domain.model import Reply

GITHUB_DOCUMENTATION = "https://docs.github.com/rest"
PIPEDRIVE_INFO = "Please check developers.pipedrive.com"

_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def as_json(status: int, value: object, headers: Mapping[str, str] | None = None) -> Reply:
    content_type = {"content-type": "application/json; charset=utf-8"}
    return Reply(status, content_type | dict(headers or {}), msgspec.json.encode(value))


def as_html(status: int, text: str) -> Reply:
    """Not JSON: what proxies and firewalls in front of a service answer."""
    page = f"<!DOCTYPE html><html><head><title>{text}</title></head><body><h1>{text}</h1></body></html>"
    return Reply(status, {"content-type": "text/html; charset=utf-8"}, page.encode())


def github_error(status: int, message: str, headers: Mapping[str, str] | None = None, **more: object) -> Reply:
    body = {"message": message, "documentation_url": GITHUB_DOCUMENTATION, "status": str(status), **more}
    return as_json(status, body, headers)


def pipedrive_error(status: int, error: str, headers: Mapping[str, str] | None = None, **more: object) -> Reply:
    body = {"success": False, "error": error, "error_info": PIPEDRIVE_INFO, "data": None, "additional_data": None}
    return as_json(status, {**body, **more}, headers)


def rfc3339(at: float) -> str:
    """Seconds since the epoch as both services write them: whole seconds, in UTC."""
    return f"{datetime.fromtimestamp(int(at), UTC).replace(tzinfo=None).isoformat()}Z"  # strftime is three times slower


def from_rfc3339(text: str) -> float | None:
    """Seconds since the epoch; None for anything that isn't in whole seconds of UTC."""
    try:
        return datetime.strptime(text, _TIME_FORMAT).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
