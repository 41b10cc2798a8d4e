"""Desired x last-applied -> Plan. Decides everything; carries out nothing.

The caller walks over the fleet and keeps only what a plan needs, so that memory follows the changes, not the fleet.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from reconciler.core import canonical, limits, pointer, policy, secrets
from reconciler.core.catalogue import Catalogue
from reconciler.core.desired import Desired, missing, overlaid, without
from reconciler.core.diff import diff
from reconciler.core.policy import Case, NewTasks, Policy, Surroundings
from reconciler.core.status import moment
from reconciler.model import (
    SECTIONS,
    Action,
    Change,
    ChangeKind,
    Item,
    Json,
    Record,
    Sections,
    Snapshot,
    Task,
    Violation,
)

NOTHING: Sections = {section: {} for section in SECTIONS}
_TOP = 2  # parts of a pointer to a key of a file
MESSAGE_SINKS = ("KAFKA", "ROCKETMQ", "DATAHUB")


@dataclass(frozen=True, slots=True)
class Base:
    """What an address may hold now."""

    record: Record | None = None
    applied: Snapshot | None = None  # last-applied content; None when nothing was ever applied
    candidates: tuple[Snapshot, ...] = ()  # contents of attempts whose effect is unknown

    @property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """Everything the component may hold, last-applied first."""
        return ((self.applied,) if self.applied else ()) + self.candidates


def is_unchanged(desired: Desired, record: Record | None, digest_version: int = canonical.VERSION) -> bool:
    """Whether digests alone say that there is nothing to do; False only means that one has to look closer."""
    return (
        record is not None
        and record.digest == desired.snapshot.digest
        and record.digest_version == digest_version
        and record.key_id == desired.snapshot.key_id
        and record.fingerprints == desired.snapshot.fingerprints
        and not record.open_intents
    )


def after(desired: Desired, base: Base, action: Action) -> Snapshot:
    """The component's content if the call has its effect: exact for a deletion, laid over what may be there else."""
    return desired.snapshot if action is Action.UPDATE_DELETE else overlaid(_believed(base), desired.snapshot)


def payload(desired: Desired, base: Base, action: Action) -> Sections:
    """What to send, in wire form and with secrets: the desired sections, checkpoint aside.

    Without `allowDelete`, members of nested objects that only the component has are sent along, so that they stay
    however deep OMS merges. `lost_secrets` says when that cannot be.
    """
    believed = None if action is Action.UPDATE_DELETE else _believed(base)
    if believed is None:
        return canonical.wire(desired.resolved)
    structured = {  # an object may be written as JSON text
        section: {
            key: desired.content[section][key] if isinstance(believed.content[section].get(key), dict) else value
            for key, value in members.items()
        }
        for section, members in desired.resolved.items()
    }
    return canonical.wire(canonical.filled(believed.content, structured))


def lost_secrets(desired: Desired, base: Base) -> tuple[str, ...]:
    """Secrets in nested objects that an update would have to send along, and whose values nobody has any more."""
    believed = _believed(base)
    if believed is None:
        return ()
    places = ((place, pointer.tokens(place)) for place in sorted(believed.fingerprints))
    return tuple(place for place, path in places if _is_filled_in(path, believed.content, desired.content))


def _is_filled_in(path: tuple[str, ...], believed: Json, wanted: Json) -> bool:
    """Whether `canonical.filled` would take the value at *path* from *believed*."""
    for depth, part in enumerate(path):
        if not isinstance(believed, dict) or not isinstance(wanted, dict):
            return False
        if part not in wanted:
            return depth >= _TOP  # a whole key that the files leave out is not sent at all
        believed, wanted = believed.get(part), wanted[part]
    return False


def _believed(base: Base) -> Snapshot | None:
    """Everything that the component may hold, laid one over the other."""
    content: Snapshot | None = None
    for snapshot in base.snapshots:
        content = overlaid(content, snapshot)
    return content


@dataclass(frozen=True, slots=True)
class Comparison:
    """Desired content against everything the component may hold."""

    changes: tuple[Change, ...]
    incomparable: tuple[str, ...]  # secrets whose fingerprints have another key
    present: tuple[Sections, ...]  # aligned contents, for completeness


def compare(desired: Desired, base: Base, catalogue: Catalogue, key: bytes) -> Comparison:
    """Changes against last-applied first, then what only an unanswered attempt would explain.

    While an outcome is unknown, a key counts as removed when it is in any of the contents, and equal content is no
    reason to send nothing: that is `plan_task`'s to decide.
    """
    changes: dict[str, Change] = {}
    incomparable: list[str] = []
    present: list[Sections] = []
    for snapshot in base.snapshots:
        places = desired.secret_places | secrets.known_places(snapshot.content, catalogue)
        aligned = secrets.align(snapshot, desired.content, places, key)
        incomparable.extend(aligned.incomparable)
        old = without(aligned.old, desired.task.unmanaged)
        present.append(old)
        for change in diff(old, aligned.new, catalogue, desired.plugins):
            changes.setdefault(change.path, change)
    if not base.snapshots:
        aligned = secrets.align(desired.snapshot, desired.content, desired.secret_places, key)
        changes = {c.path: _harmless(c) for c in diff(NOTHING, aligned.new, catalogue, desired.plugins)}
    ordered = sorted(changes.values(), key=lambda c: (SECTIONS.index(c.section), c.pointer))
    return Comparison(tuple(ordered), tuple(dict.fromkeys(incomparable)), tuple(present))


def _harmless(change: Change) -> Change:
    """A change of a first send: danger levels are about what was there before."""
    return replace(change, danger=None, parts=tuple(replace(part, danger=None) for part in change.parts))


def plan_task(desired: Desired, base: Base, around: Surroundings, catalogue: Catalogue, key: bytes) -> Item:
    """What happens to one valid task, and why."""
    task, record = desired.task, base.record
    if is_unchanged(desired, record) and task.name not in around.policy.resend:
        return _paused(_noop(desired, record, (), ()), task, record, around)
    comparison = compare(desired, base, catalogue, key)
    changes = tuple(_left_in_place(change, task) for change in comparison.changes)
    remarks = _remarks(comparison)
    intended = _intended(changes, base, task.name in around.policy.resend, around.policy)
    if intended is Action.NOOP:
        return _paused(_noop(desired, record, changes, remarks), task, record, around)
    lacking = missing(desired, comparison.present, catalogue)
    lost = lost_secrets(desired, base) if intended is Action.UPDATE else ()
    case = Case(desired, record, intended, changes, lacking, around, lost)
    return _held(_sending(case, remarks), case)


def _left_in_place(change: Change, task: Task) -> Change:
    stays = change.kind is ChangeKind.REMOVED and not task.allow_delete
    return replace(change, left_in_place=True, parts=(), danger=None) if stays else change


def _intended(changes: tuple[Change, ...], base: Base, resend: bool, rules: Policy) -> Action:  # noqa: FBT001 - one caller
    if not base.snapshots:
        adopts = base.record is None and rules.new_tasks is NewTasks.ADOPT and "new_tasks" not in rules.forced
        return Action.ADOPT if adopts else Action.UPDATE
    reaching = [change for change in changes if not change.left_in_place]
    if any(change.kind is ChangeKind.REMOVED for change in reaching):
        return Action.UPDATE_DELETE
    return Action.UPDATE if reaching or base.candidates or resend else Action.NOOP


def _noop(desired: Desired, record: Record | None, changes: tuple[Change, ...], remarks: tuple[str, ...]) -> Item:
    task = desired.task
    reason = "no difference" if not changes else "nothing to send: removed keys stay on the component"
    if record is not None and record.task != task.name:
        reason = f"takes over the record of {record.task}: same address, nothing to send"
    unchanged = _unchanged(desired, changes)
    item = _item(task, record, Action.NOOP, reason, changes=changes, unchanged=unchanged, remarks=remarks)
    if record is not None and policy.has_failed(desired, record):
        return replace(item, rail="failed", reason=f"applied, and failed since: {record.reason}; nothing is sent again")
    if record is not None and policy.is_unconfirmed(desired, record):
        return replace(
            item, remarks=(*remarks, f"accepted, and not seen healthy yet ({record.reason or record.condition.value})")
        )
    return item


def _paused(item: Item, task: Task, record: Record | None, around: Surroundings) -> Item:
    """A task with nothing to do is suspended all the same: who asked for it wants to see it."""
    held = policy.suspended(task, record, around)
    if held is None or item.rail == "failed":
        return item
    return replace(item, action=held.action, rail=held.rail, reason=held.reason, until=held.until, also=held.also)


def _sending(case: Case, remarks: tuple[str, ...]) -> Item:
    changes, desired = case.changes, case.desired
    unchanged = _unchanged(desired, changes)
    item = _item(
        case.desired.task,
        case.record,
        case.intended,
        _reason(case),
        changes=changes,
        unchanged=unchanged,
        remarks=(*remarks, *_edition(case), *_warnings(case), *_own_limits(case, unchanged), *_interval(case)),
    )
    sent = desired.request_digest(allow_delete=case.intended is Action.UPDATE_DELETE)
    return _identified(item, desired.task.cm_region, sent)


def _reason(case: Case) -> str:
    record = case.record
    if case.intended is Action.ADOPT:
        return "first sight: recorded as applied, nothing is called"
    if record is not None and record.open_intents:
        return "the outcome of the last attempt is unknown, so the present content is uncertain: the files are sent"
    if case.is_new:
        return "first sight: the files are sent as they are"
    if not case.effective:
        return "sent without a difference, as asked by --resend"
    removed = sum(change.kind is ChangeKind.REMOVED for change in case.effective)
    done = ((len(case.effective) - removed, "set"), (removed, "removed"))
    return ", ".join(f"{_count(number, 'key')} {verb}" for number, verb in done if number)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _item(task: Task, record: Record | None, action: Action, reason: str, **more: object) -> Item:
    item = Item(
        id="",
        task=task.name,
        action=action,
        reason=reason,
        intended=action,
        target=task.address.target,
        address=task.address.id,
        serial=record.serial if record else 0,
        cost=_cost(task) if action.sends else (),
    )
    return _identified(replace(item, **more))  # type: ignore[arg-type]  # fields of Item, by name


def _identified(item: Item, *sent: Json) -> Item:
    """Give the item its id: from what it would change, send and start from, never from what moves by itself."""
    changes = [[c.section, c.pointer, c.kind.value, c.old, c.new, c.fingerprint, c.left_in_place] for c in item.changes]
    material = [item.task, item.address, item.intended.value, changes]
    content_id = canonical.digest([*material, *sent]) if sent else ""
    return replace(item, id=canonical.digest([*material, item.serial, *sent]), content_id=content_id)


def _held(item: Item, case: Case) -> Item:
    approval = policy.approval_of(item.content_id, case.around)
    case = replace(case, approval=approval, content_id=item.content_id, unchanged=item.unchanged)
    item = replace(item, approval=approval, forced=policy.forced(case))
    holds = tuple(policy.holds(case))
    if not holds:
        return item
    found, *others = holds
    if case.intended is Action.ADOPT and found.rail != "mode" and found.action is not Action.SUSPENDED:
        return item
    behind = tuple(other.rail for other in others)
    reason = f"{found.reason}; then held by: {', '.join(behind)}" if behind else found.reason
    item = replace(item, action=found.action, reason=reason, rail=found.rail, until=found.until)
    return replace(item, also=found.also, behind=behind)


def _cost(task: Task) -> tuple[str, ...]:
    address = task.address
    if not address.exact:
        dimension = address.dimension.value if address.dimension else ""
        return (f"restarts every component that {dimension} {address.key} means, perhaps more than one",)
    link = f"{address.role.link.value} link" if address.role else ""
    if takes_messages(task):
        again = "a message sink may repeat about a minute"
    else:
        again = "changes around the checkpoint are written again"
    return tuple(part for part in ("restarts the component", link, again) if part)


def takes_messages(task: Task) -> bool:
    """Whether the sink takes messages, or may: what is written again is there twice then."""
    sink_type = str(task.sections["coordinator"].get("sinkType", "")).upper()
    is_database = "jdbcUrl" in task.sections["sink"] or bool(task.sink_plugin and task.sink_plugin.startswith("JDBC"))
    return not is_database or sink_type in MESSAGE_SINKS


def _unchanged(desired: Desired, changes: tuple[Change, ...]) -> int:
    """Leaves of the desired content that no change touches; a list is one leaf."""
    if not changes:
        return leaves(desired)
    touched = {change.path for change in changes}
    return sum(
        not any(f"/{section}{place}" == path or f"/{section}{place}".startswith(path + "/") for path in touched)
        for section, content in desired.content.items()
        for place in _leaf_places(content)
    )


def leaves(desired: Desired) -> int:
    """How many values a task's files hold; a list is one."""
    return sum(map(limits.leaves, desired.content.values()))


def _leaf_places(value: Json, path: tuple[str, ...] = ()) -> Iterable[str]:
    if isinstance(value, dict) and (value or not path):
        for key, member in value.items():
            yield from _leaf_places(member, (*path, key))
    else:
        yield pointer.text(path)


def _remarks(comparison: Comparison) -> tuple[str, ...]:
    if not comparison.incomparable:
        return ()
    return (
        "the fingerprint key is another one than when this task was applied: whether these secrets changed cannot be"
        " told, they are taken as unchanged and recorded anew: " + ", ".join(comparison.incomparable),
    )


def _edition(case: Case) -> tuple[str, ...]:
    """A word of caution where the call has no page.

    Source:
        https://en.oceanbase.com/docs/community-oms-en-10000000001080575: UpdateIncrSync is documented for the
        Community Edition only
    """
    targets, name = case.around.policy.targets, case.desired.task.address.target
    if targets is None or targets.get(name) != "EE":
        return ()
    remark = f"target {name} is an Enterprise Edition, for which UpdateIncrSync is not documented"
    return (f'{remark}: it may answer "Unsupported action"',)


def _interval(case: Case) -> tuple[str, ...]:
    until = None if case.around.policy.paced else policy.not_before(case)
    if until is None:
        return ()
    target = case.desired.task.address.target
    return (f"the daemon sends it not before {moment(until)} (min_update_interval_s of target {target})",)


def _own_limits(case: Case, unchanged: int) -> tuple[str, ...]:
    """Wider limits of `task.json` are to be seen where they matter: no rail of the policy tells of them."""
    if case.record is None or case.record.digest is None:
        return ()  # first sends count towards no limit
    return limits.let_go(case.changes, unchanged, case.around.policy.limits, case.desired.task)


def _warnings(case: Case) -> tuple[str, ...]:
    return tuple(
        f"{change.path}: {change.danger.reason} ({change.danger.level.value})"
        for change in case.effective
        if change.danger is not None and not policy.needs_allow(change, case.desired.task.allow)  # the rail says it
    )


# --- tasks without a comparison, and the whole ----------------------------------------------------------------------


def invalid(name: str, violations: tuple[Violation, ...]) -> Item:
    """A task whose files are wrong."""
    first = violations[0]
    more = f" (and {_count(len(violations) - 1, 'more problem')})" if len(violations) > 1 else ""
    reason = f"{first.file}: {first.pointer or 'the file'}: expected {first.expected}, found {first.found}{more}"
    reason = f"{reason}. {first.suggestion}" if first.suggestion else reason
    number = canonical.digest([ascii(name), "invalid", [str(v) for v in violations]])  # a name may be no UTF-8
    return Item(number, name, Action.INVALID, reason, violations=violations)


def unresolved(task: Task, record: Record | None, reason: str, around: Surroundings) -> Item:
    """A task with a secret reference that cannot be resolved: never a change."""
    held = policy.suspended(task, record, around) or policy.Hold("secret", reason)
    item = _item(task, record, held.action, held.reason)
    return replace(item, rail=held.rail, until=held.until, also=held.also)


def orphaned(record: Record, *, moved: bool) -> Item:
    """An address that no directory declares any more."""
    where = "its directory now has another address" if moved else "its directory is gone"
    reason = f"{where}: nothing is called; reconciler forget {record.task} drops the record"
    item = Item(
        id="", task=record.task, action=Action.ORPHANED, reason=reason, address=record.address, serial=record.serial
    )
    return _identified(item)
