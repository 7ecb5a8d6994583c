"""What the stack needs and moto's CloudFormation lacks.

moto finds the types of resources among the subclasses of ``CloudFormationModel``, so that defining one is enough.
"""

from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from moto.core.common_models import CloudFormationModel
from moto.ec2.models.route_tables import RouteTable
from moto.efs.models import AccessPoint, FileSystem

Json = dict[str, Any]


class Secret(CloudFormationModel):
    """``Ref`` is the ARN, as in AWS."""

    def __init__(self, arn: str) -> None:
        self.physical_resource_id = arn

    @staticmethod
    def cloudformation_name_type() -> str:
        return "Name"

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::SecretsManager::Secret"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Json, account_id: str, region_name: str, **kwargs: Any
    ) -> "Secret":
        properties = cloudformation_json["Properties"]
        client = boto3.client("secretsmanager", region_name=region_name)
        if "GenerateSecretString" in properties:
            text = client.get_random_password(**properties["GenerateSecretString"])["RandomPassword"]
        else:
            text = properties["SecretString"]
        return cls(client.create_secret(Name=resource_name, SecretString=text, Tags=properties["Tags"])["ARN"])

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: "Secret",
        new_resource_name: str,
        cloudformation_json: Json,
        account_id: str,
        region_name: str,
    ) -> "Secret":
        client = boto3.client("secretsmanager", region_name=region_name)
        text = cloudformation_json["Properties"]["SecretString"]
        client.put_secret_value(SecretId=original_resource.physical_resource_id, SecretString=text)
        return original_resource

    def delete(self, account_id: str, region_name: str) -> None:
        client = boto3.client("secretsmanager", region_name=region_name)
        client.delete_secret(SecretId=self.physical_resource_id, ForceDeleteWithoutRecovery=True)


class SecurityGroupEgress(CloudFormationModel):
    """A rule from one group to another, deleted with its group."""

    physical_resource_id = ""

    @staticmethod
    def cloudformation_name_type() -> str:
        return ""

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::EC2::SecurityGroupEgress"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Json, account_id: str, region_name: str, **kwargs: Any
    ) -> "SecurityGroupEgress":
        rule = dict(cloudformation_json["Properties"])
        group, target = rule.pop("GroupId"), rule.pop("DestinationSecurityGroupId")
        rule["UserIdGroupPairs"] = [{"GroupId": target, "Description": rule.pop("Description")}]
        client = boto3.client("ec2", region_name=region_name)
        client.authorize_security_group_egress(GroupId=group, IpPermissions=[rule])
        return cls()

    def delete(self, account_id: str, region_name: str) -> None:
        """Nothing to do: the rule is deleted with its group."""


def fill(patch: pytest.MonkeyPatch) -> None:
    """Let file systems and access points answer ``GetAtt`` and ``Ref``, and let route tables be deleted."""
    patch.setattr(FileSystem, "get_cfn_attribute", lambda self, _: self.file_system_arn, raising=False)
    patch.setattr(AccessPoint, "get_cfn_attribute", lambda self, _: self.access_point_arn, raising=False)
    patch.setattr(AccessPoint, "physical_resource_id", property(lambda self: self.access_point_id), raising=False)
    patch.setattr(RouteTable, "delete", lambda self, *_: self.ec2_backend.route_tables.pop(self.id), raising=False)
