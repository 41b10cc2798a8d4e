"""What `git verify-commit --raw` says of a signature, in words.

git hands on what gpg reports for machines (`[GNUPG:] GOODSIG …`) or what ssh-keygen prints; both come from those
programs alone, and nothing of the commit is in them. The exit code is 0 for a good signature only: not for one by a
key that has expired, was revoked or is unknown, nor for one by an SSH key that is not among the allowed signers.

Source:
    https://git-scm.com/docs/git-verify-commit, GnuPG's doc/DETAILS ("General status codes").
"""

import re

from reconciler.core.render.words import safe

_GNUPG = re.compile(r"^\[GNUPG:\] ([A-Z_]+) ?(.*)$", re.MULTILINE)
_SSH_KEY = re.compile(r"with \S+ key (SHA256:\S+)$", re.MULTILINE)
_SSH_LINE = re.compile(r"^\S.*:[0-9]+: .+$", re.MULTILINE)  # of the file of allowed signers
_LONGEST = 300

_CHANGED = "its signature does not match its content: it was changed after it was signed"
_GPG = {
    "BADSIG": _CHANGED,
    "EXPSIG": "its signature has expired",
    "EXPKEYSIG": "it is signed with a key that has expired: {key}",
    "REVKEYSIG": "it is signed with a key that was revoked: {key}",
    "NO_PUBKEY": "it is signed with a key that is not in the keyring: {key}; if it is to count, import it as the user"
    " that runs reconciler: gpg --import FILE",
    "TRUST_NEVER": "it is signed with a key that is marked as never to be trusted",
    "NODATA": "its signature is damaged",
}
"""What counts most stands first."""


def why_not(code: int, complaint: str) -> str:
    """Why a signature is not good; "" when it is.

    Args:
        code: exit code of `git verify-commit --raw`.
        complaint: what it wrote to standard error.
    """
    statuses = dict(_GNUPG.findall(complaint))
    for status, words in _GPG.items():
        if status in statuses:
            return words.format(key=safe(statuses[status].partition(" ")[0]))
    if code == 0:
        return ""
    return _of_ssh(complaint) or _other(complaint)


def _of_ssh(complaint: str) -> str:
    key = _SSH_KEY.search(complaint)
    limited = _SSH_LINE.search(complaint)
    if limited:
        return f"its key does not count, by the file of allowed signers: {_short(limited[0])}"
    if "Unable to open allowed keys file" in complaint or "allowedSignersFile needs to be configured" in complaint:
        return (
            "it is signed with an SSH key, and there is no file of allowed signers: set desired_state.allowed_signers"
        )
    if key and "No principal matched" in complaint:
        return f"it is signed with an SSH key that is not among the allowed signers: {safe(key[1])}"
    if "incorrect signature" in complaint:
        return _CHANGED
    if complaint.strip() == "Could not verify signature.":
        return "ssh-keygen does not accept its signature: the key was revoked, as a rule"
    return ""


def _other(complaint: str) -> str:
    if not complaint.strip():
        return "it is not signed"
    return f"its signature cannot be checked: {_short('; '.join(complaint.split(chr(10))))}"


def _short(text: str) -> str:
    shown = safe(text.strip("; "))
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
