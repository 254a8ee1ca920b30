"""Each role grants what its function calls, no more and no less.

What a function calls is read from the program that was built: the linker keeps an operation of the AWS SDK only if the
code can come to call it, and each carries its name as text. What may be called is read from the AWS SDK's own models, so a
call to a service that nobody thought of is found too. What a role grants is read from the template, which has each target's
own statements from functions/NAME/target.yaml.
"""

import os
import re
import sys

import botocore.session
from samtranslator.yaml_helper import yaml_parse

from targets import DESCRIPTIONS, resource

# What Lambda itself and Secrets Manager on the caller's behalf do; no code of ours calls these.
BY_LAMBDA = {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTelemetryRecords", "xray:PutTraceSegments"}
BY_SECRETS_MANAGER = {"kms:Decrypt", "kms:GenerateDataKey"}
# Services that a program is searched for, beside those in the descriptions; botocore and IAM have the same names for them. Not STS:
# the SDK's default chain of credentials is linked and can assume roles, but shared/src/reach/aws.rs sets the environment's credentials
# instead of it.
SERVICES = {"secretsmanager", "rds", "redshift", "redshift-serverless", "kms", "ssm"}
SECRETS = {
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetSecretValue",
    "secretsmanager:ListSecretVersionIds",
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecretVersionStage",
}


def called(program):
    """The IAM actions of all operations that are linked into a program."""
    actions = set()
    for service in sorted(SERVICES | DESCRIBED):
        model = botocore.session.get_session().get_service_model(service)
        # Each operation of the SDK opens a tracing span of this name.
        service_id = model.metadata["serviceId"]
        texts = {f"{service_id}.{name}".encode(): name for name in model.operation_names}
        # Texts stand in a program without anything between them, and one can begin another: the longest counts.
        longest_first = b"|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True))
        actions |= {f"{service}:{texts[text]}" for text in re.findall(longest_first, program)}
    return actions


def statements(role):
    """All statements that the role can have, each condition of the template taken as true."""
    for policy in role["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            yield statement["Fn::If"][1] if "Fn::If" in statement else statement


def actions(statement):
    found = statement["Action"]
    return {found} if isinstance(found, str) else set(found)


DESCRIBED = {
    action.split(":")[0]
    for description in DESCRIPTIONS.values()
    for statement in description.get("Statements", [])
    for action in actions(statement)
}


def check(target, role, program):
    name = f"rotate-{target}"
    of_any_resource = ["Trace", *DESCRIPTIONS[target].get("AnyResource", [])]
    granted = {statement["Sid"]: actions(statement) for statement in statements(role)}
    assert all(statement["Effect"] == "Allow" for statement in statements(role))
    ours = set().union(*granted.values()) - BY_LAMBDA - BY_SECRETS_MANAGER
    needed = called(program)
    assert ours == needed, f"{name}: not called: {sorted(ours - needed)}; not granted: {sorted(needed - ours)}"
    assert granted["RotateAttachedSecrets"] == SECRETS, granted
    assert granted["WriteLogs"] == {"logs:CreateLogStream", "logs:PutLogEvents"}, granted
    # Every target has strategies or providers with an admin, whose secrets are read, and nothing else.
    assert "secretsmanager:GetSecretValue" in granted["ReadAdminSecrets"], granted
    assert granted["ReadAdminSecrets"] <= {"secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"}, granted
    assert granted["DecryptAdminSecrets"] == {"kms:Decrypt"}, granted
    for statement in statements(role):
        if statement["Sid"] == "RotateAttachedSecrets":
            limits = statement["Condition"]["StringEquals"]
            own = limits["secretsmanager:resource/AllowRotationLambdaArn"]["Fn::Sub"]
            assert own.endswith(f":function:${{functionName}}-{target}"), own
        if any(action.startswith("kms:") for action in actions(statement)):
            assert "kms:ViaService" in statement["Condition"]["StringEquals"], statement
            assert "kms:EncryptionContext:SecretARN" in statement["Condition"]["StringLike"], statement
        if statement["Resource"] == "*":
            assert statement["Sid"] in of_any_resource, statement
        assert not any("*" in action for action in actions(statement)), statement
    print(f"{name}: {', '.join(sorted(needed))}")


template_path, folder = sys.argv[1:]
with open(template_path) as file:
    template = yaml_parse(file)
names = sorted(os.listdir(folder))
assert names, f"{folder} is empty"
for name in names:
    target = name.removeprefix("rotate-")
    with open(os.path.join(folder, name), "rb") as file:
        check(target, template["Resources"][f"{resource(target)}FunctionRole"], file.read())
