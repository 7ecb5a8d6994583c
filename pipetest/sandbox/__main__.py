"""``python -m pipetest.sandbox``: the sandbox in a process of its own, on loopback ports, until SIGTERM.

It prints one line of JSON: where to find GitHub, Pipedrive and the control port, the key, and the users.
"""

import sys
import time
from importlib.metadata import version
from random import Random
from typing import ClassVar

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.task import react
from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from pipetest.sandbox.server import IReactor, Sandbox, SandboxSettings


class SandboxOptions(UsageOptions):
    optParameters: ClassVar = [
        ["github-port", None, 0, "Port of GitHub; 0: any that is free.", int],
        ["pipedrive-port", None, 0, "Port of Pipedrive.", int],
        [
            "control-port",
            None,
            0,
            "Port that changes the sandbox: a page for people, and pipetest/sandbox/control.py for programs.",
            int,
        ],
        ["gist-every", None, 5.0, "Seconds between gists; 0: none unless the control port asks for one.", float],
        ["latency", None, 0.05, "Seconds that every reply takes.", float],
        ["seed", None, 0, "The same seed brings the same events.", int],
    ]

    def opt_version(self) -> None:
        """Tell pipetest's version, and exit."""
        sys.stdout.write(f"pipetest {version('pipetest')}\n")
        raise SystemExit(0)


async def main(reactor: IReactor, options: SandboxOptions) -> None:
    ports = options["github-port"], options["pipedrive-port"]
    settings = SandboxSettings(*ports, options["gist-every"], options["latency"])
    sandbox = Sandbox(reactor, time.time, Random(options["seed"]), settings)
    try:
        sandbox.start()
        control = sandbox.serve_playground(options["control-port"])
    except CannotListenError as e:
        raise SystemExit(f"{e} Choose another port; 0 takes any that is free.") from None
    urls = {"github": sandbox.github_url, "pipedrive": sandbox.pipedrive_url, "control": control}
    line = msgspec.json.encode({**urls, "key": sandbox.key, "users": sandbox.users})
    sys.stdout.write(f"{line.decode()}\n")
    sys.stdout.flush()
    await Deferred()


if __name__ == "__main__":
    options = SandboxOptions()
    try:
        options.parseOptions()
    except UsageError as e:
        sys.exit(f"{e}; see --help")
    react(main, [options])
