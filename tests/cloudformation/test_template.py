"""What moto leaves out or cannot show, tested on the template itself."""

import re
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import ManualArgs, lint_file  # type: ignore[import-untyped]
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped]

from tests.support.cloudformation.template import PATH, load, resolved

TEMPLATE = load()
ONE = resolved(TEMPLATE, {})
MANY = resolved(
    TEMPLATE,
    {
        "EcrRepository": "pipetest",
        "DesiredCapacity": "3",
        "PipetestGithubToken": "t",
        "CertificateArn": "arn:aws:acm:…",
    },
)

SUBNETS = [{"Ref": "PublicSubnetA"}, {"Ref": "PublicSubnetB"}]
WITHOUT_RESOURCES = {"ecs:DiscoverPollEndpoint", "ecr:GetAuthorizationToken"}


def properties(resources: dict[str, Any], name: str) -> Any:
    return resources[name]["Properties"]


def ref(name: str) -> dict[str, str]:
    return {"Ref": name}


def attribute(name: str, key: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [name, key]}


def test_cfn_lint_finds_nothing() -> None:
    assert [str(finding) for finding in lint_file(PATH, config=ManualArgs(include_checks=["I"]))] == []


def test_the_older_parameters_keep_their_names_and_defaults() -> None:
    declared = TEMPLATE["Parameters"]
    assert {name: declared[name].get("Default") for name in list(declared)[:9]} == {
        "EnvironmentName": "development",
        "VpcCIDR": "10.10.0.0/16",
        "PublicSubnetACIDR": "10.10.10.0/24",
        "PublicSubnetBCIDR": "10.10.11.0/24",
        "DesiredCapacity": 1,
        "PipetestDockerImage": None,  # whoever may push to a tag of somebody else's would get the secrets
        "PipetestQueriedUseres": None,
        "PipetestPipedriveCompanyName": None,
        "PipetestPipedriveApiKey": None,
    }


def test_whatever_is_new_has_a_default() -> None:
    assert all("Default" in parameter for parameter in list(TEMPLATE["Parameters"].values())[9:])


def test_the_command_that_is_told_names_every_parameter_without_a_default() -> None:
    document = Path("docs/deploy-aws.md").read_text(encoding="utf-8")
    command, *_ = re.findall(r"aws cloudformation deploy(?:.*\\\n)*.*", document)
    required = {name for name, parameter in TEMPLATE["Parameters"].items() if "Default" not in parameter}
    assert required - set(re.findall(r"(\w+)=", command)) == set()


@pytest.mark.parametrize("name", ["PipetestPipedriveApiKey", "PipetestGithubToken"])
def test_a_secret_is_not_echoed_and_goes_to_secrets_manager_alone(name: str) -> None:
    assert TEMPLATE["Parameters"][name]["NoEcho"] is True
    holders = [key for key, resource in TEMPLATE["Resources"].items() if str(ref(name)) in str(resource)]
    assert [TEMPLATE["Resources"][holder]["Type"] for holder in holders] == ["AWS::SecretsManager::Secret"]


def tags(resource: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The tags of a resource, one list for each thing they are put on."""
    properties = resource["Properties"]
    if resource["Type"] == "AWS::EC2::LaunchTemplate":
        specifications = properties["TagSpecifications"] + properties["LaunchTemplateData"]["TagSpecifications"]
        return [specification["Tags"] for specification in specifications]
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource["Type"]).schema["properties"]
    return [properties.get(name, []) for name in ("Tags", "FileSystemTags", "AccessPointTags") if name in schema]


def test_whatever_can_carry_tags_carries_both() -> None:
    keys = {name: [{tag["Key"] for tag in each} for each in tags(resource)] for name, resource in MANY.items()}
    assert {name for name, found in keys.items() if any(each != {"Name", "Environment"} for each in found)} == set()
    assert len([name for name, found in keys.items() if found]) > 30


def test_the_file_system_outlives_the_stack_and_the_database_leaves_a_snapshot() -> None:
    for name, policy in (("FileSystem", "Retain"), ("Database", "Snapshot")):
        assert (MANY[name]["DeletionPolicy"], MANY[name]["UpdateReplacePolicy"]) == (policy, policy)


def test_both_subnets_use_the_route_table() -> None:
    links = [properties(ONE, f"Subnet{letter}RouteTableAssociation") for letter in "AB"]
    assert links == [{"RouteTableId": ref("RouteTable"), "SubnetId": ref(f"PublicSubnet{letter}")} for letter in "AB"]


def egress(resources: dict[str, Any], group: str) -> set[tuple[str, str]]:
    """Where a group may connect to: pairs of port and target."""
    rules = list(properties(resources, group)["SecurityGroupEgress"])
    rules += [
        resource["Properties"]
        for resource in resources.values()
        if resource["Type"] == "AWS::EC2::SecurityGroupEgress"
        and resource["Properties"]["GroupId"] == attribute(group, "GroupId")
    ]
    return {_target(rule) for rule in rules}


def _target(rule: dict[str, Any]) -> tuple[str, str]:
    assert rule.get("FromPort") == rule.get("ToPort")
    if "CidrIp" in rule:
        return str(rule.get("FromPort", "every")), rule["CidrIp"]
    return str(rule["FromPort"]), rule["DestinationSecurityGroupId"]["Fn::GetAtt"][0]


def test_each_security_group_lets_out_just_to_the_next_one() -> None:
    for resources in (ONE, MANY):
        assert egress(resources, "LoadBalancerSecurityGroup") == {("8080", "InstanceSecurityGroup")}
        assert egress(resources, "FileSystemSecurityGroup") == {("every", "127.0.0.1/32")}
    allowed = {("443", "0.0.0.0/0"), ("2049", "FileSystemSecurityGroup")}
    assert egress(ONE, "InstanceSecurityGroup") == allowed
    assert egress(MANY, "InstanceSecurityGroup") == allowed | {("5432", "DatabaseSecurityGroup")}
    assert egress(MANY, "DatabaseSecurityGroup") == {("every", "127.0.0.1/32")}
    assert properties(MANY, "Database")["VPCSecurityGroups"] == [attribute("DatabaseSecurityGroup", "GroupId")]


def test_the_service_registers_the_container_with_the_target_group() -> None:
    service = properties(ONE, "Service")
    assert service["LoadBalancers"] == [
        {"ContainerName": "pipetest", "ContainerPort": 8080, "TargetGroupArn": ref("TargetGroup")}
    ]
    assert service["TaskDefinition"] == ref("TaskDefinition")
    assert {"ListenerRule", "MountTargetA", "MountTargetB", "AutoScalingGroup"} <= set(ONE["Service"]["DependsOn"])


def test_one_instance_never_has_two_tasks_on_one_file_and_many_overlap() -> None:
    for resources, least, most, instances in ((ONE, 0, 100, 0), (MANY, 50, 200, 1)):
        service = properties(resources, "Service")
        deployment = service["DeploymentConfiguration"]
        assert (deployment["MinimumHealthyPercent"], deployment["MaximumPercent"]) == (least, most)
        assert service["AvailabilityZoneRebalancing"] == "DISABLED"
        rolling = resources["AutoScalingGroup"]["UpdatePolicy"]["AutoScalingRollingUpdate"]
        assert rolling["MinInstancesInService"] == instances


def test_the_tasks_volume_is_the_access_point_over_tls_with_the_tasks_role() -> None:
    task = properties(ONE, "TaskDefinition")
    (volume,) = task["Volumes"]
    assert volume["EFSVolumeConfiguration"] == {
        "FilesystemId": ref("FileSystem"),
        "TransitEncryption": "ENABLED",
        "AuthorizationConfig": {"AccessPointId": ref("AccessPoint"), "IAM": "ENABLED"},
    }
    assert task["TaskRoleArn"] == attribute("TaskRole", "Arn")
    (statement,) = properties(ONE, "TaskRole")["Policies"][0]["PolicyDocument"]["Statement"]
    assert statement["Resource"] == attribute("FileSystem", "Arn")
    assert statement["Condition"] == {
        "StringEquals": {"elasticfilesystem:AccessPointArn": attribute("AccessPoint", "Arn")}
    }
    (statement,) = properties(ONE, "FileSystem")["FileSystemPolicy"]["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": False}})


def test_the_images_user_may_write_to_its_folder_which_is_made_at_the_first_mount() -> None:
    assert properties(ONE, "AccessPoint")["RootDirectory"] == {
        "Path": "/pipetest",
        "CreationInfo": {"OwnerUid": "1000", "OwnerGid": "1000", "Permissions": "0700"},
    }
    (container,) = properties(ONE, "TaskDefinition")["ContainerDefinitions"]
    assert container["MountPoints"] == [{"SourceVolume": "db", "ContainerPath": "/db", "ReadOnly": False}]


ALLOWED = {
    "TaskRole": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"],
    "ExecutionRole": [
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:GetAuthorizationToken",
        "ecr:GetDownloadUrlForLayer",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "secretsmanager:GetSecretValue",
    ],
    "InstanceRole": [
        "ecs:DeregisterContainerInstance",
        "ecs:DiscoverPollEndpoint",
        "ecs:Poll",
        "ecs:RegisterContainerInstance",
        "ecs:StartTelemetrySession",
        "ecs:SubmitContainerStateChange",
        "ecs:SubmitTaskStateChange",
        "ecs:UpdateContainerInstancesState",
    ],
}


@pytest.mark.parametrize("role", ALLOWED)
def test_a_role_may_do_what_its_work_needs_and_nothing_else(role: str) -> None:
    (policy,) = properties(MANY, role)["Policies"]
    allowed: list[str] = []
    for statement in policy["PolicyDocument"]["Statement"]:
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        assert statement["Resource"] != "*" or set(actions) <= WITHOUT_RESOURCES
        allowed += actions
    assert sorted(allowed) == ALLOWED[role]


def test_ecs_starts_the_container_with_its_role_and_its_log_is_kept_for_a_month() -> None:
    task = properties(ONE, "TaskDefinition")
    assert task["ExecutionRoleArn"] == attribute("ExecutionRole", "Arn")
    (container,) = task["ContainerDefinitions"]
    assert container["LogConfiguration"]["Options"]["awslogs-group"] == ref("LogGroup")
    assert properties(ONE, "LogGroup")["RetentionInDays"] == 30


def test_the_container_has_a_read_only_root_and_no_capabilities_and_fits_the_smallest_instance() -> None:
    (container,) = properties(ONE, "TaskDefinition")["ContainerDefinitions"]
    assert container["ReadonlyRootFilesystem"] is True
    assert container["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
    assert container["Memory"] < 900  # MiB; a t3.micro has some 950 left for tasks


def test_a_task_that_starts_is_not_judged_by_the_balancer_before_it_can_be_healthy() -> None:
    group = properties(ONE, "TargetGroup")
    until_healthy = group["HealthyThresholdCount"] * group["HealthCheckIntervalSeconds"]
    assert properties(ONE, "Service")["HealthCheckGracePeriodSeconds"] >= 2 * until_healthy


def test_the_balancer_faces_the_internet_from_both_subnets() -> None:
    balancer = properties(ONE, "LoadBalancer")
    assert balancer["Scheme"] == "internet-facing"
    assert balancer["Subnets"] == SUBNETS
    assert balancer["SecurityGroups"] == [attribute("LoadBalancerSecurityGroup", "GroupId")]


def test_the_instances_reach_the_internet_by_addresses_of_their_own() -> None:
    (interface,) = properties(ONE, "LaunchTemplate")["LaunchTemplateData"]["NetworkInterfaces"]
    assert interface["AssociatePublicIpAddress"] is True
    assert interface["Groups"] == [attribute("InstanceSecurityGroup", "GroupId")]
    assert properties(ONE, "AutoScalingGroup")["VPCZoneIdentifier"] == SUBNETS


def test_the_database_is_in_the_stacks_network() -> None:
    assert properties(MANY, "Database")["DBSubnetGroupName"] == ref("DatabaseSubnetGroup")
    assert properties(MANY, "DatabaseSubnetGroup")["SubnetIds"] == SUBNETS


def test_the_instances_tell_their_agent_which_cluster_and_keep_their_role_from_containers() -> None:
    data = properties(ONE, "LaunchTemplate")["LaunchTemplateData"]
    assert "ECS_CLUSTER=${Cluster}" in data["UserData"]["Fn::Base64"]["Fn::Sub"]
    assert data["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}


def test_the_database_takes_its_password_from_the_secret_that_the_tasks_read() -> None:
    password = properties(MANY, "Database")["MasterUserPassword"]
    assert password == {"Fn::Sub": "{{resolve:secretsmanager:${DatabasePassword}}}"}
    (container,) = properties(MANY, "TaskDefinition")["ContainerDefinitions"]
    secrets = {item["Name"]: item["ValueFrom"] for item in container["Secrets"]}
    assert secrets["PGPASSWORD"] == ref("DatabasePassword")


def test_what_a_condition_leaves_out_is_left_out() -> None:
    assert set(MANY) - set(ONE) == {
        "Database",
        "DatabaseIngressFromInstances",
        "DatabasePassword",
        "DatabaseSecurityGroup",
        "DatabaseSubnetGroup",
        "GithubToken",
        "HttpsListener",
        "InstanceEgressToDatabase",
        "LoadBalancerIngressOfHttps",
    }
    assert set(ONE) <= set(MANY)


@pytest.mark.parametrize(
    ("image", "taken"),
    [
        ("antomer/pipetest", False),
        ("antomer/pipetest:latest", False),
        ("registry:5000/pipetest", False),
        ("antomer/pipetest:2.0.0", True),
        ("registry:5000/team/pipetest:2.0.0", True),
        ("111122223333.dkr.ecr.eu-central-1.amazonaws.com/pipetest:latest", False),
        (f"111122223333.dkr.ecr.eu-central-1.amazonaws.com/pipetest@sha256:{'0' * 64}", True),
    ],
)
def test_the_image_is_named_by_a_version_or_digest(image: str, taken: bool) -> None:
    pattern = TEMPLATE["Parameters"]["PipetestDockerImage"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, image)) == taken


def test_the_tasks_may_pull_from_the_repository_that_is_named_and_from_no_other() -> None:
    def pulled(resources: dict[str, Any]) -> list[Any]:
        (policy,) = properties(resources, "ExecutionRole")["Policies"]
        statements = policy["PolicyDocument"]["Statement"]
        return [statement["Resource"] for statement in statements if "ecr:BatchGetImage" in statement["Action"]]

    assert pulled(ONE) == []
    (repository,) = pulled(MANY)
    assert repository["Fn::Sub"].endswith(":repository/${EcrRepository}")


def test_the_database_is_known_by_rds_own_certificates() -> None:
    (container,) = properties(MANY, "TaskDefinition")["ContainerDefinitions"]
    (url,) = [item["Value"] for item in container["Environment"] if item["Name"] == "PIPETEST_DATABASE_URL"]
    assert "?sslmode=verify-full&sslrootcert=/rds/rds.pem" in str(url)
    assert container["MountPoints"] == [{"SourceVolume": "rds", "ContainerPath": "/rds", "ReadOnly": True}]
    assert properties(MANY, "TaskDefinition")["Volumes"] == [{"Name": "rds", "Host": {"SourcePath": "/etc/pipetest"}}]
    fetched = properties(MANY, "LaunchTemplate")["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Fn::Sub"]
    assert "-o /etc/pipetest/rds.pem https://truststore.pki.rds.amazonaws.com/" in fetched
