"""The template as plain data, whole or with its conditions and parameters resolved for one set of parameters."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cfnlint.decode import decode  # type: ignore[import-untyped]

PATH = Path(__file__).parents[3] / "cloudformation" / "pipetest.yaml"

Parameters = Mapping[str, str]


def load() -> dict[str, Any]:
    template, faults = decode(str(PATH))
    assert not faults, faults
    assert isinstance(template, dict)
    return template


def resolved(template: dict[str, Any], parameters: Parameters) -> dict[str, Any]:
    """The resources that exist with these parameters. ``Ref`` of a parameter is its value as text; every other
    intrinsic function stays as it is written."""
    values = {name: str(slot["Default"]) for name, slot in template["Parameters"].items() if "Default" in slot}
    resolver = _Resolver({**values, **parameters}, template["Conditions"])
    return {
        name: resolver.value(resource)
        for name, resource in template["Resources"].items()
        if "Condition" not in resource or resolver.holds(resource["Condition"])
    }


class _Resolver:
    def __init__(self, values: Parameters, conditions: Mapping[str, Any]) -> None:
        self._values = values
        self._conditions = conditions

    def holds(self, name: str) -> bool:
        return self._true(self._conditions[name])

    def _true(self, condition: Mapping[str, Any]) -> bool:
        match condition:
            case {"Fn::Equals": [left, right]}:
                return bool(str(self.value(left)) == str(self.value(right)))
            case {"Fn::Not": [inner]}:
                return not self._true(inner)
            case {"Condition": name}:
                return self.holds(name)
        raise AssertionError(condition)

    def value(self, node: Any) -> Any:
        match node:
            case {"Fn::If": [condition, then, otherwise]}:
                return self.value(then if self.holds(condition) else otherwise)
            case {"Ref": name} if name in self._values:
                return self._values[name]
            case dict():
                return {key: self.value(child) for key, child in node.items() if not _absent(self.value(child))}
            case list():
                return [value for value in map(self.value, node) if not _absent(value)]
        return node


def _absent(node: Any) -> bool:
    return bool(node == {"Ref": "AWS::NoValue"})
