"""Answers as they leave the server, and how a fault rule spoils them."""

import json
from dataclasses import dataclass, replace
from enum import Enum

from reconciler.model import Json, JsonObject
from reconciler.simulator.envelope import (
    CM_UNAVAILABLE,
    INNER_ERROR,
    PARAM_ERROR,
    WRAPPED,
    RefusedError,
)
from reconciler.simulator.faults import Family, Rule

JSON_TYPE = ("content-type", "application/json;charset=UTF-8")
HTML_TYPE = ("content-type", "text/html;charset=UTF-8")
PHRASES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    408: "Request Timeout",
    415: "Unsupported Media Type",
}
HTML_FROM = 500  # nginx answers for a service that is away, in HTML


class Manner(Enum):
    """How an answer is sent."""

    WHOLE = "as HTTP wants it"
    HANG = "nothing, then the connection is closed"
    CLOSE = "nothing, the connection is closed"
    RESET = "nothing, the connection is reset"
    TRUNCATED = "fewer bytes than promised, then the connection is closed"
    OVERSIZED = "followed by blanks up to a size"


MANNERS = {
    "hang": Manner.HANG,
    "close": Manner.CLOSE,
    "reset": Manner.RESET,
    "truncated": Manner.TRUNCATED,
    "oversized": Manner.OVERSIZED,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back for one request.

    Args:
        status: HTTP status.
        body: whole body.
        headers: name and value.
        manner: how it is sent.
        seconds: real seconds before it is sent, or of silence.
        size: bytes sent of a truncated body, bytes in all of an oversized one.
    """

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = (JSON_TYPE,)
    manner: Manner = Manner.WHOLE
    seconds: float = 0.0
    size: int = 0


def json_answer(value: Json, status: int = 200) -> Answer:
    """An answer with a JSON body."""
    return Answer(status, json.dumps(value, ensure_ascii=False).encode())


def http_error(status: int, message: str = "") -> Answer:
    """The JSON of a status that is no envelope."""
    return json_answer({"status": status, "error": PHRASES.get(status, "Error"), "message": message}, status)


def html_answer(text: str, status: int = 200, *headers: tuple[str, str]) -> Answer:
    """An answer with an HTML body."""
    return Answer(status, text.encode(), (HTML_TYPE, *headers))


def refusal(rule: Rule, action: str, project: str, unsupported_code: str | None) -> RefusedError | None:
    """The refusal that a rule orders; None when it orders none."""
    kind = rule.kind
    if kind == "param_error":
        return RefusedError(PARAM_ERROR, rule.parameter("message"))
    if kind == "wrapped_error":
        return RefusedError(WRAPPED, "internal error", {"message": rule.parameter("reason")})
    if kind == "error":
        return RefusedError(rule.parameter("code"), rule.parameter("message"), rule.parameter("context"))
    fixed = {
        "inner_error": RefusedError(INNER_ERROR, "system error, contact the administrator"),
        "cm_unavailable": RefusedError(CM_UNAVAILABLE, "service CM may be unavailable", {"service": "CM"}),
        "no_such_project": RefusedError("GHANA-PROJECT000001", f"project {project} does not exist"),
        "unsupported_action": RefusedError(unsupported_code, f"Unsupported action: {action}"),
    }
    return fixed.get(kind)


def spoilt(envelope: JsonObject, rule: Rule, raw: bytes) -> JsonObject:
    """The envelope with what a rule does to its fields.

    Args:
        envelope: plain, before `envelope.dressed`.
        rule: any.
        raw: the request's body.
    """
    data = envelope["data"]
    match rule.kind:
        case "echo":
            code = None if rule.parameter("success") else PARAM_ERROR
            text = f"cannot apply {raw.decode(errors='replace')}"
            return envelope | {"success": bool(rule.parameter("success")), "code": code, "message": text}
        case "success_text":
            return envelope | {"success": rule.parameter("value")}
        case "success_missing":
            return {name: value for name, value in envelope.items() if name != "success"}
        case "data":
            return envelope | {"data": rule.parameter("value")}
    if rule.family is Family.LISTS and isinstance(data, dict):
        chosen = rule.parameter("lists")
        kept = {name: value for name, value in data.items() if name not in chosen}
        return envelope | {"data": kept if rule.kind == "missing_lists" else data | {name: [] for name in chosen}}
    return envelope


def sent(answer: Answer, rule: Rule) -> Answer:
    """The answer as a rule lets it leave: another status, cut, late, or not at all."""
    if rule.kind == "http":
        return _other_status(rule)
    if rule.kind == "not_json":
        return html_answer(rule.parameter("body"))
    if rule.kind == "cut_json":
        return replace(answer, body=answer.body[: int(rule.parameter("bytes"))])
    seconds = float(rule.parameter("seconds")) if rule.kind in ("hang", "slow") else 0.0
    size = int(rule.parameter("bytes")) if rule.kind in ("truncated", "oversized") else 0
    return replace(answer, manner=MANNERS.get(rule.kind, Manner.WHOLE), seconds=seconds, size=size)


def _other_status(rule: Rule) -> Answer:
    status = int(rule.parameter("status"))
    as_html = rule.parameter("html")
    if as_html or (as_html is None and status >= HTML_FROM):
        answer = html_answer(f"<html><head><title>{status}</title></head><body>nginx</body></html>", status)
    else:
        answer = http_error(status, "simulated")
    extra = [("location", rule.parameter("location")), ("retry-after", rule.parameter("retry_after"))]
    return replace(
        answer, headers=answer.headers + tuple((name, str(value)) for name, value in extra if value is not None)
    )
