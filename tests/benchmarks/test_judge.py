"""The judge of the duel counts what was made twice, and what is missing."""

from typing import Any

from benchmarks.support.judge import Verdict, judge

GISTS = {"ada": ["a1", "a2", "a3"], "bela": ["b1"], "stranger": ["s1", "s2"]}


def state(deals: list[str], organizations: list[str], **statuses: int) -> dict[str, Any]:
    """As the sandbox's control port shows it."""
    return {
        "gists": GISTS,
        "deals": [{"title": title} for title in deals],
        "organizations": [{"name": name} for name in organizations],
        "statuses": {"GitHub": {"200": 3}, "Pipedrive": {"200": 5, **statuses}},
    }


def test_one_deal_for_each_gist_and_one_organization_for_each_user_is_neither_double_nor_missing() -> None:
    told = state(["a1", "a2", "a3", "b1"], ["ada", "bela"])
    assert judge(told, ["ada", "bela"]) == Verdict(gists=4)


def test_each_deal_and_each_organization_after_the_first_is_a_double() -> None:
    told = state(["a1", "a1", "a1", "a2", "a3", "b1", "b1"], ["ada", "bela", "bela"])
    assert judge(told, ["ada", "bela"]) == Verdict(gists=4, doubles=2 + 1 + 1)


def test_a_gist_without_a_deal_is_missing_and_a_double_of_another_does_not_make_up_for_it() -> None:
    told = state(["a1", "a1", "b1"], ["ada", "bela"])
    assert judge(told, ["ada", "bela"]) == Verdict(gists=4, doubles=1, missing=2)


def test_gists_of_users_whom_nobody_follows_and_deals_of_no_gist_do_not_count() -> None:
    told = state(["b1", "s1", "s1", "call back", "call back"], ["bela", "stranger", "stranger"])
    assert judge(told, ["bela"]) == Verdict(gists=1)


def test_requests_refused_by_either_service_are_counted() -> None:
    told = state(["b1"], ["bela"], **{"429": 7})
    told["statuses"]["GitHub"]["429"] = 2
    assert judge(told, ["bela"]).refused == 9


def test_verdicts_of_several_trials_add_up() -> None:
    assert Verdict(4, 1, 2, 3) + Verdict(10, 20, 30, 40) == Verdict(14, 21, 32, 43)
