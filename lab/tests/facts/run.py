"""Compares the recorded facts with an endpoint: run.py [--endpoint URL] [--only WORD] [--ready]

Without --endpoint it asks the real service, with the credentials that boto3 would use, in AWS_REGION (us-east-1) and, for replicas, in
AWS_OTHER_REGION. It creates secrets under a random prefix and deletes each at the end. --ready only looks whether there are credentials.

A fact is a list of calls in facts.toml. In texts {name} is a name of the fact's own, {1} to {9} are tokens, {region} and {other} the
Regions, {word}, {Word}, {WORD} are a random word and {last} its last letter as a capital, {x*9} is x nine times, and whatever an
earlier step kept has the name it was given ({partial} is a kept {arn} without its suffix, {there} its replica's, {account} its account). A step can say:

  error, says, says_part     the type of a refusal ("*" is any) and its text, whole or in part
  answer                     members with at least these contents; labels in any order
  same                       members with exactly these contents
  members, present, absent   all members there are, some that are there, some that are not
  matches, count             a pattern for a text, the length of a list
  keep                       members to remember for later steps
  region = "other"           ask in the second Region
  within                     seconds in which the service, which is eventually consistent, may take to answer so
"""

import argparse
import json
import os
import random
import re
import socket
import sys
import time
import tomllib
import uuid
from pathlib import Path

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError
from botocore.httpsession import URLLib3Session
from botocore.session import Session

FACTS = Path(__file__).with_name("facts.toml")
THROTTLED = ("ThrottlingException", "InternalServiceError", "InternalFailure")


class Differs(Exception):
    """An answer is not as the fact says."""


class Service:
    """An endpoint of Secrets Manager, asked with signed requests that nobody has validated or completed."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.http = URLLib3Session(timeout=60, socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)])
        self.regions = {"": os.environ.get("AWS_REGION", "us-east-1")}
        self.regions["other"] = os.environ.get("AWS_OTHER_REGION", "us-west-2" if self.regions[""] == "us-east-2" else "us-east-2")
        self.credentials = Credentials("lab", "lab") if endpoint else Session().get_credentials()

    def ask(self, operation, request, region=""):
        region = self.regions[region]
        url = self.endpoint or f"https://secretsmanager.{region}.amazonaws.com/"
        for pause in (0.5, 1, 2, 4, 8, None):
            headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"secretsmanager.{operation}"}
            prepared = AWSRequest("POST", url, headers=headers, data=json.dumps(request))
            SigV4Auth(self.credentials, "secretsmanager", region).add_auth(prepared)
            response = self.http.send(prepared.prepare())
            answer = json.loads(response.content or b"{}")
            kind = answer.get("__type", "").rsplit("#")[-1] if response.status_code != 200 else None
            if kind not in THROTTLED or pause is None or self.endpoint:
                return kind, answer
            time.sleep(pause)


class Fact:
    """One fact under test, with the names it made up and what has to be cleaned away."""

    def __init__(self, service, fact, prefix, number):
        self.service, self.steps, self.made = service, fact["steps"], []
        # It begins like no word of the facts.
        word = "q" + "".join(random.choices("bcdfghjklmnpqrstvwxz", k=8))
        self.names = {
            "name": f"{prefix}/{number}", "region": service.regions[""], "other": service.regions["other"],
            "word": word, "Word": word.capitalize(), "WORD": word.upper(), "last": word[-1].upper(),
        }
        self.names |= {str(n): str(uuid.uuid4()) for n in range(1, 10)}

    def fill(self, value):
        if isinstance(value, dict):
            return {self.fill(key): self.fill(member) for key, member in value.items()}
        if isinstance(value, list):
            return [self.fill(member) for member in value]
        if not isinstance(value, str):
            return value
        value = re.sub(r"\{(\w)\*(\d+)\}", lambda found: found[1] * int(found[2]), value)
        return re.sub(r"\{(\w+)\}", lambda found: self.names.get(found[1], found[0]), value)

    def run(self):
        for number, step in enumerate(self.steps, 1):
            deadline = time.monotonic() + (step.get("within", 0) if not self.service.endpoint else 0)
            while True:
                try:
                    self.step(step)
                    break
                except Differs as differs:
                    if time.monotonic() > deadline:
                        raise Differs(f"step {number}, {step['call']}: {differs}") from None
                    time.sleep(5)

    def step(self, step):
        request = self.fill(step["with"])
        kind, answer = self.service.ask(step["call"], request, step.get("region", ""))
        if step["call"] == "CreateSecret" and kind is None:
            self.made.append(answer["ARN"])
            # Dates have milliseconds. Two secrets of one millisecond have no order in lists.
            time.sleep(0.002)
        if "error" in step:
            return self.refused(step, kind, answer)
        if kind is not None:
            raise Differs(f"{kind}: {text_of(answer)}")
        self.answered(step, answer)
        for name, member in step.get("keep", {}).items():
            self.names[name] = answer[member]
        if "arn" in step.get("keep", {}):
            arn = self.names["arn"]
            there = arn.replace(self.names["region"], self.names["other"])
            self.names |= {"partial": arn[:-7], "there": there, "account": arn.split(":")[4]}

    def refused(self, step, kind, answer):
        if kind is None:
            raise Differs(f"expected {step['error']}, was answered {json.dumps(answer)}")
        if step["error"] not in ("*", kind):
            raise Differs(f"expected {step['error']}, got {kind}: {text_of(answer)}")
        text = text_of(answer)
        if "says" in step and text != self.fill(step["says"]):
            raise Differs(f"expected the text {self.fill(step['says'])!r}, got {text!r}")
        if "says_part" in step and self.fill(step["says_part"]) not in text:
            raise Differs(f"expected {self.fill(step['says_part'])!r} in the text {text!r}")

    def answered(self, step, answer):
        for member, expected in self.fill(step.get("answer", {})).items():
            if not holds(expected, answer.get(member)):
                raise Differs(f"{member}: expected {json.dumps(expected)}, got {json.dumps(answer.get(member))}")
        for member, expected in self.fill(step.get("same", {})).items():
            if ordered(expected) != ordered(answer.get(member)):
                raise Differs(f"{member}: expected exactly {json.dumps(expected)}, got {json.dumps(answer.get(member))}")
        if "members" in step and sorted(answer) != sorted(step["members"]):
            raise Differs(f"expected the members {sorted(step['members'])}, got {sorted(answer)}")
        for member in step.get("present", []):
            if member not in answer:
                raise Differs(f"{member} is absent")
        for member in step.get("absent", []):
            if member in answer:
                raise Differs(f"{member} is there: {json.dumps(answer[member])}")
        for member, pattern in self.fill(step.get("matches", {})).items():
            if not re.search(pattern, answer.get(member, "")):
                raise Differs(f"{member} does not match {pattern}")
        for member, count in step.get("count", {}).items():
            if len(answer.get(member, [])) != count:
                raise Differs(f"{member}: expected {count} entries, got {len(answer.get(member, []))}")

    def clean(self):
        for arn in self.made:
            self.service.ask("RemoveRegionsFromReplication", {"SecretId": arn, "RemoveReplicaRegions": [self.names["other"]]})
            deadline = time.monotonic() + 120
            while True:
                kind, answer = self.service.ask("DeleteSecret", {"SecretId": arn, "ForceDeleteWithoutRecovery": True})
                if kind is None:
                    break
                if time.monotonic() > deadline or self.service.endpoint:
                    print(f"  NOT DELETED: {arn}: {kind}: {text_of(answer)}")
                    break
                time.sleep(5)


def text_of(answer):
    return answer.get("Message", answer.get("message", ""))


def holds(expected, found):
    """Is everything expected there? Lists have to be as long, and lists of texts may come in any order."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(name in found and holds(value, found[name]) for name, value in expected.items())
    if isinstance(expected, list):
        if not isinstance(found, list) or len(expected) != len(found):
            return False
        if all(isinstance(value, str) for value in expected):
            return sorted(expected) == sorted(found)
        return all(holds(*pair) for pair in zip(expected, found))
    return expected == found


def ordered(value):
    if isinstance(value, dict):
        return {name: ordered(member) for name, member in value.items()}
    if isinstance(value, list) and all(isinstance(member, str) for member in value):
        return sorted(value)
    return value


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--endpoint")
    options.add_argument("--only", default="")
    options.add_argument("--ready", action="store_true")
    options = options.parse_args()
    book = tomllib.loads(FACTS.read_text())
    service = Service(options.endpoint)
    if service.credentials is None:
        sys.exit("There are no credentials. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
    if options.ready:
        return
    prefix, differences, held = f"turnlock-facts-{uuid.uuid4().hex[:8]}", 0, 0
    print(f"asking {options.endpoint or 'the service'} in {service.regions['']} and {service.regions['other']}; names begin with {prefix}/")
    for number, entry in enumerate(book["fact"]):
        if options.only not in entry["about"]:
            continue
        source = book["sources"][entry["source"].split(":")[0]]
        fact = Fact(service, entry, prefix, number)
        try:
            fact.run()
            held += 1
        except (Differs, BotoCoreError) as why:
            differences += 1
            print(f"DIFFERS: {entry['about']}\n  {why}\n  {source['by']}: {entry['source']} ({source['url']}, read {source['read']})")
        finally:
            fact.clean()
    print(f"{held} facts hold, {differences} differ")
    sys.exit(1 if differences or not held else 0)


if __name__ == "__main__":
    main()
