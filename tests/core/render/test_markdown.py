from dataclasses import replace

import pytest

from reconciler.core.render import markdown
from reconciler.model import Action, Item
from tests.core.builders import applied, few, plan_of, planned, sample_items, task

EVIL = [
    pytest.param("</summary></details><script>alert(1)</script>", id="HTML"),
    pytest.param("`~~~~`\n~~~~\n# heading", id="fence"),
    pytest.param("~~~~~~~~", id="long fence"),
    pytest.param("a\u2028~~~~\x85~~~~\x0c~~~~", id="other line breaks"),
    pytest.param("[link](http://x) ![image](http://x)", id="link"),
    pytest.param("\x1b[31m\u202e", id="controls"),
    pytest.param("+ added\n- removed", id="signs"),
]

REPORT = """\
### Plan `ID`

| action | tasks |
|---|---|
| noop | 1 |
| update+delete | 1 |
| invalid | 1 |

Components that restart: **1**

> **frozen: a \\*\\*test\\*\\* &lt;b&gt; isn't**

<details><summary><code>b/delete</code> update+delete: restarts the component; changes around the checkpoint are\
 written again</summary>

~~~~diff
     1 key removed
-   sink/workerNum  "16"   16 -> default 16
     16 unchanged
   ! /sink/workerNum: takes memory of the host; the component may not start, or other tasks suffer (warn)
~~~~

</details>

<details><summary><code>e/invalid</code> invalid</summary>

~~~~diff
     desired_state/e/invalid/sink.json:4:16: error: /workerNum: expected an integer 1..1024, found "abc". Write a\
 number. [schema]
~~~~

</details>
"""


def blocks(report):
    """The lines of each fenced block, as CommonMark reads it, and the lines outside."""
    outside, inside, fence = [], [], ""
    for line in report.split("\n"):
        if fence and line == fence:
            fence = ""
        elif fence:
            inside.append(line)
        elif line.startswith("~~~"):
            fence = line.removesuffix("diff")
        else:
            outside.append(line)
    assert fence == ""
    return inside, outside


def test_report_of_several_tasks():
    items = [sample_items()[index] for index in (1, 4, 5)]
    plan = replace(plan_of(*items, frozen="a **test** <b> isn't"), id="ID")
    assert markdown.report(plan, "desired_state") == REPORT


def test_plan_without_tasks_is_a_summary():
    assert markdown.report(plan_of(), "d").endswith("\nComponents that restart: **0**\n")


def test_noop_that_failed_since_is_shown():
    found = Item(id="i", task="shop", action=Action.NOOP, reason="failed since", rail="failed")
    assert "<code>shop</code> failed" in markdown.report(plan_of(found), "d")


@pytest.mark.parametrize("evil", EVIL)
def test_names_and_values_do_not_break_out(evil):
    content = few(sink={evil: evil}, condition={"whiteCondition": [{"name": evil, "map": evil + "x"}]})
    found = planned(task(content, name=evil), applied(task(few(), name=evil)))
    found = replace(found, remarks=(evil,), reason=evil, cost=(evil,))
    inside, outside = blocks(markdown.report(plan_of(found), evil))
    assert len([line for line in outside if line.startswith("<details>")]) == 1
    assert outside[-2:] == ["</details>", ""]
    assert all(line[0] in " +-" for line in inside)


@pytest.mark.parametrize("evil", EVIL)
def test_remark_on_the_plan_stays_one_line_of_text(evil):
    remark = markdown.report(plan_of(frozen=evil), "d").partition("\n> **")[2]
    assert remark.count("\n") == 1
    assert "<" not in remark
    assert not any(f"{sign}" in remark.replace(f"\\{sign}", "").removesuffix("**\n") for sign in "`*_[]|#~")


@pytest.mark.parametrize("evil", EVIL)
def test_everything_is_printable(evil):
    report = markdown.report(plan_of(planned(few(sink={evil: evil})), frozen=evil), "d")
    assert all(line.isprintable() for line in report.split("\n"))


def test_underscores_in_a_name_are_shown_as_they_are():
    found = planned(task(few(sink={"a": "1"}), name="mysql_to_ob"))
    assert "<code>mysql_to_ob</code>" in markdown.report(plan_of(found), "d")


def test_signs_stand_in_the_first_column():
    report = markdown.report(plan_of(*sample_items()), "d")
    assert "\n+       table shop.invoice\n-       table shop.customer\n" in report
