"""`cargo lambda watch` and `cargo lambda invoke` work with the event files, as docs/deploying.md says.

The Secrets Manager is moto's, and no database listens: the steps that need none succeed, the others say what they miss.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import boto3
from moto.server import ThreadedMotoServer

CURRENT = {"engine": "postgres", "host": "127.0.0.1", "username": "app", "password": "the-first-password"}
PENDING = CURRENT | {"password": "the-second-password"}
package, events = sys.argv[1:]


def event_of(step):
    return os.path.join(events, f"{step}.json")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def invoke(step, port):
    """What the function answers, and its error, if that is what it answers."""
    done = subprocess.run(
        ["cargo", "lambda", "invoke", package, "--invoke-address", "127.0.0.1", "--invoke-port", str(port),
         "--data-file", event_of(step)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600,
    )
    colours = re.compile(r"\x1b\[[0-9;]*m")
    print(f"{step}: {colours.sub('', done.stdout + done.stderr).strip()}")
    return done


def wait_for(port, process):
    """Returns when somebody listens on the port."""
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"cargo lambda watch ended with {process.returncode}")


def check(port, closed):
    assert invoke("createSecret", port).stdout.strip() == "null", "a pending value is there already: nothing to do"
    for step in ["setSecret", "testSecret", "finishSecret"]:
        failed = invoke(step, port)
        assert failed.returncode != 0 and "Unreachable" in failed.stderr, failed
        # The text is folded to the terminal's width, anywhere.
        assert f"127.0.0.1:{closed}" in re.sub(r"[\s│]", "", failed.stderr), failed
    failed = invoke("unknownStep", port)
    assert failed.returncode != 0 and "BadEvent" in failed.stderr, failed


def main():
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    moto.start()
    endpoint = "http://{}:{}".format(*moto.get_host_and_port())
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    secrets = boto3.client("secretsmanager", endpoint_url=endpoint, **keys)
    with open(event_of("createSecret")) as file:
        event = json.load(file)
    closed = free_port()
    name, token = event["SecretId"], event["ClientRequestToken"]
    secrets.create_secret(Name=name, SecretString=json.dumps(CURRENT | {"port": closed}))
    pending = json.dumps(PENDING | {"port": closed})
    secrets.put_secret_value(
        SecretId=name, ClientRequestToken=token, SecretString=pending, VersionStages=["AWSPENDING"]
    )
    # An invocation's time runs while `watch` compiles.
    subprocess.run(["cargo", "build", "--quiet", "--package", package], check=True, stdin=subprocess.DEVNULL)
    port = free_port()
    variables = f"SECRETS_MANAGER_ENDPOINT={endpoint},AWS_ACCESS_KEY_ID=test,AWS_SECRET_ACCESS_KEY=test,AWS_REGION=us-east-1"
    watch = subprocess.Popen(
        ["cargo", "lambda", "watch", "--package", package, "--invoke-address", "127.0.0.1", "--invoke-port", str(port),
         "--ignore-changes", "--wait", "--env-vars", variables],
        stdin=subprocess.DEVNULL, start_new_session=True,
    )
    try:
        wait_for(port, watch)
        check(port, closed)
    finally:
        # It and the function that it started, which are a group of their own.
        os.killpg(watch.pid, signal.SIGTERM)
        watch.wait()
        moto.stop()


main()
