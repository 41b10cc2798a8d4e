import json

import pytest

from reconciler.errors import (
    CapabilityMissingError,
    PermanentTargetError,
    TargetMisconfiguredError,
    TemporaryTargetError,
    UnknownOutcomeError,
)
from reconciler.target.envelope import Answer, Kind, Trouble, answered
from reconciler.target.failure import failure
from reconciler.target.words import HIDDEN, Scrubber

WHERE = "target default (http://oms): UpdateIncrSync"


def message(answer, kind=Kind.PERMANENT):
    return str(failure(kind, answer, WHERE, Scrubber(["s3cret"])))


def body(**members):
    return answered(200, json.dumps(members).encode())


@pytest.mark.parametrize(
    ("kind", "raised"),
    [
        (Kind.TEMPORARY, TemporaryTargetError),
        (Kind.TEMPORARY_CAPPED, TemporaryTargetError),
        (Kind.UNKNOWN, UnknownOutcomeError),
        (Kind.PERMANENT, PermanentTargetError),
        (Kind.MISCONFIGURED, TargetMisconfiguredError),
        (Kind.INCAPABLE, CapabilityMissingError),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_each_kind_has_its_exception(kind, raised):
    assert type(failure(kind, Answer(status=500), WHERE, Scrubber())) is raised


def test_message_says_where_expected_found_words_trace_and_advice():
    said = message(body(success=False, code="PARAM_ERROR", message="bad key", requestId="7e2b"))
    assert said == (
        "target default (http://oms): UpdateIncrSync: expected HTTP 200 with success: true, found HTTP 200 OK with "
        'success: false, code PARAM_ERROR: "bad key" (requestId 7e2b). Sending the same again does not help: correct '
        "what the server names."
    )


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        pytest.param(Answer(Trouble.NOT_SENT, "ConnectError: refused"), "a connection, found ConnectError: refused.", id="not sent"),
        pytest.param(Answer(Trouble.CERTIFICATE, "expired"), "made out to the host in url, found expired.", id="certificate"),
        pytest.param(Answer(Trouble.CUT_SHORT, "cut", 200), "found HTTP 200 OK with cut.", id="cut short"),
        pytest.param(answered(302, b"", location="/login"), 'HTTP 302 Found with Location "/login", an empty body.', id="redirect"),
        pytest.param(answered(503, b"x", retry_after_s=5), "Service Unavailable with Retry-After 5 s, a body that is not JSON.", id="503"),
        pytest.param(answered(599, b"[]"), "HTTP 599 with JSON that is damaged or no object.", id="unknown status"),
        pytest.param(answered(200, b"<TITLE >Log\nin</title>"), 'with a page titled "Log in".', id="page"),
        pytest.param(body(data=1), "with JSON without success.", id="no success"),
        pytest.param(body(success="true"), "with a success that is neither true nor false.", id="success as text"),
        pytest.param(body(success=False, message="why"), 'with success: false: "why".', id="no code"),
        pytest.param(
            body(success=False, code="A_B", errorDetail={"code": "C_D"}), "success: false, code C_D / A_B.", id="two codes"
        ),
    ],
)  # fmt: skip
def test_message_says_what_was_found(answer, found):
    assert found in message(answer)


def test_words_are_short_scrubbed_and_on_one_line():
    said = message(body(success=False, message="s3cret\x1b[2J\n" + "x" * 5000))
    assert f'"{HIDDEN} [2J xxx' in said
    assert len(said) < 600


def test_real_reason_comes_first():
    said = message(
        body(success=False, message="x" * 5000, errorDetail={"messageMcmsContext": {"message": "真正的原因"}})
    )
    assert '"真正的原因; xxx' in said


def test_code_and_request_id_travel_with_the_exception():
    error = failure(Kind.UNKNOWN, body(code="INNER_ERROR", requestId="7e2b"), WHERE, Scrubber())
    assert (error.code, error.request_id) == ("INNER_ERROR", "7e2b")


def test_temporary_carries_the_servers_wish_and_the_cap():
    error = failure(Kind.TEMPORARY_CAPPED, answered(429, b"", retry_after_s=7), WHERE, Scrubber())
    assert (error.retry_after_s, error.capped, error.code, error.request_id) == (7, True, None, None)
