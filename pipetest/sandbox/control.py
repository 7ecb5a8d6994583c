"""The control port: a test, or a curious person, changes the sandbox while it runs. JSON over HTTP, loopback only.

``GET /state``; ``POST /faults``, ``/gists`` and ``/settings`` with the bodies of :mod:`pipetest.sandbox.orders`;
``POST /release`` lets go of held answers; ``DELETE /faults`` forgets the faults that were ordered and not acted out.
"""

from typing import Any, TypeVar

import msgspec
from attrs import evolve
from klein import Klein
from msgspec import UNSET, Struct
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.server import Request

from pipetest.sandbox.faults import FAULTS, Rule
from pipetest.sandbox.http import body
from pipetest.sandbox.orders import FaultOrder, GistOrder, SettingsOrder
from pipetest.sandbox.world import World

T = TypeVar("T", bound=Struct)


class Control:
    app = Klein()

    def __init__(self, world: World) -> None:
        self._world = world

    @app.route("/state", methods=["GET"])
    def state(self, request: Request) -> bytes:
        return _json(request, self._world.state())

    @app.route("/faults", methods=["POST"])
    def add_fault(self, request: Request) -> bytes:
        order = _order(request, FaultOrder)
        if order.fault not in FAULTS:
            raise msgspec.ValidationError(f"no such fault: {order.fault}; expected one of {', '.join(FAULTS)}")
        changes = {name: getattr(order, name) for name in ("delay", "applied") if getattr(order, name) is not UNSET}
        fault = evolve(FAULTS[order.fault], **changes)
        rule = Rule(fault, order.service, order.method, order.path, order.times, order.chance)
        self._world.faults.rules.append(rule)
        return _json(request, {"faults": len(self._world.faults.rules)})

    @app.route("/faults", methods=["DELETE"])
    def forget_faults(self, request: Request) -> bytes:
        self._world.faults.rules.clear()
        return _json(request, {"faults": 0})

    @app.route("/gists", methods=["POST"])
    def write_gist(self, request: Request) -> bytes:
        order = _order(request, GistOrder)
        accounts = self._world.accounts
        if accounts.by_login(order.user) is None:
            accounts.open(order.user)
        return _json(request, {"id": accounts.write(order.user, gist_id=order.id, public=order.public).id})

    @app.route("/release", methods=["POST"])
    def release(self, request: Request) -> bytes:
        return _json(request, {"released": self._world.holds.release()})

    @app.route("/settings", methods=["POST"])
    def change(self, request: Request) -> bytes:
        order = _order(request, SettingsOrder)
        world = self._world
        _change(order.github, world.github, world.github_rules, world.github_limits)
        _change(order.pipedrive, world.pipedrive, world.pipedrive_rules, world.pipedrive_limits, world.crm)
        return _json(request, {})

    @app.handle_errors(msgspec.DecodeError)
    def refuse(self, request: IRequest, failure: Failure) -> bytes:
        request.setResponseCode(400)
        return _json(request, {"error": failure.getErrorMessage()})


def _order(request: Request, kind: type[T]) -> T:
    return msgspec.json.decode(body(request), type=kind)


def _json(request: IRequest, value: Any) -> bytes:
    request.setHeader("content-type", "application/json")
    return msgspec.json.encode(value)


def _change(order: Struct, *places: object) -> None:
    """Set each attribute that is named at the one place that has it."""
    for name in order.__struct_fields__:
        value = getattr(order, name)
        if value is not UNSET:
            setattr(next(place for place in places if hasattr(place, name)), name, value)
