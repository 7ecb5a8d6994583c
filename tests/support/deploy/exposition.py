"""Metrics of a daemon in which everything that can be measured has a value."""

from pipetest.domain import status
from pipetest.domain.problems import OperatorProblem
from pipetest.web.metrics import Exposition

EVERYTHING = status.Status(
    at=100.0,
    instance=status.Instance(company="acme", version="1", started_at=1.0, gists_url="", deals_url=""),
    problems=[OperatorProblem(id="heartbeat", severity="warning", since=4.0, text="it failed", remedy="Check it")],
    scan=status.Scan(started_at=2.0, ended_at=3.0),
    outlook=status.Outlook(done_at=200.0, text="soon"),
    oldest=status.Waiting(id="g", user="u", since_at=5.0),
    quotas=[
        status.Quota(service="Pipedrive", name=name, limit=9.0, left=1.0, used=8.0, reset_at=300.0)
        for name in ("requests in 2 s", "tokens today", "writes today")
    ],
    passes={"recorded": 1},
    audit=status.AuditState(last=status.Audit(at=6.0, tokens=50, gists=1, counts={"missing": 1})),
)


def exposed() -> str:
    """What ``/metrics`` answers then."""
    return Exposition(lambda: EVERYTHING).text().decode()
