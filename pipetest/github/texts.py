"""A gist's description and file names, as they can be stored anywhere and shown on one line. Pure.

Source of what is said about GitHub here: its REST API documentation (gists).
"""

import re

from msgspec import Raw

from pipetest.domain.model import Text
from pipetest.http.bodies import keys_of, text_of

LONGEST = 500
"""Characters of a gist's text in all."""

_UNPRINTABLE = re.compile("[\0-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Controls, line ends, marks that turn the direction of writing, and halves of surrogates. What joins characters, as in
emoji, stays."""


def gist_text(description: Raw, files: Raw) -> Text:
    """``description`` is a text or null; ``files`` is an object with a key for each file's name. What is anything else
    counts as empty. Of names that are too long together, those that fit are taken, in order."""
    shown = _line(text_of(description))[:LONGEST].rstrip()
    left, names = LONGEST - len(shown), list[str]()
    for name in map(_line, keys_of(files)):
        if 0 < len(name) <= left:
            names.append(name)
            left -= len(name)
    return Text(shown, tuple(names))


def _line(text: str) -> str:
    return " ".join(_UNPRINTABLE.sub(" ", text).split())
