from dataclasses import replace

import pytest

from reconciler.core.render import text
from reconciler.model import Action, Change, ChangeKind, Item, Origins, Part, Suspension
from tests.core.builders import applied, few, plan_of, planned, sample_items, task, whole
from tests.core.render.samples import EVIL, RAISE, TABLES, hostile_plan, origins_of

REPORT = """\
a/update  update: restarts the component; changes around the checkpoint are written again
    4 keys set
  + coordinator/throttleRps  "5000"   throttle: unlimited -> 5,000 records/s
  ~ condition/whiteCondition
      ~ table shop.orders  map "orders" -> "orders_v2"
      + table shop.invoice
      - table shop.customer
  ~ sink/password  "«secret»" -> "«secret changed»"
  · sink/printSql  "true" stays on the component (allowDelete is false)
  ~ sink/workerNum  "16" -> "32"   16 -> 32 threads
    14 unchanged
  ! /coordinator/throttleRps: set too low, lag grows until the store or the source has dropped the logs (warn)
  ! /condition/whiteCondition: the same object continues under another target name; changes from now on only: rows that\
 existed before are not loaded, and the store may not carry it; stops being synchronised without an error; adding it\
 again later leaves a gap, because the changes in between are not repeated (confirm)
  ! /sink/workerNum: takes memory of the host; the component may not start, or other tasks suffer (warn)

b/delete  update+delete: restarts the component; changes around the checkpoint are written again
    1 key removed
  - sink/workerNum  "16"   16 -> default 16
    16 unchanged
  ! /sink/workerNum: takes memory of the host; the component may not start, or other tasks suffer (warn)

c/new  blocked (would update): restarts the component; a message sink may repeat about a minute
    new_tasks: first sight of this task: nothing is known of the component's present configuration; reconciler adopt\
 records the files as applied, --force new_tasks sends them
  + sink/a  "1"

d/danger  blocked (would update): restarts the component; changes around the checkpoint are written again
    danger: /sink/jdbcUrl would be changed: writes the changes to another database; if that is meant, add\
 "/sink/jdbcUrl" to allow in task.json
  ~ sink/jdbcUrl  "jdbc:oceanbase://10.0.0.21:2883?useUnicode=true" -> "jdbc:x"
    16 unchanged

e/invalid  invalid
    desired_state/e/invalid/sink.json:4:16: error: /workerNum: expected an integer 1..1024, found "abc". Write a\
 number. [schema]

g/gone  orphaned
    its directory is gone: nothing is called; reconciler forget g/gone drops the record

h/later  suspended (would update): restarts the component; changes around the checkpoint are written again
    suspend --all: migration (until 2026-11-21 13:00:00Z)
  ~ sink/workerNum  "16" -> "8"   16 -> 8 threads
    16 unchanged
  ! /sink/workerNum: takes memory of the host; the component may not start, or other tasks suffer (warn)

i/reset  blocked (would reset): stops the project and resumes it
    target: target default: the configuration does not allow resets of it
  ! reset r of the forward link of np_a to 1970-01-01 00:00:01Z: why

j/adopt  adopt
    first sight: recorded as applied, nothing is called
  + sink/a  "1"

! frozen: for this test
Plan ID: 1 to update, 1 to update+delete, 1 to adopt, 1 unchanged, 3 blocked, 1 invalid, 1 orphaned, 1 suspended;\
 restarts 2 components.
"""


def summary_of(*items):
    return text.plain(plan_of(*items), "d").splitlines()[-1].partition(": ")[2]


def item(action, name="shop", **more):
    cost = ("restarts the component",) if action.sends else ()
    return Item(id=name, task=name, action=action, reason="r", **{"intended": action, "cost": cost, **more})


def test_report_of_several_tasks():
    plan = replace(plan_of(*sample_items(), frozen="for this test"), id="ID")
    assert text.plain(plan, "desired_state") == REPORT


def test_task_with_a_reset_that_waits_is_not_unchanged():
    plan = plan_of(item(Action.NOOP), item(Action.BLOCKED, intended=Action.RESET), item(Action.NOOP, "other"))
    assert text.tally(plan) == "1 unchanged, 1 blocked"
    assert text.untouched(plan) == {"other"}


def test_window_is_named_once():
    held = item(Action.BLOCKED, rail="window", intended=Action.UPDATE)
    assert text.why(replace(held, reason="window nights allows calls")) == "window nights allows calls"
    assert text.why(held) == "window: r"


def test_quiet_task_is_listed_in_full_only():
    plan = plan_of(planned(None, applied()))
    assert "shop/orders" not in text.plain(plan, "d")
    assert text.plain(plan, "d", full=True).startswith("shop/orders  noop\n    no difference\n")


@pytest.mark.parametrize(
    "quiet",
    [
        pytest.param({"remarks": ("a remark",)}, id="remark"),
        pytest.param({"rail": "failed"}, id="failed since"),
        pytest.param({"reason": "takes over the record of old"}, id="takes over"),
    ],
)
def test_noop_with_something_to_say_is_listed(quiet):
    assert text.matters(replace(item(Action.NOOP), **quiet))


def test_noop_with_keys_left_in_place_is_listed():
    found = planned(whole(sink={"workerNum": ...}), applied())
    assert '· sink/workerNum  "16" stays on the component' in text.plain(plan_of(found), "d")


def test_list_without_rules_is_told_by_its_parts():
    found = planned(few(sink={"a": ["1", "3"]}), applied(few(sink={"a": ["1", "2"]})))
    assert '  ~ sink/a\n      ~ /1  "2" -> "3"\n' in text.plain(plan_of(found), "d")


def test_a_huge_part_is_shortened():
    huge = Change("condition", "/a", ChangeKind.SET, [], ["x"], parts=(Part("added", "y" * 10_000, "x" * 10_000),))
    report = text.plain(plan_of(item(Action.UPDATE, changes=(huge,))), "d")
    assert max(map(len, report.splitlines())) < 1100


def test_forced_rail_is_shown():
    assert "  ! forced: incomplete\n" in text.plain(plan_of(item(Action.UPDATE, forced=("incomplete",))), "d")


@pytest.mark.parametrize(
    ("items", "words"),
    [
        pytest.param([], "no tasks; no call.", id="no tasks"),
        pytest.param([item(Action.NOOP)], "1 unchanged; no call.", id="nothing to do"),
        pytest.param([item(Action.UPDATE)], "1 to update; restarts 1 component.", id="one"),
        pytest.param([item(Action.UPDATE, cost=())], "1 to update; no call.", id="one that is held once it is there"),
        pytest.param([item(Action.ADOPT), item(Action.BLOCKED, "b")], "1 to adopt, 1 blocked; no call.", id="no call"),
    ],
)
def test_summary_says_what_restarts(items, words):
    assert summary_of(*items) == words


def test_lines_carry_the_names_of_styles():
    plan = plan_of(*sample_items())
    styles = {span.style for line in text.lines(plan, "d") for span in line}
    assert styles == {"", "bold", "added", "removed", "changed", "danger", "dim"}


def test_nothing_from_outside_breaks_out_of_its_line():
    evil = "x\n\x1b[2J\u202e\u2028"
    found = planned(
        task(few(sink={evil: evil}, condition={"whiteCondition": [{"name": evil, "map": evil + "y"}]}), name=evil),
        applied(task(few(), name=evil), condition="x"),
    )
    shown = text.plain(plan_of(replace(found, remarks=(evil,), reason=evil, cost=(evil,)), frozen=evil), evil)
    assert all(line.isprintable() for line in shown.split("\n"))


def test_suspended_task_with_nothing_to_do_is_counted_and_not_listed():
    paused = planned(task(suspend=Suspension("x", None)), applied())
    assert text.plain(plan_of(paused), "d").splitlines() == [text.plain(plan_of(paused), "d").rstrip()]
    assert "1 suspended" in text.plain(plan_of(paused), "d")


def test_task_names_its_last_commit_and_a_key_only_another_one():
    plan = plan_of(planned(whole(sink={"workerNum": "8", "printSql": "true"}), applied()))
    report = text.plain(plan, "d", origins=origins_of(plan)).splitlines()
    assert report[2] == "    aaaaaaa Ann Lee 2026-11-20 Raise throttle for shop"
    assert report[3] == f"    bbbbbbb {TABLES.author} {TABLES.at:%Y-%m-%d} {TABLES.subject}"
    assert report[4] == '  + sink/printSql  "true"   default false -> true'
    assert report[5] == '  ~ sink/workerNum  "16" -> "8"   16 -> 8 threads   [bbbbbbb]'


def test_key_names_its_commit_where_that_of_the_task_is_not_known():
    plan = plan_of(planned(whole(sink={"workerNum": "8"}), applied()))
    report = text.plain(plan, "d", origins=Origins(keys={("shop/orders", "/sink/workerNum"): TABLES}))
    assert "[bbbbbbb]" in report
    assert f"    bbbbbbb {TABLES.author}" in report


def test_invalid_task_names_its_last_commit():
    plan = plan_of(*sample_items())
    report = text.plain(plan, "d", origins=Origins({"e/invalid": RAISE}))
    assert "[schema]\n    aaaaaaa Ann Lee 2026-11-20 Raise throttle for shop\n\n" in report


def test_what_cannot_be_told_of_commits_is_a_remark():
    assert "\n! the clone is shallow\nPlan" in "\n" + text.plain(
        plan_of(), "d", origins=Origins(remark="the clone is shallow")
    )


@pytest.mark.parametrize("evil", EVIL, ids=ascii)
def test_no_commit_breaks_out_of_its_line(evil):
    plan, origins = hostile_plan(evil)
    assert all(line.isprintable() for line in text.plain(plan, evil, origins=origins).split("\n"))
