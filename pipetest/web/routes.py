"""What a route is: where it lies, what answers there, and what can be told of it beforehand."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from attrs import field, frozen

from pipetest.web.outliving import Body


@frozen
class Parameter:
    """What a visitor may hand in; ``type`` as msgspec reads it."""

    name: str
    where: Literal["path", "query", "cookie"]
    meaning: str
    type: Any = str


@frozen
class Route:
    """GET answers HEAD too. What the path names in angle brackets, the handler gets by that name after the visit.

    ``answers`` are types, for JSON, or media types, by status; beside them any route may answer with a problem. Those
    for the ``admin`` are controls.
    """

    method: str
    path: str
    handler: Callable[..., Body]
    summary: str
    answers: Mapping[int, Any]
    parameters: Sequence[Parameter] = ()
    admin: bool = field(default=False, kw_only=True)
