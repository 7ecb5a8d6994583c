"""``python -m tests.exploration.mutations [name …]``: break a copy of the code, in one way after the other, and find
the first schedule that notices. Prints the table in ``docs/reliability.md``; fails where none noticed."""

import sys
from collections.abc import Mapping

from tests.exploration.choices import as_text
from tests.exploration.explorer import Explorer
from tests.simulation.__main__ import prepare
from tests.simulation.mutations import MUTATIONS, UNNOTICED, Mutation, print_rows, printed, shortened

DEVIATIONS = 2

TEMPLATE, PEOPLE = "deals look as a template says", "people rename, move or merge"
UNSEEN, DAY, LISTS = "the key's user does not see what it creates", "it takes a day", "whom to read is a list"
MANY = "all deals are too many to be listed"
QUIRK, AUDIT, CAP = "GitHub is not as described", "an audit is asked for", "more is refused than a deviation or two"

NOTICED_IN: Mapping[str, str] = {
    "sent not stored before the POST": "lists that lag",
    "settle time not restarted after a start": "lists that lag",
    "304 that nobody asked for believed": "two pages",
    "frozen instance creates when it wakes up": "two instances",
    "list not read to its end": "two pages",
    "newest recorded first": "two users",
}
"""The world whose schedules are tried, where it is not that of one user."""

OUT_OF_REACH: Mapping[str, str] = {
    "skipped decided before the pass is whole": "a backfill is set",
    "ETag stored with page 1 of a pass cut short": "a later pass is of several pages",
    "shifted list taken as complete": "one pass misses a gist that the next one finds",
    "empty list believed": LISTS,
    "list that cannot be read taken as empty": LISTS,
    "list that changes taken as complete": LISTS,
    "late-public gist skipped by its date": "a backfill is set",
    "renamed user counts as another": PEOPLE,
    "name that came back counts though it is off the list again": LISTS,
    "GraphQL's hints believed for ever": "there is a token, and many users",
    "newest gist that GraphQL tells not looked for in the feed": "there is a token, and many users",
    "previous generation taken as reconciled": MANY,
    "organization created again before its deals were searched for": MANY,
    "deals of gists that the feed lacks are forgotten": "GitHub is away while the list of all deals is read",
    "full page without a link taken as the last": QUIRK,
    "no smaller pages": QUIRK,
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
    "another template takes effect in the middle of a create": TEMPLATE,
    "what the template before has begun is still created": TEMPLATE,
    "organizations listed where people have moved deals": PEOPLE,
    "deal in doubt not looked for elsewhere though its organization is gone": PEOPLE,
    "deals of skipped gists not adopted where organizations are listed": "a backfill is set",
    "first deal not read back": UNSEEN,
    "first organization taken as seen after a settle time": UNSEEN,
    "first record that was not seen forgotten by a restart": UNSEEN,
    "first record that is gone looked for for ever": DAY,
    "audit judges what was done just now": AUDIT,
    "audit counts a deleted deal as missing": AUDIT,
    "audit knows deals by their titles alone": AUDIT,
    "audit takes a deal without an organization for one that was not moved": AUDIT,
    "no daily pass to the end": DAY,
}
"""What has to be so for a mutation to be noticed, and is not in any of the small worlds."""


def print_first_violated(world: str) -> None:
    """Run schedules until one is violated; print it, how many were run, and what was violated first."""
    prepare()
    explorer = Explorer(world)
    result = explorer.first_violated(DEVIATIONS)
    if result is not None:
        print(as_text(result.schedule), explorer.schedules, result.violations[0], sep="\t")


def table_row(mutation: Mutation) -> str:
    """What a copy of the code with this mutation came to."""
    world = NOTICED_IN.get(mutation.name, "one user")
    said = printed(
        mutation, f"from tests.exploration.mutations import print_first_violated; print_first_violated({world!r})"
    )
    if not said:
        return f"| {mutation.name} | {world} | {UNNOTICED} | | |"
    schedule, schedules, violation = said.splitlines()[0].split("\t")
    return f"| {mutation.name} | {world} | {schedule} | {int(schedules):,} | {shortened(violation)} |"


def main(*names: str) -> int:
    print("| mutation | world | noticed by | schedules run | what the checks said |", "|---|---|---|---|---|", sep="\n")
    within_reach = [mutation for mutation in MUTATIONS if mutation.name not in OUT_OF_REACH]
    return int(not print_rows(table_row, [each for each in within_reach if not names or each.name in names]))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
