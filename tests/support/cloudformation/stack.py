"""A stack deployed from the template, and what AWS tells of it."""

import json
from typing import Any

import boto3  # type: ignore[import-untyped]
from msgspec import Struct

from tests.support.cloudformation.template import load

REGION = "us-east-1"  # the only one whose availability zones moto's !GetAZs knows
KEY = "a-pipedrive-key"
REQUIRED = {
    "PipetestDockerImage": "antomer/pipetest:2.0.0",
    "PipetestQueriedUseres": "antomer,octocat",
    "PipetestPipedriveCompanyName": "acme",
    "PipetestPipedriveApiKey": KEY,
}


def client(service: str) -> Any:
    return boto3.client(service, region_name=REGION)


class Stack(Struct, frozen=True):
    """A stack of moto's cloud, by its name."""

    name: str

    @property
    def ids(self) -> dict[str, str]:
        """The physical ids of its resources, by their logical ids."""
        listed = client("cloudformation").list_stack_resources(StackName=self.name)["StackResourceSummaries"]
        return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in listed}

    @property
    def described(self) -> dict[str, Any]:
        (stack,) = client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        assert isinstance(stack, dict)
        return stack

    @property
    def task(self) -> dict[str, Any]:
        task = client("ecs").describe_task_definition(taskDefinition=self.ids["TaskDefinition"])["taskDefinition"]
        assert isinstance(task, dict)
        return task

    def container(self, kind: str) -> dict[str, str]:
        """The container's ``environment`` or ``secrets``, by name."""
        (container,) = self.task["containerDefinitions"]
        value = {"environment": "value", "secrets": "valueFrom"}[kind]
        return {item["name"]: item[value] for item in container[kind] if item is not None}  # moto keeps NoValue

    def apply(self, action: str, **parameters: str) -> "Stack":
        """``create_stack`` or ``update_stack`` with the required parameters and these."""
        getattr(client("cloudformation"), action)(
            StackName=self.name,
            TemplateBody=json.dumps(load()),  # moto misreads the short forms of YAML
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value} for name, value in {**REQUIRED, **parameters}.items()
            ],
            Capabilities=["CAPABILITY_IAM"],
        )
        return self
