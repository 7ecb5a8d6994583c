"""How the parts are wired together, whatever they stand on: a reactor and sockets, or a clock and memory."""

from collections.abc import Callable

from pipetest.config.settings import Settings
from pipetest.daemon import Forgetter, Parts, Web, Work
from pipetest.leader_election import Leadership, Lock
from pipetest.monitoring.health import Watchdog
from pipetest.pipeline import Ground, Job


def assemble(settings: Settings, ground: Ground, web: Callable[[Job], Web]) -> Parts[Work]:
    """The parts of a daemon that works alone; nothing is begun. ``web`` makes what answers for the job."""
    job = Job(settings, ground)
    return Parts(
        pool=ground.pool,
        store=ground.store,
        work=job.work,
        forgetter=Forgetter(ground.store, ground.time, ground.clock, settings.session_lifetime),
        watchdog=Watchdog(job.signs, ground.clock),
        web=web(job),
    )


def assemble_instance(
    settings: Settings, lock: Lock, new_ground: Callable[[], Ground], web: Callable[[Leadership[Job]], Web]
) -> Parts[Leadership[Job]]:
    """The parts of one daemon of several, of which one works at a time. Each time that it takes the lock it works on
    new ground: on exchanges that nothing of an earlier time still waits for."""
    ground = new_ground()
    leadership = Leadership(lock, lambda: Job(settings, new_ground()), ground.clock)
    return Parts(
        pool=ground.pool,
        store=ground.store,
        work=leadership,
        forgetter=Forgetter(ground.store, ground.time, ground.clock, settings.session_lifetime),
        watchdog=Watchdog(lambda: leadership.job.signs(), ground.clock),
        web=web(leadership),
    )
