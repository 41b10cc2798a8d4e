"""An answer that is no success -> the exception, with a message that somebody woken at night can act on.

A message says which target and action, what was expected, what was found (status, code, the server's own words), what
to do, and the request id by which the server's log knows the call. It never holds a body or a secret.
"""

import json
import re
from http import HTTPStatus

from reconciler.errors import (
    CapabilityMissingError,
    PermanentTargetError,
    TargetError,
    TargetMisconfiguredError,
    TemporaryTargetError,
    UnknownOutcomeError,
)
from reconciler.target.envelope import Answer, Envelope, Kind, Trouble
from reconciler.target.words import Scrubber

_LONGEST_WORDS = 300
_LONGEST_WORD = 100
_TITLE = re.compile(rb"<title[^>]*>([^<]{1,200})", re.IGNORECASE)

_ADVICE = {
    Kind.TEMPORARY: "Nothing was changed; the same call may succeed later.",
    Kind.TEMPORARY_CAPPED: "OMS calls this a passing failure; if it stays, look at the OMS services of the region.",
    Kind.UNKNOWN: "The call may or may not have had its effect: look at the component before sending it again.",
    Kind.PERMANENT: "Sending the same again does not help: correct what the server names.",
    Kind.MISCONFIGURED: "No call to this target can succeed: correct its url, username, password or ca_file.",
    Kind.INCAPABLE: "This release of OMS does not offer the action: upgrade OMS, or do it in the OMS console.",
}

_CLASSES: dict[Kind, type[TargetError]] = {
    Kind.UNKNOWN: UnknownOutcomeError,
    Kind.PERMANENT: PermanentTargetError,
    Kind.MISCONFIGURED: TargetMisconfiguredError,
    Kind.INCAPABLE: CapabilityMissingError,
}


def failure(kind: Kind, answer: Answer, where: str, scrub: Scrubber) -> TargetError:
    """Make the exception of a call that did not end in success.

    Args:
        kind: verdict on the answer; anything but accepted.
        answer: what came.
        where: "target default: UpdateIncrSync".
        scrub: hides secrets in what the server says.

    Returns:
        One of the five kinds of `TargetError`, to be raised.
    """
    envelope = answer.envelope
    code = scrub.words(envelope.codes[0], _LONGEST_WORD) if envelope and envelope.codes else None
    request_id = scrub.words(envelope.request_id, _LONGEST_WORD) if envelope and envelope.request_id else None
    trace = f" (requestId {request_id})" if request_id else ""
    message = f"{where}: expected {_expected(answer)}, found {_found(answer, scrub)}{trace}. {_ADVICE[kind]}"
    if kind in (Kind.TEMPORARY, Kind.TEMPORARY_CAPPED):
        return TemporaryTargetError(
            message,
            retry_after_s=answer.retry_after_s,
            capped=kind is Kind.TEMPORARY_CAPPED,
            code=code,
            request_id=request_id,
        )
    return _CLASSES[kind](message, code=code, request_id=request_id)


def _expected(answer: Answer) -> str:
    match answer.trouble:
        case Trouble.NOT_SENT:
            return "a connection"
        case Trouble.CERTIFICATE:
            return "a certificate that is trusted and made out to the host in url"
        case _:
            return "HTTP 200 with success: true"


def _found(answer: Answer, scrub: Scrubber) -> str:
    if not answer.status:
        return scrub.words(answer.detail, _LONGEST_WORDS)
    parts = [_status(answer.status)]
    if answer.retry_after_s is not None:
        parts.append(f"Retry-After {answer.retry_after_s:.0f} s")
    if answer.location:
        parts.append(f'Location "{scrub.words(answer.location, _LONGEST_WORD)}"')
    parts += _said(answer, scrub)
    return " with ".join((parts[0], ", ".join(parts[1:])))


def _status(status: int) -> str:
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def _said(answer: Answer, scrub: Scrubber) -> list[str]:
    """What the body says, as parts of a list."""
    envelope = answer.envelope
    if envelope is None:
        return [_other_body(answer, scrub)]
    codes = " / ".join(scrub.words(code, _LONGEST_WORD) for code in envelope.codes)
    words = scrub.words("; ".join(envelope.texts), _LONGEST_WORDS)
    said = [_verdict(envelope)]
    if codes:
        said.append(f"code {codes}")
    return [*said[:-1], f'{said[-1]}: "{words}"' if words else said[-1]]


def _verdict(envelope: Envelope) -> str:
    if envelope.success is not None:
        return f"success: {json.dumps(envelope.success)}"
    return "a success that is neither true nor false" if envelope.named else "JSON without success"


def _other_body(answer: Answer, scrub: Scrubber) -> str:
    if answer.detail:
        return scrub.words(answer.detail, _LONGEST_WORDS)
    if not answer.body.strip():
        return "an empty body"
    if answer.resembles_json:
        return "JSON that is damaged or no object"
    title = _TITLE.search(answer.body)
    if title:
        return f'a page titled "{scrub.words(title[1].decode("utf-8", "replace"), _LONGEST_WORD)}"'
    return "a body that is not JSON"
