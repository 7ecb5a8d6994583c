"""The status as Prometheus reads it, asked for over a real socket."""

import pytest_twisted
from msgspec.structs import replace
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.support.web.client import Client
from tests.support.web.sample import NOW, WITH_PROBLEMS
from tests.support.web.stub_daemon import StubDaemon


async def metrics(client: Client) -> dict[str, Metric]:
    answer = await client.ask("GET /metrics HTTP/1.1")
    return {family.name: family for family in text_string_to_metric_families(answer.body.decode())}


@pytest_twisted.ensureDeferred
async def test_metrics_say_what_the_status_says(client: Client, stub_daemon: StubDaemon) -> None:
    stub_daemon.status = WITH_PROBLEMS
    families = await metrics(client)
    assert {sample.labels["state"]: sample.value for sample in families["pipetest_gists"].samples} == {
        "wanted": 1_230, "sent": 4, "done": 11_110, "quarantined": 1, "skipped": 0,
    }  # fmt: skip
    assert {sample.labels["state"]: sample.value for sample in families["pipetest_users"].samples} == {
        "failing": 2, "unread": 0, "well": 7,
    }  # fmt: skip
    left = {tuple(sample.labels.values()): sample.value for sample in families["pipetest_quota_left"].samples}
    assert left == {
        ("requests an hour", "GitHub"): 4, ("tokens a day", "Pipedrive"): 5_500, ("requests in 2 s", "Pipedrive"): 13,
        ("writes today", "Pipedrive"): 9_120,
    }  # fmt: skip
    problems = {(sample.labels["id"], sample.labels["severity"]) for sample in families["pipetest_problem"].samples}
    assert problems == {("creation-refused", "error"), ("users-not-read", "warning")}
    alone = {name: family.samples[0].value for name, family in families.items() if len(family.samples) == 1}
    assert alone["pipetest_ready"] == 0
    assert alone["pipetest_database_writable"] == 1
    assert alone["pipetest_scan_under_way"] == 1
    assert alone["pipetest_creation_refused"] == 1
    assert alone["pipetest_oldest_waiting_gist_timestamp_seconds"] == WITH_PROBLEMS.oldest.since_at  # type: ignore[union-attr]
    assert "pipetest_scan_ended_timestamp_seconds" not in families
    audited = {sample.labels["result"]: sample.value for sample in families["pipetest_audit_gists"].samples}
    assert (audited, alone["pipetest_audit_timestamp_seconds"]) == (
        {"missing": 1, "duplicate": 1, "moved": 120, "renamed": 0, "unknown": 1}, NOW - 86_400,
    )  # fmt: skip


@pytest_twisted.ensureDeferred
async def test_organizations_in_quarantine_are_counted_apart_from_gists(
    client: Client, stub_daemon: StubDaemon
) -> None:
    refused = replace(WITH_PROBLEMS.quarantine[0], kind="organization")
    stub_daemon.status = replace(WITH_PROBLEMS, quarantine=[*WITH_PROBLEMS.quarantine, refused])
    counted = (await metrics(client))["pipetest_organizations_quarantined"].samples
    assert [sample.value for sample in counted] == [1.0]


@pytest_twisted.ensureDeferred
async def test_no_metric_names_a_gist_or_a_user(client: Client, stub_daemon: StubDaemon) -> None:
    stub_daemon.status = WITH_PROBLEMS
    text = (await client.ask("GET /metrics HTTP/1.1")).body.decode()
    assert not [user.name for user in WITH_PROBLEMS.users if user.name in text]
    assert not [gist.id for gist in WITH_PROBLEMS.latest if gist.id in text]
