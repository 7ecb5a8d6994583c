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
    """The resources that exist with these parameters. A ``Ref`` to a parameter becomes its value as text; every other
    intrinsic function stays as it is."""
    declared = template["Parameters"]
    values = {name: str(declared[name]["Default"]) for name in declared if "Default" in declared[name]}
    resolver = _Resolver({**values, **parameters}, template["Conditions"])
    return {
        name: resolver.value(resource)
        for name, resource in template["Resources"].items()
        if "Condition" not in resource or resolver.is_true(resource["Condition"])
    }


class _Resolver:
    def __init__(self, values: Parameters, conditions: Mapping[str, Any]) -> None:
        self._values = values
        self._conditions = conditions

    def is_true(self, name: str) -> bool:
        return self._evaluate(self._conditions[name])

    def _evaluate(self, condition: Mapping[str, Any]) -> bool:
        match condition:
            case {"Fn::Equals": [left, right]}:
                return bool(str(self.value(left)) == str(self.value(right)))
            case {"Fn::Not": [inner]}:
                return not self._evaluate(inner)
            case {"Condition": name}:
                return self.is_true(name)
        raise AssertionError(condition)

    def value(self, node: Any) -> Any:
        match node:
            case {"Fn::If": [condition, then, otherwise]}:
                return self.value(then if self.is_true(condition) else otherwise)
            case {"Ref": name} if name in self._values:
                return self._values[name]
            case dict():
                return {key: self.value(child) for key, child in node.items() if not _absent(self.value(child))}
            case list():
                return [value for value in map(self.value, node) if not _absent(value)]
        return node


def _absent(node: Any) -> bool:
    return bool(node == {"Ref": "AWS::NoValue"})
