"""What every store can hold. What is beyond that is refused before anything changes: no store holds what another
cannot, and no commit fails for one value among others. APIs' answers are checked before, where they are read.
"""

import re
from collections.abc import Iterable, Mapping

from pipetest.domain.errors import Unstorable
from pipetest.domain.model import LARGEST_INTEGER, Change, DealChange, Done, OrganizationChange, PassResult, State, Text

END_AT = 253_402_300_800.0
"""The year 10000."""

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""NUL, and half a surrogate."""


def check_result(result: PassResult) -> None:
    """
    :raises Unstorable: some of it cannot be stored.
    """
    _check_texts(result.user, result.etag, *(gist.id for gist in result.gists))
    _check_number(result.owner_id)
    _check_moments(result.read_to_end_at, *(gist.created_at for gist in result.gists))
    check_texts(gist.text for gist in result.gists)


def check_texts(texts: Iterable[Text | None]) -> None:
    """
    :raises Unstorable: one of them cannot be stored.
    """
    for text in texts:
        if text is not None:
            _check_texts(text.description, *text.files)


def check_changes(changes: Iterable[Change]) -> None:
    """
    :raises Unstorable: one of them cannot be stored.
    """
    for change in changes:
        match change:
            case DealChange(_, state):
                _check_state(state)
            case OrganizationChange(_, organization):
                _check_state(organization.state)
                _check_moments(organization.reconciled_at)


def check_deals(deals: Mapping[str, int]) -> None:
    """
    :raises Unstorable: one of them cannot be stored.
    """
    _check_texts(*deals)
    for deal_id in deals.values():
        _check_number(deal_id)


def _check_state(state: State) -> None:
    if isinstance(state, Done):
        _check_number(state.id)


def _check_texts(*texts: str | None) -> None:
    for text in texts:
        if text is not None and _UNSTORABLE.search(text):
            raise Unstorable(f"a text that no database can hold: {text[:40]!r}")


def _check_number(number: int | None) -> None:
    if number is not None and not -LARGEST_INTEGER <= number <= LARGEST_INTEGER:
        raise Unstorable("a number that no database can hold")


def _check_moments(*moments: float | None) -> None:
    for at in moments:
        if at is not None and not abs(at) < END_AT:
            raise Unstorable(f"a moment that no database can hold: {at}")
