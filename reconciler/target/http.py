"""OMS over HTTP: `ports.Target` with httpx.

Here are the connection, the credentials and the mapping of foreign exceptions; `envelope` says what an answer means.

Decisions that are not obvious:

- **Writes never travel on a used connection.** A server may close an idle connection at the very moment a request is
  written to it. Nobody can then say whether it was read, and for a write that is an unknown outcome. So reads
  keep their connection for `KEEPALIVE_S` and writes open a fresh one each: a handshake is nothing beside the restart
  that a write causes. Nothing is ever repeated here.
- **The environment is ignored** (`trust_env=False`): a proxy named there would receive the password of an account that
  may delete replication links. No redirect is followed and no cookie kept, for the same reason.
- **System certificate authorities**, not the list that httpx ships: operators install their company's there.
- Exceptions leave without their cause. httpx hangs the request, with the password and the whole configuration, on
  each of its own; the name of its class and its text are in the message.
"""

import base64
import json
import ssl
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TypeVar

import httpx

from reconciler import __version__
from reconciler.core.versions import refusal
from reconciler.errors import PermanentTargetError, TargetMisconfiguredError
from reconciler.model import SECTIONS, Accepted, Json, JsonObject, ObservedComponent, ObservedProject, UpdateRequest
from reconciler.target import observed
from reconciler.target.body import BodyDamagedError, BodyTooLargeError, read_body
from reconciler.target.envelope import Answer, Envelope, Kind, Trouble, answered, judge, retry_after_s, whole_number
from reconciler.target.failure import failure
from reconciler.target.pace import Pace
from reconciler.target.settings import TargetSettings
from reconciler.target.tls import certificate_error, client_context, unused_context
from reconciler.target.words import Scrubber

LARGEST_ANSWER_BYTES = 8 * 1024 * 1024
KEEPALIVE_S = 3.0  # shorter than common servers' own limit: nginx 75 s, uvicorn 5 s

_LONGEST_REQUEST_ID = 100

_Observed = TypeVar("_Observed")

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class _Call:
    """One request. Its body may hold passwords, also where a traceback shows the locals of a frame."""

    action: str
    body: JsonObject = field(repr=False)
    write: bool


class HttpTarget:
    """One OMS server; implements `reconciler.ports.Target`. One instance belongs to one thread.

    Args:
        settings: where the server is and who we are.
        hide: secret values that the server must not be quoted with; a collection is read again at each use.
        transport: what carries the requests, instead of the network.
        pace: gives each request its turn; shared by all instances of one server. No limit when None.

    Raises:
        TargetMisconfiguredError: an address that cannot be called, a user name with a colon, a CA file that cannot
            be read.
    """

    def __init__(
        self,
        settings: TargetSettings,
        hide: Collection[str] = (),
        *,
        transport: httpx.BaseTransport | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._settings = settings
        self._pace = pace
        self._api = _api_url(settings)
        tls = self._tls_context()  # whatever may fail comes before the first local that is a secret
        token = _basic_token(settings)
        self._scrub = Scrubber(hide, (settings.password, token))
        self._reads = self._client(token, tls, transport, kept=1)
        self._writes = self._client(token, tls, transport, kept=0)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._settings!r})"

    def take_turn(self) -> None:
        """Wait until a request may be made; reads do so themselves."""
        if self._pace is not None:
            self._pace.wait()

    # --- writes

    def update_incr_sync(self, request: UpdateRequest) -> Accepted:
        """Change a component's configuration; it restarts.

        Args:
            request: all four sections, secrets filled in. `allowDelete` is sent only when it is asked for.

        Raises:
            TargetError: one of its five kinds; `UnknownOutcomeError` when the effect is unknown.

        Source:
            https://en.oceanbase.com/docs/community-oms-en-10000000001080575
        """
        action = "UpdateIncrSync"
        self._check(action, _objection(request))
        return self._accept(self._call(_Call(action, _update_body(request), write=True)))

    def reset_incr_start_timestamp(self, project: str, *, reverse: bool, start_timestamp: int) -> Accepted:
        """Move the position from which a link reads.

        Args:
            project: id, `np_4x9jabcd`.
            reverse: True for the link from the sink back to the source.
            start_timestamp: unix seconds; an integer as in the page's sample, though its table says string.

        Raises:
            TargetError: one of its five kinds; `UnknownOutcomeError` when the effect is unknown.

        Source:
            https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000002913051
        """
        action = "ResetIncrStartTimestamp"
        self._check(action, None)
        body: JsonObject = {"id": project, "reverse": reverse, "startTimestamp": start_timestamp}
        return self._accept(self._call(_Call(action, body, write=True)))

    def stop_project(self, project: str) -> None:
        """Tell a project to stop; it is when its status is SUSPEND.

        Args:
            project: id, `np_4x9jabcd`.

        Raises:
            TargetError: one of its five kinds; `UnknownOutcomeError` when the effect is unknown.

        Source:
            https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000002913109 (states); the vendor's own client,
            github.com/oceanbase/odc, calls StopProject and ResumeProject like that
        """
        self._call(_Call("StopProject", {"id": project}, write=True))

    def resume_project(self, project: str) -> None:
        """Tell a project that was stopped to go on; it does when its status is RUNNING. See `stop_project`.

        Raises:
            TargetError: one of its five kinds; `UnknownOutcomeError` when the effect is unknown.
        """
        self._call(_Call("ResumeProject", {"id": project}, write=True))

    # --- reads

    def components(self, project: str) -> tuple[ObservedComponent, ...]:
        """Incr-Sync components of a project, forward link first, in the server's order.

        Raises:
            TargetError: any of its kinds but `UnknownOutcomeError`.
        """
        return self._observe("DescribeProjectComponents", project, observed.components)

    def progress(self, project: str) -> ObservedProject:
        """Status and checkpoints of a project.

        Raises:
            TargetError: any of its kinds but `UnknownOutcomeError`.
        """
        return self._observe("DescribeProjectProgress", project, observed.project)

    def probe(self) -> None:
        """Return when OMS answers at all: the Community Edition may not know the action, and is there nevertheless.

        Raises:
            TargetMisconfiguredError: also when a refusal of the credentials comes as an envelope.
            TargetError: any other kind but `UnknownOutcomeError`, when no envelope came.

        Source:
            https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000002913058
        """
        call = _Call("DescribeRegions", {}, write=False)
        answer = self._exchange(call)
        kind = judge(answer, write=False)
        if kind is Kind.MISCONFIGURED or not answer.genuine:
            raise failure(kind, answer, self._where(call.action), self._scrub)

    def close(self) -> None:
        """Give the connections back."""
        self._reads.close()
        self._writes.close()

    # --- one call

    def _call(self, call: _Call) -> Envelope:
        answer = self._exchange(call)
        kind = judge(answer, write=call.write)
        if kind is Kind.ACCEPTED and answer.envelope is not None:
            return answer.envelope
        raise failure(kind, answer, self._where(call.action), self._scrub)

    def _accept(self, envelope: Envelope) -> Accepted:
        return Accepted(ticket=whole_number(envelope.data), request_id=self._request_id(envelope))

    def _observe(self, action: str, project: str, decode: Callable[[Json, Scrubber], _Observed]) -> _Observed:
        envelope = self._call(_Call(action, {"id": project}, write=False))
        try:
            return decode(envelope.data, self._scrub)
        except observed.ShapeError as error:
            problem = str(error)
        request_id = self._request_id(envelope)
        raise PermanentTargetError(
            f"{self._where(action)}: {problem} (requestId {request_id}). This release of OMS answers otherwise than "
            "documented: what depends on this read cannot be known.",
            request_id=request_id,
        )

    def _request_id(self, envelope: Envelope) -> str | None:
        return self._scrub.words(envelope.request_id or "", _LONGEST_REQUEST_ID) or None

    def _exchange(self, call: _Call) -> Answer:
        """Send one request and take what comes.

        Characters beyond ASCII travel as JSON escapes: no server can take those for another character set, and the
        same content always makes the same bytes.
        """
        if not call.write:
            self.take_turn()
        client = self._writes if call.write else self._reads
        content = json.dumps(call.body, allow_nan=False, separators=(",", ":"), sort_keys=True).encode("ascii")
        try:
            with client.stream("POST", self._api, params={"Action": call.action}, content=content) as response:
                return self._answer(response)
        except _NOT_SENT as error:
            distrust = certificate_error(error)
            if distrust is not None:
                return Answer(trouble=Trouble.CERTIFICATE, detail=_described(distrust))
            return Answer(trouble=Trouble.NOT_SENT, detail=_described(error))
        except httpx.HTTPError as error:
            return Answer(trouble=Trouble.NO_ANSWER, detail=f"no answer: {_described(error)}")

    def _answer(self, response: httpx.Response) -> Answer:
        headers = response.headers
        retry_s = retry_after_s(headers.get("Retry-After", ""), datetime.now(UTC))
        location = headers.get("Location", "").partition("?")[0]  # a query may hold a session
        try:
            chunks = _in_time(response.iter_raw(), self._settings.read_s)
            body = read_body(chunks, headers.get("Content-Encoding", ""), LARGEST_ANSWER_BYTES)
        except BodyTooLargeError:
            trouble, detail = Trouble.TOO_LARGE, f"an answer over {LARGEST_ANSWER_BYTES // 1024**2} MiB"
        except (BodyDamagedError, httpx.HTTPError) as error:
            trouble, detail = Trouble.CUT_SHORT, f"an answer cut short: {_described(error)}"
        else:
            return answered(response.status_code, body, retry_after_s=retry_s, location=location)
        return Answer(trouble, detail, response.status_code, retry_after_s=retry_s, location=location)

    def _client(
        self, token: str, tls: ssl.SSLContext, transport: httpx.BaseTransport | None, *, kept: int
    ) -> httpx.Client:
        settings = self._settings
        return httpx.Client(
            headers={
                "Accept": "application/json",
                "Accept-Encoding": "identity",  # answers are small, and what inflates is one thing less to bound
                "Authorization": f"Basic {token}",
                "Content-Type": "application/json",
                "User-Agent": f"oms-reconciler/{__version__}",
            },
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            follow_redirects=False,
            limits=httpx.Limits(max_keepalive_connections=kept, keepalive_expiry=KEEPALIVE_S),
            timeout=httpx.Timeout(settings.read_s, connect=settings.connect_s, pool=settings.connect_s),
            transport=transport,
            trust_env=False,
            verify=tls,
        )

    def _tls_context(self) -> ssl.SSLContext:
        settings = self._settings
        try:
            return client_context(settings.ca_file) if self._api.lower().startswith("https:") else unused_context()
        except (OSError, ValueError) as error:
            problem = _described(error)
        raise TargetMisconfiguredError(
            f"target {settings.name}: expected PEM certificates in ca_file {settings.ca_file}, found {problem}."
        )

    # --- errors

    def _where(self, action: str) -> str:
        return f"target {self._settings.name} ({self._settings.url}): {action}"

    def _check(self, action: str, objection: str | None) -> None:
        objection = objection or refusal(action, self._settings.edition, self._settings.version)
        if objection:
            raise PermanentTargetError(f"{self._where(action)}: {objection}")


def _objection(request: UpdateRequest) -> str | None:
    """The last look at a request: a mistake above must not become a deletion on the wrong component."""
    if not (request.dimension and request.key and request.cm_region):
        return "expected a dimension, a key and a region, found one of them empty. Nothing was sent."
    if request.allow_delete and request.dimension != "NAME":
        return f"expected dimension NAME with allowDelete, found {request.dimension}. Nothing was sent."
    return None


def _update_body(request: UpdateRequest) -> JsonObject:
    body: JsonObject = {
        "dimension": request.dimension,
        "key": request.key,
        "cmRegion": request.cm_region,
        "config": {section: request.config[section] for section in SECTIONS},
    }
    return body | {"allowDelete": True} if request.allow_delete else body


def _basic_token(settings: TargetSettings) -> str:
    """Credentials as RFC 7617 wants them; a password of other bytes than UTF-8 is sent as those bytes."""
    credentials = f"{settings.username}:{settings.password}".encode("utf-8", "surrogateescape")
    return base64.b64encode(credentials).decode()


def _in_time(chunks: Iterable[bytes], limit_s: float) -> Iterator[bytes]:
    """Bound the whole, where httpx bounds each silence only.

    Raises:
        httpx.ReadTimeout: the chunks took longer.
    """
    end = time.monotonic() + limit_s
    for chunk in chunks:
        if time.monotonic() > end:
            raise httpx.ReadTimeout(f"the whole body took longer than {limit_s:g} s")
        yield chunk


def _api_url(settings: TargetSettings) -> str:
    """Check the base address and put the API's path behind it."""
    problem = ""
    try:
        url = httpx.URL(settings.url)
        url.host.encode("idna")
        if url.userinfo:  # not shown: it holds a password
            problem = "expected a url without credentials, found some. Use username and password instead"
        elif url.scheme not in ("http", "https") or not url.host or url.query or url.fragment:
            problem = f'expected a url such as https://oms.example:8089, found "{settings.url}"'
        elif ":" in settings.username:
            problem = "expected a username without a colon: HTTP Basic authentication cannot carry it"
    except (httpx.InvalidURL, UnicodeError):
        problem = "expected a url such as https://oms.example:8089, found one that cannot be read"
    if problem:
        raise TargetMisconfiguredError(f"target {settings.name}: {problem}.")
    return settings.url.rstrip("/") + "/api/v2"


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": .")
