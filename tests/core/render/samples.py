"""Commits and hostile texts for the tests of the reports."""

import json
from datetime import datetime, timedelta, timezone
from hashlib import sha256

from hypothesis import strategies as st

from reconciler.model import (
    Action,
    Change,
    ChangeKind,
    Commit,
    Danger,
    DangerLevel,
    Item,
    Origins,
    Part,
    Place,
    Plan,
    Severity,
    Violation,
)

HERE = timezone(timedelta(hours=1))
WARN, CONFIRM, FORBID = (Danger(level, "it may hurt") for level in reversed(DangerLevel))

EVIL = (
    "</summary></details><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '" onfocus="alert(1)" autofocus="',
    "`~~~~`\n~~~~\n# heading",
    "~" * 9,
    "`" * 9,
    "a\u2028~~~~\x85~~~~\x0c~~~~",
    "[link](http://x) ![image](http://x) <http://x> www.example.com",
    "\x1b[31m\u202eevil\u2066\udcff",
    "+ added\n- removed\n/close",
    "@everyone fixes #12, closes other/project#3, !4",
    "{{ 7 * 7 }}{% raw %}${env:X}",
    "<!-- --> ]]> <![CDATA[ &lt;b&gt; &#64;ann",
    "|a|b|\n|-|-|\n\\",
    "$`x`$ :tada: ~x~ **bold** _it_",
    " ",
)
"""Names, values and subjects that want to be more than text."""

hostile = st.lists(
    st.sampled_from([*EVIL, "`", "~~~~", "\n", "\n\n", "<", "&", "@a", "#1", "/x", "\\", "é", "\U0001d4b3"])
).map("".join)


def commit(digit: str, author: str, day: int, subject: str) -> Commit:
    """A commit whose id is one digit, forty times."""
    return Commit(digit * 40, author, datetime(2026, 11, day, 23, 30, tzinfo=HERE), subject)


RAISE = commit("a", "Ann Lee", 20, "Raise throttle for shop")
TABLES = commit("b", "Bob Ó Súilleabháin", 18, "Shop: orders go to orders_v2, fixes #12")


def origins_of(plan: Plan, remark: str = "") -> Origins:
    """Each task was last changed by RAISE, its keys in turn by RAISE and by TABLES."""
    pairs = [(item.task, change.path) for item in plan.items for change in item.changes]
    keys = {pair: (RAISE, TABLES)[index % 2] for index, pair in enumerate(pairs)}
    return Origins({item.task: RAISE for item in plan.items}, keys, remark)


def changed(pointer: str = "/a", danger: Danger | None = None, old: object = "1", new: object = "2") -> Change:
    """A changed key of the sink."""
    return Change("sink", pointer, ChangeKind.SET, old, new, danger=danger)


def an_item(action: Action, name: str = "shop", **more: object) -> Item:
    """An item of one action."""
    number = sha256(ascii(name).encode()).hexdigest()
    cost = ("restarts the component",) if action.sends else ()
    return Item(id=number, task=name, action=action, **{"intended": action, "reason": "r", "cost": cost, **more})


def hostile_plan(evil: str) -> tuple[Plan, Origins]:
    """A plan in which every text that comes from outside is *evil*, and whose commits are."""
    listed = Change("condition", f"/{evil}", ChangeKind.SET, [], [evil], parts=(Part("added", evil, evil, CONFIRM),))
    changes = (changed(f"/{evil}", FORBID, evil, f"{evil}2"), changed(f"/{evil}/x", None, None, {evil: evil}), listed)
    wrong = Violation(evil, evil, Place(1, 2), f"/{evil}", "schema", Severity.ERROR, evil, evil, evil)
    more = {"cost": (evil,), "remarks": (evil,), "reason": evil}
    items = (
        an_item(Action.UPDATE, evil, changes=changes, address=json.dumps(["default", "NAME", evil]), **more),
        an_item(Action.INVALID, f"x/{evil}", violations=(wrong,), **more),
        an_item(Action.BLOCKED, f"{evil}/x", intended=Action.UPDATE, rail="mode", **more),
    )
    plan = Plan("0" * 64, evil, tuple(items), (evil,))
    who = commit("c", evil, 1, evil)
    keys = {(evil, change.path): who for change in changes}
    return plan, Origins({item.task: who for item in items}, keys, evil)
