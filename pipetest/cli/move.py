"""``pipetest move``: the same company or GitHub under a new address."""

import os
from collections.abc import Mapping
from typing import Any

import click
import msgspec

from pipetest.cli import console
from pipetest.cli.console import plain
from pipetest.cli.outcome import GOOD, NOT_GOOD, cannot_tell
from pipetest.config.settings import load


@click.command(short_help="Take over a new address of the same company or GitHub.")
@click.option("--json", "as_json", is_flag=True, help="Print which addresses were taken over, for programs.")
def move(as_json: bool) -> int:
    """Take over a new address of the same company in Pipedrive, or of the same GitHub. Stop the daemon, set
    PIPETEST_PIEPEDRIVE_COMPANY_NAME, PIPETEST_PIPEDRIVE_URL or PIPETEST_GITHUB_URL to what it is now, and run this:
    deals, or users, that the database knows are looked up there first. After it the database counts as a restored
    backup: what Pipedrive holds is looked at before anything is created.

    Another company needs a new database. Exit status 1: what the database knows is not at the new address.
    """
    from pipetest.cli.relocation import relocate  # only who moves waits until all of it is loaded

    with cannot_tell("Nothing was moved"):
        moved, missing = relocate(load(os.environ))
    if as_json:
        click.echo(msgspec.json.encode({"moved": moved, "missing": missing}))
    else:
        console.show(plain(_told(moved, missing)))
    return NOT_GOOD if missing else GOOD


def _told(moved: Mapping[str, Any], missing: str | None) -> str:
    if missing:
        return f"Nothing was moved: {missing}."
    if not moved:
        return "Nothing to move: the database belongs to these addresses already."
    services = " and ".join(f"{service} at {root}" for service, root in moved.items())
    return f"The database belongs to {services} from now on. The next start looks at what Pipedrive holds."
