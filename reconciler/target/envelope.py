"""What came back from one call, and what it means. Pure: bytes and a status in, a verdict out.

OMS answers a business failure with HTTP 200 and `success: false`, so neither the status nor the body alone decides.
`TABLE` is the one place where an answer becomes a verdict; the first row that applies holds. Texts are never
matched (they come in Chinese or English), with one exception: "Unsupported action", for which no code is documented.

Source:
    https://en.oceanbase.com/docs/community-oms-en-10000000001080575 (the envelope),
    https://github.com/oceanbase/odc, package onlineschemachange.oms (HTTP 200 for failures, decoding without case).
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from http import HTTPStatus
from typing import NamedTuple

from reconciler.model import Json, JsonObject

LONGEST_RETRY_AFTER_S = 3600.0
_DEEPEST_CAUSE = 4  # OMS, CM, supervisor, and one more
_INT64 = range(-(2**63), 2**63)
_CODE_IN_MESSAGE = re.compile(r"\s*\[([A-Z][A-Z0-9_-]{2,63})\]")  # "[PARAM_ERROR]: text" of older servers
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,19}")


# --- what came -----------------------------------------------------------------------------------------------------


class Trouble(Enum):
    """Why there is no whole answer; the adapter maps its library's exceptions to these."""

    NOT_SENT = "not sent"  # certainly nothing reached the server
    CERTIFICATE = "certificate"  # likewise: the server's certificate or its name is not trusted
    NO_ANSWER = "no answer"  # sent, at least in part, and no status came back
    CUT_SHORT = "cut short"  # a status came, but the body did not come whole
    TOO_LARGE = "too large"  # a status came, and a body over the limit


@dataclass(frozen=True, slots=True, repr=False)
class Envelope:
    """A JSON object from the server; any member may be missing, names differ in case."""

    named: bool  # whether it has a member `success` at all: other programs answer JSON too
    success: bool | None  # None: missing, given twice, or anything but JSON's true and false
    codes: tuple[str, ...]  # most specific first: errorDetail.code, code
    texts: tuple[str, ...]  # the server's words, real reason first
    request_id: str | None
    data: Json


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request, without judgement.

    A server may quote secrets anywhere, so that a repr shows nothing of what it said.
    """

    trouble: Trouble | None = None
    detail: str = ""  # what the library or the operating system says about the trouble
    status: int = 0  # 0 when no status came
    body: bytes = field(default=b"", repr=False)  # b"" unless it came whole
    retry_after_s: float | None = None
    location: str = field(default="", repr=False)
    envelope: Envelope | None = field(default=None, repr=False)  # see `answered`

    @property
    def genuine(self) -> bool:
        """Whether OMS itself speaks: a JSON object with a member `success`."""
        return self.envelope is not None and self.envelope.named

    @property
    def succeeded(self) -> bool | None:
        """What the envelope says, None when it says nothing clear."""
        return self.envelope.success if self.envelope else None

    @property
    def resembles_json(self) -> bool:
        """Whether the body is empty, JSON, or begins like JSON, so that it may be a damaged answer of OMS."""
        body = self.body.removeprefix(b"\xef\xbb\xbf").strip()
        if not body or body.startswith((b"{", b"[")):
            return True
        try:
            json.loads(body)
        except ValueError:
            return False
        return True

    @property
    def fails(self) -> bool:
        """Whether the envelope says anything but a clear yes."""
        return self.succeeded is not True

    @property
    def refuses(self) -> bool:
        """Whether the envelope says a clear no."""
        return self.succeeded is False

    @property
    def unavailable_for_a_time(self) -> bool:
        """Whether the server turns everybody away and says until when."""
        return self.status == HTTPStatus.SERVICE_UNAVAILABLE and self.retry_after_s is not None

    def has_code(self, prefixes: tuple[str, ...]) -> bool:
        """Whether one of the codes begins so."""
        return self.envelope is not None and any(code.startswith(prefixes) for code in self.envelope.codes)

    def says(self, words: str) -> bool:
        """Whether one of the texts holds these words."""
        return self.envelope is not None and any(words in text for text in self.envelope.texts)


def answered(status: int, body: bytes, *, retry_after_s: float | None = None, location: str = "") -> Answer:
    """Make the answer of a server that came whole.

    Args:
        status: HTTP status.
        body: decompressed; its `Content-Type` does not matter.
        retry_after_s: see `retry_after_s`.
        location: header of a redirect.
    """
    envelope = read_envelope(body)
    return Answer(status=status, body=body, retry_after_s=retry_after_s, location=location, envelope=envelope)


# --- decoding ------------------------------------------------------------------------------------------------------


def read_envelope(body: bytes) -> Envelope | None:
    """Decode a body as far as it can be.

    Args:
        body: UTF-8 JSON, perhaps with a byte order mark; bytes that are no UTF-8 are replaced, because a garbled
            message must not hide a clear verdict.

    Returns:
        None when the body is not one JSON object.
    """
    value = _decoded(body.decode("utf-8-sig", "replace"))
    if not isinstance(value, dict):
        return None
    verdicts = [found for name, found in value.items() if name.lower() == "success"]
    clear = len(verdicts) == 1 and isinstance(verdicts[0], bool)
    detail = member(value, "errorDetail")
    message = text(member(value, "message"))
    codes = [text(member(detail, "code")), text(member(value, "code"))]
    if not any(codes) and (found := _CODE_IN_MESSAGE.match(message)):
        codes = [found[1]]
    request_id = text(member(value, "requestId")) or text(member(detail, "requestId"))
    return Envelope(
        named=bool(verdicts),
        success=verdicts[0] if clear else None,
        codes=_distinct(codes),
        texts=_distinct([*detail_texts(detail), message, text(member(value, "advice"))]),
        request_id=request_id or None,
        data=member(value, "data"),
    )


def _decoded(body: str) -> Json:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # the latter for brackets nested by the thousand
        return None


def member(value: Json, name: str) -> Json:
    """Find a member of an object whatever the case of its name; the exact name wins.

    Args:
        value: anything; only an object has members.
        name: as documented, `requestId`.

    Returns:
        None when there is none.
    """
    if not isinstance(value, dict):
        return None
    if name in value:
        return value[name]
    return next((found for key, found in value.items() if key.lower() == name.lower()), None)


def nested_object(value: Json) -> JsonObject | None:
    """Read an object, or a text that holds one: the pages call the type of `data` a string."""
    found = _decoded(value) if isinstance(value, str) else value
    return found if isinstance(found, dict) else None


def text(value: Json) -> str:
    """Read a text; a whole number becomes one, lone surrogates are replaced, anything else is ""."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return str(value) if whole_number(value) is not None else ""


def whole_number(value: Json) -> int | None:
    """Read a 64-bit integer, also from a text of digits; None for anything else (true, 1.0, "1e3")."""
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value in _INT64 else None


def detail_texts(detail: Json) -> Iterator[str]:
    """Texts of an `errorDetail`, the real reason first: it may sit in `messageMcmsContext.message` only.

    Args:
        detail: `{code, message, messageMcmsContext: {message}, reason, reasonMcmsContext, proposal,
            upstreamErrorDetail: {…the same}}`, all optional; some lists hold plain texts instead.
    """
    for _ in range(_DEEPEST_CAUSE):
        yield text(detail)
        for name in ("messageMcmsContext", "reasonMcmsContext"):
            yield text(member(member(detail, name), "message"))
        for name in ("message", "reason", "proposal"):
            yield text(member(detail, name))
        detail = member(detail, "upstreamErrorDetail")


def retry_after_s(header: str, now: datetime) -> float | None:
    """Read a `Retry-After` header.

    Args:
        header: seconds or an HTTP date; "" when absent.
        now: aware, to count from.

    Returns:
        Seconds from now, 0 to `LONGEST_RETRY_AFTER_S`; None when there is nothing readable.

    Source:
        RFC 9110 section 10.2.3.
    """
    value = header.strip()
    if value.isascii() and value.isdecimal():
        return min(float(value), LONGEST_RETRY_AFTER_S)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)  # "-0000" says UTC without claiming a zone
    return min(max((aware - now).total_seconds(), 0.0), LONGEST_RETRY_AFTER_S)


def _distinct(texts: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, texts)))


# --- what it means -------------------------------------------------------------------------------------------------


class Kind(Enum):
    """How a call ended: accepted, or one of the five kinds of `TargetError`."""

    ACCEPTED = "accepted"
    TEMPORARY = "temporary"
    TEMPORARY_CAPPED = "temporary, capped"  # repeating it must end after a few attempts
    UNKNOWN = "unknown"
    PERMANENT = "permanent"
    MISCONFIGURED = "misconfigured"
    INCAPABLE = "capability missing"


class Row(NamedTuple):
    """One row of the table."""

    name: str
    applies: Callable[[Answer], bool]
    write: Kind
    read: Kind  # a read has no effect, so it is never unknown


_NO_SUCH_PAGE = (404, 405)
_CREDENTIALS = (401, 403, 407)
_REDIRECT = range(300, 400)
_CLIENT_ERROR = range(400, 500)
_SERVER_ERROR = (HTTPStatus.REQUEST_TIMEOUT, *range(500, 600))
_TROUBLE_INSIDE = ("INNER_ERROR",)  # "contact the administrator": something broke, before or after the effect
_PASSING = ("GHANA-OPERAT", "GHANA-OPERIE")

TABLE = (
    Row("not sent", lambda a: a.trouble is Trouble.NOT_SENT, Kind.TEMPORARY, Kind.TEMPORARY),
    Row("certificate", lambda a: a.trouble is Trouble.CERTIFICATE, Kind.MISCONFIGURED, Kind.MISCONFIGURED),
    Row("no answer", lambda a: a.trouble is Trouble.NO_ANSWER, Kind.UNKNOWN, Kind.TEMPORARY),
    Row("unsupported", lambda a: a.fails and a.says("Unsupported action:"), Kind.INCAPABLE, Kind.INCAPABLE),
    # From here to "server error" the status alone decides.
    Row("credentials", lambda a: a.status in _CREDENTIALS, Kind.MISCONFIGURED, Kind.MISCONFIGURED),
    Row("redirect", lambda a: a.status in _REDIRECT, Kind.MISCONFIGURED, Kind.MISCONFIGURED),
    Row("too many", lambda a: a.status == HTTPStatus.TOO_MANY_REQUESTS, Kind.TEMPORARY, Kind.TEMPORARY),
    Row("unavailable for a time", lambda a: a.unavailable_for_a_time, Kind.TEMPORARY, Kind.TEMPORARY),
    Row("server error", lambda a: a.status in _SERVER_ERROR, Kind.UNKNOWN, Kind.TEMPORARY),
    # A wrong `url` meets a server without such a page; OMS itself would have said so in an envelope.
    Row("no page", lambda a: a.status in _NO_SUCH_PAGE and not a.genuine, Kind.MISCONFIGURED, Kind.MISCONFIGURED),
    Row("inner error", lambda a: a.fails and a.has_code(_TROUBLE_INSIDE), Kind.UNKNOWN, Kind.TEMPORARY_CAPPED),
    Row("client error", lambda a: a.status in _CLIENT_ERROR, Kind.PERMANENT, Kind.PERMANENT),
    # What is too large for a read now is too large the next time.
    Row("too large", lambda a: a.trouble is Trouble.TOO_LARGE, Kind.UNKNOWN, Kind.PERMANENT),
    Row("cut short", lambda a: a.trouble is Trouble.CUT_SHORT, Kind.UNKNOWN, Kind.TEMPORARY),
    Row("not 200", lambda a: a.status != HTTPStatus.OK, Kind.UNKNOWN, Kind.TEMPORARY),
    Row("accepted", lambda a: a.succeeded is True, Kind.ACCEPTED, Kind.ACCEPTED),
    Row("passing", lambda a: a.refuses and a.has_code(_PASSING), Kind.TEMPORARY_CAPPED, Kind.TEMPORARY_CAPPED),
    Row("refused", lambda a: a.refuses, Kind.PERMANENT, Kind.PERMANENT),
    # `success` missing, or "true" as a text: neither a yes to record as applied nor a no that promises no effect.
    Row("no verdict", lambda a: a.resembles_json, Kind.UNKNOWN, Kind.TEMPORARY),
    # A login page, most often.
    Row("not JSON", lambda _: True, Kind.MISCONFIGURED, Kind.MISCONFIGURED),
)
"""Every answer, from top to bottom: the first row that applies holds."""


def judge(answer: Answer, *, write: bool) -> Kind:
    """Say what an answer means.

    Args:
        answer: what came.
        write: whether the request was to change something: an unclear answer then leaves its effect unknown.
    """
    row = next(row for row in TABLE if row.applies(answer))
    return row.write if write else row.read
