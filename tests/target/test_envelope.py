import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.target.envelope import (
    TABLE,
    Answer,
    Kind,
    Trouble,
    answered,
    judge,
    member,
    nested_object,
    read_envelope,
    retry_after_s,
    text,
    whole_number,
)

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


def ok(**body):
    return answered(200, json.dumps(body).encode())


def status(code, body=b"", **more):
    return answered(code, body if isinstance(body, bytes) else json.dumps(body).encode(), **more)


def refused(code=None, **more):
    return {"success": False, "code": code, "message": "words", **more}


# row of the table, what came, verdict on a write, verdict on a read
T, C, U, P, M, N, A = (
    Kind.TEMPORARY, Kind.TEMPORARY_CAPPED, Kind.UNKNOWN, Kind.PERMANENT, Kind.MISCONFIGURED, Kind.INCAPABLE, Kind.ACCEPTED,
)  # fmt: skip
CASES = [
    ("not sent", "refused, DNS, handshake", Answer(Trouble.NOT_SENT), T, T),
    ("certificate", "not trusted", Answer(Trouble.CERTIFICATE), M, M),
    ("no answer", "timeout, reset", Answer(Trouble.NO_ANSWER), U, T),
    ("unsupported", "in message", ok(success=False, message="Unsupported action: UpdateIncrSync"), N, N),
    ("unsupported", "in errorDetail", ok(success=False, errorDetail={"reason": "Unsupported action: X"}), N, N),
    ("unsupported", "behind another status", status(500, {"Success": False, "Message": "Unsupported action: X"}), N, N),
    ("unsupported", "without success", status(404, {"message": "Unsupported action: X"}), N, N),
    ("credentials", "401", status(401), M, M),
    ("credentials", "401 with an envelope", status(401, refused("PARAM_ERROR")), M, M),
    ("credentials", "403", status(403, b"<html>"), M, M),
    ("credentials", "407", status(407), M, M),
    ("redirect", "301", status(301, location="/login"), M, M),
    ("redirect", "302 with success", status(302, {"success": True}), M, M),
    ("redirect", "307", status(307), M, M),
    ("too many", "429", status(429), T, T),
    ("too many", "429 with a time", status(429, refused(), retry_after_s=3), T, T),
    ("unavailable for a time", "503", status(503, retry_after_s=3), T, T),
    ("server error", "503 without a time", status(503), U, T),
    ("server error", "408", status(408), U, T),
    ("server error", "500", status(500, refused("PARAM_ERROR")), U, T),
    ("server error", "502", status(502, b"<html>"), U, T),
    ("server error", "504 with success", status(504, {"success": True}), U, T),
    ("server error", "500 cut short", Answer(Trouble.CUT_SHORT, status=500), U, T),
    ("no page", "404", status(404, b"<html>"), M, M),
    ("no page", "404 of another program", status(404, {"status": 404, "path": "/api/v2"}), M, M),
    ("no page", "405", status(405), M, M),
    ("no page", "404 cut short", Answer(Trouble.CUT_SHORT, status=404), M, M),
    ("inner error", "200", ok(**refused("INNER_ERROR")), U, C),
    ("inner error", "in errorDetail", ok(success=False, errorDetail={"code": "INNER_ERROR"}), U, C),
    ("inner error", "400", status(400, refused("INNER_ERROR")), U, C),
    ("inner error", "in front of the message", ok(success=False, message="[INNER_ERROR]: words"), U, C),
    ("client error", "400", status(400, refused("PARAM_ERROR")), P, P),
    ("client error", "400 without a body", status(400), P, P),
    ("client error", "404 of OMS", status(404, refused("GHANA-PROJECT000001")), P, P),
    ("client error", "413", status(413, b"<html>"), P, P),
    ("client error", "422", status(422, refused()), P, P),
    ("too large", "200", Answer(Trouble.TOO_LARGE, status=200), U, P),
    ("cut short", "200", Answer(Trouble.CUT_SHORT, status=200), U, T),
    ("not 200", "204", status(204), U, T),
    ("not 200", "202 with success", status(202, {"success": True}), U, T),
    ("not 200", "101", status(101), U, T),
    ("accepted", "success", ok(success=True, data=1), A, A),
    ("accepted", "capital", ok(Success=True), A, A),
    ("accepted", "with a code", ok(success=True, code="INNER_ERROR", message="Unsupported action"), A, A),
    ("accepted", "with a byte order mark", answered(200, b'\xef\xbb\xbf {"success": true}'), A, A),
    ("accepted", "with bytes that are no UTF-8", answered(200, b'{"success": true, "message": "\xc4\xe3"}'), A, A),
    ("passing", "CM away", ok(**refused("GHANA-OPERAT000001")), C, C),
    ("passing", "wrapper", ok(**refused("GHANA-OPERIE000000")), C, C),
    ("passing", "in errorDetail", ok(success=False, errorDetail={"Code": "GHANA-OPERAT000009"}), C, C),
    ("refused", "PARAM_ERROR", ok(**refused("PARAM_ERROR")), P, P),
    ("refused", "project gone", ok(**refused("GHANA-PROJECT000001")), P, P),
    ("refused", "unknown code", ok(**refused("CM-RESOAT1111")), P, P),
    ("refused", "no code", ok(success=False), P, P),
    ("no verdict", "success missing", ok(data=1), U, T),
    ("no verdict", "success is a text", ok(success="true"), U, T),
    ("no verdict", "failure is a text", ok(success="false", code="PARAM_ERROR"), U, T),
    ("no verdict", "success is a number", ok(success=1), U, T),
    ("no verdict", "success twice", ok(success=True, Success=False), U, T),
    ("no verdict", "empty", status(200), U, T),
    ("no verdict", "cut in the middle", answered(200, b'{"success": tr'), U, T),
    ("no verdict", "a list", answered(200, b"[]"), U, T),
    ("no verdict", "null", answered(200, b"null"), U, T),
    ("no verdict", "nested by the thousand", answered(200, b'{"success": ' + b"[" * 100_000), U, T),
    ("no verdict", "a number of 5,000 digits", answered(200, b'{"success": true, "data": ' + b"9" * 5000 + b"}"), U, T),
    ("not JSON", "login page", answered(200, b"<!DOCTYPE html><title>Log in</title>"), M, M),
    ("not JSON", "text", answered(200, b"forbidden"), M, M),
    ("not JSON", "noise", answered(200, bytes(range(128, 160))), M, M),
]


@pytest.mark.parametrize(
    ("row", "answer", "write", "read"), [(c[0], *c[2:]) for c in CASES], ids=[f"{c[0]}: {c[1]}" for c in CASES]
)
def test_answer_means(row, answer, write, read):
    assert next(one.name for one in TABLE if one.applies(answer)) == row
    assert (judge(answer, write=True), judge(answer, write=False)) == (write, read)


def test_every_row_has_a_case():
    assert [row.name for row in TABLE] == list(dict.fromkeys(case[0] for case in sorted(CASES, key=_place)))


def _place(case):
    return next(number for number, row in enumerate(TABLE) if row.name == case[0])


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_read_is_never_unknown(row):
    assert row.read is not Kind.UNKNOWN


@given(st.integers(100, 599), st.binary() | st.text().map(str.encode), st.booleans())
def test_any_answer_has_a_verdict_and_only_a_clear_yes_is_accepted(code, body, write):
    kind = judge(answered(code, body), write=write)
    assert kind is not Kind.ACCEPTED or json.loads(body.decode("utf-8-sig", "replace"))["success"] is True


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["success", "Success", "code", "message", "errorDetail", "messageMcmsContext", "data"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["success", "code", "errorDetail", "requestId", "x"]), JSON))
def test_any_json_object_is_decoded(body):
    envelope = read_envelope(json.dumps(body).encode())
    assert envelope.named is ("success" in body)
    assert all(isinstance(one, str) and one for one in (*envelope.codes, *envelope.texts))


# --- decoding


def test_documented_failure_is_decoded():
    envelope = ok(
        success=False,
        code="GHANA-OPERIE000000",
        message="internal error",
        requestId="7e2b",
        errorDetail={
            "code": "GHANA-OPERAT000001",
            "message": "The service ${service} is away",
            "messageMcmsContext": {"service": "CM", "message": "connect timed out"},
            "upstreamErrorDetail": {"reason": "host down", "reasonMcmsContext": {"message": "no route"}},
        },
    ).envelope
    assert envelope.codes == ("GHANA-OPERAT000001", "GHANA-OPERIE000000")
    assert envelope.texts == (
        "connect timed out", "The service ${service} is away", "no route", "host down", "internal error",
    )  # fmt: skip
    assert envelope.request_id == "7e2b"


def test_request_id_may_sit_in_error_detail():
    assert ok(success=False, errorDetail={"requestId": "inner"}).envelope.request_id == "inner"


def test_missing_members_are_empty():
    envelope = ok(success=False).envelope
    assert (envelope.codes, envelope.texts, envelope.request_id, envelope.data) == ((), (), None, None)


def test_bracketed_word_counts_as_code_only_where_there_is_no_other():
    assert ok(success=False, code="PARAM_ERROR", message="[INNER_ERROR]: x").envelope.codes == ("PARAM_ERROR",)


def test_causes_below_the_fourth_are_not_followed():
    detail = {"message": "deepest"}
    for level in range(200):
        detail = {"message": str(level), "upstreamErrorDetail": detail}
    assert ok(success=False, errorDetail=detail).envelope.texts == ("199", "198", "197", "196")


def test_exact_name_wins_over_another_case():
    assert member({"Data": 1, "data": 2}, "data") == 2
    assert member({"DATA": 1}, "data") == 1
    assert member(["data"], "data") is None


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3000001, 3000001), ("3000001", 3000001), (0, 0), (-1, -1), (2**63 - 1, 2**63 - 1), ("9223372036854775807", 2**63 - 1),
        (2**63, None), ("9223372036854775808", None), ("9" * 5000, None), (True, None), (3.0, None), ("3.0", None),
        ("1e3", None), (" 3", None), ("٣", None), ("", None), (None, None), ([3], None),
    ],
)  # fmt: skip
def test_ids_are_64_bit_integers(value, number):
    assert whole_number(value) == number


@pytest.mark.parametrize(("value", "read"), [("a\ud800", "a?"), (5, "5"), (True, ""), (1.5, ""), (None, ""), ({}, "")])
def test_text_is_text_or_a_whole_number(value, read):
    assert text(value) == read


@pytest.mark.parametrize(
    ("value", "read"), [({"a": 1}, {"a": 1}), ('{"a": 1}', {"a": 1}), ("[]", None), ("x", None), (1, None)]
)
def test_object_may_come_as_text(value, read):
    assert nested_object(value) == read


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param("30", 30, id="seconds"),
        pytest.param(" 0 ", 0, id="at once"),
        pytest.param("86400", 3600, id="capped"),
        pytest.param("9" * 5000, 3600, id="absurd"),
        pytest.param("Fri, 20 Nov 2026 12:00:45 GMT", 45, id="date"),
        pytest.param("Fri, 20 Nov 2026 12:00:45 -0000", 45, id="date without a zone"),
        pytest.param("Fri, 20 Nov 2026 11:00:00 GMT", 0, id="past"),
        pytest.param("Fri, 20 Nov 2099 11:00:00 GMT", 3600, id="far"),
        pytest.param("", None, id="absent"),
        pytest.param("soon", None, id="word"),
        pytest.param("-5", None, id="negative"),
        pytest.param("1.5", None, id="fraction"),
        pytest.param("٣", None, id="digits of another script"),
        pytest.param("Fri, 99 Nov 2026 12:00:45 GMT", None, id="no such day"),
    ],
)
def test_retry_after_is_seconds_or_a_date(header, seconds):
    assert retry_after_s(header, NOW) == seconds


@given(st.text())
def test_any_retry_after_is_read_or_ignored(header):
    assert retry_after_s(header, NOW) is None or 0 <= retry_after_s(header, NOW) <= 3600
