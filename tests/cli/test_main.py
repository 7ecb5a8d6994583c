"""The command as a whole: what it is made with, what it prints about itself, and how it ends."""

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click
import pytest
import pytest_twisted
from click.testing import CliRunner

from pipetest.cli.main import main, pipetest
from tests.support.command import COMMAND, run
from tests.support.processes import clean_environment

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "command.md").read_text(encoding="utf-8")


def help_of(*command: str) -> str:
    return CliRunner().invoke(pipetest, [*command, "--help"], prog_name="pipetest", terminal_width=80).output


def test_the_document_has_the_help_of_every_command_as_it_is() -> None:
    told = dict(re.findall(r"^```console\n\$ pipetest ([^\n]*)--help\n(.*?)```$", DOCUMENT, re.MULTILINE | re.DOTALL))
    names = ["", *(f"{name} " for name in sorted(pipetest.commands))]
    assert told == {name: help_of(*name.split()) for name in names}


@pytest.mark.parametrize("name", sorted(pipetest.commands))
def test_the_list_of_commands_says_what_each_is_for(name: str) -> None:
    command = pipetest.commands[name]
    (line,) = re.findall(rf"^  {name} +(.*)$", help_of(), re.MULTILINE)
    assert line == command.get_short_help_str()
    assert not line.endswith("...")


def test_the_daemon_does_not_load_what_the_command_is_made_with() -> None:
    loaded = (
        "import pipetest.tap, sys; print(*sorted({'click', 'rich'} & {name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest_twisted.ensureDeferred
async def test_both_commands_tell_the_version() -> None:
    assert (await run("--version")).out == f"pipetest {version('pipetest')}\n"
    twistd = subprocess.run(
        [COMMAND.with_name("twistd"), "pipetest", "--version"], capture_output=True, text=True, check=True
    )
    assert twistd.stdout == f"pipetest {version('pipetest')}\n"


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["status", "--nonsense"], ["retry", "a", "b"], ["completion", "csh"]]
)
def test_wrong_usage_is_exit_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "Usage: pipetest" in capsys.readouterr().err


def test_an_interruption_and_a_defect_are_no_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def raises(error: BaseException) -> click.Command:
        def body() -> None:
            raise error

        return click.Command("broken", callback=body)

    for error, said in ((KeyboardInterrupt(), "interrupted\n"), (ZeroDivisionError("why"), "ZeroDivisionError: why\n")):
        monkeypatch.setitem(pipetest.commands, "broken", raises(error))
        assert main(["broken"]) == 2
        assert capsys.readouterr().err.endswith(said)


@pytest.mark.parametrize("arguments", [["--help"], ["completion", "zsh"], ["check"], ["nonsense"]])
def test_where_nobody_reads_what_it_prints_it_ends_quietly_and_as_other_tools_do(
    arguments: list[str], tmp_path: Path
) -> None:
    """That 141 is what a shell tells of a process that a broken pipe has ended. 1 would be an answer of ours."""
    reader, writer = os.pipe()
    os.close(reader)
    with (tmp_path / "errors").open("w+") as errors, os.fdopen(writer, "wb") as unread:
        error_stream = unread if arguments == ["nonsense"] else errors
        done = subprocess.run(
            [COMMAND, *arguments],
            stdout=unread,
            stderr=error_stream,
            env=clean_environment(),
            cwd=tmp_path,
            check=False,
        )
        assert (done.returncode, errors.read()) == (141, "")


@pytest.mark.parametrize(
    ("printed_to", "status", "said"),
    [
        (">/dev/full", 2, "pipetest: the output cannot be written: No space left on device\n"),
        ("2>/dev/full >/dev/full", 2, ""),
        (">&-", 0, ""),
        (">&- 2>&-", 0, ""),
    ],
)
def test_output_that_cannot_be_written_is_one_line(printed_to: str, status: int, said: str) -> None:
    done = subprocess.run(["bash", "-c", f"{COMMAND} --help {printed_to}"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (status, said)


@pytest.mark.parametrize(
    ("shell", "word"), [("bash", "complete -o nosort"), ("zsh", "#compdef pipetest"), ("fish", "complete --no-files")]
)
def test_each_shell_gets_its_script(shell: str, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert word in capsys.readouterr().out


def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    script = f"""
PATH={COMMAND.parent}:$PATH
eval "$(pipetest completion bash)"
COMP_WORDS=(pipetest re); COMP_CWORD=1; _pipetest_completion pipetest; echo "${{COMPREPLY[@]}}"
COMPREPLY=(); COMP_WORDS=(pipetest status --u); COMP_CWORD=2; _pipetest_completion pipetest; echo "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "resume retry\n--url\n"


@pytest.mark.skipif(shutil.which("zsh") is None, reason="apt-get install zsh")
def test_zsh_finds_the_script_in_the_folder_that_the_help_names_and_completes_commands(tmp_path: Path) -> None:
    script = f"""
PATH={COMMAND.parent}:$PATH
mkdir -p ~/.zfunc
pipetest completion zsh > ~/.zfunc/_pipetest
fpath+=~/.zfunc
autoload -Uz compinit; compinit -u -D
compadd() {{ print -- ${{(P)@[-1]}} }}; _describe() {{ print -- ${{(P)3}} }}
words=(pipetest re); CURRENT=2
$_comps[pipetest]
"""
    environ = clean_environment() | {"HOME": str(tmp_path)}
    done = subprocess.run(["zsh", "-fc", script], capture_output=True, text=True, check=True, env=environ)
    assert done.stdout == "resume:Create deals again. retry:Try again what is in quarantine.\n"
