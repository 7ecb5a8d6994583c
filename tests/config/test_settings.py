"""The environment becomes settings, or one clear line."""

import os
import re
from collections.abc import Mapping
from ipaddress import ip_network
from math import inf
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetest.config.parsers import Backfill, PostgresDatabase, TinyDatabase
from pipetest.config.settings import VARIABLES, Settings, Variable, digests, load
from pipetest.domain.errors import ConfigError
from pipetest.domain.model import Secret, UserList
from pipetest.domain.template import CurrentTemplate, Template

KEY = {"PIPETEST_PIEPEDRIVE_API_KEY": "k3y"}
SECRETS = [variable.name for variable in VARIABLES if variable.secret]


def loaded(**variables: str) -> Settings:
    return load({**KEY, **{f"PIPETEST_{name}": value for name, value in variables.items()}})


def error(environ: Mapping[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        load(environ)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def refusal(name: str, value: str) -> str:
    """The error of one wrong value. It names the variable."""
    text = error({**KEY, f"PIPETEST_{name}": value})
    assert text.startswith(f"PIPETEST_{name}: expected ")
    return text


def test_a_key_is_all_that_is_needed() -> None:
    assert loaded() == Settings(
        company_name="antonsawesomecompany",
        api_key=Secret("k3y"),
        queried_users=("antomer",),
        queried_users_file=None,
        backfill=Backfill(-inf, chosen=False),
        deals=CurrentTemplate(Template()),
        querying_interval=1800.0,
        github_token=None,
        github_url="https://api.github.com",
        pipedrive_url="https://antonsawesomecompany.pipedrive.com",
        database=TinyDatabase(Path("db/db.json")),
        listen=("tcp:8080:interface=127.0.0.1",),
        session_lifetime=365 * 86400.0,
        settle_time=60.0,
        daily_tokens=None,
        reserve=0.2,
        dry_run=False,
        admin_token=None,
        heartbeat_url=None,
        notify=None,
        log_format="text",
        trusted_proxies=(),
        hosts=(),
    )


def test_every_setting_has_its_row_in_the_table() -> None:
    assert [variable.field for variable in VARIABLES] == list(Settings.__struct_fields__)


def test_without_a_key_the_error_says_how_to_give_one() -> None:
    assert error({}) == (
        "PIPETEST_PIEPEDRIVE_API_KEY is not set: expected API key of Pipedrive (Personal preferences, API), "
        "or its file's path in PIPETEST_PIEPEDRIVE_API_KEY_FILE"
    )


def test_the_names_with_pipedrive_have_two_spellings() -> None:
    spellings = [set(variable.spellings) for variable in VARIABLES if len(variable.spellings) > 1]
    assert spellings == [
        {f"PIPETEST_PIPEDRIVE_{rest}", f"PIPETEST_PIEPEDRIVE_{rest}"}
        for rest in ("COMPANY_NAME", "API_KEY", "URL", "DAILY_TOKENS", "RESERVE")
    ]


def test_either_spelling_does() -> None:
    assert load({"PIPETEST_PIPEDRIVE_API_KEY": "other"}).api_key == Secret("other")
    assert loaded(PIEPEDRIVE_RESERVE="0").reserve == 0.0
    assert loaded(PIPEDRIVE_COMPANY_NAME="acme").pipedrive_url == "https://acme.pipedrive.com"


def test_two_spellings_may_agree() -> None:
    assert load({**KEY, "PIPETEST_PIPEDRIVE_API_KEY": "k3y"}).api_key == Secret("k3y")


def test_two_spellings_that_disagree_are_an_error_that_shows_neither_value() -> None:
    assert error({**KEY, "PIPETEST_PIPEDRIVE_API_KEY": "other"}) == (
        "PIPETEST_PIEPEDRIVE_API_KEY and PIPETEST_PIPEDRIVE_API_KEY disagree: set only one of them"
    )


@pytest.mark.parametrize("nothing", ["", "  ", "\n"])
def test_set_to_nothing_is_not_set(nothing: str) -> None:
    assert load({**KEY, **{v.name: nothing for v in VARIABLES if not v.required}}) == loaded()
    assert "is not set" in error({"PIPETEST_PIEPEDRIVE_API_KEY": nothing})


IN_FILES = {
    "PIPETEST_PIEPEDRIVE_API_KEY": "another",
    "PIPETEST_DEALS": 'title = "{description} · {id}"\nstage = 4\n',
    "PIPETEST_GITHUB_TOKEN": "ghp_0123",
    "PIPETEST_DATABASE_URL": "postgresql://u:secret@db/x",
    "PIPETEST_ADMIN_TOKEN": "open-sesame-open-sesame",
    "PIPETEST_HEARTBEAT_URL": "https://host/secret",
    "PIPETEST_NOTIFY": "mailto://u:secret@host\nntfy://secret",
}
"""What a file may hold in place of each variable that can name one."""


@pytest.mark.parametrize("name", IN_FILES)
def test_secrets_and_texts_of_many_lines_can_be_read_from_a_file(name: str, tmp_path: Path) -> None:
    text = IN_FILES[name]
    (tmp_path / "file").write_text(f"{text}\n", encoding="utf-8")
    (variable,) = (variable for variable in VARIABLES if variable.name == name)
    others = {} if variable.required else KEY
    for spelling in variable.spellings:
        read = load({**others, f"{spelling}_FILE": str(tmp_path / "file")})
        assert read == load({**others, spelling: text}) != loaded()


def test_no_other_setting_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("7", encoding="utf-8")
    others = [variable for variable in VARIABLES if variable.name not in {*IN_FILES, "PIPETEST_QUERIED_USERS"}]
    assert load({**KEY, **{f"{variable.name}_FILE": str(tmp_path / "file") for variable in others}}) == loaded()


def test_a_file_and_a_value_that_disagree_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("other", encoding="utf-8")
    assert "disagree" in error({**KEY, "PIPETEST_PIPEDRIVE_API_KEY_FILE": str(path)})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    assert error({"PIPETEST_PIPEDRIVE_API_KEY_FILE": missing}) == (
        f"PIPETEST_PIPEDRIVE_API_KEY_FILE: cannot read '{missing}': No such file or directory"
    )


def test_a_folder_in_the_place_of_a_file_is_named_and_holds_no_descriptor(tmp_path: Path) -> None:
    before = len([*Path("/proc/self/fd").iterdir()])
    for _ in range(3):
        assert "Is a directory" in error({"PIPETEST_PIPEDRIVE_API_KEY_FILE": str(tmp_path)})
    assert len([*Path("/proc/self/fd").iterdir()]) == before


def test_a_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"\xff\xfe")
    assert "expected the path of a text file" in error({"PIPETEST_PIPEDRIVE_API_KEY_FILE": str(path)})


def test_users_are_trimmed_and_repeats_dropped_with_the_first_spelling_kept() -> None:
    assert loaded(QUERIED_USERS=" Ada,bob-2 ,, ADA,cy_corp,").queried_users == ("Ada", "bob-2", "cy_corp")


@pytest.mark.parametrize("between", [",", " ", "\n", "\r\n", "\t,\n "])
def test_users_stand_between_commas_blanks_or_newlines(between: str) -> None:
    assert loaded(QUERIED_USERS=between.join(["ada", "bob"])).queried_users == ("ada", "bob")


@pytest.mark.parametrize("written", ["ada", "@ada", "https://github.com/ada", "https://github.com/ada/"])
def test_a_user_may_be_written_as_people_find_the_name(written: str) -> None:
    assert loaded(QUERIED_USERS=f"{written},bob").queried_users == ("ada", "bob")


def test_lists_are_named_by_whom_they_belong_to() -> None:
    assert loaded(QUERIED_USERS="following:Ada org:acme ada ORG:Acme", BACKFILL="all").queried_users == (
        UserList("following", "Ada"),
        UserList("org", "acme"),
        "ada",
    )


@pytest.mark.parametrize(
    "entry", ["following:", "org:", "team:acme", "http://github.com/ada", "https://github.com/ada/gists", "@", "ada/"]
)
def test_what_is_neither_a_name_nor_a_list_is_shown(entry: str) -> None:
    assert repr(entry) in refusal("QUERIED_USERS", f"bob,{entry}")


def users_file(folder: Path, content: bytes) -> dict[str, str]:
    path = folder / "users"
    path.write_bytes(content)
    return {**KEY, "PIPETEST_QUERIED_USERS_FILE": str(path)}


def test_users_can_be_read_from_a_file_with_comments_and_any_line_ends(tmp_path: Path) -> None:
    environ = {"PIPETEST_BACKFILL": "none"} | users_file(
        tmp_path, b"\xef\xbb\xbf# all of us, bob too\r\nada # the first\r\n\r\n@bob\norg:acme#\n"
    )
    settings = load(environ)
    assert settings.queried_users == ("ada", "bob", UserList("org", "acme"))
    assert settings.queried_users_file == tmp_path / "users"


@pytest.mark.parametrize("content", [b"", b"# nobody\n", b"ada\nb/d\n", b"\xff\xfe", b"ada\nfollowing:\n"])
def test_a_file_of_users_that_is_wrong_is_an_error_at_the_start(content: bytes, tmp_path: Path) -> None:
    assert error(users_file(tmp_path, content)).startswith("PIPETEST_QUERIED_USERS_FILE: ")


def test_a_file_of_users_that_is_endless_is_an_error() -> None:
    assert "expected the path of a text file" in error({**KEY, "PIPETEST_QUERIED_USERS_FILE": "/dev/zero"})


def test_a_named_pipe_that_nobody_writes_to_is_an_empty_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "users")
    environ = {**KEY, "PIPETEST_QUERIED_USERS_FILE": str(tmp_path / "users")}
    assert "at least one" in error(environ)


def test_users_and_a_file_of_users_are_not_both_given(tmp_path: Path) -> None:
    environ = users_file(tmp_path, b"ada")
    assert error({**environ, "PIPETEST_QUERIED_USERS": "ada"}).endswith("are both set: set only one of them")


@pytest.mark.parametrize(
    ("value", "since"), [("all", -inf), ("None", inf), ("1970-01-02", 86400.0), ("2026-11-27", 1_795_737_600.0)]
)
def test_a_backfill_is_all_none_or_begins_with_a_day(value: str, since: float) -> None:
    assert loaded(BACKFILL=value).backfill == Backfill(since)


@pytest.mark.parametrize("value", ["some", "2026-02-30", "2026-1-1", "27.11.2026", "2026-11-27T00:00", "20261127", "0"])
def test_a_backfill_that_is_no_day_is_an_error(value: str) -> None:
    refusal("BACKFILL", value)


@pytest.mark.parametrize("users", ["ada following:bob", "org:acme"])
def test_with_a_list_of_users_somebody_has_to_choose_the_backfill(users: str, tmp_path: Path) -> None:
    for environ in (KEY | {"PIPETEST_QUERIED_USERS": users}, users_file(tmp_path, users.encode())):
        assert error(environ).startswith("PIPETEST_BACKFILL is not set: ")
        assert load({**environ, "PIPETEST_BACKFILL": "all"}).backfill.chosen


def test_what_is_in_a_file_of_users_makes_no_difference_between_instances(tmp_path: Path) -> None:
    before = digests(load(users_file(tmp_path, b"ada")))
    assert digests(load(users_file(tmp_path, b"bob"))) == before
    assert digests(loaded(QUERIED_USERS="ada")) != digests(loaded(QUERIED_USERS="bob"))


@pytest.mark.parametrize("value", [",", " , ,"])
def test_a_user_list_without_a_name_is_an_error(value: str) -> None:
    refusal("QUERIED_USERS", value)


@pytest.mark.parametrize("name", ["a:b", "a/b", "a" * 40, "é", "../x", "\N{LATIN SMALL LETTER DOTLESS I}"])
def test_a_name_that_github_would_not_give_is_shown(name: str) -> None:
    assert repr(name) in refusal("QUERIED_USERS", f"ada,{name}")


@pytest.mark.parametrize(("value", "seconds"), [("30", 1800), ("0.01", 0.6), (".5", 30), ("1.", 60), ("1440", 86400)])
def test_the_interval_is_kept_as_given(value: str, seconds: float) -> None:
    assert loaded(QUERYING_INTERVAL=value).querying_interval == seconds


@pytest.mark.parametrize("name", ["QUERYING_INTERVAL", "SETTLE_TIME", "SESSION_LIFETIME"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "1e3", "1_0", "ten", "9" * 400, "٣", "."])
def test_a_time_is_a_decimal_above_zero(name: str, value: str) -> None:
    refusal(name, value)


def test_days_and_seconds_are_read_as_such() -> None:
    settings = loaded(SESSION_LIFETIME="0.5", SETTLE_TIME="2.5")
    assert (settings.session_lifetime, settings.settle_time) == (43200.0, 2.5)


@pytest.mark.parametrize(
    ("given", "root"),
    [
        ("https://ghe.example/api/v3/", "https://ghe.example/api/v3"),
        ("https://GHE.example:8443", "https://ghe.example:8443"),
        ("https://crm_1.internal.", "https://crm_1.internal."),
        ("https://10.0.0.1", "https://10.0.0.1"),
        ("https://[fd00::1]:8443/x", "https://[fd00::1]:8443/x"),
        ("http://127.0.0.1:8081", "http://127.0.0.1:8081"),
        ("http://[::1]:8081/", "http://[::1]:8081"),
        ("http://localhost:8081", "http://localhost:8081"),
    ],
)
def test_a_root_has_no_slash_at_its_end(given: str, root: str) -> None:
    settings = loaded(GITHUB_URL=given, PIPEDRIVE_URL=given)
    assert (settings.github_url, settings.pipedrive_url) == (root, root)


@pytest.mark.parametrize("name", ["GITHUB_URL", "PIPEDRIVE_URL", "HEARTBEAT_URL"])
@pytest.mark.parametrize(
    "value",
    [
        "http://api.github.com",
        "http://localhost.example",
        "ftp://127.0.0.1",
        "api.github.com",
        "https://",
        "https://.",
        "https://api..github.com",
        "https://-host",
        "https://host-.example",
        "https://ho$t",
        "https://1.2.3.999",
        "https://[1.2.3.4]",
        f"https://{'x' * 64}.example",
        f"https://{'x.' * 130}example",
        "https://host:port",
        "https://host:99999",
        "https://host:0",
        "https://ho st",
        "https://[host",
        "https://ada:hunter2@host",
        "https://höst",
    ],
)
def test_a_url_is_https_or_loopback_and_holds_no_password(name: str, value: str) -> None:
    assert "hunter2" not in refusal(name, value)


@pytest.mark.parametrize("value", ["https://host/?a=b", "https://host/#a", "https://host?"])
def test_a_root_has_no_query(value: str) -> None:
    refusal("GITHUB_URL", value)


def test_a_heartbeat_may_have_a_query_and_is_a_secret() -> None:
    url = "https://up.example/api/push/x?status=up"
    assert loaded(HEARTBEAT_URL=url).heartbeat_url == Secret(url)


@pytest.mark.parametrize("value", ["acme.example", "-acme", "acme-", "a/b", "a" * 64, "acme@x"])
def test_the_company_is_one_part_of_a_host_name(value: str) -> None:
    refusal("PIEPEDRIVE_COMPANY_NAME", value)


@pytest.mark.parametrize(
    "value",
    ["db.json", "tinydb:", "tinydb:/", "tinydb:.", "postgresql:x", "mysql://u:hunter2@host", "postgresql://a b"],
)
def test_a_database_is_tinydb_or_postgresql(value: str) -> None:
    assert "hunter2" not in refusal("DATABASE_URL", value)


def test_a_database_password_is_unprintable() -> None:
    settings = loaded(DATABASE_URL="postgresql://u:hunter2@db/pipetest")
    assert settings.database == PostgresDatabase(Secret("postgresql://u:hunter2@db/pipetest"))
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize("password", ["hunter@2", "hunt/er2", "hunt?er@2", "@hunter2", "hunter2@", "a@h/unter2"])
def test_a_database_password_that_would_be_taken_for_something_else_is_refused(password: str) -> None:
    """Part of it would be taken for the host, which is shown."""
    shown = refusal("DATABASE_URL", f"postgresql://u:{password}@127.0.0.1:1/db")
    assert "percent-encode" in shown
    assert not any(part in shown for part in ("hunt", "unter", "er2"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://db",
        "postgresql:///pipetest",
        "postgresql://u@db/pipetest",
        "postgresql://u:hunter%402%2F@db:5433/pipetest",
        "postgresql://u:hunt?er2:@db/pipetest",
        "postgresql://u:hunter2@one,two:5433,[::1]:5434/pipetest?connect_timeout=1&sslmode=verify-full",
        "postgresql://u@/pipetest?host=/var/run/postgresql",
        "postgresql://%2Fvar%2Frun%2Fpostgresql/pipetest",
        "postgresql://db/pipetest?user=u@example&sslrootcert=/etc/ssl/certs/db@root.pem",
    ],
)
def test_a_database_may_be_given_in_every_legal_way(url: str) -> None:
    assert loaded(DATABASE_URL=url).database == PostgresDatabase(Secret(url))


def test_a_database_path_is_kept_as_given() -> None:
    assert loaded(DATABASE_URL="tinydb:/var/lib/x y/db.json").database == TinyDatabase(Path("/var/lib/x y/db.json"))


@pytest.mark.parametrize("name", ["PIEPEDRIVE_API_KEY", "GITHUB_TOKEN", "ADMIN_TOKEN"])
@pytest.mark.parametrize("value", ["hunter2 hunter2", "hunter2\nhunter2", "hunter2\x00", "hünter2"])
def test_a_secret_with_blanks_or_control_characters_is_refused_unseen(name: str, value: str) -> None:
    assert "nter2" not in refusal(name, value)


@given(st.sampled_from(SECRETS), st.text(st.characters(categories=["C", "Z"]), min_size=1))
def test_no_error_shows_a_secret(name: str, blank: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load({**KEY, name: f"hunter2{blank}hunter2"})
    assert "hunter2" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(("value", "truth"), [("true", True), ("1", True), ("YES", True), ("off", False), ("0", False)])
def test_a_dry_run_is_switched_by_a_boolean(value: str, truth: bool) -> None:
    assert loaded(DRY_RUN=value).dry_run is truth


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DRY_RUN", "maybe"),
        ("LOG_FORMAT", "xml"),
        ("PIPEDRIVE_RESERVE", "100"),
        ("PIPEDRIVE_RESERVE", "-1"),
        ("PIPEDRIVE_RESERVE", "nan"),
        ("PIPEDRIVE_DAILY_TOKENS", "0"),
        ("PIPEDRIVE_DAILY_TOKENS", "1.5"),
        ("PIPEDRIVE_DAILY_TOKENS", "9" * 5000),
        ("TRUSTED_PROXIES", "proxy.example"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(name: str, value: str) -> None:
    refusal(name, value)


def test_proxies_are_addresses_or_networks() -> None:
    assert loaded(TRUSTED_PROXIES="10.1.2.3/8, ::1 192.0.2.1").trusted_proxies == (
        ip_network("10.0.0.0/8"),
        ip_network("::1/128"),
        ip_network("192.0.2.1/32"),
    )


def test_listen_descriptions_are_separated_by_blanks() -> None:
    assert loaded(LISTEN="tcp:8080  ssl:8443").listen == ("tcp:8080", "ssl:8443")


def test_quota_settings_are_numbers() -> None:
    settings = loaded(PIPEDRIVE_DAILY_TOKENS="5000", PIPEDRIVE_RESERVE="12.5")
    assert (settings.daily_tokens, settings.reserve) == (5000, 0.125)


# --- bounds, quotes and paths -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("QUERYING_INTERVAL", "43200"),
        ("SESSION_LIFETIME", "3650"),
        ("SETTLE_TIME", "86400"),
        ("PIPEDRIVE_DAILY_TOKENS", "1000000000"),
    ],
)
def test_numbers_have_an_upper_bound(name: str, most: str) -> None:
    loaded(**{name: most})
    for beyond in (f"{int(most) + 1}", "1000000000000", "9" * 400):
        text = refusal(name, beyond)
        assert f"at most {int(most):,}" in text
        assert len(text) < 200


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
@pytest.mark.parametrize("quote", ["'", '"'])
def test_quotes_that_env_file_keeps_are_named(variable: Variable, quote: str) -> None:
    text = error({**KEY, variable.name: f"{quote}hush{quote}"})
    assert text == f"{variable.name}: expected a value without quotes around it, which --env-file keeps: remove them"


def test_quotes_in_a_file_are_named_too(tmp_path: Path) -> None:
    (tmp_path / "key").write_text('"hush"\n', encoding="utf-8")
    text = error({"PIPETEST_PIPEDRIVE_API_KEY_FILE": str(tmp_path / "key")})
    assert text.startswith("PIPETEST_PIPEDRIVE_API_KEY_FILE: expected a value without quotes")
    assert "hush" not in text


def test_a_tilde_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "key").write_text("k3y", encoding="utf-8")
    assert loaded(DATABASE_URL="tinydb:~/x/db.json").database == TinyDatabase(tmp_path / "x" / "db.json")
    assert load({"PIPETEST_PIPEDRIVE_API_KEY_FILE": "~/key"}).api_key == Secret("k3y")


@pytest.mark.parametrize("path", ["$HOME/db.json", "${HOME}/db.json", "~nobody-has-this-name/db.json"])
def test_a_path_that_was_to_be_expanded_elsewhere_is_refused(path: str) -> None:
    assert "write it out" in refusal("DATABASE_URL", f"tinydb:{path}")


# --- what instances of one database compare ---------------------------------------------------------------------------


def test_each_setting_of_the_work_that_differs_shows_in_its_digest_alone() -> None:
    work = {
        "PIPETEST_QUERIED_USERS": "bob",
        "PIPETEST_DRY_RUN": "true",
        "PIPETEST_PIEPEDRIVE_API_KEY": "another-key",
        "PIPETEST_GITHUB_TOKEN": "token",
    }
    before = digests(load(KEY))
    for name, value in work.items():
        after = digests(load({**KEY, name: value}))
        assert {other for other in before if before[other] != after[other]} == {name}


def test_instances_may_serve_each_in_its_own_way() -> None:
    serving = {
        "PIPETEST_LISTEN": "tcp:1",
        "PIPETEST_SESSION_LIFETIME": "1",
        "PIPETEST_ADMIN_TOKEN": "a" * 16,
        "PIPETEST_LOG_FORMAT": "json",
        "PIPETEST_HOSTS": "pipetest.example",
        "PIPETEST_TRUSTED_PROXIES": "10.0.0.1",
        "PIPETEST_DATABASE_URL": "postgresql://db/pipetest",
    }
    assert digests(load({**KEY, **serving})) == digests(load(KEY))


def test_a_digest_tells_no_secret() -> None:
    told = digests(load(KEY))["PIPETEST_PIEPEDRIVE_API_KEY"]
    assert re.fullmatch("[0-9a-f]{8}", told)


@pytest.mark.parametrize("text", ["mailto://u:s3cr3t@host  ntfy://host/topic", "ntfy://host/a\nslack://s3cr3t/B/x"])
def test_notices_go_to_any_number_of_receivers(text: str) -> None:
    assert loaded(NOTIFY=text).notify == Secret(" ".join(text.split()))


@pytest.mark.parametrize("text", ["s3cr3t", "ntfy://host s3cr3t", "://s3cr3t", "ntfy://"])
def test_what_is_no_receiver_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ConfigError, match="PIPETEST_NOTIFY: expected Apprise URLs") as refused:
        loaded(NOTIFY=text)
    assert "s3cr3t" not in str(refused.value)
