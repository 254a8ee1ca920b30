"""A small rotation function that `turnlock conform` has no fault to find with: for PostgreSQL, MySQL and MariaDB, with one user
and with two. It is the measure of conform, not a function to deploy, and with MUTANT it is wrong on purpose (mutant.py).

Secrets Manager is called without the AWS SDK and without signatures, which the lab does not ask for: a process is then
ready in a third of the time, and conform starts hundreds.
"""

import contextlib
import http.client
import json
import os
import secrets
import string
import traceback
import urllib.parse

import database
from database import Refused
from mutant import wrong

#: The faults that take a version for pending which does not have the label.
FORGIVING = (
    "a token that was never pending is refused",
    "a token that lost AWSPENDING is refused",
    "a newer rotation overtakes a slow one",
)

#: What one fault remembers of earlier invocations: a password of a token, and whether an error has been seen.
REMEMBERED, SEEN = {}, []


def call(operation, **request):
    """Calls Secrets Manager once."""
    where = urllib.parse.urlsplit(os.environ["SECRETS_MANAGER_ENDPOINT"])
    with contextlib.closing(http.client.HTTPConnection(where.netloc, timeout=20)) as connection:
        headers = {"X-Amz-Target": f"secretsmanager.{operation}", "Content-Type": "application/x-amz-json-1.1"}
        connection.request("POST", "/", json.dumps(request), headers)
        answer = connection.getresponse()
        body = json.loads(answer.read())
    if answer.status != 200:
        raise Refused(body.get("__type", "Error"), f"{operation}: {body.get('Message')}")
    return body


class Rotation:
    """One token of one secret."""

    def __init__(self, arn, token, identity=None):
        """The identity is the event's RotationToken, which a rotation that was overtaken has no more."""
        self.arn, self.token = arn, token
        self.identity = {"RotationToken": identity} if identity else {}

    def described(self):
        return call("DescribeSecret", SecretId=self.arn)

    def read(self, **which):
        """A version's id and value; nothing if there is no such version, or it has no value yet."""
        try:
            answer = call("GetSecretValue", SecretId=self.arn, **which)
        except Refused as error:
            if error.kind == "ResourceNotFoundException":
                return None, None
            raise
        return answer["VersionId"], json.loads(answer["SecretString"])

    def current(self):
        version, value = self.read(VersionStage="AWSCURRENT")
        if value is None:
            raise Refused("BadSecret", "nothing is current")
        return version, value

    def pending(self):
        labelled = {"VersionStage": "AWSPENDING"}
        if any(map(wrong, FORGIVING)):
            labelled = {}
        return self.read(VersionId=self.token, **labelled)[1]

    def label(self, label, **moves):
        call("UpdateSecretVersionStage", SecretId=self.arn, VersionStage=label, **moves)

    def may_go_on(self):
        """Whether there is anything left to do for this token; an error if it is not its turn."""
        described = self.described()
        if not described.get("RotationEnabled") and not wrong("a rotation that was switched off is refused"):
            raise Refused("NotRotatable", "rotation is switched off")
        labels = described.get("VersionIdsToStages", {}).get(self.token, [])
        if "AWSCURRENT" in labels:
            if wrong("every step again after the end"):
                raise Refused("NotRotatable", "the token is current already")
            return False
        if "AWSPENDING" not in labels:
            self.has_no_turn(labels)
        return True

    def has_no_turn(self, labels):
        if wrong("a newer rotation overtakes a slow one"):
            holders = {label: held for held, stages in self.described()["VersionIdsToStages"].items() for label in stages}
            held = {"RemoveFromVersionId": holders["AWSPENDING"]} if "AWSPENDING" in holders else {}
            return self.label("AWSPENDING", MoveToVersionId=self.token, **held)
        forgiven = "a token that was never pending is refused" if labels else "a token that lost AWSPENDING is refused"
        if not wrong(forgiven):
            raise Refused("NotRotatable", "the token is not pending")

    def still_goes_on(self, current):
        """The same under the lock: nobody has taken the turn away, and what is current is what was read."""
        stages = self.described().get("VersionIdsToStages", {})
        if wrong("a newer rotation overtakes a slow one"):
            return
        if "AWSCURRENT" not in stages.get(current, []):
            raise Refused("Conflict", "another rotation has changed what is current")
        if "AWSPENDING" not in stages.get(self.token, []):
            raise Refused("NotRotatable", "the token is not pending any more")

    def older(self):
        """Values that may still log in when current and pending do not, newest first."""
        yield self.read(VersionStage="AWSPREVIOUS")[1]
        if wrong("killed anywhere, a new rotation is begun"):
            return
        listed = call("ListSecretVersionIds", SecretId=self.arn, IncludeDeprecated=True)["Versions"]
        unlabelled = [version for version in listed if not version.get("VersionStages")]
        for version in sorted(unlabelled, key=lambda it: it["CreatedDate"], reverse=True):
            yield self.read(VersionId=version["VersionId"])[1]


def lock(session, rotation):
    """The lock that lets one rotation of the secret at a time change anything, until the session ends."""
    if wrong("a newer rotation overtakes a slow one"):
        return
    session.lock(rotation.arn)


def two_users(value):
    return "masterarn" in value and not wrong("no client is refused")


def next_user(value):
    """Whose password the next version holds."""
    user = value["username"]
    if not two_users(value):
        return user
    return user.removesuffix("_clone") if user.endswith("_clone") else f"{user}_clone"


def create_secret(rotation):
    _, current = rotation.current()
    if rotation.pending() is not None and not wrong("a pending value that is there already is kept"):
        return
    value = dict(current, username=next_user(current))
    letters = string.ascii_letters + string.digits
    value["password"] = "".join(secrets.choice(letters) for _ in range(32))
    if wrong("three rotations in a row"):
        value["password"] = current["password"]
    if wrong("what else is in the secret stays"):
        value.pop("note", None)
    if wrong("no password in what the function writes and answers"):
        print("the new password is", value["password"], flush=True)
    call(
        "PutSecretValue",
        SecretId=rotation.arn,
        ClientRequestToken=rotation.token,
        SecretString=json.dumps(value),
        VersionStages=["AWSPENDING"],
        **rotation.identity,
    )
    REMEMBERED[rotation.token] = value


def set_secret(rotation):
    version, current = rotation.current()
    pending = rotation.pending()
    if pending is None:
        if wrong("setSecret and testSecret before createSecret"):
            return
        raise Refused("BadSecret", "nothing is pending")
    if wrong("killed anywhere, the same rotation goes on"):
        pending = REMEMBERED[rotation.token]
    if wrong("a pending value for another user is refused"):
        pending = dict(pending, username=next_user(current))
    for field in ("engine", "host", "port"):
        if pending[field] != current[field]:
            raise Refused("BadSecret", f"pending has another {field} than current")
    if pending["username"] != next_user(current):
        raise Refused("BadSecret", "pending is for another user")
    change = set_other if two_users(current) else set_own
    change(rotation, version, current, pending)


def candidates(rotation, current, pending):
    if wrong("no login is refused on the way"):
        yield pending
    yield current
    if not wrong("every step twice"):
        yield pending
        yield from rotation.older()


def set_own(rotation, version, current, pending):
    """One user changes its own password."""
    for value in candidates(rotation, current, pending):
        session = value and value["username"] == pending["username"] and database.login(value)
        if session:
            break
    else:
        raise Refused("LockedOut", "no stored version logs in")
    with contextlib.closing(session):
        lock(session, rotation)
        rotation.still_goes_on(version)
        session.set_password(pending["username"], pending["password"])


def set_other(rotation, version, current, pending):
    """The admin makes or changes the user that nobody uses now."""
    user, password = pending["username"], pending["password"]
    with contextlib.closing(admin(rotation, current)) as session:
        lock(session, rotation)
        rotation.still_goes_on(version)
        if wrong("every step twice") or not session.has(user):
            session.make(user, password, current["username"])
        elif not is_ours(rotation, pending):
            raise Refused("NotOurs", f"{user} exists, and no version of the secret logs in as it")
        else:
            session.set_password(user, password)
        if user.endswith("_clone"):
            session.make_equal(user, current["username"])


def is_ours(rotation, pending):
    """Whether a version of the secret logs in as the other user: an account of that name may be somebody else's."""
    if wrong("an account that happens to have the other's name is not touched"):
        return True
    older = rotation.older()
    first = pending if wrong("no login is refused on the way") else next(older)
    for value in (first, pending, *older):
        if value and value["username"] == pending["username"]:
            if session := database.login(value):
                session.close()
                return True
    return False


def admin(rotation, current):
    _, value = Rotation(current["masterarn"], None).current()
    session = database.login(value)
    if session is None:
        raise Refused("CredentialRejected", "the admin's password is refused")
    return session


def as_pending(rotation):
    pending = rotation.pending()
    session = pending and database.login(pending)
    if session is None:
        raise Refused("CredentialRejected", "the pending password is refused, or there is none")
    return session


def test_secret(rotation):
    if wrong("testSecret refuses what was never set"):
        return
    if wrong("testSecret works on its own") and rotation.pending() == rotation.current()[1]:
        raise Refused("BadSecret", "pending and current are the same")
    with contextlib.closing(as_pending(rotation)) as session:
        session.test()


def finish_secret(rotation):
    version, current = rotation.current()
    if wrong("a stray finishSecret promotes nothing that does not log in"):
        return rotation.label("AWSCURRENT", MoveToVersionId=rotation.token, RemoveFromVersionId=version)
    with contextlib.closing(as_pending(rotation)) as own, contextlib.ExitStack() as others:
        session = others.enter_context(contextlib.closing(admin(rotation, current))) if two_users(current) else own
        lock(session, rotation)
        rotation.still_goes_on(version)
        rotation.label("AWSCURRENT", MoveToVersionId=rotation.token, RemoveFromVersionId=version)


STEPS = {
    "createSecret": create_secret,
    "setSecret": set_secret,
    "testSecret": test_secret,
    "finishSecret": finish_secret,
}


@contextlib.contextmanager
def at_work(rotation):
    """A note on the secret for the time of a step, which only a fault reads and writes."""
    if not wrong("one step in two processes at once"):
        yield
        return
    if any(tag["Key"] == "at-work" for tag in rotation.described().get("Tags", [])):
        rotation.label("AWSPENDING", RemoveFromVersionId=rotation.token)
    call("TagResource", SecretId=rotation.arn, Tags=[{"Key": "at-work", "Value": "yes"}])
    yield
    call("UntagResource", SecretId=rotation.arn, TagKeys=["at-work"])


def count_tries(rotation):
    """A fault: the tries of a token are counted on the secret, and there may be two."""
    tags = {tag["Key"]: tag["Value"] for tag in rotation.described().get("Tags", [])}
    tried = int(tags.get("tries", 0))
    if tried == 2:
        raise Refused("NotRotatable", "there were two tries already")
    call("TagResource", SecretId=rotation.arn, Tags=[{"Key": "tries", "Value": str(tried + 1)}])


def handle(event):
    rotation = Rotation(event["SecretId"], event["ClientRequestToken"], event.get("RotationToken"))
    if wrong("killed, and killed again") and event["Step"] == "createSecret":
        count_tries(rotation)
    if rotation.may_go_on():
        with at_work(rotation):
            STEPS[event["Step"]](rotation)


def answer(event):
    """The end of the path that the answer goes to, and the answer."""
    try:
        if SEEN and wrong("an answer lost anywhere, the same rotation goes on"):
            raise Refused("Bug", "there was an error once")
        handle(event)
        return "response", None
    except Exception as error:
        SEEN.append(True)
        traceback.print_exc()
        return "error", {"errorType": getattr(error, "kind", type(error).__name__), "errorMessage": str(error)}


def serve():
    """The Lambda runtime API: takes an event, gives an answer, and again."""
    api, invocations = os.environ["AWS_LAMBDA_RUNTIME_API"], "/2018-06-01/runtime/invocation"
    while True:
        with contextlib.closing(http.client.HTTPConnection(api)) as connection:
            connection.request("GET", f"{invocations}/next")
            told = connection.getresponse()
            event = json.loads(told.read())
        path, said = answer(event)
        with contextlib.closing(http.client.HTTPConnection(api)) as connection:
            request = told.headers["Lambda-Runtime-Aws-Request-Id"]
            connection.request("POST", f"{invocations}/{request}/{path}", json.dumps(said))
            connection.getresponse().read()


if __name__ == "__main__":
    serve()
