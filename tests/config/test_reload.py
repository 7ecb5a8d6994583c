"""What SIGHUP reads again takes the place of what was read before, or nothing does."""

from pathlib import Path

import pytest

from pipetest.config.reload import renew
from pipetest.config.settings import digests, load
from pipetest.domain.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "deals.toml"
    file.write_text("title = '{user} {id}'", encoding="utf-8")
    return file


def test_whoever_has_the_template_has_the_new_one(file: Path) -> None:
    environ = {"PIPETEST_PIEPEDRIVE_API_KEY": "k3y", "PIPETEST_DEALS_FILE": str(file)}
    settings = load(environ)
    held, before = settings.deals, digests(settings)["PIPETEST_DEALS"]
    file.write_text("title = '{created} {id}'", encoding="utf-8")
    renew(settings, environ)
    assert held == load(environ).deals
    assert digests(settings)["PIPETEST_DEALS"] == digests(load(environ))["PIPETEST_DEALS"] != before


def test_a_template_that_is_wrong_is_named_and_the_one_before_stays(file: Path) -> None:
    environ = {"PIPETEST_PIEPEDRIVE_API_KEY": "k3y", "PIPETEST_DEALS_FILE": str(file)}
    settings = load(environ)
    before = settings.deals.value
    file.write_text("titel = '{id}'", encoding="utf-8")
    with pytest.raises(ConfigError, match="PIPETEST_DEALS_FILE: titel: expected one of title"):
        renew(settings, environ)
    assert settings.deals.value == before


@pytest.mark.parametrize(("before", "after"), [("t0ken", ""), ("", "t0ken")])
def test_a_secret_that_was_removed_or_added_needs_a_restart_and_none_is_renewed(
    tmp_path: Path, before: str, after: str
) -> None:
    key, token = tmp_path / "key", tmp_path / "token"
    key.write_text("k3y", encoding="utf-8")
    token.write_text(before, encoding="utf-8")
    environ = {"PIPETEST_PIEPEDRIVE_API_KEY_FILE": str(key), "PIPETEST_GITHUB_TOKEN_FILE": str(token)}
    settings = load(environ)
    key.write_text("an0ther", encoding="utf-8")
    token.write_text(after, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"PIPETEST_GITHUB_TOKEN: .* restart"):
        renew(settings, environ)
    assert settings.api_key.reveal() == "k3y"
