"""The template of a deal, read from TOML: whatever is wrong is one clear line, as far as it shows without Pipedrive."""

import pytest

from pipetest.config.deals import template
from pipetest.domain.template import OrganizationTemplate, Pattern, Template

EXAMPLE = """
title    = "{description} · {id}"
pipeline = "Community"
stage    = "New"
owner    = "anna@example.com"
labels   = ["gist", 7]

[fields]
"Gist id" = " {id} "
"About"   = "{description}\\n{files}"

[organization]
owner = 3
[organization.fields]
"GitHub" = "{{{profile_url}}}"
"""

STAMPED = '[fields]\n"Gist id" = "{id}"\n'


def refusal(text: str) -> str:
    with pytest.raises(ValueError, match="expected") as refused:
        template(text)
    assert len(str(refused.value).splitlines()) == 1
    return str(refused.value)


def test_a_template_is_read_as_it_is_written() -> None:
    assert template(EXAMPLE).value == Template(
        title=Pattern((("", "description"), (" · ", "id"))),
        pipeline="Community",
        stage="New",
        owner="anna@example.com",
        labels=("gist", 7),
        fields={"Gist id": Pattern((("", "id"),)), "About": Pattern((("", "description"), ("\n", "files")))},
        organization=OrganizationTemplate(3, {"GitHub": Pattern((("{", None), ("", "profile_url"), ("}", None)))}),
    )


def test_an_empty_one_is_the_gists_id_and_nothing_else() -> None:
    assert template("").value == Template()
    assert not Template().has_names
    assert not Template().needs_text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title =", "expected TOML with texts in straight quotes: Invalid value"),
        ("title = {id}", "expected TOML with texts in straight quotes: Expected"),
        ("deals.toml", "expected TOML and not a path, which PIPETEST_DEALS_FILE takes"),
        ("x = " + "[" * 5000, "expected TOML without lists in lists"),
        ("pipeline = " + "9" * 5000, "expected TOML with texts in straight quotes: Exceeds the limit"),
        ("title = '{id}' #" + "x" * 20_000, "expected at most 20,000 characters"),
        ("titel = '{id}'", "titel: expected one of title, pipeline, stage, owner, labels, fields, organization"),
        ("organization.name = 'x'", "organization.name: expected one of owner, fields"),
        ('"a\\nb" = 1', r"a\nb: expected one of title"),
        ("title = 5", "title: expected a text, got a number"),
        ("pipeline = 1.5", "pipeline: expected a name or a number, got a decimal"),
        ("owner = true", "owner: expected a name or a number, got true or false"),
        ("owner = ' '", "owner: expected a text that is not blank"),
        ("owner = 2026-01-01", "owner: expected a name or a number, got date"),
        ("stage = 0", "stage: expected a number >= 1"),
        ("labels = 'gist'", "labels: expected a list, got a text"),
        ("labels = ['gist', []]", "labels[1]: expected a name or a number, got a list"),
        ("fields = 5", "fields: expected a table, got a number"),
        ("[fields]\nA = 5", "fields.A: expected a text with placeholders"),
        ("[fields]\nA = 'x'\n' a ' = 'y'", "fields. a : expected each field once"),
        ('[fields]\nA = "x\\u0000"', "fields.A: expected a text without control characters"),
        (
            "[fields]\nA = '{profile_url}'",
            "fields.A: expected a placeholder of {id} {user} {description}",
        ),
        ("[organization.fields]\nA = '{id}'", "organization.fields.A: expected a placeholder of {user} {profile_url}"),
        ("[fields]\nA = '{id:>9}'", "fields.A: expected a placeholder"),
        ("[fields]\nA = 'if (x) {'", "fields.A: expected {{ and }} for braces"),
        ("title = ''", "title: expected one line of text"),
        ('title = "a\\n{id}"', "title: expected one line of text"),
        (f"title = '{'x' * 230} {{id}}'", "title: expected at most 255 characters"),
        ("stage = 'New'", "stage: expected the pipeline of the stage 'New' as well, or the stage's id"),
    ],
)
def test_what_is_wrong_is_named_with_what_was_expected(text: str, said: str) -> None:
    assert refusal(text).startswith(said)


@pytest.mark.parametrize("wrong", ["{id!r}", "{id:>40}", "{Id}", "{}"])
def test_a_wrong_placeholder_is_told_as_it_was_written(wrong: str) -> None:
    assert refusal(f"title = '{wrong}'").endswith(f"got {wrong}")


@pytest.mark.parametrize(
    "title", ["{description}", "{id} {description}", "#{id}", "{user}{id}", "gist{id}", "{id}.", "({id})", "{id}{{"]
)
def test_without_a_stamp_the_id_is_the_last_word_of_the_title(title: str) -> None:
    assert "{id} as the last word of the title, or alone in one of [fields]" in refusal(f"title = '{title}'")
    assert template(f"title = '{title}'\n{STAMPED}").value.fields["Gist id"].is_id_alone
    assert "as the last word" in refusal(f"title = '{title}'\n[fields]\n'Gist id' = 'gist {{id}}'")


@pytest.mark.parametrize("title", ["{id}", " {id} ", "{description} {id}", "{user}: {{x}} {id}"])
def test_an_id_that_ends_the_title_needs_no_stamp(title: str) -> None:
    assert template(f"title = '{title}'").value.title.ends_with_id


def test_a_stage_by_its_id_needs_no_pipeline() -> None:
    assert template("stage = 3").value.stage == 3


def test_whether_text_is_needed_and_names_are_looked_up_depends_on_what_is_in_it() -> None:
    assert template("title = '{description} {id}'").value.needs_text
    assert template(f"{STAMPED}About = '{{files}}'").value.needs_text
    assert not template(f"{STAMPED}About = '{{url}} {{created}}'").value.needs_text
    assert not template("title = '{description} {id}'").value.has_names
    assert template("stage = 3").value.has_names
    assert template("[organization]\nowner = 'Anna'").value.has_names


def test_the_digest_tells_templates_apart_and_is_the_same_in_every_process() -> None:
    assert template(EXAMPLE).value.digest == template(EXAMPLE).value.digest == "ec28bd79cae6ffd0"
    assert template(EXAMPLE.replace("New", "Old")).value.digest != template(EXAMPLE).value.digest
