"""Which action which release offers: asked before anything is sent.

Reads are not gated: an old server says "Unsupported action" by itself, and that costs nothing. Whether a reset is
allowed at all (`allow_reset`) is the caller's question.
"""

import re

_LEADING_NUMBERS = re.compile(r"[vV]?([0-9]{1,6}(?:\.[0-9]{1,6})*)(?![0-9.])")

_SINCE = {
    ("UpdateIncrSync", "CE"): (4, 1, 1),
    ("ResetIncrStartTimestamp", "EE"): (4, 3, 0),
}
_NEVER = {("ResetIncrStartTimestamp", "CE")}


def refusal(action: str, edition: str, version: str) -> str | None:
    """Why an action must not be sent to a release.

    `UpdateIncrSync` has no page for the Enterprise Edition: it is tried there, and the server may answer
    "Unsupported action".

    Args:
        action: name as in `?Action=`.
        edition: "CE" or "EE".
        version: "4.2.5"; a leading "V" and anything behind the numbers ("-CE", "_BP1") are ignored.

    Returns:
        What was expected, what was found and what to do, as sentences; None when nothing speaks against it.

    Source:
        https://en.oceanbase.com/docs/community-oms-en-10000000001080575 (UpdateIncrSync, V4.1.1 and later),
        https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000002913051 (ResetIncrStartTimestamp, V4.3.0).
    """
    if (action, edition) in _NEVER:
        return (
            f"expected an OMS Enterprise Edition (EE), found {edition} {version}. Nothing was sent: the Community "
            "Edition documents no such action; set the start position in the OMS console."
        )
    since = _SINCE.get((action, edition))
    if since is None:
        return None
    needed = ".".join(map(str, since))
    found = _LEADING_NUMBERS.match(version)
    if found is None:
        return f'expected a version such as {needed}, found "{version}". Nothing was sent: correct it in the target.'
    if tuple(map(int, found[1].split("."))) < since:
        return (
            f"expected OMS {edition} {needed} or newer, found {version}. Nothing was sent: upgrade OMS, or correct "
            "`version` of the target."
        )
    return None
