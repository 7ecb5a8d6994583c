"""``pipetest audit`` starts one, waits, and says what it has found."""

import json

import pytest
import pytest_twisted
from msgspec import to_builtins
from msgspec.structs import replace

from pipetest.domain.status import AuditState
from tests.cli.conftest import TOKEN
from tests.support.command import run
from tests.support.web.sample import LAST_AUDIT, NOW
from tests.support.web.stub_daemon import StubDaemon

FOUND = replace(LAST_AUDIT, at=NOW)
RUNNING_S = 1.5


class AuditingDaemon(StubDaemon):
    """An audit takes a while there, and ends so."""

    ends: AuditState = AuditState()

    async def audit(self) -> None:
        from twisted.internet import reactor

        await super().audit()
        self.tell(AuditState(running=True, progress=0.5, last=self.status.audit.last))
        reactor.callLater(RUNNING_S, lambda: self.tell(self.ends))

    def tell(self, audit: AuditState) -> None:
        self.status = replace(self.status, audit=audit)


@pytest.fixture
def stub_daemon() -> AuditingDaemon:
    daemon = AuditingDaemon()
    daemon.tell(AuditState(last=LAST_AUDIT, failure="an earlier one", failed_at=NOW))
    return daemon


@pytest_twisted.ensureDeferred
async def test_it_waits_for_the_end_and_names_what_was_found(url: str, stub_daemon: AuditingDaemon) -> None:
    stub_daemon.ends = AuditState(last=FOUND)
    ran = await run("audit", "--url", url, ADMIN_TOKEN=TOKEN)
    assert (ran.status, ran.err, stub_daemon.calls) == (1, "", [("audit", None)])
    lines = [" ".join(line.split()) for line in ran.out.splitlines()]
    assert lines[0] == "11,110 gists compared with all deals in Pipedrive, for 330 tokens."
    for line in (
        "! 1 gist: no deal is there any more",
        "! 1 gist: several deals are there",
        "04f6a1c09be24d7788aa000000000004 hynek 8116, 9001",
        "120 gists: the deal is no longer in its user's organization",
        "and 20 more",
        "05f6a1c09be24d7788aa000000000005 8115",
        "A deal's page: https://antonsawesomecompany.pipedrive.com/deal/NUMBER",
    ):
        assert line in lines


@pytest_twisted.ensureDeferred
async def test_programs_get_a_list_of_each_kind(url: str, stub_daemon: AuditingDaemon) -> None:
    found = replace(FOUND, counts={**FOUND.counts, "duplicate": 0}, duplicate=[], newly_missing=0)
    stub_daemon.ends = AuditState(last=found)
    ran = await run("audit", "--json", "--url", url, ADMIN_TOKEN=TOKEN)
    told = json.loads(ran.out)
    assert (ran.status, told) == (0, json.loads(json.dumps(to_builtins(found))))
    assert [(row["gist"], row["deal"]) for row in told["unknown"]] == [("05f6a1c09be24d7788aa000000000005", 8_115)]


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        (AuditState(last=LAST_AUDIT, failure="Pipedrive: no answer", failed_at=NOW + 1), "Pipedrive: no answer. "),
        (AuditState(last=LAST_AUDIT), "the audit has no result, and the daemon tells no reason. "),
    ],
)
@pytest_twisted.ensureDeferred
async def test_one_without_a_result_is_exit_status_2(
    ends: AuditState, said: str, url: str, stub_daemon: AuditingDaemon
) -> None:
    stub_daemon.ends = ends
    ran = await run("audit", "--url", url, ADMIN_TOKEN=TOKEN)
    assert (ran.status, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert said in ran.err
