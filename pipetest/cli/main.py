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
    _prepare_output()
    try:
        return _carried_out(arguments)
    except OSError as e:
        _tell_that_output_failed(e)
    except Exception:
        traceback.print_exc()
    return UNTOLD


def _carried_out(arguments: Sequence[str] | None) -> int:
    try:
        told = pipetest.main(arguments, PROGRAM, complete_var=COMPLETE_VARIABLE, standalone_mode=False)
    except click.ClickException as e:
        e.show()
        return e.exit_code
    except click.Abort:
        click.echo("interrupted", err=True)
        return UNTOLD
    sys.stdout.flush()
    return int(told or 0)


def _prepare_output() -> None:
    """Whatever a stream's encoding is, all can be written to it; to one that was closed, too."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        with suppress(AttributeError):  # not a real one
            getattr(sys, name).reconfigure(errors="backslashreplace")


def _tell_that_output_failed(error: OSError) -> None:
    """Nothing is said where nobody reads any more; what is left to be written goes nowhere."""
    if error.errno != errno.EPIPE:
        with suppress(OSError):
            click.echo(f"pipetest: the output cannot be written: {error.strerror}", err=True)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
