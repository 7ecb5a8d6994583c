"""Programs that some benchmarks need and pipetest does not."""

import os
import shutil

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
"""With the folder where Debian puts haproxy."""


class MissingTool(Exception):
    """A benchmark needs a program that is not installed."""


def need(*tools: str) -> None:
    """
    :raises MissingTool: one of them is not installed.
    """
    for tool in tools:
        if shutil.which(tool, path=PATH) is None:
            raise MissingTool(f"needs {tool} (Debian: apt-get install {tool})")
