"""A pipeline as the product wires it, in memory, and running."""

from collections.abc import Mapping
from random import Random

from pipetest.config import settings
from pipetest.domain.interfaces import Time
from pipetest.domain.status import Status
from pipetest.monitoring.collector import instance_of
from pipetest.monitoring.health import HealthMonitor
from pipetest.pipeline import Exchanges, build_pipeline
from pipetest.sandbox.world import KEY
from tests.support.doubles import StubExchange
from tests.support.in_memory import InMemoryDaemon
from tests.support.results import result_of
from tests.support.simulated_disk import run

ENVIRON = {"PIPETEST_PIEPEDRIVE_API_KEY": KEY, "PIPETEST_QUERIED_USERS": "ada,nobody"}


class RunningPipeline:
    """``memory`` is what it stands on; ``environ`` adds to its settings."""

    def __init__(self, memory: InMemoryDaemon, environ: Mapping[str, str]) -> None:
        memory.wire()
        self.memory = memory
        self.settings = settings.load({**ENVIRON, **environ})
        clock = memory.clock
        exchanges = Exchanges(*map(StubExchange, (memory.github, memory.pipedrive, memory.github)))
        time = Time(clock.seconds, clock.seconds)
        instance = instance_of(self.settings, clock.seconds())
        self.pipeline = build_pipeline(self.settings, instance, memory.store, exchanges, time, clock, Random(3), run)
        self.monitor = HealthMonitor(self.pipeline.health, self.pipeline.status, clock.seconds, clock)
        result_of(self.pipeline.start())

    def status(self) -> Status:
        return self.monitor.status()
