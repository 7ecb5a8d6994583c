"""A status as it might be, busy and with some problems, and one of a quiet daemon."""

from msgspec.structs import replace

from pipetest.domain.problems import OperatorProblem
from pipetest.domain.status import (
    Audit,
    AuditFinding,
    AuditState,
    Creation,
    Day,
    Instance,
    Ledger,
    NextDeal,
    Outlook,
    Quarantined,
    QueriedUser,
    Quota,
    Scan,
    ShownGist,
    Status,
    UserCounts,
    Waiting,
)
from pipetest.monitoring.health import with_problems

NOW = 1_795_500_000.0  # 2026-11-24 06:00 UTC
SCRIPT = "<script>alert(1)</script>"
NAMES = ["antomer", "torvalds", "octocat", "gvanrossum", "kennethreitz", "hynek", "glyph", "simonw", "defunkt"]

INSTANCE = Instance(
    company="antonsawesomecompany",
    version="2.0.0",
    started_at=NOW - 400_000,
    gists_url="https://gist.github.com/",
    deals_url="https://antonsawesomecompany.pipedrive.com/deal/",
)

QUIET = Status(
    at=NOW,
    instance=INSTANCE,
    scan=Scan(started_at=NOW - 320, ended_at=NOW - 300, next_at=NOW + 1_480, users=9, visited=9),
    ledger=Ledger(done=12_345),
    user_counts=UserCounts(total=9),
    users=[QueriedUser(name=name, succeeded_at=NOW - 310, gists=1_371, deals=1_371) for name in NAMES],
    quotas=[Quota(service="GitHub", name="requests an hour", limit=60, left=51, used=9, reset_at=NOW + 2_000)],
    latest=[
        ShownGist(id=f"{place:02d}f6a1c09be24d7788aa{place:012x}", user=NAMES[place % 9],
                  created_at=NOW - 3_000 * place**2 - 40, state="done", deal=8_120 - place)
        for place in range(10)
    ],
    days=[
        Day(day=f"2026-11-{day:02d}", gists=day * 37 % 90 + 8, deals=day * 37 % 90 + 8, written=day * 41 % 90 + 5)
        for day in range(11, 25)
    ],
    deals_last_hour=17,
    healthy_since=NOW - 400_000,
    passes={"unchanged": 812, "recorded": 44},
)  # fmt: skip

PROBLEMS = [
    OperatorProblem(
        id="creation-refused",
        severity="error",
        since=NOW - 7_200,
        text="Pipedrive refuses to create deals: the deals limit is reached",
        remedy="Correct what it names in Pipedrive, and pipetest goes on by itself within an hour; or correct the "
        "setting, and restart pipetest, or send it SIGHUP where that is a file",
    ),
    OperatorProblem(
        id="users-not-read",
        severity="warning",
        since=NOW - 90_000,
        text="2 of 9 users cannot be read: glyph (GitHub knows no such user); hynek (GitHub: answered 502)",
        remedy="Correct PIPETEST_QUERIED_USERS or its file where GitHub knows no such user; others are tried again",
    ),
]

LAST_AUDIT = Audit(
    at=NOW - 86_400,
    tokens=330,
    gists=11_110,
    counts={"missing": 1, "duplicate": 1, "moved": 120, "renamed": 0, "unknown": 1},
    newly_missing=1,
    missing=[AuditFinding(gist="03f6a1c09be24d7788aa000000000003", deal=8_117, user="gvanrossum")],
    duplicate=[AuditFinding(gist="04f6a1c09be24d7788aa000000000004", deal=8_116, user="hynek", others=[9_001])],
    moved=[AuditFinding(gist=f"{place:032x}", deal=7_000 + place, user="glyph") for place in range(100)],
    unknown=[AuditFinding(gist="05f6a1c09be24d7788aa000000000005", deal=8_115)],
)

AUDIT = AuditState(
    running=True, progress=0.4, failure="Pipedrive: answered 502", failed_at=NOW - 3_600, last=LAST_AUDIT
)

WITH_PROBLEMS = replace(
    with_problems(QUIET, PROBLEMS),
    scan=Scan(under_way=True, started_at=NOW - 20, users=9, visited=4, failed_in_a_row=1),
    creation=Creation(refusal="403, the deals limit is reached"),
    ledger=Ledger(wanted=1_230, sent=4, done=11_110, quarantined=1),
    outlook=Outlook(done_at=NOW + 9_000, text="1,234 deals wait, 24,680 tokens; done about 08:30 UTC"),
    oldest=Waiting(id="00f6a1c09be24d7788aa", user="antomer", since_at=NOW - 86_400 * 2),
    user_counts=UserCounts(total=9, failing=2),
    users=[
        replace(QUIET.users[5], succeeded_at=NOW - 90_000, error="GitHub: answered 502"),
        replace(QUIET.users[6], succeeded_at=None, gists=0, deals=0, error="GitHub knows no such user"),
        replace(QUIET.users[0], skipped=12),
        *QUIET.users[1:5],
        *QUIET.users[7:],
    ],
    quotas=[
        Quota(service="GitHub", name="requests an hour", limit=60, left=4, used=56, reset_at=NOW + 1_100),
        Quota(service="Pipedrive", name="tokens a day", limit=30_000, left=5_500, used=24_500, reset_at=NOW + 64_800),
        Quota(service="Pipedrive", name="requests in 2 s", limit=20, left=13, used=7, reset_at=NOW + 1),
        Quota(service="Pipedrive", name="tokens of ours", used=811),
        Quota(service="Pipedrive", name="writes today", left=9_120, reset_at=NOW + 64_800),
    ],
    next_deal=NextDeal(
        gist="00f6a1c09be24d7788aa000000000000", user="antomer", title="Notes on bird songs", pipeline="Community",
        fields={"Gist": "https://gist.github.com/00f6a1c09be24d7788aa000000000000", "Files": "birds.md\nsongs.csv"},
    ),
    latest=[
        replace(QUIET.latest[0], state="wanted", deal=None, description=f"Notes on {'bird songs, and '*9}the rest"),
        replace(QUIET.latest[1], state="sent", deal=None),
        replace(QUIET.latest[2], state="quarantined", deal=None),
        *QUIET.latest[3:],
    ],
    audit=AUDIT,
    quarantine=[
        Quarantined(id="02f6a1c09be24d7788aa000000000002", user="octocat",
                    reason=f"400: the title {SCRIPT} is not valid", since_at=NOW - 7_300),
    ],
)  # fmt: skip
