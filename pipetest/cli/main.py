"""``pipetest``: its commands, and the exit status of each."""

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version

import click

from pipetest.cli.audit import audit
from pipetest.cli.backup import backup
from pipetest.cli.check.command import check
from pipetest.cli.completion import COMPLETE_VARIABLE, completion
from pipetest.cli.controls import backfill, pause, resume, retry, scan
from pipetest.cli.copy import copy
from pipetest.cli.move import move
from pipetest.cli.outcome import UNTOLD
from pipetest.cli.plan.command import plan
from pipetest.cli.status import status

PROGRAM = "pipetest"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("pipetest"), prog_name=PROGRAM, message="%(prog)s %(version)s")
def pipetest() -> None:
    """Look after pipetest, the daemon that makes a deal in Pipedrive of every public gist. The daemon itself is started
    with: twistd -n pipetest

    \b
    Exit status of every command:
      0  good
      1  not so good: there is a problem, or what was asked for cannot be
      2  it could not be told, or wrong usage
    """


for command in (status, check, plan, audit, backup, copy, move, scan, pause, resume, retry, backfill, completion):
    pipetest.add_command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command; its exit status."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # none, or not a real one
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # whatever its encoding
    try:
        told = pipetest.main(arguments, PROGRAM, complete_var=COMPLETE_VARIABLE, standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as e:
        e.show()
        return e.exit_code
    except click.Abort:
        click.echo("interrupted", err=True)
    except OSError as e:
        if e.errno != errno.EPIPE:
            traceback.print_exc()
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads: what is left goes nowhere
    except Exception:
        traceback.print_exc()
    else:
        return int(told or 0)
    return UNTOLD
