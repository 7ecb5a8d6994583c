"""``pipetest``: its commands, and the exit status of each."""

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version

import click
from click.exceptions import Exit
from click.shell_completion import shell_complete

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

UNREAD = 128 + signal.SIGPIPE
"""Whoever read the output went away, as in ``pipetest status | head -1``: what a shell tells of other tools then."""


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
        return _carried_out(sys.argv[1:] if arguments is None else arguments)
    except BrokenPipeError:
        _discard_output()
        return UNREAD
    except OSError as e:
        with suppress(OSError):
            click.echo(f"pipetest: the output cannot be written: {e.strerror}", err=True)
        _discard_output()
    except Exception:
        traceback.print_exc()
    return UNTOLD


def _carried_out(arguments: Sequence[str]) -> int:
    """As click's own ``main``, which would end with 1 where nobody reads the output: that is an answer of ours."""
    if instruction := os.environ.get(COMPLETE_VARIABLE):
        return shell_complete(pipetest, {}, PROGRAM, COMPLETE_VARIABLE, instruction)
    try:
        with pipetest.make_context(PROGRAM, list(arguments)) as context:
            told = pipetest.invoke(context)
    except Exit as e:
        told = e.exit_code
    except click.ClickException as e:
        e.show()
        return e.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("\ninterrupted", err=True)
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


def _discard_output() -> None:
    """What is left to be written goes nowhere, instead of failing once more at the exit."""
    for stream in (sys.stdout, sys.stderr):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
