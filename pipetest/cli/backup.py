"""``pipetest backup``: a copy that can be put in the database's place as it is."""

import os
import shlex
from pathlib import Path

import click
import msgspec

from pipetest.cli import console
from pipetest.cli.console import plain
from pipetest.cli.outcome import GOOD, CannotTell, cannot_tell
from pipetest.config.parsers import TinyDatabase
from pipetest.config.settings import read_one
from pipetest.domain.text import number_of


@click.command(short_help="Back the database up, while the daemon runs or not.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print what was backed up, for programs.")
def backup(file: Path, as_json: bool) -> int:
    """Write a backup of the TinyDB database to FILE, whole and consistent, while the daemon runs or not. The database
    is the one that PIPETEST_DATABASE_URL names, by default db/db.json.

    To restore it, stop the daemon, put FILE in the place of db.json, owned by the daemon's user, and start again: it
    knows that this is a backup, and looks at what Pipedrive holds before it creates anything. FILE is replaced at once,
    or not at all.

    For PostgreSQL it says what to run.
    """
    from pipetest.store.tinydb.backup import back_up  # only who backs up waits until Twisted is loaded

    with cannot_tell("Nothing was backed up"):
        database = read_one("database", os.environ)
        if not isinstance(database, TinyDatabase):
            raise CannotTell("PostgreSQL has tools of its own for this", f"Run: {_pg_dump(file)}")
        try:
            made = back_up(database.path, file)
        except OSError as e:
            written = e.filename is None or Path(e.filename).name.startswith(f"{file.name}.")  # beside, and renamed
            reason = f"{file if written else e.filename}: {e.strerror}; nothing was backed up"
            raise CannotTell(reason, "Correct that, or name another FILE") from None
    if as_json:
        click.echo(msgspec.json.encode(made))
    else:
        content = f"{number_of(made.gists, 'gist')} of {number_of(made.users, 'user')}"
        console.show(plain(f"{made.database}, with {content}, is backed up as {made.file}"))
    return GOOD


def _pg_dump(file: Path) -> str:
    return f"pg_dump --format=custom --schema=pipetest --file={shlex.quote(str(file))} DATABASE"
