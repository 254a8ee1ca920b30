"""The examples of docs/deploying.md are what their tools read, and grant what template.yaml grants.

Terraform's providers cannot be had on every machine, so its example is parsed, and the names in it are compared with
terraform-names.txt; `terraform validate` has not been run on it.
"""

import json
import os
import re
import sys

import hcl2

ACTIONS = re.compile(r"secretsmanager:[A-Z]\w+")
docs, template_path = sys.argv[1], "template.yaml"
examples = os.path.join(docs, "examples")


def text_of(path):
    with open(path) as file:
        return file.read()


def unquoted(name):
    return name.strip('"')


def known_names():
    lines = text_of("tests/deploy/terraform-names.txt").splitlines()
    words = [line.split() for line in lines if line and not line.startswith("#")]
    return {kind: set(arguments) | {"depends_on"} for kind, *arguments in words}


def terraform():
    """Every resource and argument of the example is one of the provider's."""
    with open(os.path.join(examples, "rotation.tf")) as file:
        parsed = hcl2.load(file)
    known, seen = known_names(), set()
    for kind in ["resource", "data"]:
        for block in parsed[kind]:
            for type_name, named in block.items():
                for arguments in named.values():
                    name = f"{kind}/{unquoted(type_name)}"
                    used = {unquoted(it) for it in arguments if not it.startswith("__")}
                    assert used <= known[name], f"{name}: {used - known[name]}"
                    seen.add(name)
    assert seen == set(known), f"listed and not used: {set(known) - seen}"


def same_grants():
    """All examples let the function do with its secrets what the template lets it do."""
    statement = text_of(template_path).split("Sid: RotateAttachedSecrets")[1].split("Sid:")[0]
    granted = set(ACTIONS.findall(statement.split("Resource:")[0]))
    assert len(granted) == 5, granted
    for name in ["rotation.tf", "rotation.ts"]:
        found = set(ACTIONS.findall(text_of(os.path.join(examples, name))))
        assert found == granted, f"{name}: {found ^ granted}"


def policies():
    """The policies in the guide are JSON."""
    blocks = re.findall(r"```json\n(.*?)```", text_of(os.path.join(docs, "deploying.md")), re.S)
    assert blocks, "the guide shows policies"
    for block in blocks:
        json.loads(block)


def parameters():
    """Parameters that the guide names are the template's."""
    named = set(re.findall(r"`([a-z]+[A-Z]\w+)=", text_of(os.path.join(docs, "deploying.md"))))
    declared = set(re.findall(r"^  ([a-z]\w+):", text_of(template_path).split("Rules:")[0], re.M))
    assert named and named <= declared, named - declared


for check in [terraform, same_grants, policies, parameters]:
    check()
    print(f"{check.__name__}: ok")
