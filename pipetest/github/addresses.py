"""Where people find what the API tells of. Pure."""

from urllib.parse import urlsplit

from pipetest.domain.template import GITHUB, Addresses


def addresses_of(root: str) -> Addresses:
    """Of the API at ``root``: GitHub has a host for gists, GitHub Enterprise a folder."""
    url = urlsplit(root)
    if url.hostname == "api.github.com":
        return GITHUB
    host = f"{url.scheme}://{url.netloc}/"
    return Addresses(f"{host}gist/", host)
