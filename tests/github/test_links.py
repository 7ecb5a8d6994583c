"""Where the next page is: as GitHub gives it, on the same origin, and never lost without a word of GitHub's."""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetest.domain.errors import Malformed
from pipetest.github.links import links, next_url

URL = "https://api.github.com/users/ada/gists?per_page=100"
NEXT = "https://api.github.com/user/7/gists?per_page=100&page=2"


@pytest.mark.parametrize(
    "link",
    [
        f'<{NEXT}>; rel="next", <{NEXT}0>; rel="last"',
        f'<{URL}>; rel="first", <{URL}>; rel="prev", <{NEXT}>; rel="next"',
        f"<{NEXT}>;rel=next",
        f"<{NEXT}> ; rel = next ;x=y",
        f'<{NEXT}>; title="x"; REL = "up Next"',
        f'<{NEXT}>; title="a, <b>; rel=last"; rel="next"',
        f'<{NEXT}>; rel="next"; rel="last"',
        f', ,<{NEXT}>; rel="next",',
        f'<{NEXT}>; rel="next", <{NEXT}0>; rel="next"',
        '</user/7/gists?per_page=100&page=2>; rel="next"',
        '<../../user/7/gists?per_page=100&page=2>; rel="next"',
        '<//api.github.com/user/7/gists?per_page=100&page=2>; rel="next"',
        f'<{NEXT}#fragment>; rel="next"',
    ],
)
def test_the_next_page_is_where_its_link_leads(link: str) -> None:
    assert next_url(link, URL, 100) == NEXT


def test_a_port_that_is_the_usual_one_may_be_named() -> None:
    named = f"https://api.github.com:443{NEXT.removeprefix('https://api.github.com')}"
    assert next_url(f'<{named}>; rel="next"', URL, 100) == named


@pytest.mark.parametrize(
    "link",
    [
        "",
        "x",
        f'<{NEXT}>; rel="last"',
        f'<{NEXT}>; rel="nextish"',
        f'<{NEXT}>; title="next"',
        f"<{NEXT}>",
        '"',
        "<",
        ">",
    ],
)
def test_without_a_next_link_a_list_ends_with_a_page_that_is_not_full(link: str) -> None:
    assert next_url(link, URL, 99) is None


@pytest.mark.parametrize("link", ["", "x", "<", f'<{NEXT}>; rel="last"', f"<{NEXT}>; rel=nextish", "<>; rel=last"])
@pytest.mark.parametrize(
    ("asked", "items", "following"),
    [
        (URL, 100, f"{URL}&page=2"),
        (URL, 101, f"{URL}&page=2"),
        (NEXT, 100, NEXT.replace("page=2", "page=3")),
        ("https://host/gists?page=9&per_page=30", 30, "https://host/gists?page=10&per_page=30"),
        ("https://host/gists", 30, "https://host/gists?page=2"),
        (f"https://host/gists?page={'9' * 5000}", 30, "https://host/gists?page=2"),
    ],
)
def test_a_full_page_without_a_next_link_is_followed_by_the_next(
    link: str, asked: str, items: int, following: str
) -> None:
    assert next_url(link, asked, items) == following


@pytest.mark.parametrize("relation", ["first", "prev"])
def test_a_full_page_whose_links_lead_back_alone_is_the_last(relation: str) -> None:
    assert next_url(f'<{URL}>; rel="{relation}"', NEXT, 100) is None


@pytest.mark.parametrize(
    "target",
    [
        "http://api.github.com/user/7/gists?page=2",
        "https://api.github.com:444/user/7/gists?page=2",
        "https://api.github.com.evil.example/user/7/gists?page=2",
        "https://api.github.com@evil.example/",
        "https://evil.example\\@api.github.com/",
        "https://evil.example/https://api.github.com/",
        "//evil.example/",
        "https://[",
        "https://api.github.com/gists page=2",
        "https://api.github.com/gísts",
        "https://api.github.com:port/",
        "",
    ],
)
def test_a_next_page_elsewhere_is_refused(target: str) -> None:
    with pytest.raises(Malformed, match=r"^GitHub: the next page is said to be on another server than the first$"):
        next_url(f'<{target}>; rel="next"', URL, 100)


@given(st.text(st.sampled_from('<>;,="\\ relnxt')))
def test_any_header_has_links_or_none(header: str) -> None:
    links(header)


@pytest.mark.parametrize("unit", ["<", ">", '"', ";", "=", "<a>;", ' rel="', " ", "\t", "rel=", '\\"', "<a", "; rel ="])
def test_a_large_header_is_read_in_no_time(unit: str) -> None:
    began = process_time()
    links("<a>; rel=" + unit * (2**18 // len(unit)) + "next")
    assert process_time() - began < 1.0
