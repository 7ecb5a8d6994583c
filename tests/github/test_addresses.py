"""Where people find what the API tells of."""

import pytest

from pipetest.domain.template import Addresses
from pipetest.github.addresses import addresses_of


@pytest.mark.parametrize(
    ("root", "addresses"),
    [
        ("https://api.github.com", Addresses("https://gist.github.com/", "https://github.com/")),
        (
            "https://github.acme.example/api/v3",
            Addresses("https://github.acme.example/gist/", "https://github.acme.example/"),
        ),
    ],
)
def test_people_are_led_to_where_gists_are_read(root: str, addresses: Addresses) -> None:
    assert addresses_of(root) == addresses
