"""Stacks deployed into moto: ``one`` with the required parameters alone, ``many`` with all the options."""

import json
from collections.abc import Iterator
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from attrs import frozen
from moto import mock_aws

from tests.support.cloudformation import gaps, template

REGION = "us-east-1"  # the only one whose availability zones moto's !GetAZs knows
KEY = "a-pipedrive-key"
REQUIRED = {
    "PipetestQueriedUseres": "antomer,octocat",
    "PipetestPipedriveCompanyName": "acme",
    "PipetestPipedriveApiKey": KEY,
}


def client(service: str) -> Any:
    return boto3.client(service, region_name=REGION)


@frozen
class Stack:
    name: str

    @property
    def ids(self) -> dict[str, str]:
        """Physical ids of what exists, by logical id."""
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
            TemplateBody=json.dumps(template.load()),  # moto misreads the short forms of YAML
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value} for name, value in {**REQUIRED, **parameters}.items()
            ],
            Capabilities=["CAPABILITY_IAM"],
        )
        return self


@pytest.fixture(scope="package")
def cloud() -> Iterator[None]:
    with mock_aws(), pytest.MonkeyPatch.context() as patch:
        gaps.fill(patch)
        yield


@pytest.fixture(scope="package")
def certificate(cloud: None) -> str:
    return str(client("acm").request_certificate(DomainName="pipetest.example")["CertificateArn"])


@pytest.fixture(scope="package")
def one(cloud: None) -> Stack:
    return Stack("one").apply("create_stack")


@pytest.fixture(scope="package")
def many(cloud: None, certificate: str) -> Stack:
    return Stack("many").apply(
        "create_stack", DesiredCapacity="2", PipetestGithubToken="a-github-token", CertificateArn=certificate
    )
