"""AWS's caching client for Python against the lab: what an application sees that never asks for more than its cache has."""

import sys

import boto3
from aws_secretsmanager_caching import InjectKeywordedSecretString, SecretCache, SecretCacheConfig
from botocore.exceptions import ClientError

endpoint, function = sys.argv[1:]
sm = boto3.client(
    "secretsmanager", endpoint_url=endpoint, region_name="us-east-1",
    aws_access_key_id="lab", aws_secret_access_key="lab-secret",
)
cache = SecretCache(config=SecretCacheConfig(secret_refresh_interval=3600), client=sm)
sm.create_secret(Name="app/db", SecretString='{"password": "first"}')
assert cache.get_secret_string("app/db") == '{"password": "first"}'


@InjectKeywordedSecretString(secret_id="app/db", cache=cache, password="password")
def connect(password):
    return password


assert connect() == "first"

# A value under AWSPENDING is read by its stage, and does not disturb the current one.
token = "22222222-2222-4222-8222-222222222222"
sm.put_secret_value(
    SecretId="app/db", SecretString="waiting", ClientRequestToken=token, VersionStages=["AWSPENDING"]
)
assert cache.refresh_secret_now("app/db")
assert cache.get_secret_string("app/db", version_stage="AWSPENDING") == "waiting"
assert cache.get_secret_string("app/db") == '{"password": "first"}'
sm.update_secret_version_stage(SecretId="app/db", VersionStage="AWSPENDING", RemoveFromVersionId=token)

# A rotation is noticed when the cache looks again, and not before.
version = sm.rotate_secret(SecretId="app/db", RotationLambdaARN=function)["VersionId"]
print("rotating", version, flush=True)
sys.stdin.readline()
assert cache.get_secret_string("app/db") == '{"password": "first"}'
assert cache.refresh_secret_now("app/db")
assert cache.get_secret_string("app/db") == f"value of {version}"
assert cache.get_secret_string("app/db", version_stage="AWSPREVIOUS") == '{"password": "first"}'

try:
    cache.get_secret_string("nothing")
    raise AssertionError("nothing was found")
except ClientError as error:
    assert error.response["Error"]["Code"] == "ResourceNotFoundException", error
print("the session is over")
