"""Which database a start finds: the last good one, or a refusal that says what to do. Nothing good is overwritten."""

from errno import EBUSY, EDQUOT, EINVAL, EIO, EISDIR, ENOENT, ENOSPC, ENOTDIR, ENOTSUP, EROFS, EXDEV
from os import strerror
from pathlib import Path

import pytest
from twisted.logger import capturedLogs

from pipetest.domain.errors import DatabaseRefused
from pipetest.domain.model import (
    DealChange,
    Done,
    Entry,
    Gist,
    Organization,
    OrganizationChange,
    PassResult,
    Quarantined,
    Sent,
    Text,
    User,
    Wanted,
)
from pipetest.store.tinydb.format import FORMAT
from pipetest.store.tinydb.store import TinyStore
from tests.support.results import result_of
from tests.support.simulated_disk import Fault, error, no_fault
from tests.support.store.machine import Machine

SAMPLES = Path(__file__).parent / "samples"
OLDER_SERVICE = (SAMPLES / "older-service.json").read_bytes()
RECONCILED = Organization(Done(5), reconciled_at=7.0)


def filled() -> Machine:
    """A reconciled database; the value ``generation`` is 1 in the previous generation and 2 in the current one."""
    machine = Machine()
    store = machine.start()
    result_of(store.add_gists(PassResult("ada", 7, '"a"', [Gist("one", 1.0), Gist("two", 2.0)])))
    result_of(store.save(OrganizationChange("ada", RECONCILED)))
    result_of(store.mark_reconciled())
    for generation in (1, 2):
        result_of(store.put_value("generation", generation))
    machine.disk.kill()
    return machine


def generation(store: TinyStore) -> object:
    return result_of(store.get_value("generation", int))


def organizations(store: TinyStore) -> list[Organization]:
    return [user.organization for user in result_of(store.users())]


def at_rename(number: int) -> Fault:
    """An error wherever something is put in the current generation's place."""
    return lambda step: error(number) if step.operation == "rename" and step.suffix in ("", ".new") else None


def refusal(machine: Machine, **roots: str) -> str:
    """Why it is refused; nothing is changed by that."""
    before = machine.disk.files
    with pytest.raises(DatabaseRefused) as caught:
        machine.start(**roots)
    assert machine.disk.files == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- good ones --------------------------------------------------------------------------------------------------------


def test_a_good_database_is_used_as_it_is() -> None:
    machine = filled()
    before = machine.disk.files
    store = machine.start()
    assert (generation(store), store.unreconciled, organizations(store)) == (2, False, [RECONCILED])
    assert machine.disk.files == before
    result_of(store.close())
    assert machine.disk.files == before


def test_a_new_database_is_on_disk_from_the_start() -> None:
    machine = Machine()
    assert machine.start().unreconciled
    assert set(machine.disk.files) == {""}


def test_format_2_can_be_read() -> None:
    machine = Machine()
    machine.disk.put("", (SAMPLES / "format-2.json").read_bytes())
    store = machine.start()
    assert result_of(store.feed(0, 10)) == ["one", "two"]
    assert [entry.deal for entry in result_of(store.open_entries())] == [Wanted()]
    (entry,) = result_of(store.add_gists(PassResult("ada", 7, None, [Gist("found", 3.0)])))
    assert entry.deal == Done(13)


def test_format_3_can_be_read() -> None:
    machine = Machine()
    machine.disk.put("", (SAMPLES / "format-3.json").read_bytes())
    store = machine.start()
    assert result_of(store.feed(0, 10)) == ["one", "two", "three"]
    assert result_of(store.open_entries()) == [Entry(3, Gist("three", 3.0), "ada")]
    assert result_of(store.want_skipped("ada")) == [Entry(1, Gist("one", 1.0), "ada")]


def test_format_4_can_be_read() -> None:
    machine = Machine()
    machine.disk.put("", (SAMPLES / "format-4.json").read_bytes())
    store = machine.start()
    text = Text("\u00dcn\u00efcode \U0001f469\u200d\U0001f4bb", ("b c.md", "d.py"))
    assert result_of(store.open_entries()) == [Entry(3, Gist("three", 3.0, text), "ada")]


@pytest.mark.parametrize("sample", ["format-1.json", "format-1-upgraded"])
def test_format_1_can_be_read_and_is_of_this_format_from_then_on(sample: str) -> None:
    machine = Machine()
    machine.disk.put("", (SAMPLES / "format-1.json").read_bytes())
    if sample == "format-1-upgraded":
        machine.start()
        machine.disk.kill()
        assert b'"format":%d' % FORMAT in machine.disk.files[""]
    store = machine.start()
    assert [entry.deal for entry in result_of(store.open_entries())] == [Wanted(), Sent(), Quarantined("too long", 1.5)]
    assert result_of(store.feed(0, 10)) == ["wanted", "sent", "quarantined", "done", "taken over"]
    assert result_of(store.users()) == [User("ada", 7, '"a"', 50.5, RECONCILED), User("Bob")]
    assert result_of(store.resume_session("visitor", 9.5)).shown == 3
    assert result_of(store.get_value("tokens", dict[str, object])) == {"spent": 5}
    assert store.unreconciled is False


# --- the previous generation ------------------------------------------------------------------------------------------


def test_a_backup_in_the_previous_generations_place_is_used_as_unreconciled() -> None:
    machine = filled()
    machine.disk.take_away("")
    store = machine.start()
    assert (generation(store), store.unreconciled) == (1, True)
    assert organizations(store) == [Organization(Done(5), reconciled_at=None)]


def test_a_previous_generation_stays_unreconciled_over_a_restart() -> None:
    machine = filled()
    machine.disk.take_away("")
    machine.start()
    machine.disk.kill()
    store = machine.start()
    assert (store.unreconciled, organizations(store)) == (True, [Organization(Done(5), reconciled_at=None)])


def test_a_database_cut_at_any_byte_gives_way_to_the_previous_generation_and_is_kept() -> None:
    whole = filled().disk.files
    for length in range(len(whole[""].rstrip())):
        machine, torn = filled(), whole[""][:length]
        previous = machine.disk.files[".previous"]
        machine.disk.put("", torn)
        store = machine.start()
        assert (generation(store), store.unreconciled) == (1, True), length
        assert machine.disk.files[".damaged"] == torn
        assert machine.disk.files[".previous"] == previous


@pytest.mark.parametrize("text", [b"users", b"ada", b"GitHub", b"done"])
def test_bytes_that_are_no_text_give_way_to_the_previous_generation(text: bytes) -> None:
    machine = filled()
    whole = machine.disk.files[""]
    assert text in whole
    machine.disk.put("", whole.replace(text, b"\xff" + text[1:]))
    store = machine.start()
    assert (generation(store), store.unreconciled) == (1, True)
    assert ".damaged" in machine.disk.files


def test_every_damaged_database_is_kept() -> None:
    machine = filled()
    for damage in (b"first", b"second"):
        machine.disk.put("", damage)
        machine.start()
        machine.disk.kill()
    assert (machine.disk.files[".damaged"], machine.disk.files[".damaged-2"]) == (b"first", b"second")


@pytest.mark.parametrize("current", [b"{}", b'{"_default": {}}', b'{"users": {}}', OLDER_SERVICE])
def test_what_the_older_service_may_have_written_does_not_replace_a_good_previous_generation(current: bytes) -> None:
    machine = filled()
    before = machine.disk.files[".previous"]
    machine.disk.put("", current)
    store = machine.start()
    assert (generation(store), store.unreconciled) == (1, True)
    assert machine.disk.files[".previous"] == before
    assert machine.disk.files[".damaged"] == current


@pytest.mark.parametrize(
    ("current", "previous", "beside"),
    [
        (None, None, {".previous"}),
        (None, OLDER_SERVICE, {".previous", ".older-service"}),
        (b"damaged", None, {".previous", ".damaged"}),
        (b"damaged", OLDER_SERVICE, {".previous", ".older-service", ".damaged"}),
        (OLDER_SERVICE, b"damaged", {".previous", ".older-service"}),
    ],
)
def test_a_start_keeps_what_is_not_to_be_lost_and_nothing_else(
    current: bytes | None, previous: bytes | None, beside: set[str]
) -> None:
    """``previous`` is None where it is a good one of ours."""
    machine = filled()
    machine.disk.take_away("")
    for suffix, content in (("", current), (".previous", previous)):
        if content is not None:
            machine.disk.put(suffix, content)
    with capturedLogs() as events:
        assert machine.start().unreconciled
    assert set(machine.disk.files) == {"", *beside}
    assert [event["event"] for event in events if event.get("event") == "database_damaged"] == (
        ["database_damaged"] if ".damaged" in beside else []
    )
    assert machine.disk.files.get(".damaged", b"damaged") == b"damaged"
    assert machine.disk.files.get(".older-service", OLDER_SERVICE) == OLDER_SERVICE


def test_the_log_tells_what_was_found() -> None:
    restored = filled().disk.files[""].replace(b'"unmarked":false', b'"unmarked":true')
    told = {
        "a new database": (None, None),
        "the older service's database is taken over": (OLDER_SERVICE, None),
        "the previous generation is used": (b"damaged", restored),
        "it was restored, or never compared with Pipedrive; that is done before anything is created": (restored, None),
    }
    for what, contents in told.items():
        machine = Machine()
        for suffix, content in zip(("", ".previous"), contents, strict=True):
            if content is not None:
                machine.disk.put(suffix, content)
        with capturedLogs() as events:
            machine.start()
        assert [event["what"] for event in events if event["event"] == "database_prepared"] == [what]


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("good", "edited"),
    [
        (b'"gist":"one"', b'"gist":"one'),
        (b'"gist":"one"', b'"gist":1'),
        (b'"gist":"one"', b'"gist":"two"'),
        (b'"2":{"gist"', b'"3":{"gist"'),
        (b'"organization":{"type":"done"', b'"organization":{"type":"sold"'),
        (b'"username":"ada",', b""),
        (b'"username":"ada",', b'"username":"bob",'),
        (b'\n},\n"gists"', b',\n"2":{"username":"ADA","gists":[]}\n},\n"gists"'),
        (b'"pipetest"', b'"somebody else\'s"'),
    ],
)
def test_a_bad_edit_is_refused_with_what_to_do_when_there_is_no_previous_generation(good: bytes, edited: bytes) -> None:
    machine = filled()
    machine.disk.take_away(".previous")
    assert good in machine.disk.files[""]
    machine.disk.put("", machine.disk.files[""].replace(good, edited))
    reason = refusal(machine)
    assert reason.startswith("/db/db.json is ")
    assert reason.endswith(
        ": repair it; or move it away and put a backup at /db/db.json.previous; or move it away to start anew"
    )


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"[1, 2]", b"[" * 100_000, b"\xff\xfe", b'{"a": {"1": {}}}'])
def test_what_is_no_database_is_refused(content: bytes) -> None:
    machine = Machine()
    machine.disk.put("", content)
    assert refusal(machine).startswith("/db/db.json is ")


def test_two_damaged_generations_are_both_named() -> None:
    machine = filled()
    machine.disk.put("", b"{")
    machine.disk.put(".previous", b"")
    reason = refusal(machine)
    assert "/db/db.json is damaged" in reason
    assert "/db/db.json.previous is damaged" in reason
    assert reason.endswith(
        ": repair one; or move both away and put a backup at /db/db.json.previous; or move both away to start anew"
    )


@pytest.mark.parametrize("suffix", ["", ".previous"])
def test_a_newer_format_is_refused(suffix: str) -> None:
    machine = filled()
    newer = machine.disk.files[""].replace(b'"format":%d' % FORMAT, b'"shape":[],"format":%d' % (FORMAT + 1))
    machine.disk.take_away("")
    machine.disk.put(suffix, newer)
    assert refusal(machine) == (
        f"/db/db.json{suffix} is of format {FORMAT + 1}, "
        f"and this version of pipetest knows no later one than {FORMAT}: "
        "install the version that wrote it"
    )


def test_other_roots_are_refused() -> None:
    assert refusal(filled(), Pipedrive="https://other.pipedrive.com") == (
        "/db/db.json belongs to Pipedrive at https://company.pipedrive.com, and the settings say "
        "https://other.pipedrive.com: set it back, give each its own database, or take over a new address of the same "
        "one with pipetest move"
    )


def test_a_database_that_has_recorded_nothing_yet_may_become_that_of_other_services() -> None:
    """As after a first start without the company's name."""
    machine = Machine()
    store = machine.start()
    result_of(store.mark_reconciled())
    result_of(store.put_value("paused", True))
    machine.disk.kill()
    store = machine.start(Pipedrive="https://other.pipedrive.com")
    assert (store.unreconciled, result_of(store.get_value("paused", bool))) == (True, True)
    result_of(store.add_gists(PassResult("ada", 7, None, [Gist("one", 1.0)])))
    machine.disk.kill()
    assert "https://other.pipedrive.com" in refusal(machine)


@pytest.mark.parametrize(
    ("numbers", "remedy"),
    [
        ([EBUSY, EXDEV], "; a commit puts a new file in its place: mount its folder, not the file alone"),
        (
            [EINVAL, ENOTSUP],
            "; its file system cannot make a change durable (fsync): give the database a place on another one",
        ),
        ([ENOSPC, EDQUOT], "; make room"),
        ([ENOENT, ENOTDIR, EROFS], "; give the database another path"),
        ([EIO, EISDIR], ""),
    ],
)
def test_an_error_of_the_disk_at_the_start_is_told_with_what_to_do(numbers: list[int], remedy: str) -> None:
    for number in numbers:
        machine = filled()
        machine.disk.fault = at_rename(number)
        assert refusal(machine) == f"/db/db.json cannot be used: {strerror(number)}{remedy}"


def test_a_disk_that_is_full_at_the_start_changes_nothing() -> None:
    machine = filled()
    machine.disk.put("", b"damaged")
    machine.disk.capacity = 100
    assert refusal(machine) == "/db/db.json cannot be used: No space left on device; make room"


# --- the older service ------------------------------------------------------------------------------------------------


def test_the_older_services_database_is_taken_over() -> None:
    machine = Machine()
    machine.disk.put("", OLDER_SERVICE)
    store = machine.start()
    assert [user.name for user in result_of(store.users())] == ["antomer", "octocat", "Ada"]
    assert result_of(store.feed(0, 10)) == [
        "2decf6c462d9b4418f2",
        "aa5a315d61ae9438b18d",
        "6cad326836d38bd3a7ae",
        "e1f3bb1a77c4d2a5f0c8b9d7e6a5c4b3",
    ]
    assert (result_of(store.open_entries()), store.unreconciled) == ([], True)
    assert result_of(store.resume_session("c0ffee00-1111-4222-8333-444455556666", 1.0)).shown is None
    assert machine.disk.files[".older-service"] == OLDER_SERVICE


def test_a_start_that_failed_after_it_had_copied_the_older_services_database_copies_it_once() -> None:
    machine = Machine()
    machine.disk.put("", OLDER_SERVICE)
    machine.disk.fault = lambda step: error(EIO) if (step.operation, step.suffix) == ("rename", "") else None
    with pytest.raises(DatabaseRefused, match="used: Input/output error"):
        machine.start()
    machine.disk.fault = no_fault
    machine.start()
    assert set(machine.disk.files) == {"", ".previous", ".older-service"}


def test_what_was_taken_over_goes_on_as_any_other() -> None:
    machine = Machine()
    machine.disk.put("", OLDER_SERVICE)
    store = machine.start()
    result_of(store.add_gists(PassResult("ADA", 7, None, [Gist("new", 5.0)])))
    result_of(store.save(DealChange("new", Done(1))))
    machine.disk.kill()
    store = machine.start()
    assert [user.name for user in result_of(store.users())] == ["antomer", "octocat", "ADA"]
    assert result_of(store.feed(3, 10)) == ["e1f3bb1a77c4d2a5f0c8b9d7e6a5c4b3", "new"]


def test_a_user_whom_the_older_service_wrote_twice_has_the_gists_of_both_rows() -> None:
    machine = Machine()
    rows = b'{"1": {"username": "ada", "gists": ["a", "b", "a"]}, "2": {"username": "ADA", "gists": ["b", "c"]}}'
    machine.disk.put("", b'{"_default": {}, "users": %b, "sessions": {}}' % rows)
    assert result_of(machine.start().feed(0, 10)) == ["a", "b", "c"]
    assert b'"1":{"username":"ada","gists":["a","b","c"],' in machine.disk.files[""]


def test_a_torn_database_of_the_older_service_is_refused() -> None:
    machine = Machine()
    machine.disk.put("", OLDER_SERVICE[:200])
    assert "is damaged" in refusal(machine)


def test_another_database_of_the_older_service_does_not_replace_the_one_kept() -> None:
    machine = Machine()
    for older in (OLDER_SERVICE, b'{"users": {}}'):
        machine.disk.put("", older)
        machine.start()
        machine.disk.kill()
    assert machine.disk.files[".older-service"] == OLDER_SERVICE
    assert machine.disk.files[".older-service-2"] == b'{"users": {}}'


def test_the_roots_of_what_was_taken_over_are_those_of_now() -> None:
    machine = Machine()
    machine.disk.put("", OLDER_SERVICE)
    machine.start()
    machine.disk.kill()
    assert refusal(machine, GitHub="https://github.example/api/v3")
