"""A pipeline as the product wires it, in memory, and running."""

from collections.abc import Mapping
from random import Random

from twisted.internet.task import Clock

from pipetest.config import settings
from pipetest.config.settings import Settings
from pipetest.domain.interfaces import Store, Time
from pipetest.domain.status import Status
from pipetest.monitoring.collector import instance_of
from pipetest.monitoring.health import HealthMonitor
from pipetest.pipeline import Exchanges, Pipeline, build_pipeline
from pipetest.sandbox.world import KEY
from tests.support.doubles import StubExchange
from tests.support.in_memory import InMemoryPipeline
from tests.support.results import result_of
from tests.support.simulated_disk import run

ENVIRON = {"PIPETEST_PIEPEDRIVE_API_KEY": KEY, "PIPETEST_QUERIED_USERS": "ada,nobody"}


def pipeline_of(settings: Settings, store: Store, exchanges: Exchanges, clock: Clock) -> Pipeline:
    """One of a process that begins now."""
    time = Time(clock.seconds, clock.seconds)
    return build_pipeline(
        settings, instance_of(settings, clock.seconds()), store, exchanges, time, clock, Random(3), run
    )


class RunningPipeline:
    """``memory`` is what it stands on; ``environ`` adds to its settings."""

    def __init__(self, memory: InMemoryPipeline, environ: Mapping[str, str]) -> None:
        memory.wire()
        self.memory = memory
        self.settings = settings.load({**ENVIRON, **environ})
        clock, exchanges = memory.clock, map(StubExchange, (memory.github, memory.pipedrive, memory.github))
        self.pipeline = pipeline_of(self.settings, memory.store, Exchanges(*exchanges), clock)
        self.monitor = HealthMonitor(self.pipeline.health, self.pipeline.status, clock.seconds, clock)
        result_of(self.pipeline.start())

    def status(self) -> Status:
        return self.monitor.status()
