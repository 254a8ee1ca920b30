"""The template, translated as SAM does, makes its functions and roles in moto's CloudFormation.

moto knows neither SAM nor everything a stack may hold, so what it cannot make is left out by type, and the list of what
is left out is fixed: a new resource type is either made or named here.
"""

import json
import os
import re
import sys

os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")

import boto3
from moto import mock_aws
from samtranslator.parser.parser import Parser
from samtranslator.translator.managed_policy_translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from targets import DESCRIPTIONS, resource

# Not in moto; cfn-lint checks them against AWS's own schema.
NOT_MADE = {"AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::Config::ConfigRule"}
TARGETS = list(DESCRIPTIONS)


def only(target):
    """The parameters of a stack with one function: they turn off what a stack has by default."""
    others = [it for it in TARGETS if it != target and DESCRIPTIONS[it]["DeployedByDefault"]]
    return {f"deploy{resource(it)}": "false" for it in others}


def translated(parameters):
    with open(sys.argv[1]) as file:
        template = yaml_parse(file)
    # SAM wants code that is already uploaded, as it is after `sam package`.
    template["Globals"]["Function"]["CodeUri"] = {"Bucket": "code", "Key": "bootstrap.zip"}
    result = transform(template, parameters, ManagedPolicyLoader(boto3.client("iam")), passthrough_metadata=True)
    result.pop("Rules", None)
    return result


def without_what_moto_lacks(template):
    kept = {name: it for name, it in template["Resources"].items() if it["Type"] not in NOT_MADE}
    return {**template, "Resources": kept}


def alarms_watch_what_functions_emit():
    """Every metric of ours that an alarm or the dashboard names is one that shared/src/door/metrics.rs writes."""
    template = translated({})
    with open("shared/src/door/metrics.rs") as file:
        written = set(re.findall(r'emit\("(\w+)"', file.read()))
    alarms = [it["Properties"] for it in template["Resources"].values() if it["Type"] == "AWS::CloudWatch::Alarm"]
    ours = [alarm for alarm in alarms if alarm.get("Namespace") == "Turnlock"]
    watched = {(alarm["MetricName"], alarm["Dimensions"][0]["Value"]) for alarm in ours}
    assert watched == {(name, target) for name in ["RotationFailed", "PasswordAgeDays"] for target in TARGETS}, watched
    assert len(alarms) == 5 * len(TARGETS), len(alarms)
    assert all("AlarmActions" in alarm and alarm["TreatMissingData"] == "notBreaching" for alarm in alarms)
    body = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    json.loads(body)
    shown = set(re.findall(r'\{Turnlock[^}]*\} MetricName=\\"(\w+)', body))
    assert shown == written and {name for name, _ in watched} <= written, (shown, written)


def upload():
    boto3.client("s3").create_bucket(Bucket="code")
    boto3.client("s3").put_object(Bucket="code", Key="bootstrap.zip", Body=b"PK\x05\x06" + bytes(18))


def make(name, **parameters):
    """Makes a stack and returns its resources as (type, physical id), and its outputs."""
    # SAM puts the values of parameters into what it translates.
    template = without_what_moto_lacks(translated(parameters))
    client = boto3.client("cloudformation")
    client.create_stack(
        StackName=name,
        TemplateBody=json.dumps(template),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    stack = client.describe_stacks(StackName=name)["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    resources = client.list_stack_resources(StackName=name)["StackResourceSummaries"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    return [(it["ResourceType"], it.get("PhysicalResourceId")) for it in resources], outputs


def of_type(resources, kind):
    return sorted(name for found, name in resources if found == kind)


def every_function():
    resources, outputs = make(
        "all", **{f"deploy{resource(target)}": "true" for target in TARGETS},
        alarmTopicArn="arn:aws:sns:us-east-1:123456789012:alarms", maxDaysSinceRotation="40",
        kmsKeyArn="arn:aws:kms:us-east-1:123456789012:key/one", masterSecretArn="arn:aws:secretsmanager:us-east-1:123456789012:secret:admin",
    )
    functions = boto3.client("lambda")
    names = sorted(f"turnlock-{target}" for target in TARGETS)
    assert of_type(resources, "AWS::Lambda::Function") == names, resources
    for name in names:
        configuration = functions.get_function_configuration(FunctionName=name)
        assert configuration["Runtime"] == "provided.al2023" and configuration["Timeout"] == 60, configuration
        variables = configuration["Environment"]["Variables"]
        assert "EXCLUDE_CHARACTERS" not in variables, "absent, so that the function's own default holds"
        statement, = json.loads(functions.get_policy(FunctionName=name)["Policy"])["Statement"]
        assert statement["Principal"] == {"Service": "secretsmanager.amazonaws.com"}, statement
        assert "AWS:SourceAccount" in json.dumps(statement), statement
        assert configuration["Role"].split("/")[-1] in of_type(resources, "AWS::IAM::Role"), configuration
    assert len(of_type(resources, "AWS::IAM::Role")) == len(TARGETS)
    assert len(of_type(resources, "AWS::Events::Rule")) == 2
    assert outputs["PostgresArn"].endswith(":function:turnlock-postgres"), outputs


def only_one():
    resources, _ = make("one", functionName="one", **only("postgres"))
    assert of_type(resources, "AWS::Lambda::Function") == ["one-postgres"], resources
    assert len(of_type(resources, "AWS::IAM::Role")) == 1 and not of_type(resources, "AWS::Events::Rule"), resources


def with_an_existing_role():
    role = "arn:aws:iam::123456789012:role/ours"
    resources, _ = make("role", functionName="role", **only("postgres"), roleArn=role)
    assert not of_type(resources, "AWS::IAM::Role"), resources
    assert boto3.client("lambda").get_function_configuration(FunctionName="role-postgres")["Role"] == role


def in_a_private_network():
    ec2 = boto3.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    database = ec2.create_security_group(VpcId=vpc, GroupName="database", Description="database")["GroupId"]
    resources, _ = make(
        "net", functionName="net", vpcId=vpc, vpcSubnetIds=subnet, databaseSecurityGroupId=database,
        createSecretsManagerEndpoint="true",
    )
    network = boto3.client("lambda").get_function_configuration(FunctionName="net-postgres")["VpcConfig"]
    assert network["SubnetIds"] == [subnet] and len(network["SecurityGroupIds"]) == 1, network
    assert len(of_type(resources, "AWS::EC2::VPCEndpoint")) == 1, resources
    assert len(of_type(resources, "AWS::EC2::SecurityGroup")) == 2, resources
    assert len(of_type(resources, "AWS::IAM::ManagedPolicy")) == 1, resources


with mock_aws():
    upload()
    # Lambda's own check of a role needs one that it could assume.
    boto3.client("iam").create_role(
        RoleName="ours", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []})
    )
    for check in [alarms_watch_what_functions_emit, every_function, only_one, with_an_existing_role, in_a_private_network]:
        check()
        print(f"{check.__name__}: ok")
