"""Items of all tasks -> one plan: what concerns the fleet as a whole, and what the plan amounts to."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from reconciler.core import canonical, policy
from reconciler.core.policy import Mode, NewTasks, Policy, Surroundings
from reconciler.model import Action, Item, Plan


def has_vanished(known: int, orphans: int, found: int) -> bool:
    """Whether so many known tasks are gone that an accident is likelier than a wish."""
    if known and not found:
        return True
    return orphans > policy.VANISHED_FLOOR and orphans > policy.VANISHED_SHARE * known


def freeze(items: Iterable[Item], reason: str, around: Surroundings) -> tuple[Item, ...]:
    """Hold everything that would be done, unless `vanished` is forced."""
    forces = "vanished" in around.policy.forced
    return tuple(
        _frozen(item, reason, forces) if item.action.sends or item.action is Action.ADOPT else item for item in items
    )


def _frozen(item: Item, reason: str, forces: bool) -> Item:  # noqa: FBT001 - one caller
    if forces:
        return replace(item, forced=(*item.forced, "vanished"))
    return replace(item, action=Action.BLOCKED, rail="vanished", reason=reason)


def assemble(items: Iterable[Item], revision: str, rules: Policy, frozen: str = "") -> Plan:
    """Order the items and name the whole; *frozen* says why nothing is done, when that is so."""
    ordered = tuple(sorted(items, key=lambda item: (item.task, item.intended.value, item.address)))
    ids = [item.id for item in ordered if item.intended is not Action.NOOP or item.action is Action.INVALID]
    remarks = ((f"frozen: {frozen}",) if frozen else ()) + _turns(ordered, rules)
    is_frozen = bool(frozen) and "vanished" not in rules.forced
    return Plan(number_of(ids, rules.mode, rules.new_tasks), revision, ordered, remarks, is_frozen)


def number_of(ids: Iterable[str], mode: Mode, new_tasks: NewTasks) -> str:
    """Id of a plan: what its items are, and the policy that they were planned under."""
    return canonical.digest([[*ids], mode.value, new_tasks.value])


def _turns(items: Iterable[Item], rules: Policy) -> tuple[str, ...]:
    """Who has to wait for whom."""
    numbers = Counter(item.target for item in items if item.action.sends)
    return tuple(
        f"at most {rules.concurrent[target]} of the {number} components of target {target} restart at once"
        " (max_concurrent)"
        for target, number in sorted(numbers.items())
        if number > rules.concurrent.get(target, number)
    )


def summary(plan: Plan) -> Mapping[str, int]:
    """Counts for the last line: items by action, those of failed tasks by themselves, and restarts."""
    failed = sum(item.rail == "failed" for item in plan.items)
    counts = Counter(item.action.value for item in plan.items if item.rail != "failed")
    tasks = {item.task for item in plan.items}
    # What costs nothing restarts nothing: a new task in a comparison, which will be held once it is there.
    restarts = sum(item.action in (Action.UPDATE, Action.UPDATE_DELETE) and bool(item.cost) for item in plan.items)
    actions = {action.value: counts[action.value] for action in Action}
    return {"tasks": len(tasks), **actions, "failed": failed, "restarts": restarts}


def exit_code(plan: Plan) -> int:
    """What `plan` exits with: 1 invalid, 3 blocked or frozen, 2 something would be sent, 0 nothing to do.

    A task that failed is held by the rail of that name and counts as failed, not as blocked.
    """
    if any(item.action is Action.INVALID or item.rail == "failed" for item in plan.items):
        return 1
    if plan.frozen or any(item.action is Action.BLOCKED for item in plan.items):
        return 3
    return 2 if plan.to_send else 0
