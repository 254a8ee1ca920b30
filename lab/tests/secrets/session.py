"""A session of boto3 against the lab: a rotation, listing, replication and policies, as an application would do them."""

import json
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, function = sys.argv[1:]


def client(region="us-east-1", key="lab", secret="lab-secret"):
    return boto3.client(
        "secretsmanager",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 1}),
    )


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400, error
        assert error.response["Error"]["Message"], error
        return error
    raise AssertionError(f"{call} was not refused")


def wait(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited for a minute"


# Signatures.
refused("InvalidSignatureException", client(secret="wrong").list_secrets)
refused("UnrecognizedClientException", client(key="unknown").list_secrets)

# Values: text, binary, versions, errors that boto3 knows as its own classes.
sm = client()
arn = sm.create_secret(
    Name="app/db", SecretString='{"password": "first"}', Description="Of the app",
    Tags=[{"Key": "team", "Value": "db"}],
)["ARN"]
first = sm.get_secret_value(SecretId="app/db")
assert first["SecretString"] == '{"password": "first"}' and first["VersionStages"] == ["AWSCURRENT"], first
assert first["CreatedDate"].year >= 2026, first
sm.put_secret_value(SecretId=arn, SecretBinary=b"\x00\x01\xff", VersionStages=["BINARY"])
assert sm.get_secret_value(SecretId=arn, VersionStage="BINARY")["SecretBinary"] == b"\x00\x01\xff"
for missing in (sm.exceptions.ResourceNotFoundException,):
    try:
        sm.get_secret_value(SecretId="nothing")
        raise AssertionError("nothing was found")
    except missing as error:
        assert "can't find the specified secret" in str(error), error
refused("ResourceExistsException", sm.create_secret, Name="app/db", SecretString="x")
password = sm.get_random_password(PasswordLength=20, ExcludePunctuation=True)["RandomPassword"]
assert len(password) == 20 and password.isalnum(), password

# A whole rotation by an attached function, and the test of a configuration.
started = sm.rotate_secret(
    SecretId=arn, RotationLambdaARN=function,
    RotationRules={"ScheduleExpression": "cron(0 8/8 * * ? *)", "Duration": "2h"},
)
version = started["VersionId"]
wait(lambda: "LastRotatedDate" in sm.describe_secret(SecretId=arn))
described = sm.describe_secret(SecretId=arn)
assert described["VersionIdsToStages"][version] == ["AWSCURRENT"], described
assert described["VersionIdsToStages"][first["VersionId"]] == ["AWSPREVIOUS"], described
assert described["RotationEnabled"] and described["NextRotationDate"] > described["LastRotatedDate"], described
assert sm.get_secret_value(SecretId=arn)["VersionId"] == version
sm.rotate_secret(SecretId=arn, RotateImmediately=False)
wait(lambda: "AWSPENDING" not in str(sm.describe_secret(SecretId=arn)))
assert sm.get_secret_value(SecretId=arn)["VersionId"] == version
sm.cancel_rotate_secret(SecretId=arn)
assert sm.describe_secret(SecretId=arn)["RotationEnabled"] is False
absent = function.replace("rotate", "absent")
refused("AccessDeniedException", sm.rotate_secret, SecretId=arn, RotationLambdaARN=absent)

# Listing, with boto3's own paginators.
for n in range(120):
    sm.create_secret(Name=f"list/{n:03}", SecretString=str(n))
pages = sm.get_paginator("list_secrets").paginate(
    Filters=[{"Key": "name", "Values": ["list/"]}], PaginationConfig={"PageSize": 50}
)
names = [secret["Name"] for page in pages for secret in page["SecretList"]]
assert sorted(names) == [f"list/{n:03}" for n in range(120)], names
values, more = [], {}
while more is not None:
    page = sm.batch_get_secret_value(Filters=[{"Key": "name", "Values": ["list/01"]}], MaxResults=4, **more)
    values += [entry["SecretString"] for entry in page["SecretValues"]]
    more = {"NextToken": page["NextToken"]} if "NextToken" in page else None
assert sorted(values) == [str(n) for n in range(10, 20)], values
versions = sm.list_secret_version_ids(SecretId=arn)["Versions"]
assert {label for entry in versions for label in entry["VersionStages"]} == {"AWSCURRENT", "AWSPREVIOUS", "BINARY"}

# Replication.
there = client(region="eu-west-1")
status = sm.replicate_secret_to_regions(SecretId=arn, AddReplicaRegions=[{"Region": "eu-west-1"}])
assert status["ReplicationStatus"][0]["Status"] == "InSync", status
sm.update_secret(SecretId=arn, SecretString="replicated")
assert there.get_secret_value(SecretId="app/db")["SecretString"] == "replicated"
refused("InvalidParameterException", there.update_secret, SecretId="app/db", SecretString="x")
there.stop_replication_to_replica(SecretId="app/db")
there.update_secret(SecretId="app/db", SecretString="on its own")
assert sm.get_secret_value(SecretId=arn)["SecretString"] == "replicated"

# Policies and another account.
other = client(key="other", secret="other-secret")
refused("AccessDeniedException", other.get_secret_value, SecretId=arn)
policy = {"Version": "2012-10-17", "Statement": [{
    "Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "secretsmanager:GetSecretValue",
    "Resource": "*",
}]}
assert sm.validate_resource_policy(ResourcePolicy=json.dumps(policy))["PolicyValidationPassed"]
sm.put_resource_policy(SecretId=arn, ResourcePolicy=json.dumps(policy), BlockPublicPolicy=True)
assert json.loads(sm.get_resource_policy(SecretId=arn)["ResourcePolicy"]) == policy
assert other.get_secret_value(SecretId=arn)["SecretString"] == "replicated"
sm.delete_resource_policy(SecretId=arn)

# Tags, and the end.
sm.untag_resource(SecretId=arn, TagKeys=["team"])
sm.tag_resource(SecretId=arn, Tags=[{"Key": "stage", "Value": "test"}])
assert sm.describe_secret(SecretId=arn)["Tags"] == [{"Key": "stage", "Value": "test"}]
sm.delete_secret(SecretId=arn, RecoveryWindowInDays=7)
refused("InvalidRequestException", sm.get_secret_value, SecretId=arn)
sm.restore_secret(SecretId=arn)
sm.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
refused("ResourceNotFoundException", sm.describe_secret, SecretId=arn)
print("the session is over")
