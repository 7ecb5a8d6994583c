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
