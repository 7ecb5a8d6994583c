"""``python -m tests.simulation.mutations [name …]``: break a copy of the code, in one way after the other, and find the
first seed that notices. Prints the table in ``docs/reliability.md``; fails where no seed noticed."""

import gc
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice
from pathlib import Path
from shutil import copytree, ignore_patterns
from tempfile import TemporaryDirectory

from msgspec import Struct

from tests.simulation.__main__ import prepare
from tests.simulation.run_plan import (
    BACKFILL,
    BY_ORGANIZATION,
    FOLLOWED,
    HINTS,
    LISTS,
    LOSSES,
    MOVES,
    PARTS,
    RELOADS,
    ROLLBACKS,
    STAMPS,
    TEMPLATES,
    UNSEEN,
    RunPlan,
)
from tests.simulation.simulation import DAYS, run

ROOT = Path(__file__).parents[2]

SEEDS = 2000
"""A mutation that none of these notices counts as unnoticed."""

UNNOTICED = "none"


class Edit(Struct, frozen=True):
    """In ``file`` of the package, ``instead`` takes the place of ``there``, which is there once."""

    file: str
    there: str
    instead: str = ""

    def of(self, source: str) -> str:
        """
        :raises ValueError: the code has changed, and this edit has to follow it.
        """
        if source.count(self.there) != 1:
            raise ValueError(f"{self.file} has changed: {self.there!r} is in it {source.count(self.there)} times")
        return source.replace(self.there, self.instead)


class Mutation(Struct, frozen=True):
    """Edits that break a promise. Runs that have all these ``hazards`` are tried: without them nothing shows."""

    name: str
    edits: Sequence[Edit]
    hazards: Set[str] = frozenset()


def _one(name: str, file: str, there: str, instead: str = "", *hazards: str) -> Mutation:
    return Mutation(name, (Edit(file, there, instead),), frozenset(hazards))


MUTATIONS: Sequence[Mutation] = (
    _one("sent not stored before the POST", "outbox/delivery.py", "await self._progress.send(task)", "pass"),
    _one("no settle time", "outbox/rules.py", "Step(Sent(), settle)", "Step(Sent())"),
    _one(
        "settle time not restarted after a start",
        "outbox/intake.py",
        "self._time.wall(), settle=self._progress.settle",
        "self._time.wall(), settle=0.0",
    ),
    Mutation(
        "ETag stored with page 1 of a pass cut short",
        (
            Edit(
                "scanner/list_reader.py",
                "        self._store = store\n",
                "        self._store, self.cut = store, None\n",
            ),
            Edit(
                "scanner/list_reader.py",
                "            page = await self._page(url, user, to_end=to_end, first=not pages)\n",
                "            try:\n"
                "                page = await self._page(url, user, to_end=to_end, first=not pages)\n"
                "            except Transient as e:\n"
                "                if len(pages) == 1:\n"
                "                    self.cut = e\n"
                "                    return pages\n"
                "                raise\n",
            ),
            Edit(
                "scanner/user_scan.py",
                "        self._listener.user_recorded(self._stored, entries)\n",
                "        self._listener.user_recorded(self._stored, entries)\n"
                "        if self._reader.cut:\n"
                "            cut, self._reader.cut = self._reader.cut, None\n"
                "            raise cut\n",
            ),
        ),
    ),
    _one(
        "shifted list taken as complete",
        "scanner/list_reader.py",
        "len(pages) == 1 or shows_all([*pages.values()], await self._again(user, pages))",
        "True",
    ),
    _one("full page without a link taken as the last", "github/links.py", "if is_full(", "if False and is_full("),
    Mutation(
        "skipped decided before the pass is whole",
        (
            Edit("scanner/backfill.py", "if moments.keys() >= new:", "if not new:"),
            Edit(
                "scanner/backfill.py",
                "if user not in passed}",
                "if user not in new and user not in passed}",
            ),
        ),
        frozenset({BACKFILL}),
    ),
    _one(
        "late-public gist skipped by its date",
        "scanner/user_scan.py",
        "since = self._wanted_since if self._is_first_pass(found) else -inf",
        "since = self._wanted_since",
        BACKFILL,
    ),
    _one("empty list believed", "scanner/user_lists.py", "now_at >= empty_at + EMPTY_S", "True"),
    _one(
        "list that cannot be read taken as empty",
        "scanner/user_lists.py",
        "            self.unread = isinstance(e, Transient)\n",
        "            self.unread, self.read = isinstance(e, Transient), ReadList()\n",
        LISTS,
    ),
    _one(
        "list that changes taken as complete",
        "scanner/user_lists.py",
        "if len(pages) <= 1 or accounts_on(pages) == accounts_on(before):",
        "if True:",
        FOLLOWED,
    ),
    _one(
        "renamed user counts as another",
        "scanner/recorded_users.py",
        "return self._by_account.get(account_id, named)",
        "return named",
        FOLLOWED,
    ),
    _one(
        "name that came back counts though it is off the list again",
        "scanner/scanner.py",
        "        self._terms = replace(self._terms, returned=returned)\n",
        "        del returned\n",
        FOLLOWED,
        PARTS,
    ),
    _one(
        "GraphQL's hints believed for ever",
        "scanner/scanner.py",
        "self._time.monotonic() < until",
        "not self._selection.selects",
        HINTS,
    ),
    _one(
        "newest gist that GraphQL tells not looked for in the feed",
        "scanner/selection.py",
        "told.newest is None or told.newest in recorded",
        "True",
        HINTS,
    ),
    _one("304 that nobody asked for believed", "github/client.py", " and etag is not None\n", "\n"),
    _one("no smaller pages", "scanner/page_sizes.py", "self._steps[key] += 1", "pass"),
    _one("archived deals not searched", "pipedrive/deal_lists.py", "(DEALS, ARCHIVED)", "(DEALS,)"),
    Mutation(
        "previous generation taken as reconciled",
        (
            Edit(
                "store/tinydb/format.py",
                "    for user in tables[USERS].values():\n        user[RECONCILED_AT] = None\n",
            ),
            Edit(
                "store/tinydb/memory.py",
                "        for name, user in self.users.items():\n"
                "            self.users[name] = replace(user, organization=replace(user.organization, "
                "reconciled_at=None))\n",
            ),
        ),
    ),
    Mutation(
        "rename before fsync",
        (
            Edit("store/tinydb/generations.py", "        file.sync()\n", "        _UNSYNCED[:] = [file]\n"),
            Edit("store/tinydb/generations.py", "    disk.sync()\n", "    _UNSYNCED.pop().sync()\n    disk.sync()\n"),
            Edit("store/tinydb/generations.py", 'CURRENT = ""\n', 'CURRENT = ""\n_UNSYNCED = []\n'),
        ),
    ),
    _one("folder not synced after the rename", "store/tinydb/generations.py", "    disk.sync()\n"),
    _one(
        "no settle time before the first create without a database",
        "outbox/start_reconciliation.py",
        "self._settled = self._time.monotonic() + self._progress.settle",
        "self._settled = self._time.monotonic()",
        LOSSES,
    ),
    _one(
        "organization created again before its deals were searched for",
        "outbox/reconciliation.py",
        "if other is not task and other.needs_search(now, self._breaker.epoch)",
        "if False",
        BY_ORGANIZATION,
        "organizations",
        "faults",
    ),
    _one(
        "deal being created counted as searched for",
        "outbox/delivery.py",
        "miss = task.forget_miss()",
        "miss = task.not_found",
    ),
    _one(
        "frozen instance creates when it wakes up",
        "store/postgres/writer.py",
        "return self._time.monotonic() - monotonic <= FRESH_S and self._time.wall() - wall <= FRESH_S",
        "return True",
    ),
    _one("titles compared as they are", "outbox/recognition.py", "[long_ids[-1].lower()]", "[long_ids[-1]]", "titles"),
    _one(
        "stamp not looked at",
        "pipedrive/lists.py",
        "if isinstance(self.custom_fields, dict) else {}",
        "if False else {}",
    ),
    _one("list not read to its end", "pipedrive/lists.py", "self._ended = not page.cursor", "self._ended = True"),
    _one(
        "changes since the listing not read",
        "pipedrive/deal_lists.py",
        '        yield self._open_list(DEALS, DealRow, {"updated_since": since, **by_id})\n',
    ),
    _one("title matched loosely", "outbox/recognition.py", "[long_ids[-1].lower()]", "[long_ids[0].lower()]"),
    _one("capped deal not searched for", "outbox/rules.py", "NotAllowed(capped=False)", "NotAllowed()"),
    _one("probes that never come more rarely", "outbox/pause.py", "backoff(attempts, first=", "backoff(1, first="),
    _one(
        "quarantined for what the template names",
        "outbox/template_names.py",
        "isinstance(before, Quarantined)",
        "True",
    ),
    _one(
        "names looked up at every refusal",
        "outbox/template_names.py",
        "BETWEEN_S = 600.0",
        "BETWEEN_S = 0.0",
        TEMPLATES,
    ),
    _one("a misfit looked up without a wait", "outbox/pause.py", "MISFIT_FIRST_S = 300.0", "MISFIT_FIRST_S = 1.0"),
    _one("quarantine without an end", "outbox/rules.py", "QUARANTINE_S = 24 * 3600.0", "QUARANTINE_S = 1e9"),
    _one("deleted deals not searched", "pipedrive/deal_lists.py", "open,won,lost,deleted", "open,won,lost"),
    _one(
        "start not compared with Pipedrive",
        "outbox/start_reconciliation.py",
        "        if not self._unreconciled:\n            await self._compare()\n",
        "",
        ROLLBACKS,
    ),
    _one(
        "what the list of all deals tells is not stored",
        "outbox/start_reconciliation.py",
        "                self._intake.skipped_no_more(await self._store.adopt(some))\n",
        "                pass\n",
        LOSSES,
    ),
    _one(
        "deals of gists that the feed lacks are forgotten",
        "store/tinydb/store.py",
        "self._memory.found_deals.keep(others)",
        "self._memory.found_deals.keep({})",
        LOSSES,
    ),
    _one(
        "archived deals left out of the list of all",
        "pipedrive/deal_lists.py",
        "        for path in BOTH_LISTS:\n",
        "        for path in (DEALS,):\n",
    ),
    _one(
        "organizations listed where people have moved deals",
        "outbox/whole_list.py",
        "return _whole_list_tokens(newest_deal) <= max(_told(tokens_a_day) / 10, by_organization)",
        "return False",
    ),
    _one(
        "deal in doubt not looked for elsewhere though its organization is gone",
        "outbox/reconciliation.py",
        "            if in_doubt:\n",
        "            if False:\n",
        MOVES,
        "organizations",
    ),
    _one(
        "deals of skipped gists not adopted where organizations are listed",
        "outbox/reconciliation.py",
        "            await self._adopt_without_task(found)\n",
        "            pass\n",
        BACKFILL,
        "database",
        BY_ORGANIZATION,
    ),
    _one(
        "first deal not read back",
        "outbox/delivery.py",
        '            await self._first_creates.created("deal", outcome.id, task.gist_id, shape.template)\n',
        "            pass\n",
    ),
    _one(
        "first deal of another template counted as this one's",
        "outbox/first_creates.py",
        "return first.template == digest(kind, self._template.value)",
        "return True",
        UNSEEN,
        STAMPS,
    ),
    Mutation(
        "another template takes effect in the middle of a create",
        (
            Edit(
                "outbox/delivery.py",
                "lambda: self._pipedrive.create_deal(shape, gist, user, organization_id), epoch)",
                "lambda: self._pipedrive.create_deal(self._names.shape, gist, user, organization_id), epoch)",
            ),
            Edit("outbox/template_names.py", "        self._breaker.new_epoch()\n"),
        ),
        frozenset({RELOADS, TEMPLATES}),
    ),
    _one(
        "what the template before has begun is still created",
        "outbox/template_names.py",
        "        self._breaker.new_epoch()\n",
        "",
        RELOADS,
        TEMPLATES,
    ),
    _one(
        "first organization taken as seen after a settle time",
        "outbox/first_creates.py",
        "        if not seen:\n",
        '        if not seen and not (late and task.kind == "organization"):\n',
        UNSEEN,
    ),
    _one(
        "first record that was not seen forgotten by a restart",
        "outbox/first_creates.py",
        "                self._look_for(kind, first)\n",
        "                pass\n",
    ),
    Mutation(
        "first record that people deleted waited for",
        (
            Edit("outbox/first_creates.py", "late = self._time.monotonic() >= task.settled", "late = False"),
            Edit("outbox/first_creates.py", "GIVEN_UP_S = 24 * 3600.0", "GIVEN_UP_S = 1e9"),
        ),
        frozenset({UNSEEN}),
    ),
    _one(
        "first record that is gone looked for for ever",
        "outbox/first_creates.py",
        "GIVEN_UP_S = 24 * 3600.0",
        "GIVEN_UP_S = 1e9",
        UNSEEN,
    ),
    _one("audit judges what was done just now", "outbox/auditor.py", "await self._wait(self._settle)", "pass"),
    _one(
        "audit counts a deleted deal as missing",
        "outbox/audit.py",
        "        if not deals:\n",
        "        if all(self._seen[deal].deleted for deal in deals):\n",
    ),
    _one(
        "audit takes a deal without an organization for one that was not moved",
        "outbox/audit.py",
        "if home not in (None, self._seen[deal].organization_id):",
        "if self._seen[deal].organization_id is not None and home not in (None, self._seen[deal].organization_id):",
    ),
    _one("audit knows deals by their titles alone", "outbox/audit.py", "self._gist_by_deal.get(deal.id) or "),
    _one("no daily pass to the end", "scanner/user_scan.py", "TO_END_S = 24 * 3600.0", "TO_END_S = 1e9"),
    _one(
        "newest recorded first",
        "scanner/list_reader.py",
        "key=lambda gist: gist.created_at",
        "key=lambda gist: -gist.created_at",
    ),
)


def print_first_violation(*hazards: str) -> None:
    """Run seeds that have these hazards until one is violated; print it, how many were run, and what was violated
    first."""
    prepare()
    having = (seed for seed in count() if RunPlan.draw(seed, DAYS).hazards.issuperset(hazards))
    for tried, seed in enumerate(islice(having, SEEDS), 1):
        violations = run(seed).violations
        gc.collect()
        if violations:
            print(seed, tried, violations[0], sep="\t")
            return


def printed(mutation: Mutation, command: str) -> str:
    """By this Python, on a copy of the code with this mutation."""
    with TemporaryDirectory() as copy:
        for folder in ("pipetest", "tests"):
            copytree(ROOT / folder, Path(copy, folder), ignore=ignore_patterns("__pycache__", "node_modules"))
        for file, source in mutated(mutation).items():
            Path(copy, "pipetest", file).write_text(source, encoding="utf-8")
        done = subprocess.run([sys.executable, "-c", command], cwd=copy, check=True, capture_output=True, text=True)
    return done.stdout


def table_row(mutation: Mutation) -> str:
    """What a copy of the code with this mutation came to."""
    hazards = sorted(mutation.hazards)
    said = printed(
        mutation, f"from tests.simulation.mutations import print_first_violation; print_first_violation(*{hazards})"
    )
    if not said:
        return f"| {mutation.name} | {UNNOTICED} | {SEEDS} | |"
    seed, tried, violation = said.splitlines()[0].split("\t")
    return f"| {mutation.name} | {seed} | {tried} | {shortened(violation)} |"


def shortened(violation: str) -> str:
    return re.sub(r"([0-9a-f]{7})[0-9a-f]{25}", r"\1", violation).partition(":")[0]


def mutated(mutation: Mutation) -> Mapping[str, str]:
    """The new source of each file that it changes."""
    sources = {edit.file: Path(ROOT, "pipetest", edit.file).read_text(encoding="utf-8") for edit in mutation.edits}
    for edit in mutation.edits:
        sources[edit.file] = edit.of(sources[edit.file])
    return sources


def print_rows(row_of: Callable[[Mutation], str], mutations: Iterable[Mutation]) -> bool:
    """One for each mutation, several at a time; whether all were noticed."""
    all_noticed = True
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for row in pool.map(row_of, mutations):
            print(row, flush=True)
            all_noticed = all_noticed and f"| {UNNOTICED} |" not in row
    return all_noticed


def main(*names: str) -> int:
    print("| mutation | caught by seed | after seeds | what the checks said |", "|---|---|---|---|", sep="\n")
    return int(not print_rows(table_row, [mutation for mutation in MUTATIONS if not names or mutation.name in names]))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
