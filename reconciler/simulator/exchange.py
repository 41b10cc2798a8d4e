"""One request from its credentials to its answer, and what is remembered of it."""

import json
import time
import uuid
from dataclasses import dataclass, field

from reconciler.model import Json, JsonObject
from reconciler.simulator import actions, damage, envelope, narrate
from reconciler.simulator.components import Component, Ending
from reconciler.simulator.configuration import stored
from reconciler.simulator.faults import Family, FaultPlan, Rule
from reconciler.simulator.settings import Switches
from reconciler.simulator.world import World

ENDINGS = {
    "no_effect": Ending.NO_EFFECT,
    "exception": Ending.EXCEPTION,
    "ticket_failed": Ending.FAILED,
    "ticket_stuck": Ending.STUCK,
}


@dataclass(frozen=True, slots=True)
class Request:
    """One `POST /api/v2` as it arrives."""

    action: str
    raw: bytes = field(repr=False)
    authorization: str = field(repr=False)
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Call:
    """One request in the log of calls; answered means decided on, the connection may have failed since."""

    number: int  # from 1
    at: float  # simulated unix seconds
    action: str
    raw: bytes = field(repr=False)  # body as it came, with its secrets
    authorized: bool
    status: int  # HTTP status decided on
    request_id: str
    fault: str = ""  # kind of the rule that struck; empty for none
    executed: bool = False  # whether the action was carried out
    ticket: int | None = None  # id, when a ticket was made
    text: str = ""  # the line of the log, without secrets

    @property
    def body(self) -> Json:
        """The request's decoded body; None when it is no JSON."""
        try:
            return json.loads(self.raw)
        except ValueError:
            return None


class Exchange:
    """One request from its credentials over its fault rule to its answer.

    Args:
        world: settled to the present moment.
        faults: the plan that may strike it.
        request: as it came.
        authorized: whether its credentials are right.
    """

    def __init__(self, world: World, faults: FaultPlan, request: Request, *, authorized: bool) -> None:
        self._world, self._faults, self._request, self._authorized = world, faults, request, authorized
        self._began = time.perf_counter()
        self.request_id = str(uuid.uuid4())
        self.rule: Rule | None = None
        self.executed = False
        self.ticket: int | None = None
        self.text = ""

    def answer(self) -> damage.Answer:
        """What goes back."""
        request, body = self._request, _decoded(self._request.raw)
        if not self._authorized:
            self.text = "wrong credentials"
            return _wrong_credentials(self._world.switches)
        self.text = request.action or "(no action)"
        if not request.content_type.lower().startswith("application/json"):
            return damage.http_error(415, f"content type {request.content_type!r}")
        if not isinstance(body, dict):
            return damage.http_error(400, "the body is no JSON object")
        self.text = narrate.request(request.action, body)
        targets = actions.addressed(self._world, request.action, body)
        project = str(body.get("id") or (targets[0].project if targets else ""))
        self.rule = self._faults.take(request.action, project, str(body.get("key", "")))
        plain = self._carried_out(body, targets, project)
        if self.rule:
            plain = damage.spoilt(plain, self.rule, request.raw)
            self.text += f" [fault {self.rule.kind}]"
        answer = damage.json_answer(self._dressed(plain))
        return damage.sent(answer, self.rule) if self.rule else answer

    def _carried_out(self, body: JsonObject, targets: list[Component], project: str) -> JsonObject:
        """The plain envelope; nothing is executed when the rule strikes before."""
        rule, action, switches = self.rule, self._request.action, self._world.switches
        ordered = damage.refusal(rule, action, project, switches.unsupported_code) if rule else None
        early = rule is not None and rule.strikes_before
        try:
            if rule and early and rule.family in (Family.ANSWER, Family.DAMAGE):
                data = None
            else:
                if rule and early:
                    self._shake(rule, targets)
                data = self._executed(body, targets)
                if rule and not early:
                    self._shake(rule, targets)
            if ordered:
                raise ordered
        except envelope.RefusedError as refused:
            self.text += f" -> refused: {refused.code} {refused.message}"
            return envelope.failure(refused, self.request_id, switches.language)
        return envelope.success(data)

    def _executed(self, body: JsonObject, targets: list[Component]) -> Json:
        ending = ENDINGS.get(self.rule.kind, Ending.AS_ASKED) if self.rule else Ending.AS_ASKED
        before = targets[0].config if targets else None
        data = actions.run(self._world, self._request.action, body, ending)
        self.executed = True
        if before is not None and self._request.action == "UpdateIncrSync":
            differences = narrate.changes(before, stored(body["config"]), allow_delete=body.get("allowDelete", False))
            self.text += f" changes: {', '.join(differences) or 'none'}"
        if isinstance(data, int):
            self.ticket = data
            self.text += f" -> ticket {data}"
        return data

    def _shake(self, rule: Rule, targets: list[Component]) -> None:
        for offset, component in enumerate(targets):
            if rule.kind == "host_move":
                number = rule.parameter("number")
                self._world.move(component, rule.parameter("ip"), None if number is None else number + offset)
            elif rule.kind == "vanish":
                self._world.remove(component)

    def _dressed(self, plain: JsonObject) -> JsonObject:
        return envelope.dressed(
            plain,
            request_id=self.request_id,
            cost_ms=round((time.perf_counter() - self._began) * 1000),
            paged_like=self._request.action == "UpdateIncrSync",
            switches=self._world.switches,
        )


def _decoded(raw: bytes) -> Json:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _wrong_credentials(switches: Switches) -> damage.Answer:
    if switches.wrong_credentials == "redirect":
        return damage.html_answer("", 302, ("location", "/login"))
    if switches.wrong_credentials == "html":
        return damage.html_answer("<!DOCTYPE html><title>OMS login</title>")
    return damage.http_error(401, "wrong user name or password")
