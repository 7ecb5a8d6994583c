"""What a start says about its settings."""

import pytest

from pipetest.config.advice import summary, warnings
from pipetest.config.settings import VARIABLES, load

KEY = {"PIPETEST_PIEPEDRIVE_API_KEY": "k3y", "PIPETEST_PIEPEDRIVE_COMPANY_NAME": "acme"}


def said(**variables: str) -> list[str]:
    environ = {**KEY, **variables}
    return list(warnings(load(environ), environ))


@pytest.mark.parametrize(
    ("unknown", "meant"),
    [
        ("PIPETEST_QUERIED_USER", "PIPETEST_QUERIED_USERS"),
        ("PIPETEST_QUERIED_USERES", "PIPETEST_QUERIED_USERS"),
        ("PIPETEST_COMPANY_NAME", "PIPETEST_PIPEDRIVE_COMPANY_NAME"),
        ("PIPETEST_GITHUB_TOKEN_FIL", "PIPETEST_GITHUB_TOKEN_FILE"),
        ("pipetest_dry_run", "PIPETEST_DRY_RUN"),
        ("PIPETEST_SERVICE_HOSTS", None),
        ("PIPETEST_PORT", None),
    ],
)
def test_an_unknown_variable_is_named_with_the_one_it_resembles(unknown: str, meant: str | None) -> None:
    (line,) = said(**{unknown: "8080"})
    assert line.startswith(f"{unknown} is not a setting of pipetest and is ignored")
    assert meant is None or line.endswith(f"; did you mean {meant}?")


def test_no_warning_shows_the_value_of_an_unknown_variable() -> None:
    assert "hush" not in said(PIPETEST_PIPEDRIVE_KEY="hush")[0]


def test_no_known_variable_is_called_unknown() -> None:
    known = {name: "" for variable in VARIABLES for name in variable.names}
    assert said(**{name: value for name, value in known.items() if name not in KEY}) == []


@pytest.mark.parametrize("service", ["PIPETEST", "PIPETEST_WEB"])
def test_what_kubernetes_sets_by_itself_is_not_called_unknown(service: str) -> None:
    names = ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT_8080_TCP", "PORT_8080_TCP_PROTO")
    more = ("PORT_8080_TCP_PORT", "PORT_8080_TCP_ADDR", "PORT_53_UDP")
    set_by_it = {f"{service}_{name}": "10.0.0.1" for name in (*names, *more)}
    assert said(**set_by_it, **{f"{service}_PORT": "tcp://10.0.0.1:8080"}) == []


@pytest.mark.parametrize("company", [{}, {"PIPETEST_PIEPEDRIVE_COMPANY_NAME": "antonsawesomecompany"}])
def test_that_the_key_would_go_to_the_default_company_is_said(company: dict[str, str]) -> None:
    environ = {"PIPETEST_PIEPEDRIVE_API_KEY": "k3y", **company}
    (line,) = warnings(load(environ), environ)
    assert "antonsawesomecompany" in line
    assert "PIPETEST_PIEPEDRIVE_COMPANY_NAME" in line


def test_where_the_key_goes_elsewhere_the_default_company_is_no_matter() -> None:
    environ = {"PIPETEST_PIEPEDRIVE_API_KEY": "k3y", "PIPETEST_PIPEDRIVE_URL": "http://127.0.0.1:1"}
    assert list(warnings(load(environ), environ)) == []


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_that_a_proxy_is_not_used_is_said_without_its_password(name: str) -> None:
    (line,) = said(**{name: "http://ada:hush@proxy:3128"})
    assert line == f"{name} is not used: GitHub and Pipedrive are asked directly"


def test_the_start_line_tells_what_was_started() -> None:
    settings = load({**KEY, "PIPETEST_QUERIED_USERS": "ada,grace", "PIPETEST_DRY_RUN": "yes"})
    assert summary(settings, "1.2.3") == (
        "pipetest 1.2.3: company acme, 2 users every 30 min, database tinydb:db/db.json, dry run: nothing is created"
    )


@pytest.mark.parametrize(
    ("users", "said"),
    [
        ("ada", "1 user every"),
        ("ada org:acme", "1 user and 1 list every"),
        ("ada bob org:acme following:ada", "2 users and 2 lists every"),
        ("org:acme", "1 list every"),
    ],
)
def test_the_start_line_counts_users_and_lists(users: str, said: str) -> None:
    assert said in summary(load({**KEY, "PIPETEST_QUERIED_USERS": users, "PIPETEST_BACKFILL": "none"}), "1.2.3")


def test_the_start_line_shows_no_password() -> None:
    settings = load({**KEY, "PIPETEST_DATABASE_URL": "postgresql://ada:hush@db/pipetest"})
    assert summary(settings, "1.2.3") == "pipetest 1.2.3: company acme, 1 user every 30 min, database PostgreSQL"


def test_more_users_than_github_allows_are_told_with_what_to_change() -> None:
    (line,) = said(PIPETEST_QUERIED_USERS=",".join(f"u{n}" for n in range(100)))
    assert "GitHub allows 60: set PIPETEST_GITHUB_TOKEN" in line
