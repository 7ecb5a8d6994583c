"""How the parts are wired together, whatever they stand on: a reactor and sockets, or a clock and memory."""

from collections.abc import Callable

from pipetest.config.settings import Settings
from pipetest.daemon import Parts, Web, Work
from pipetest.leader_election import LeaderElection, Lease
from pipetest.monitoring.health import HealthMonitor
from pipetest.pipeline import Pipeline, Resources
from pipetest.web.sessions import SessionExpiry


def assemble(settings: Settings, ground: Resources, web: Callable[[Pipeline], Web]) -> Parts[Work]:
    """The parts of a daemon that works alone; nothing is begun. ``web`` makes what answers for the job."""
    job = Pipeline(settings, ground)
    return Parts(
        pool=ground.pool,
        store=ground.store,
        work=job.work,
        forgetter=SessionExpiry(ground.store, ground.time, ground.clock, settings.session_lifetime),
        watchdog=HealthMonitor(job.signs, ground.clock),
        web=web(job),
    )


def assemble_instance(
    settings: Settings, lock: Lease, new_ground: Callable[[], Resources], web: Callable[[LeaderElection[Pipeline]], Web]
) -> Parts[LeaderElection[Pipeline]]:
    """The parts of one daemon of several, of which one works at a time. Each time that it takes the lock it works on
    new ground: on exchanges that nothing of an earlier time still waits for."""
    ground = new_ground()
    leadership = LeaderElection(lock, lambda: Pipeline(settings, new_ground()), ground.clock)
    return Parts(
        pool=ground.pool,
        store=ground.store,
        work=leadership,
        forgetter=SessionExpiry(ground.store, ground.time, ground.clock, settings.session_lifetime),
        watchdog=HealthMonitor(lambda: leadership.job.signs(), ground.clock),
        web=web(leadership),
    )
