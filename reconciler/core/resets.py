"""What is planned for a `reset.json`: one item, and the gates that it has to pass. A reset is carried out once, ever.

One that was begun is gone on with whatever the gates say, because its project may be stopped. What identifies a reset
is in `core.ledger`, what it has to pass in `core.reset_gates`, how far it moves a link in `core.outlook`.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from reconciler.core import canonical, ledger, policy
from reconciler.core.arrival import as_time
from reconciler.core.ledger import digest_of, key_of, title, wanted
from reconciler.core.plan import takes_messages
from reconciler.core.policy import FORCIBLE, Hold, Mode, Surroundings
from reconciler.core.reset_gates import GATES, STATELESS, Case, Gate, is_ledger_lost, other_content, refusal
from reconciler.core.status import moment
from reconciler.model import Action, Item, Outlook, Record, ResetEntry, ResetKey, ResetOrder, Stage, Task

_UNDER_WAY = {
    Stage.STOPPING: "the project is told to stop",
    Stage.SENDING: "it is being sent",
    Stage.ACCEPTED: "accepted, its position is looked at",
    Stage.RESUMING: "accepted, the project is told to go on",
    Stage.RETURNING: "not carried out, the project is told to go on",
}


def plan(task: Task, record: Record | None, around: Surroundings) -> Item | None:
    """What happens to the reset of a valid task, and why.

    Args:
        task: with or without a reset.json.
        record: what the store knows of its address.
        around: the ledger among other things.

    Returns:
        The item of the reset that was begun at the task's address, else of the one that it declares; None for neither.
    """
    begun = ledger.at_address(around.open_resets, task.address.id)
    if begun is not None:
        return _begun(begun, task.name, around, declared=_is_declared(begun, task, around))
    if task.reset is None:
        return None
    entry = around.resets.get(key_of(task))
    item = _item(task, record, entry)
    if entry is not None and is_settled(task, around):
        return _over(item, entry)
    item = replace(item, approval=policy.approval_of(item.content_id, around))
    return _held(Case(task, record, entry, item, around), GATES)


def proposed(task: Task, record: Record | None, around: Surroundings) -> Item:
    """The item of a declared reset by its files and the configuration alone: what the ledger says is not looked at."""
    return _held(Case(task, record, None, _item(task, record, None), around), STATELESS)


def is_settled(task: Task, around: Surroundings) -> bool:
    """Whether nothing will be done about the reset of a task: it declares none, or one that was carried out."""
    if task.reset is None:
        return True
    entry = around.resets.get(key_of(task))
    return entry is not None and entry.stage.is_over and entry.digest == digest_of(task)


def without_secrets(item: Item, reason: str) -> Item:
    """An item of `plan` for a task with secrets that cannot be resolved: what was begun goes on all the same."""
    if item.action is not Action.RESET or item.is_begun_reset:
        return item
    return replace(item, action=Action.BLOCKED, rail="secret", reason=reason, remarks=(*item.remarks, item.reason))


def doubted(
    task: Task, record: Record | None, ledger: Mapping[ResetKey, ResetEntry], now: datetime
) -> ResetEntry | None:
    """The row for a reset that was declared before anything was known of its task's address, to be written first.

    Once something is known of the address, nothing else tells that this one may be of another store's time.
    """
    known = record is not None and record.digest is not None
    if task.reset is None or known or is_ledger_lost(ledger) or key_of(task) in ledger:
        return None
    reason = "it was declared before anything was applied or adopted for this address"
    return ResetEntry(
        key=key_of(task),
        digest=digest_of(task),
        task=task.name,
        address=task.address.id,
        start_timestamp=wanted(task).start_timestamp,
        stage=Stage.PERHAPS_SENT,
        since=now,
        reason=reason,
    )


def order(task: Task, item: Item, around: Surroundings) -> ResetOrder:
    """What carrying out an item of `plan` needs; its action is RESET."""
    begun = ledger.at_address(around.open_resets, task.address.id)
    asked = task.reset
    entry = begun or _new(task, item, around.now)
    return ResetOrder(
        entry=entry,
        known=entry.stage if entry.key in around.resets else None,
        declared=_is_declared(entry, task, around),
        stop=asked.stop if asked else True,
        expires=asked.expires if asked else None,
        retention_s=around.policy.retention_s.get(entry.key.target, 0.0),
    )


def gone(entry: ResetEntry, around: Surroundings) -> tuple[Item, ResetOrder]:
    """Item and order of an open reset whose address no valid task has any more: its project has to go on."""
    return _begun(entry, entry.task, around, declared=False), ResetOrder(entry, entry.stage, declared=False)


# --- one that was begun --------------------------------------------------------------------------------------------


def _is_declared(entry: ResetEntry, task: Task, around: Surroundings) -> bool:
    """Whether files and configuration still ask for just what was begun."""
    if task.reset is None or refusal(entry.key.target, around):
        return False
    return entry.key == key_of(task) and entry.digest == digest_of(task)


def _begun(entry: ResetEntry, name: str, around: Surroundings, *, declared: bool) -> Item:
    key = entry.key
    number = canonical.digest([name, entry.address, key.target, key.project, key.reverse, key.request, "begun"])
    item = Item(
        id=number,
        task=name,
        action=Action.RESET,
        reason=_progress(entry, declared=declared),
        intended=Action.RESET,
        target=key.target,
        address=entry.address,
        content_id=entry.content_id,
        outlook=Outlook(key, entry.start_timestamp, entry.stage, messages=False),
    )
    held = _stuck(entry, name, around)
    return replace(item, action=Action.BLOCKED, rail=held.rail, reason=held.reason) if held else item


def _progress(entry: ResetEntry, *, declared: bool) -> str:
    text = f"{title(entry.key)} is under way: {_UNDER_WAY.get(entry.stage, entry.stage.value)}"
    sent = entry.stage in (Stage.ACCEPTED, Stage.RESUMING)
    if declared or sent or entry.stage is Stage.RETURNING:
        return text
    return f"{text}; it is not asked for any more, so nothing further is sent and the project goes on as it was"


def _stuck(entry: ResetEntry, name: str, around: Surroundings) -> Hold | None:
    """Why one that was begun cannot be gone on with."""
    stopped = "; the project is left stopped" if entry.stopped else ""
    why = entry.reason.rstrip(".") or "no clear answer"
    if entry.stage is Stage.UNKNOWN:
        return Hold(
            "reset",
            f"whether {title(entry.key)} to {as_time(entry.start_timestamp)} was carried out is not known:"
            f" {why}{stopped}. Look at the link's position in the console, then reconciler reset resolve {name} --sent"
            " or --not-sent, --reason TEXT",
        )
    if around.policy.mode is Mode.OBSERVE:
        return Hold("mode", f'policy.mode is "observe": {_progress(entry, declared=True)}{stopped}')
    held = policy.no_target(entry.key.target, around)
    return held and replace(held, reason=f"{held.reason}; {_progress(entry, declared=True)}{stopped}")


# --- one that is over, or not begun --------------------------------------------------------------------------------


def _item(task: Task, record: Record | None, entry: ResetEntry | None) -> Item:
    asked, key = wanted(task), key_of(task)
    material = [task.name, task.address.id, Action.RESET.value, digest_of(task)]
    tried = [entry.stage.value, entry.since.isoformat()] if entry else []
    serial = record.serial if record else 0
    stop = "stops the project and resumes it" if asked.stop else "resets the link while it runs"
    return Item(
        id=canonical.digest([*material, serial, *tried]),
        task=task.name,
        action=Action.RESET,
        reason=f"{title(key)} to {as_time(asked.start_timestamp)}: {asked.reason}",
        intended=Action.RESET,
        target=task.address.target,
        address=task.address.id,
        serial=serial,
        cost=(stop,),
        content_id=canonical.digest(material),
        outlook=Outlook(key, asked.start_timestamp, entry.stage if entry else None, takes_messages(task)),
    )


def _new(task: Task, item: Item, now: datetime) -> ResetEntry:
    return ResetEntry(
        key=key_of(task),
        digest=digest_of(task),
        task=task.name,
        address=task.address.id,
        start_timestamp=wanted(task).start_timestamp,
        stage=Stage.PENDING,
        since=now,
        content_id=item.content_id,
    )


def _over(item: Item, entry: ResetEntry) -> Item:
    seen = "" if entry.stage is Stage.DONE else "accepted, and not seen at its new position since"
    remarks = (f"{title(entry.key)}: {seen} {moment(entry.since)}: {entry.reason or 'time is up'}",) if seen else ()
    reason = f"{title(entry.key)} was carried out at {moment(entry.since)}, and never is again"
    return replace(item, action=Action.NOOP, intended=Action.NOOP, reason=reason, cost=(), remarks=remarks)


def _held(case: Case, gates: tuple[Gate, ...]) -> Item:
    item, forced = case.item, list[str]()
    for gate in gates:
        found = gate(case)
        if found is not None and found.rail in FORCIBLE and found.rail in case.forced:
            forced.append(found.rail)
        elif found is not None:
            wrong = (other_content(case),) if found.action is Action.INVALID else ()
            held = replace(
                item, action=found.action, rail=found.rail, reason=found.reason, until=found.until, also=found.also
            )
            return replace(held, remarks=() if wrong else (*item.remarks, item.reason), violations=wrong)
    return replace(item, forced=tuple(forced))
