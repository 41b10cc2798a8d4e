"""`reconciler approvals`: what waits for an approval, what has one, and what had one until a moment ago."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from reconciler.cli.common import Session, format_option, pass_session, print_json, warn
from reconciler.core.plural import counted
from reconciler.core.status import moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.model import Approval, Item, JsonObject, Plan
    from reconciler.ports import StateStore

_RECENT = timedelta(days=1)
_HEADS = ("task", "action", "state", "since", "until", "plan", "by", "lifts", "what")
_DIGITS = 16  # of a plan's id
_MOST = 4  # keys that are named


@click.command()
@format_option("text", "json")
@pass_session
def approvals(session: Session, format_: str) -> int:
    """Show what waits for an approval, and what was approved.

    What waits is told by a plan made afresh, so it needs the secrets, as plan does. What was approved is shown until it
    is used up, and for a day after it expired. Exits 0.
    """
    from reconciler import wiring
    from reconciler.cli.table import print_table

    settings = session.settings()
    with closing(wiring.open_store(settings, read_only=True)) as store:
        plan = wiring.reconciler(settings, store, wiring.source(settings, store)).survey(settings.policy, most=0).plan
        found = _Found(plan, store, datetime.now(UTC))
    unread = sum(item.rail == "secret" for item in plan.items)
    if unread:
        warn(f"secrets cannot be read here: whether these wait for an approval is not known: {counted(unread)}")
    if format_ == "json":
        print_json({"version": 1, "plan": plan.id, **found.report()})
        return 0
    print_table(session, _HEADS, found.cells())
    warn(found.summary())
    return 0


class _Found:
    """What there is to show.

    Args:
        plan: made just now.
        store: knows the approvals, and since when the daemon says that a task is blocked.
        now: aware.
    """

    def __init__(self, plan: "Plan", store: "StateStore", now: datetime) -> None:
        self._plan = plan
        self._since = _since(store)
        self._waiting = [item for item in plan.items if item.rail == "approval"]
        self._items = {item.content_id: item for item in plan.items if item.content_id}
        known = sorted(store.approvals().values(), key=lambda one: (one.task, one.action, one.at))
        self._approved = [one for one in known if one.until > now]
        self._expired = [one for one in known if one.until <= now < one.until + _RECENT]

    def report(self) -> "JsonObject":
        """As JSON."""
        return {
            "waiting": [self._waiting_row(item) for item in self._waiting],
            "approved": [self._row(one) for one in self._approved],
            "expired": [self._row(one) for one in self._expired],
        }

    def _waiting_row(self, item: "Item") -> "JsonObject":
        since = self._since.get(item.task)
        return {
            "task": item.task,
            "action": item.intended.value,
            "what": what(item),
            "plan": self._plan.id,
            "since": since.isoformat() if since else None,
            "reason": item.reason,
        }

    def _row(self, one: "Approval") -> "JsonObject":
        item = self._items.get(one.content_id)
        return row(one) | {"what": what(item) if item else None, "held": item.rail or None if item else None}

    def cells(self) -> "Iterable[list[str]]":
        """As rows of a table."""
        plan = self._plan.id[:_DIGITS]
        for item in self._waiting:
            since = self._since.get(item.task)
            yield [
                item.task,
                item.intended.value,
                "waits",
                moment(since) if since else "",
                "",
                plan,
                "",
                "",
                what(item),
            ]
        for state, found in (("approved", self._approved), ("expired", self._expired)):
            for one in found:
                told = self._told(one)
                named = [moment(one.at), moment(one.until), one.plan[:_DIGITS], one.by, ", ".join(one.forced)]
                yield [one.task, one.action, state, *named, told]

    def _told(self, one: "Approval") -> str:
        item = self._items.get(one.content_id)
        if item is None:
            return "not in the plan any more"
        return f"{what(item)} (held by {item.rail})" if item.rail else what(item)

    def summary(self) -> str:
        """How much it is, and what to do."""
        told = f"{len(self._waiting):,} waiting, {len(self._approved):,} approved, {len(self._expired):,} expired"
        if not self._waiting:
            return told
        return f"{told}; reconciler approve {self._plan.id[:_DIGITS]} --reason TEXT, with --task TASK for some of it"


def _since(store: "StateStore") -> "Mapping[str, datetime]":
    """Since when the daemon says of tasks that they are blocked for want of an approval."""
    return {name: said.since for name, said in store.states().items() if said.reason.startswith("approval: ")}


def what(item: "Item") -> str:
    """What an item does, in a few words: "~ sink/workerNum, - sink/printSql, and 3 more"."""
    from reconciler.core.render import words

    if not item.changes:
        return item.remarks[0] if item.remarks else item.reason
    named = [f"{words.sign(change)} {change.section}{change.pointer}" for change in item.changes[:_MOST]]
    more = len(item.changes) - len(named)
    return ", ".join([*named, *([f"and {more:,} more"] if more else [])])


def row(one: "Approval") -> "JsonObject":
    """An approval as JSON."""
    return {
        "task": one.task,
        "action": one.action,
        "plan": one.plan,
        "forced": list(one.forced),
        "by": one.by,
        "reason": one.reason,
        "at": one.at.isoformat(),
        "until": one.until.isoformat(),
    }
