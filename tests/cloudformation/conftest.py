"""Stacks deployed into moto: ``one`` with the required parameters alone, ``many`` with all the options."""

from collections.abc import Iterator

import pytest
from moto import mock_aws

from tests.support.cloudformation import gaps
from tests.support.cloudformation.stack import Stack, client


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
