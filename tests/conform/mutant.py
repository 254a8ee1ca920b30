"""What the reference function does wrong when it is told to: one fault for each check of `turnlock conform`.

MUTANT names the check that has to fail. With MUTANT=each the function has in every check the fault of that check, whose
name conform tells it, so one run sees all mutants.
"""

import os

#: The check, and the fault that it has to find.
FAULTS = {
    "three rotations in a row": "the new password is the old one",
    "what else is in the secret stays": "a field of the secret gets lost",
    "no login is refused on the way": "setSecret tries the pending password first",
    "testSecret works on its own": "testSecret wants a pending value that differs from the current one",
    "no client is refused": "the password of the user in use is changed, though there are two",
    "every step twice": "setSecret does not see that its password is set already",
    "every step again after the end": "a token that is current already is an error",
    "setSecret and testSecret before createSecret": "setSecret is content if nothing is pending",
    "a stray finishSecret promotes nothing that does not log in": "finishSecret does not log in",
    "testSecret refuses what was never set": "testSecret does not log in",
    "a token that was never pending is refused": "any label is as good as AWSPENDING",
    "a token that lost AWSPENDING is refused": "no label is as good as AWSPENDING",
    "a rotation that was switched off is refused": "RotationEnabled is not looked at",
    "a pending value that is there already is kept": "createSecret stores a value without looking for one",
    "a pending value for another user is refused": "the pending user name is not looked at",
    "killed anywhere, the same rotation goes on": "the new password is remembered in the process",
    "an answer lost anywhere, the same rotation goes on": "after an error the process answers nothing else",
    "killed anywhere, a new rotation is begun": "versions without a label are never tried",
    "one step in two processes at once": "a process that meets another one takes AWSPENDING away from it",
    "a newer rotation overtakes a slow one": "a token that lost AWSPENDING takes the label back",
    "killed, and killed again": "the third try is refused",
    "it rotates over TLS": "TLS is never used",
    "a certificate for another host is refused": "the name in the certificate is not compared",
    "a certificate that has run out is refused": "the dates in the certificate are not compared",
    "a certificate of an unknown authority is refused": "the certificate is not verified",
    "a server without TLS is refused where TLS is demanded": "without TLS it goes on in clear text",
    "no clear text where the secret does not say": "where the secret does not say it goes on in clear text",
    "no password in the server's log": "the password stands in a statement",
    "no password in what the function writes and answers": "the password is printed",
    "odd user names": "names are not quoted",
    "odd passwords": "white space around a password is cut off",
    "the other user may do what the first may": "the second user gets no rights",
    "what is taken from the first is taken from the other": "the second user keeps what it was given once",
    "an account that happens to have the other's name is not touched": "whatever account is there is taken",
}

_wanted = os.environ.get("MUTANT", "")
_check = os.environ.get("TURNLOCK_CONFORM_CHECK", "") if _wanted == "each" else _wanted
if _wanted not in ("", "each") and _wanted not in FAULTS:
    raise SystemExit(f"there is no mutant {_wanted!r}")


def wrong(check):
    """Whether the fault that this check has to find is to be made."""
    assert check in FAULTS, check
    return check == _check


if __name__ == "__main__":
    print("\n".join(FAULTS))
