"""More users than GitHub's requests an hour allow are told with what to change."""

from hypothesis import given
from hypothesis import strategies as st

from pipetest.config.github_quota import quota_shortage
from pipetest.config.settings import load


def warning(count: int, interval: str = "30", **more: str) -> str | None:
    users = ",".join(f"u{n}" for n in range(count))
    variables = {"PIPEDRIVE_API_KEY": "k3y", "QUERIED_USERS": users, "QUERYING_INTERVAL": interval, **more}
    settings = load({f"PIPETEST_{name}": value for name, value in variables.items()})
    short = quota_shortage(settings, len(settings.queried_users))
    return None if short is None else f"{short.text}: {short.remedy}"


def test_too_many_users_for_the_interval_bring_a_warning_with_the_numbers() -> None:
    assert warning(100) == (
        "to read 100 GitHub users every 30 min takes 200 requests an hour, GitHub allows 60: set "
        "PIPETEST_GITHUB_TOKEN, raise PIPETEST_QUERYING_INTERVAL to 100 or shorten PIPETEST_QUERIED_USERS"
    )


def test_with_a_token_the_bound_is_five_thousand() -> None:
    assert warning(100, GITHUB_TOKEN="t") is None
    text = warning(3000, GITHUB_TOKEN="t")
    assert text is not None
    assert "6,000 requests an hour, GitHub allows 5,000: raise PIPETEST_QUERYING_INTERVAL to 36 " in text


def test_with_a_token_the_warning_says_that_unchanged_lists_do_not_count() -> None:
    text = warning(3000, GITHUB_TOKEN="t")
    assert text is not None
    assert text.startswith("to read 3,000 GitHub users every 30 min takes up to 6,000 requests an hour")
    assert text.endswith("PIPETEST_QUERIED_USERS, unless enough lists stay unchanged: with a token those do not count")


def test_where_the_points_of_a_minute_do_not_suffice_it_is_told_how_long_reading_takes_and_what_is_done() -> None:
    text = warning(1000, interval="1", GITHUB_TOKEN="t")
    assert text is not None
    assert text.endswith("; to read everybody takes 2 minutes in any case, so GraphQL is asked who has changed")


def test_whoever_knows_what_lists_say_gives_the_number_of_users() -> None:
    settings = load(
        {"PIPETEST_PIPEDRIVE_API_KEY": "k3y", "PIPETEST_QUERIED_USERS": "org:acme", "PIPETEST_BACKFILL": "all"}
    )
    assert quota_shortage(settings, len(settings.queried_users)) is None
    short = quota_shortage(settings, 10_000)
    assert short is not None
    assert short.text.startswith("to read 10,000 GitHub users every 30 min takes 20,000 requests an hour")


def test_at_the_bound_there_is_no_warning() -> None:
    assert warning(30) is None


def test_a_server_of_ones_own_has_no_such_bound() -> None:
    assert warning(3000, GITHUB_URL="https://ghe.example/api/v3") is None


@given(st.integers(1, 500), st.sampled_from(["0.3", "1", "7", "30"]), st.booleans())
def test_following_the_warning_silences_it(count: int, interval: str, with_token: bool) -> None:
    token = {"GITHUB_TOKEN": "t"} if with_token else {}
    text = warning(count, interval, **token)
    if text is not None:
        advised = text.split("PIPETEST_QUERYING_INTERVAL to ")[1].split(" ")[0]
        assert warning(count, advised, **token) is None
