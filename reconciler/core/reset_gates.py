"""What a declared reset has to pass before it is sent: every rail as one small question, asked in order.

Like the gates of `core.policy`, which are about updates. One that was begun is asked none of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from reconciler.core import policy
from reconciler.core.arrival import as_time
from reconciler.core.ledger import digest_of, key_of, title, wanted
from reconciler.core.policy import Hold, Surroundings
from reconciler.core.status import moment
from reconciler.model import Action, Item, Record, ResetEntry, ResetKey, Severity, Stage, Task, Violation

NOT_ALLOWED = "the configuration does not allow resets of it"

_HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Case:
    """A declared reset that was not begun."""

    task: Task
    record: Record | None
    entry: ResetEntry | None  # its row of the ledger
    item: Item
    around: Surroundings

    @property
    def target(self) -> str:
        """Name of its target."""
        return self.task.address.target

    @property
    def forced(self) -> frozenset[str]:
        """Rails that somebody lifted, for the run or with the approval."""
        return self.around.policy.forced.union(self.item.approval.forced if self.item.approval else ())


def objection(start_timestamp: int, now: datetime, retention_s: float) -> Hold | None:
    """Why no link may be reset to a moment: it is in the future, or older than the oldest log that is kept.

    Args:
        start_timestamp: unix seconds.
        now: aware.
        retention_s: how far back the logs of the source reach, seconds; 0: not known.
    """
    start = datetime.fromtimestamp(start_timestamp, UTC)
    if start > now:
        return Hold(
            "future", f"startTimestamp {moment(start)} is in the future: what comes before it would be lost", start
        )
    if retention_s and start < now - timedelta(seconds=retention_s):
        kept = f"the logs of the source reach back {retention_s / _HOUR_S:g} h (log_retention_h)"
        return Hold(
            "retention", f"startTimestamp {moment(start)} is too old: {kept}; what is older cannot be read again"
        )
    return None


Gate = Callable[[Case], Hold | None]


def _suspended(case: Case) -> Hold | None:
    return policy.suspended(case.task, case.record, case.around)


def _observe(case: Case) -> Hold | None:
    return policy.observed(case.around)


def refusal(target: str, around: Surroundings) -> str:
    """Why no reset may be sent to a target; "" when one may."""
    return around.policy.resets.get(target, NOT_ALLOWED)


def _target(case: Case) -> Hold | None:
    why = refusal(case.target, case.around)
    held = policy.no_target(case.target, case.around)
    return held or (Hold("target", f"target {case.target}: {why}") if why else None)


def _trouble(case: Case) -> Hold | None:
    return policy.troubled(case.target, case.around)


def _expired(case: Case) -> Hold | None:
    expires = wanted(case.task).expires
    if expires is None or case.around.now < expires:
        return None
    return Hold("expired", f"expired at {moment(expires)} without having been sent")


def _changed(case: Case) -> Hold | None:
    if case.entry is None or case.entry.digest == digest_of(case.task):
        return None
    found = other_content(case)
    reason = f"{found.file}: {found.pointer}: expected {found.expected}, found {found.found}. {found.suggestion}"
    return Hold("", reason, action=Action.INVALID)


def other_content(case: Case) -> Violation:
    """What is wrong with a request that was used for something else."""
    request = wanted(case.task).request
    before = f", that of a reset to {as_time(case.entry.start_timestamp)}" if case.entry else ""
    return Violation(
        task=case.task.name,
        file=f"{case.task.name}/reset.json",
        place=None,
        pointer="/request",
        rule="reset-request",
        severity=Severity.ERROR,
        expected="a request name that was not used before for something else",
        found=f'"{request}"{before}',
        suggestion="Write another name: a request is carried out once, and what it asks for does not change.",
    )


def _refused(case: Case) -> Hold | None:
    if case.entry is None or case.entry.stage is not Stage.REFUSED:
        return None
    return Hold("failed", f"{title(case.entry.key)} was not carried out: {case.entry.reason}")


def _other(case: Case) -> Hold | None:
    """One reset of a project at a time; its own row is not open here."""
    key = key_of(case.task)
    return policy.waits_for_reset(key.target, key.project, case.around)


def is_ledger_lost(ledger: Mapping[ResetKey, ResetEntry]) -> bool:
    """Whether nothing in the ledger tells that it is the one in which the resets so far were written down."""
    return all(entry.stage is Stage.PERHAPS_SENT for entry in ledger.values())


def _perhaps_sent(case: Case) -> Hold | None:
    if case.entry is not None and case.entry.stage is not Stage.PERHAPS_SENT:
        return None
    if case.entry is not None:
        why = case.entry.reason or "its row says so"
    elif is_ledger_lost(case.around.resets):
        why = "the ledger of this store is empty"
    elif case.record is None or case.record.digest is None:
        why = "nothing was ever applied or adopted for this address"
    else:
        return None
    return Hold(
        "perhaps_sent",
        f"it may have been sent before this store knew of it: {why}. If it was not, reconciler reset resolve"
        f" {case.task.name} --not-sent --reason TEXT; else --sent",
    )


def _unwise(case: Case) -> Hold | None:
    retention_s = case.around.policy.retention_s.get(case.target, 0.0)
    return objection(wanted(case.task).start_timestamp, case.around.now, retention_s)


def _approval(case: Case) -> Hold | None:
    return policy.unapproved(case.task.name, Action.RESET, case.item.content_id, case.around)


def _window(case: Case) -> Hold | None:
    return policy.window(case.task, case.around.policy.windows, case.around.now)


GATES: tuple[Gate, ...] = (
    _suspended,
    _observe,
    _target,
    _trouble,
    _expired,
    _changed,
    _refused,
    _other,
    _perhaps_sent,
    _unwise,
    _approval,
    _window,
)
STATELESS: tuple[Gate, ...] = (_suspended, _observe, _target, _expired, _unwise, _approval)
