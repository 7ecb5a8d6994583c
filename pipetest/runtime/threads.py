"""Threads that end with the process."""

from functools import partial
from threading import Thread

from twisted.python.threadpool import ThreadPool


class Threads(ThreadPool):
    """They end with the process, whatever they hang in: a stop that waits for them would hang as well."""

    threadFactory = staticmethod(partial(Thread, daemon=True))  # type: ignore[assignment]
