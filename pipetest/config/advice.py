"""What a start says about its settings: one line for people, and warnings about what is probably not meant. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches

from pipetest.config.github_quota import quota_shortage
from pipetest.config.parsers import TinyDatabase
from pipetest.config.settings import DEFAULT_COMPANY, PIPEDRIVE_ROOT, VARIABLES, Settings
from pipetest.domain.model import QueriedEntry, UserList
from pipetest.domain.text import number_of

PREFIX = "PIPETEST_"
PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")

_KUBERNETES = re.compile(
    r"PIPETEST_([A-Z0-9_]+_)?(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
"""What Kubernetes sets in every container for a service whose name begins with ours; ``…_PORT`` shows by its value."""


def summary(settings: Settings, version: str) -> str:
    """What was started, in one line."""
    match settings.database:
        case TinyDatabase(path):
            database = f"tinydb:{path}"
        case _:
            database = "PostgreSQL"
    return (
        f"pipetest {version}: company {settings.company_name}, {_whom(settings.queried_users)} every "
        f"{settings.querying_interval / 60:g} min, database {database}"
        f"{', dry run: nothing is created' if settings.dry_run else ''}"
    )


def _whom(entries: Sequence[QueriedEntry]) -> str:
    lists = sum(isinstance(entry, UserList) for entry in entries)
    counted = ((len(entries) - lists, "user"), (lists, "list"))
    return " and ".join(number_of(count, what) for count, what in counted if count)


def warnings(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    """One line each, with what to do."""
    yield from _unknown(environ)
    company = settings.company_name
    if company == DEFAULT_COMPANY and settings.pipedrive_url == PIPEDRIVE_ROOT.format(company=company):
        yield f"the key goes to {company}, the default company: set PIPETEST_PIEPEDRIVE_COMPANY_NAME to yours"
    for name in PROXIES:
        if environ.get(name):
            yield f"{name} is not used: GitHub and Pipedrive are asked directly"
    if (short := quota_shortage(settings, len(settings.queried_users))) is not None:
        yield f"{short.text}: {short.remedy}"


def _unknown(environ: Mapping[str, str]) -> Iterator[str]:
    known = [name for variable in VARIABLES for name in variable.names]
    for name in sorted(environ):
        if not name.upper().startswith(PREFIX) or name in known or _set_by_kubernetes(name, environ[name]):
            continue
        alike = get_close_matches(name.upper(), known, n=1)
        meant = f"; did you mean {alike[0]}?" if alike else ""
        yield f"{name} is not a setting of pipetest and is ignored{meant}"


def _set_by_kubernetes(name: str, value: str) -> bool:
    return bool(_KUBERNETES.fullmatch(name)) or (name.endswith("_PORT") and "://" in value)
