"""Times as the two services write them: seconds since the epoch inside, RFC 3339 in UTC outside."""

from datetime import UTC, datetime

_FORM = "%Y-%m-%dT%H:%M:%SZ"


def rfc3339(at: float) -> str:
    return f"{datetime.fromtimestamp(int(at), UTC).replace(tzinfo=None).isoformat()}Z"  # strftime is three times slower


def seconds(text: str) -> float | None:
    """None for anything that isn't in whole seconds of UTC."""
    try:
        return datetime.strptime(text, _FORM).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
