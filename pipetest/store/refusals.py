"""Why a database is refused, in the same words for every kind of store."""

from collections.abc import Mapping

from pipetest.domain.errors import DatabaseRefused


def newer_format(name: str, version: int, latest: int) -> DatabaseRefused:
    """A later version of ours wrote it."""
    return DatabaseRefused(
        f"{name} is of format {version}, and this version of pipetest knows no later one than {latest}: "
        "install the version that wrote it"
    )


def without_extra() -> DatabaseRefused:
    """psycopg, which PostgreSQL needs, is not installed."""
    return DatabaseRefused("PostgreSQL needs the extra: pip install 'pipetest[postgres]'")


def other_roots(name: str, stored: Mapping[str, str], roots: Mapping[str, str]) -> DatabaseRefused | None:
    """It belongs to other services; None where it doesn't."""
    for service, root in roots.items():
        if stored.get(service) != root:
            return DatabaseRefused(
                f"{name} belongs to {service} at {stored.get(service)}, and the settings say {root}: "
                "set it back, give each its own database, or take over a new address of the same one with pipetest move"
            )
    return None
