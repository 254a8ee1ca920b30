"""What each target says of itself in functions/NAME/target.yaml, from which `cargo xtask template` makes template.yaml as well."""

import glob
import os

from samtranslator.yaml_helper import yaml_parse


def description(path):
    with open(path) as file:
        return yaml_parse(file)


def resource(target):
    """The name that the template's resources have: `api-key` is `ApiKey`."""
    return "".join(word.capitalize() for word in target.split("-"))


DESCRIPTIONS = {
    os.path.basename(os.path.dirname(path)): description(path) for path in sorted(glob.glob("functions/*/target.yaml"))
}
assert DESCRIPTIONS, "no function has a description"
