"""``pipetest copy``: the same as ``python -m pipetest.store.copy``."""

import click
import msgspec

from pipetest.cli.outcome import GOOD, CannotTell
from pipetest.domain.errors import DatabaseRefused


@click.command(short_help="Copy a database between TinyDB and PostgreSQL.")
@click.argument("origin", metavar="FROM")
@click.argument("destination", metavar="TO")
@click.option("--json", "as_json", is_flag=True, help="Print how much was copied, for programs.")
def copy(origin: str, destination: str, as_json: bool) -> int:
    """Copy everything of the database FROM into TO, an empty one of the other kind, read it back and compare it. Stop
    the daemon first. Each is tinydb:PATH, postgresql://... or @FILE, a file that holds such a URL: what is typed,
    everybody on the machine can read.

    It is all or nothing, and can be run again after an interruption. The copy counts as a restored backup: what
    Pipedrive holds is looked at before anything is created.

    \b
    pipetest copy tinydb:db/db.json @/run/secrets/database_url
    """
    from pipetest.store.copy.copying import copy_named, summary  # only who copies waits until all of it is loaded

    try:
        counts = copy_named(origin, destination)
    except DatabaseRefused as e:
        raise CannotTell(str(e), "Nothing was copied") from None
    click.echo(msgspec.json.encode(counts) if as_json else summary(counts))
    return GOOD
