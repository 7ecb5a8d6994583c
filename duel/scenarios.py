"""What is done to a contestant. Each scenario ends when everything has been well again for a while."""

from collections.abc import Callable, Mapping
from time import monotonic

from msgspec import Struct

from benchmarks.support.judge import Verdict
from duel.support.trial import Trial

CREATES = {"service": "Pipedrive", "method": "POST"}
"""The requests that meet a fault."""

LATE_S = 1.0
LONGEST_S = 2 * 3600.0
"""For what waits to be worked off: what is not done by then is missing. drt makes four deals a second."""

LONGEST_LIFE_S = 20.0
"""On a busy machine a run would take hours otherwise."""

SOON_S = 0.3

BURST = 20
"""Requests in two seconds: Pipedrive's smallest plan."""

KILLS, PAGES = "kill -9", "page limit"

WAITING = 10
"""So many gists wait at the beginning of each life that ends with a kill."""


class Sizes(Struct, frozen=True):
    """Of a whole run, in gists. ``kills`` are those of pipetest, ``kills_each`` those of each other tool; they are
    dealt out among ``kill_parts`` trials."""

    speed: int = 1_200
    gists: int = 100
    pages: int = 5_500
    kills: int = 1_000
    kills_each: int = 200
    kill_parts: int = 4

    def amount(self, scenario: str, *, of_ours: bool) -> int:
        if scenario == KILLS:
            return self.kills if of_ours else self.kills_each
        return self.pages if scenario == PAGES else self.gists

    def title(self, scenario: str) -> str:
        if scenario == KILLS:
            return f"kill -9, {self.kills_each:,} times (pipetest {self.kills:,})"
        return f"page limit, {self.pages:,} gists and one more" if scenario == PAGES else scenario


FULL = Sizes()
QUICK = Sizes(speed=120, gists=30, pages=330, kills=40, kills_each=12, kill_parts=1)


class Scenario(Struct, frozen=True):
    """``play`` is given the number of gists, or of kills. ``users`` and ``latency`` (s) are those of its world."""

    play: Callable[[Trial, int], Verdict]
    users: int = 5
    latency: float = 0.05


def lost_answers(trial: Trial, gists: int) -> Verdict:
    """Pipedrive has carried out the create, but its answer is lost, or says that something failed."""
    for fault in ("applied-reset", "applied-502"):
        trial.world.fault(fault, times=gists // 10, chance=0.3, **CREATES)
    return _worked_off(trial, gists)


def late_answers(trial: Trial, gists: int) -> Verdict:
    """The create is carried out a second after the client was told that it failed."""
    for fault in ("late-reset", "late-504"):
        trial.world.fault(fault, times=gists // 10, chance=0.3, applied=LATE_S, **CREATES)
    return _worked_off(trial, gists)


def unavailable(trial: Trial, gists: int) -> Verdict:
    """One of five requests to either service is answered with a 503, and nothing was done."""
    trial.world.fault("503", times=None, chance=0.2)
    return _worked_off(trial, gists)


def burst(trial: Trial, gists: int) -> Verdict:
    trial.limit_burst(BURST)
    return _worked_off(trial, gists)


def _worked_off(trial: Trial, gists: int) -> Verdict:
    trial.world.write_gists(gists)
    trial.start()
    trial.run_until_done(LONGEST_S)
    trial.world.end_faults()
    return trial.ended()


def pages(trial: Trial, gists: int) -> Verdict:
    """One user has written so many gists, and then writes another one."""
    trial.world.write_gists(gists)
    trial.start()
    trial.run_until_done(LONGEST_S)
    trial.world.write_gists(1)
    return trial.ended()


def restored(trial: Trial, gists: int) -> Verdict:
    """The database is put back to what it was before the last third of the gists, as from a backup."""
    for _ in range(2):
        trial.world.write_gists(gists // 3)
        trial.start()
        trial.run_until_done(LONGEST_S)
        trial.stop()
        if not trial.is_backed_up:
            trial.back_up()
    trial.restore()
    trial.world.write_gists(gists // 3)
    trial.start()
    return trial.ended()


def kills(trial: Trial, kills: int) -> Verdict:
    """SIGKILL again and again. Every other time it comes soon after the life's first deal; else at a random moment of
    one and a half times what the first gists took from the start on, and of :data:`LONGEST_LIFE_S` at most."""
    trial.world.write_gists(WAITING)
    began = monotonic()
    trial.start()
    trial.run_until_done(LONGEST_S)
    longest_s = min(1.5 * (monotonic() - began), LONGEST_LIFE_S)
    trial.stop()
    for number in range(kills):
        trial.world.write_gists(max(0, WAITING - trial.world.verdict().missing))
        if number % 2:
            trial.live(trial.random.uniform(0.0, SOON_S), after_a_deal=True)
        else:
            trial.live(trial.random.uniform(0.0, longest_s))
    trial.start()
    return trial.ended(LONGEST_S)


SCENARIOS: Mapping[str, Scenario] = {
    "lost answers": Scenario(lost_answers),
    "late answers": Scenario(late_answers),
    KILLS: Scenario(kills, latency=0.1),
    "20 % of 503s": Scenario(unavailable),
    "burst limit": Scenario(burst, latency=0.01),
    PAGES: Scenario(pages, users=1, latency=0.0),
    "restored database": Scenario(restored),
}
