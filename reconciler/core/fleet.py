"""Items of all tasks -> one plan: what concerns the fleet as a whole, and what the plan amounts to."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from reconciler.core import canonical, policy
from reconciler.core.limits import RAILS, Standing, Weight
from reconciler.core.policy import Mode, NewTasks, Policy, Surroundings
from reconciler.model import Action, Item, Plan


def has_vanished(known: int, orphans: int, found: int) -> bool:
    """Whether so many known tasks are gone that an accident is likelier than a wish."""
    if known and not found:
        return True
    return orphans > policy.VANISHED_FLOOR and orphans > policy.VANISHED_SHARE * known


def freeze(items: Iterable[Item], reason: str, around: Surroundings) -> tuple[Item, ...]:
    """Hold everything that would be begun, unless `vanished` is forced; what was begun may have stopped a project."""
    forces = "vanished" in around.policy.forced
    return tuple(_frozen(item, reason, forces) if _begins(item) else item for item in items)


def _begins(item: Item) -> bool:
    return (item.action.sends or item.action is Action.ADOPT) and not item.is_begun_reset


def _frozen(item: Item, reason: str, forces: bool) -> Item:  # noqa: FBT001 - one caller
    if forces:
        return replace(item, forced=(*item.forced, "vanished"))
    return replace(item, action=Action.BLOCKED, rail="vanished", reason=reason)


def limit(items: Iterable[Item], weights: Mapping[str, Weight], standing: Standing) -> tuple[Item, ...]:
    """Hold all that is too much at once, but for what somebody lifted the limit for; tell it of what waits for a word.

    Args:
        items: of any tasks; resets are left alone: each needs an approval of its own.
        weights: `{task: what its files add to the sums}`.
        standing: of the limits, by all tasks.
    """
    if not (standing.tripped or standing.overridden or standing.foreseen):
        return tuple(items)
    return tuple(_limited(item, weights[item.task], standing) if _is_weighed(item, weights) else item for item in items)


def _is_weighed(item: Item, weights: Mapping[str, Weight]) -> bool:
    is_update = item.intended.sends and item.intended is not Action.RESET
    return is_update and item.task in weights


def _limited(item: Item, weight: Weight, standing: Standing) -> Item:
    if weight.awaits:
        return _foretold(item, weight, standing)
    lifted = (rail for rail in RAILS if rail in weight.lifted and weight.number(rail) and rail in standing.overridden)
    item = replace(item, forced=tuple(dict.fromkeys((*item.forced, *lifted))))
    held = [rail for rail in standing.tripped if weight.counts_towards((rail,))]
    if not held:
        return item
    if item.rail == "vanished":
        return replace(item, reason=f"{item.reason}; then held by: {', '.join(held)}", behind=tuple(held))
    rail, *behind = (*held, item.rail, *item.behind) if item.rail else held
    also = f"; then held by: {', '.join(behind)}" if behind else ""
    reason = f"{standing.reasons[rail]}{also}"
    return replace(item, action=Action.BLOCKED, rail=rail, reason=reason, until=None, behind=tuple(behind))


def _foretold(item: Item, weight: Weight, standing: Standing) -> Item:
    """What waits for somebody's word is not held by a limit, but would be if it went with the others."""
    rails = (rail for rail in RAILS if rail in standing.tripped or rail in standing.foreseen)
    held = ", ".join(rail for rail in rails if weight.would_count_towards((rail,)))
    return replace(item, reason=f"{item.reason}; then, together with the others, held by: {held}") if held else item


def _order(item: Item) -> tuple[str, str, str, bool]:
    return item.task, item.intended.value, item.address, item.outlook is not None


def assemble(items: Iterable[Item], revision: str, rules: Policy, frozen: str = "") -> Plan:
    """Order the items and name the whole; *frozen* says why nothing is done, when that is so."""
    ordered = tuple(sorted(items, key=_order))
    ids = [item.id for item in ordered if item.intended is not Action.NOOP or item.action is Action.INVALID]
    is_frozen = bool(frozen) and "vanished" not in rules.forced
    told = f"frozen: {frozen}" if is_frozen else f"{frozen.partition(':')[0]}; vanished was lifted for this run"
    remarks = ((told,) if frozen else ()) + _turns(ordered, rules)
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
    over = (Action.NOOP, True)  # a reset that was carried out: its task is counted by its other item
    counts = Counter(
        item.action.value
        for item in plan.items
        if item.rail != "failed" and (item.action, item.outlook is not None) != over
    )
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
