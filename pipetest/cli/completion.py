"""``pipetest completion``: what a shell needs to complete commands and options."""

import click
from click.shell_completion import get_completion_class

COMPLETE_VARIABLE = "_COMPLETE_PIPETEST"
"""Set by the script: then click prints what may come next, and does nothing else."""


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that lets SHELL complete this command with the Tab key.

    \b
    bash, with its package bash-completion:
      mkdir -p ~/.local/share/bash-completion/completions
      pipetest completion bash > ~/.local/share/bash-completion/completions/pipetest

    \b
    zsh, with "fpath+=~/.zfunc" before compinit in ~/.zshrc:
      mkdir -p ~/.zfunc
      pipetest completion zsh > ~/.zfunc/_pipetest

    \b
    fish:
      mkdir -p ~/.config/fish/completions
      pipetest completion fish > ~/.config/fish/completions/pipetest.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise AssertionError(shell)
    root = context.find_root()
    click.echo(kind(root.command, {}, "pipetest", COMPLETE_VARIABLE).source())
