"""Reports to be looked at, rendered from plans of the core."""

from functools import cache

from reconciler import resources
from reconciler.core.render import html
from reconciler.model import Action, Item, Origins, Plan
from tests.core.builders import plan_of, sample_items
from tests.core.render.samples import (
    CONFIRM,
    EVIL,
    FORBID,
    RAISE,
    TABLES,
    WARN,
    an_item,
    changed,
    hostile_plan,
    origins_of,
)

PAGE = resources.report_page()
LONG = "a-task-whose-name-has-no-end-" * 9


@cache
def sample() -> str:
    """One task of most kinds, with commits, remarks and long values."""
    url = "jdbc:oceanbase://10.0.0.21:2883?useUnicode=true&characterEncoding=utf8"
    changes = (changed("/otherUrl", FORBID, url, f"{url}mb4"), changed("/b", CONFIRM), changed("/c", WARN, None, LONG))
    more = an_item(Action.UPDATE, f"k/{LONG}", changes=changes, address='["default", "IP", "10.0.0.9"]')
    plan = plan_of(*sample_items(), more, frozen="for this test")
    return html.report(plan, "desired_state", origins_of(plan, "the clone is shallow"), page=PAGE)


@cache
def hostile() -> str:
    """Every text from outside wants to be more than text."""
    plans = [hostile_plan(evil) for evil in EVIL]
    items = tuple(item for plan, _ in plans for item in plan.items)
    tasks = {task: commit for _, origins in plans for task, commit in origins.tasks.items()}
    keys = {key: commit for _, origins in plans for key, commit in origins.keys.items()}
    plan = Plan("0" * 64, "".join(EVIL), items, EVIL)
    return html.report(plan, "".join(EVIL), Origins(tasks, keys, "".join(EVIL)), page=PAGE)


def _numbered(number: int) -> Item:
    key = changed(f"/key{number % 10}", None, f"before-{number}", f"after-{number}")
    return an_item((Action.UPDATE, Action.ADOPT)[number % 5 == 0], f"shop-{number:04}", changes=(key,))


@cache
def fleet(number: int) -> str:
    """So many tasks of one changed key each; every fifth is adopted, the first was last changed by another commit."""
    items = [_numbered(index) for index in range(number)]
    tasks = {item.task: RAISE for item in items} | {items[0].task: TABLES}
    return html.report(plan_of(*items), "desired_state", Origins(tasks), page=PAGE)
