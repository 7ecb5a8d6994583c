"""``python -m tests.exploration.mutations [name …]``: break a copy of the code, in one way after the other, and find
the first schedule that notices. Prints the table in ``docs/reliability.md``; fails where none noticed."""

import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from tests.exploration.choices import as_text
from tests.exploration.explorer import Explorer
from tests.exploration.small_world import WORLDS
from tests.simulation.__main__ import prepare
from tests.simulation.mutations import MUTATIONS, UNNOTICED, Mutation, printed, shortened

DEVIATIONS = 2

TEMPLATE, PEOPLE = "deals look as a template says", "people rename, move or merge"
UNSEEN, DAY, LISTS = "the key's user does not see what it creates", "it takes a day", "whom to read is a list"
QUIRK, AUDIT, CAP = "GitHub is not as described", "an audit is asked for", "more is refused than a deviation or two"

OUT_OF_REACH: Mapping[str, str] = {
    "skipped decided before the pass is whole": "a backfill is set",
    "empty list believed": LISTS,
    "full page without a link taken as the last": QUIRK,
    "no smaller pages": QUIRK,
    "frozen instance creates when it wakes up": "there are several instances",
    "titles compared as they are": PEOPLE,
    "stamp not looked at": TEMPLATE,
    "changes since the listing not read": PEOPLE,
    "title matched loosely": PEOPLE,
    "capped deal not searched for": CAP,
    "probes that never come more rarely": CAP,
    "quarantined for what the template names": TEMPLATE,
    "names looked up at every refusal": TEMPLATE,
    "a misfit looked up without a wait": TEMPLATE,
    "quarantine without an end": DAY,
    "organizations listed where people have moved deals": PEOPLE,
    "organization that was merged is made anew": PEOPLE,
    "merged organization not reconciled": PEOPLE,
    "deal in doubt not looked for elsewhere though its organization is gone": PEOPLE,
    "deals of skipped gists not adopted where organizations are listed": "a backfill is set",
    "first deal not read back": UNSEEN,
    "first organization taken as seen after a settle time": UNSEEN,
    "first record that was not seen forgotten by a restart": UNSEEN,
    "first record that is gone looked for for ever": DAY,
    "audit judges what was done just now": AUDIT,
    "audit counts a deleted deal as missing": AUDIT,
    "audit knows deals by their titles alone": AUDIT,
    "no daily pass to the end": DAY,
}
"""What has to be so for a mutation to be noticed, and is not in any of the small worlds."""


def print_first_violated() -> None:
    """Run schedules until one is violated; print it, how many were run, and what was violated first."""
    prepare()
    explorers = [Explorer(world) for world in WORLDS]
    for deviations in range(DEVIATIONS + 1):
        for explorer in explorers:
            result = explorer.first_violated(extends=deviations < DEVIATIONS)
            if result is not None:
                schedules = sum(each.schedules for each in explorers)
                print(explorer.world, as_text(result.schedule), schedules, result.violations[0], sep="\t")
                return


def table_row(mutation: Mutation) -> str:
    """What a copy of the code with this mutation came to."""
    said = printed(mutation, "from tests.exploration.mutations import print_first_violated; print_first_violated()")
    if not said:
        return f"| {mutation.name} | {UNNOTICED} | | |"
    world, schedule, schedules, violation = said.splitlines()[0].split("\t")
    return f"| {mutation.name} | {world}: {schedule or 'any'} | {int(schedules):,} | {shortened(violation)} |"


def main(*names: str) -> int:
    print("| mutation | noticed by | schedules run | what the checks said |", "|---|---|---|---|", sep="\n")
    within_reach = [mutation for mutation in MUTATIONS if mutation.name not in OUT_OF_REACH]
    all_noticed = True
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for row in pool.map(table_row, [mutation for mutation in within_reach if not names or mutation.name in names]):
            print(row, flush=True)
            all_noticed = all_noticed and f"| {UNNOTICED} |" not in row
    return int(not all_noticed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
