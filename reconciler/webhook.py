"""`POST /hooks/push`: a code host says that somebody pushed. It makes the daemon fetch, and nothing else.

Who may say so knows a secret: the request carries the HMAC-SHA256 of its body, as GitHub signs it
(`X-Hub-Signature-256`), and Gitea and Forgejo (`X-Gitea-Signature`). The body is digested while it comes, and neither
kept nor read: what is new is what the remote says then, so a forged or replayed request could at most cause a fetch.

A signature covers no time, and neither the kind of an event nor the id of a delivery is signed; they decide nothing.
Replays are harmless because all requests that come while a fetch waits or runs are one, and `fetching.GAP_S` lies
between two of them.

Whether a request is signed is known only after its body came. What that costs is bounded for strangers: the first
part of every body is free, because digesting that costs less than any answer; the rest is paid from a budget that
signed requests get back. So a flood of strangers may keep large pushes waiting, and usual ones never.
"""

import hmac
import re
import time
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from reconciler.events import HookAnswered, Listener

PATH = "/hooks/push"
LONGEST_BYTES = 25 * 1024 * 1024
"""GitHub sends no larger ones."""

FREE_BYTES = 256 * 1024
"""Of each request: a push of a few commits has 10 to 50 KiB."""

BUDGET_BYTES = 2 * LONGEST_BYTES
REFILL_BYTES_PER_S = 1024 * 1024

_HEADERS = {"cache-control": "no-store", "connection": "close", "x-content-type-options": "nosniff"}
_SIGNATURES = (
    ("x-hub-signature-256", re.compile(r"sha256=([0-9a-f]{64})", re.IGNORECASE)),
    ("x-gitea-signature", re.compile(r"([0-9a-f]{64})", re.IGNORECASE)),
)
_ANSWERS = {
    "accepted": (202, "accepted"),
    "ping": (200, "pong"),
    "refused": (401, "the signature is missing or wrong"),
    "too-large": (413, "too large"),
    "limited": (429, "too many requests"),
    "incomplete": (400, "incomplete"),
}


class Budget:
    """A bucket of bytes that fills by itself.

    Args:
        capacity: what it holds at most, and at first.
        per_s: what comes in, bytes a second.
        monotonic: the time, seconds.
    """

    def __init__(self, capacity: float, per_s: float, monotonic: Callable[[], float]) -> None:
        self._capacity = capacity
        self._per_s = per_s
        self._monotonic = monotonic
        self._left = capacity
        self._at_s = monotonic()

    def take(self, amount: float) -> bool:
        """Take so much, if there is that much."""
        self._fill()
        if amount > self._left:
            return False
        self._left -= amount
        return True

    def give_back(self, amount: float) -> None:
        """It was not for a stranger."""
        self._left = min(self._capacity, self._left + amount)

    def wait_s(self, amount: float) -> int:
        """When there will be so much, whole seconds, 0 for now."""
        self._fill()
        return max(0, -int((self._left - amount) // self._per_s))

    def _fill(self) -> None:
        now_s = self._monotonic()
        self.give_back((now_s - self._at_s) * self._per_s)
        self._at_s = now_s


class Webhook:
    """The page, as an ASGI application; all of it runs in the one thread of the pages.

    Args:
        push: called for each signed request, by the pages' thread; must return at once.
        tell: hears how each request was answered.
        monotonic: the time, seconds.
    """

    def __init__(
        self, push: Callable[[], None], tell: Listener, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._push = push
        self._tell = tell
        self._secret = b""
        self._budget = Budget(BUDGET_BYTES, REFILL_BYTES_PER_S, monotonic)

    def renew(self, secret: str) -> None:
        """Demand this secret from now on; "" turns the page off."""
        self._secret = secret.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self._response(Request(scope, receive))
        await response(scope, receive, send)

    async def _response(self, request: Request) -> Response:
        if not self._secret:
            return JSONResponse({"status": "not found"}, 404, headers=_HEADERS)
        if request.method != "POST":
            return JSONResponse({"status": "use POST"}, 405, headers={**_HEADERS, "allow": "POST"})
        outcome = await self._outcome(request)
        if outcome == "accepted":
            self._push()
        self._tell(HookAnswered(outcome))
        code, text = _ANSWERS[outcome]
        more = {"retry-after": str(max(1, self._budget.wait_s(BUDGET_BYTES)))} if outcome == "limited" else {}
        return JSONResponse({"status": text}, code, headers={**_HEADERS, **more})

    async def _outcome(self, request: Request) -> str:
        claimed = _claimed(request.headers)
        if claimed is None:
            return "refused"
        announced = int(request.headers.get("content-length", "0"))  # h11 sees to it that it is a number, and true
        if announced > LONGEST_BYTES:
            return "too-large"
        if self._budget.wait_s(announced - FREE_BYTES):
            return "limited"
        try:
            outcome = await self._judged(request, claimed)
        except ClientDisconnect:
            return "incomplete"
        is_ping = outcome == "accepted" and request.headers.get("x-github-event") == "ping"
        return "ping" if is_ping else outcome

    async def _judged(self, request: Request, claimed: bytes) -> str:
        """Digest the body as it comes, and compare."""
        digest = hmac.new(self._secret, digestmod="sha256")
        size = paid = 0
        async for piece in request.stream():
            size += len(piece)
            if size > LONGEST_BYTES:
                return "too-large"
            due = max(0, size - FREE_BYTES) - paid
            if due and not self._budget.take(due):
                return "limited"
            paid += due
            digest.update(piece)
        if not hmac.compare_digest(digest.digest(), claimed):
            return "refused"
        self._budget.give_back(paid)
        return "accepted"


def _claimed(headers: Headers) -> bytes | None:
    """The signature that a request claims to have; None when it has none, or more than one, or no such thing.

    Forgejo signs as Gitea does, and both send GitHub's header as well: then that one counts.
    """
    for name, form in _SIGNATURES:
        given = headers.getlist(name)
        if given:
            found = form.fullmatch(given[0])
            return bytes.fromhex(found[1]) if found is not None and len(given) == 1 else None
    return None
