"""What a template makes of a gist, and of a user: the body of a create."""

from msgspec import json

from pipetest.config.deals import template
from pipetest.domain.model import Gist, Text
from pipetest.domain.template import GITHUB, DealShape, Field, Ids, OrganizationIds
from pipetest.pipedrive.templates import characters, deal, organization, preview

GIST_ID = "0c44d18e9f0a4b7788aa000000000002"
WRITTEN_AT = 1_795_435_200.0  # 2026-11-23, 12:00 UTC
TEXT = Text("Notes on bird songs", ("birds.md", "songs.csv"))


def shape(toml: str, ids: Ids = Ids()) -> DealShape:  # noqa: B008  # it is frozen
    return DealShape(template(toml).value, ids)


def titled(toml: str, text: Text | None = TEXT, gist_id: str = GIST_ID, user: str = "Ada") -> str:
    return str(deal(shape(toml), Gist(gist_id, WRITTEN_AT, text), user, 7, GITHUB)["title"])


def filled(pattern: str, length: int = 65_000, text: Text | None = TEXT) -> str | None:
    made = deal(
        shape(f"[fields]\nA = {json.encode(pattern).decode()}", Ids(fields={"A": Field("a1", length)})),
        Gist(GIST_ID, WRITTEN_AT, text),
        "Ada",
        7,
        GITHUB,
    )
    fields = made.get("custom_fields", {})
    assert isinstance(fields, dict)
    return fields.get("a1")


def test_without_a_template_the_requests_are_those_of_1_0_0_byte_for_byte() -> None:
    gist = Gist(GIST_ID, WRITTEN_AT, TEXT)
    assert json.encode(deal(DealShape(), gist, "Ada", 7, GITHUB)) == f'{{"title":"{GIST_ID}","org_id":7}}'.encode()
    assert json.encode(organization(DealShape(), "Ada", 1, GITHUB)) == b'{"name":"Ada"}'


def test_people_are_shown_beforehand_what_the_request_will_hold_but_not_who_owns_it() -> None:
    toml = """
    title = "{description}"
    pipeline = 3
    owner = "anna@example.com"
    labels = ["gist"]
    fields = {"Gist id" = "{id}", "About" = "{description}"}
    """
    gist = Gist(GIST_ID, -1e300, TEXT)  # a moment that is no date, as a database of 1.0.0 may hold
    looked_up = Ids(fields={"Gist id": Field("a", 255), "About": Field("b", 8)})
    shown = preview(shape(toml, looked_up), gist, "Ada", GITHUB)
    assert shown.fields == {"Gist id": GIST_ID, "About": "Notes o…"}
    assert (shown.gist, shown.user) == (GIST_ID, "Ada")
    assert (shown.title, shown.pipeline, shown.stage, shown.labels) == (TEXT.description, "3", None, ("gist",))
    assert "anna" not in str(shown)
    assert preview(shape(toml), gist, "Ada", GITHUB).fields["About"] == TEXT.description  # not looked up yet


def test_all_that_a_template_says_is_in_the_one_request() -> None:
    toml = """
    title = "{description} · {id}"
    pipeline = "Community"
    stage = "New"
    owner = "anna@example.com"
    labels = ["gist"]
    fields = {"Gist id" = "{id}", "About" = "{user}, {created}: {url}\\n{files}"}
    organization = {owner = "Bob", fields = {"GitHub" = "{profile_url} ({owner_id}, {user})"}}
    """
    ids = Ids(
        pipeline=2,
        stage=5,
        owner=3,
        labels=(8, 9),
        fields={"Gist id": Field("f1", 255), "About": Field("f2", 65_000)},
        organization=OrganizationIds(4, {"GitHub": Field("f3", 255)}),
    )
    assert deal(shape(toml, ids), Gist(GIST_ID, WRITTEN_AT, TEXT), "Ada", 7, GITHUB) == {
        "title": f"Notes on bird songs · {GIST_ID}",
        "org_id": 7,
        "pipeline_id": 2,
        "stage_id": 5,
        "owner_id": 3,
        "label_ids": (8, 9),
        "custom_fields": {
            "f1": GIST_ID,
            "f2": f"Ada, 2026-11-23: https://gist.github.com/{GIST_ID}\nbirds.md\nsongs.csv",
        },
    }
    assert organization(shape(toml, ids), "Ada", 583, GITHUB) == {
        "name": "Ada",
        "owner_id": 4,
        "custom_fields": {"f3": "https://github.com/Ada (583, Ada)"},
    }


# --- titles -----------------------------------------------------------------------------------------------------------

TITLE = 'title = "{description} · {id}"'


def test_an_empty_description_becomes_the_first_files_name() -> None:
    assert titled(TITLE, Text("", ("birds.md", "songs.csv"))) == f"birds.md · {GIST_ID}"
    assert titled(TITLE, Text()) == titled(TITLE, None) == f"· {GIST_ID}"


def test_a_title_that_would_be_empty_is_the_id() -> None:
    stamped = "title = '{description}'\nfields = {'Gist id' = '{id}'}"
    ids = Ids(fields={"Gist id": Field("a1", 255)})
    for text in (None, Text()):
        assert deal(shape(stamped, ids), Gist(GIST_ID, WRITTEN_AT, text), "Ada", 7, GITHUB)["title"] == GIST_ID


def test_a_title_is_one_line() -> None:
    assert titled('title = "{files} {id}"') == f"birds.md songs.csv {GIST_ID}"


def test_it_is_the_description_that_is_cut_and_never_the_id() -> None:
    title = titled(TITLE, Text("x" * 500))
    assert title == f"{'x' * (255 - 1 - 3 - 32)}… · {GIST_ID}"
    assert len(title) == 255
    assert titled(TITLE, Text("x" * 220)) == f"{'x' * 220} · {GIST_ID}"
    twice = titled('title = "{description}, {description} {id}"', Text("x" * 500))
    assert twice.endswith(f"… {GIST_ID}")
    assert len(twice) <= 255


def test_characters_that_count_twice_elsewhere_count_twice() -> None:
    title = titled(TITLE, Text("🎉" * 300))
    assert title.endswith(f"🎉… · {GIST_ID}")
    assert 254 <= characters(title) <= 255


def test_an_id_longer_than_any_known_one_still_stays() -> None:
    gist_id = "e" * 250
    assert titled(f'title = "{"y" * 100} {{id}}"', gist_id=gist_id) == gist_id


def test_beside_a_short_id_nothing_in_a_title_looks_like_a_long_one() -> None:
    assert titled(TITLE, Text(f"see {'ab' * 20}"), gist_id="4283721") == "see … · 4283721"
    assert titled(TITLE, Text(f"see {'ab' * 20}")) == f"see {'ab' * 20} · {GIST_ID}"


# --- fields -----------------------------------------------------------------------------------------------------------


def test_a_value_is_cut_to_its_fields_length_and_the_id_never() -> None:
    assert filled("{description}", 9) == "Notes on…"
    assert filled("{description}\n{files}", 30) == "Notes on bird songs\nbirds.md…"
    assert filled("{description}\n{files}", 15) == "Notes on bird…"
    assert filled("see {id}: {description}", 45) == f"see {GIST_ID}: Notes…"
    assert filled("see {id}", 33) == GIST_ID
    assert filled("abcdef", 3) == "ab…"


def test_what_would_be_empty_is_not_sent() -> None:
    assert filled("{description}", text=Text()) is None
    assert filled(" {files} ", text=None) is None


def test_what_is_not_known_is_empty() -> None:
    ids = Ids(organization=OrganizationIds(fields={"Account": Field("a1", 255)}))
    made = shape("[organization.fields]\nAccount = '{owner_id}'", ids)
    assert organization(made, "Ada", None, GITHUB) == {"name": "Ada"}
