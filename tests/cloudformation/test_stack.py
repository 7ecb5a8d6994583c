"""The template deployed: which resources exist then, and how they are connected."""

import json
from ast import literal_eval
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.cloudformation.stack import KEY, Stack, client

PATHS = {"/health", "/getAllScannedUsers", "/getCurrentlyScannedUsers", "/getGists"}


def open_ports(group: str) -> dict[int, set[str]]:
    """By port, the address ranges and groups that may connect. No rule spans more than one port."""
    (described,) = client("ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"]
    ports = {}
    for rule in described["IpPermissions"]:
        assert (rule["IpProtocol"], rule["FromPort"]) == ("tcp", rule["ToPort"])
        sources = [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] + [r["CidrIp"] for r in rule["IpRanges"]]
        ports[rule["FromPort"]] = set(sources)
    return ports


def listeners(stack: Stack) -> dict[int, dict[str, Any]]:
    listed = client("elbv2").describe_listeners(LoadBalancerArn=stack.ids["LoadBalancer"])["Listeners"]
    return {listener["Port"]: listener for listener in listed}


def forwarded_paths(stack: Stack, listener: dict[str, Any]) -> set[str]:
    paths: set[str] = set()
    for rule in client("elbv2").describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]:
        if not rule["IsDefault"]:
            assert [action["TargetGroupArn"] for action in rule["Actions"]] == [stack.ids["TargetGroup"]]
            (condition,) = rule["Conditions"]
            paths.update(condition["PathPatternConfig"]["Values"])
    return paths


@pytest.mark.parametrize("name", ["one", "many"])
def test_both_kinds_of_stack_are_created_whole(name: str, request: pytest.FixtureRequest) -> None:
    assert request.getfixturevalue(name).described["StackStatus"] == "CREATE_COMPLETE"


def test_the_outputs_are_the_balancers_name_and_url(one: Stack, many: Stack) -> None:
    for stack, scheme in ((one, "http"), (many, "https")):
        (balancer,) = client("elbv2").describe_load_balancers(LoadBalancerArns=[stack.ids["LoadBalancer"]])[
            "LoadBalancers"
        ]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.described["Outputs"]}
        assert outputs == {"LoadBalancerDNSName": balancer["DNSName"], "URL": f"{scheme}://{balancer['DNSName']}"}


def test_both_subnets_lead_to_the_internet(one: Stack) -> None:
    ec2, ids = client("ec2"), one.ids
    subnets = ec2.describe_subnets(SubnetIds=[ids["PublicSubnetA"], ids["PublicSubnetB"]])["Subnets"]
    assert {subnet["CidrBlock"] for subnet in subnets} == {"10.10.10.0/24", "10.10.11.0/24"}
    assert len({subnet["AvailabilityZone"] for subnet in subnets}) == 2
    (table,) = ec2.describe_route_tables(RouteTableIds=[ids["RouteTable"]])["RouteTables"]
    gateways = {route["DestinationCidrBlock"]: route["GatewayId"] for route in table["Routes"]}
    assert gateways["0.0.0.0/0"] == ids["InternetGateway"]
    (gateway,) = ec2.describe_internet_gateways(InternetGatewayIds=[ids["InternetGateway"]])["InternetGateways"]
    assert [attachment["VpcId"] for attachment in gateway["Attachments"]] == [ids["VPC"]]


def test_each_security_group_lets_in_just_the_one_before_it(one: Stack, many: Stack) -> None:
    for stack, public in ((one, {80}), (many, {80, 443})):
        ids = stack.ids
        assert open_ports(ids["LoadBalancerSecurityGroup"]) == {port: {"0.0.0.0/0"} for port in public}
        assert open_ports(ids["InstanceSecurityGroup"]) == {8080: {ids["LoadBalancerSecurityGroup"]}}
        assert open_ports(ids["FileSystemSecurityGroup"]) == {2049: {ids["InstanceSecurityGroup"]}}
    assert open_ports(many.ids["DatabaseSecurityGroup"]) == {5432: {many.ids["InstanceSecurityGroup"]}}


def test_the_target_group_reaches_the_port_that_the_task_listens_on(one: Stack) -> None:
    (group,) = client("elbv2").describe_target_groups(TargetGroupArns=[one.ids["TargetGroup"]])["TargetGroups"]
    (mapping,) = one.task["containerDefinitions"][0]["portMappings"]
    assert mapping["hostPort"] == group["Port"] == 8080
    assert mapping["containerPort"] == 8080
    assert (group["HealthCheckPath"], group["Matcher"]) == ("/health", {"HttpCode": "200"})
    assert (group["TargetType"], group["VpcId"]) == ("instance", one.ids["VPC"])


def test_only_the_four_older_paths_are_passed_on_and_the_rest_is_404(one: Stack) -> None:
    (listener,) = listeners(one).values()
    assert listener["Port"] == 80
    (action,) = listener["DefaultActions"]
    assert action["FixedResponseConfig"]["StatusCode"] == "404"
    assert forwarded_paths(one, listener) == PATHS | {f"{path}/" for path in PATHS}


def test_a_certificate_brings_https_and_a_redirect_to_it(many: Stack, certificate: str) -> None:
    both = listeners(many)
    assert set(both) == {80, 443}
    (redirect,) = both[80]["DefaultActions"]
    assert redirect["RedirectConfig"]["Protocol"] == "HTTPS"
    assert redirect["RedirectConfig"]["Port"] == "443"
    assert forwarded_paths(many, both[80]) == set()
    assert both[443]["Certificates"] == [{"CertificateArn": certificate}]
    assert both[443]["DefaultActions"][0]["FixedResponseConfig"]["StatusCode"] == "404"
    assert forwarded_paths(many, both[443]) == PATHS | {f"{path}/" for path in PATHS}


def test_the_service_runs_one_task_per_instance_in_the_cluster(one: Stack, many: Stack) -> None:
    for stack, count in ((one, 1), (many, 2)):
        ids = stack.ids
        (service,) = client("ecs").describe_services(cluster=ids["Cluster"], services=[ids["Service"]])["services"]
        assert (service["taskDefinition"], service["desiredCount"]) == (ids["TaskDefinition"], count)


def test_the_parameters_reach_the_task_under_the_names_it_reads(one: Stack) -> None:
    assert one.container("environment") == {
        "PIPETEST_QUERIED_USERS": "antomer,octocat",
        "PIPETEST_PIEPEDRIVE_COMPANY_NAME": "acme",
        "PIPETEST_QUERYING_INTERVAL": "30",
        "PIPETEST_BACKFILL": "",
        "PIPETEST_DEALS": "",
        "PIPETEST_TRUSTED_PROXIES": "10.10.0.0/16",
    }


def test_the_task_reads_the_key_from_the_secret_and_it_is_nowhere_else(one: Stack) -> None:
    assert one.container("secrets") == {"PIPETEST_PIEPEDRIVE_API_KEY": one.ids["PipedriveApiKey"]}
    secret = client("secretsmanager").get_secret_value(SecretId=one.ids["PipedriveApiKey"])
    assert secret["SecretString"] == KEY
    assert KEY not in json.dumps(one.task)


def test_the_execution_role_may_read_the_tasks_secrets_and_no_others(one: Stack, many: Stack) -> None:
    for stack in (one, many):
        policy = client("iam").get_role_policy(RoleName=stack.ids["ExecutionRole"], PolicyName="start-tasks")
        readable = [
            statement["Resource"]
            for statement in literal_eval(policy["PolicyDocument"])["Statement"]  # moto keeps Python's own spelling
            if statement and statement["Action"] == "secretsmanager:GetSecretValue"  # one that does not apply is None
        ]
        assert [{arn for arn in arns if arn} for arns in readable] == [set(stack.container("secrets").values())]


def test_the_instances_come_from_the_launch_template_and_join_the_cluster(one: Stack) -> None:
    ids = one.ids
    (group,) = client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[ids["AutoScalingGroup"]])[
        "AutoScalingGroups"
    ]
    assert group["LaunchTemplate"]["LaunchTemplateId"] == ids["LaunchTemplate"]
    assert (group["MinSize"], group["DesiredCapacity"], group["MaxSize"]) == (1, 1, 1)
    assert set(group["VPCZoneIdentifier"].split(",")) == {ids["PublicSubnetA"], ids["PublicSubnetB"]}
    (version,) = client("ec2").describe_launch_template_versions(LaunchTemplateId=ids["LaunchTemplate"])[
        "LaunchTemplateVersions"
    ]
    data = version["LaunchTemplateData"]
    assert data["ImageId"].startswith("ami-")
    assert data["InstanceType"] == "t3.micro"
    assert data["NetworkInterfaces"][0]["Groups"] == [ids["InstanceSecurityGroup"]]
    profile = client("iam").get_instance_profile(InstanceProfileName=ids["InstanceProfile"])["InstanceProfile"]
    assert data["IamInstanceProfile"]["Arn"] == profile["Arn"]
    assert [role["RoleName"] for role in profile["Roles"]] == [ids["InstanceRole"]]


def test_the_file_system_is_encrypted_and_reached_from_both_subnets_as_the_images_user(one: Stack) -> None:
    efs, ids = client("efs"), one.ids
    (files,) = efs.describe_file_systems(FileSystemId=ids["FileSystem"])["FileSystems"]
    assert files["Encrypted"]
    targets = efs.describe_mount_targets(FileSystemId=ids["FileSystem"])["MountTargets"]
    assert {target["SubnetId"] for target in targets} == {ids["PublicSubnetA"], ids["PublicSubnetB"]}
    (point,) = efs.describe_access_points(FileSystemId=ids["FileSystem"])["AccessPoints"]
    assert point["PosixUser"] == {"Uid": 1000, "Gid": 1000}


def test_one_instance_keeps_its_file_on_the_file_system_and_has_no_database(one: Stack) -> None:
    (mount,) = one.task["containerDefinitions"][0]["mountPoints"]
    (volume,) = one.task["volumes"]
    assert (mount["sourceVolume"], mount["containerPath"]) == (volume["name"], "/db")
    assert not {name for name in one.ids if name.startswith("Database")}


def test_many_instances_share_a_private_database_and_no_file(many: Stack) -> None:
    ids = many.ids
    (database,) = client("rds").describe_db_instances(DBInstanceIdentifier=ids["Database"])["DBInstances"]
    assert not database["PubliclyAccessible"]
    assert not database["MultiAZ"]
    assert database["StorageEncrypted"]
    host = database["Endpoint"]["Address"]
    url = many.container("environment")["PIPETEST_DATABASE_URL"]
    assert url == f"postgresql://pipetest@{host}:5432/pipetest?sslmode=verify-full&sslrootcert=/rds/rds.pem"
    assert many.container("secrets")["PGPASSWORD"] == ids["DatabasePassword"]
    certificates = {"sourceVolume": "rds", "containerPath": "/rds", "readOnly": True}
    assert many.task["volumes"] == [{"name": "rds", "host": {"sourcePath": "/etc/pipetest"}}]
    assert many.task["containerDefinitions"][0]["mountPoints"] == [certificates]


def test_a_github_token_is_a_secret_too(many: Stack) -> None:
    arn = many.container("secrets")["PIPETEST_GITHUB_TOKEN"]
    assert client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"] == "a-github-token"
    assert "a-github-token" not in json.dumps(many.task)


@pytest.fixture
def short_lived(cloud: None) -> Iterator[Stack]:
    stack = Stack("short-lived").apply("create_stack")
    yield stack
    client("cloudformation").delete_stack(StackName=stack.name)


def test_an_update_replaces_the_task_and_keeps_everything_else(short_lived: Stack) -> None:
    before = short_lived.ids
    short_lived.apply("update_stack", PipetestQueryingInterval="0.5", PipetestPipedriveApiKey="a-new-key")
    after = short_lived.ids
    assert short_lived.described["StackStatus"] == "UPDATE_COMPLETE"
    assert {name for name in after if after[name] != before[name]} == {"TaskDefinition"}
    secret = client("secretsmanager").get_secret_value(SecretId=after["PipedriveApiKey"])
    assert secret["SecretString"] == "a-new-key"


def test_an_update_to_more_instances_brings_the_database(short_lived: Stack) -> None:
    before = short_lived.ids
    short_lived.apply("update_stack", DesiredCapacity="2")
    after = short_lived.ids
    assert short_lived.described["StackStatus"] == "UPDATE_COMPLETE"
    assert {"Database", "DatabasePassword"} <= set(after) - set(before)
    assert after["FileSystem"] == before["FileSystem"]


def test_deletion_leaves_nothing_but_the_file_system(short_lived: Stack) -> None:
    ids = short_lived.ids
    client("cloudformation").delete_stack(StackName=short_lived.name)
    assert client("efs").describe_file_systems(FileSystemId=ids["FileSystem"])["FileSystems"]
    assert ids["VPC"] not in {vpc["VpcId"] for vpc in client("ec2").describe_vpcs()["Vpcs"]}
    balancers = client("elbv2").describe_load_balancers()["LoadBalancers"]
    assert ids["LoadBalancer"] not in {balancer["LoadBalancerArn"] for balancer in balancers}
    secrets = client("secretsmanager").list_secrets()["SecretList"]
    assert ids["PipedriveApiKey"] not in {secret["ARN"] for secret in secrets}
