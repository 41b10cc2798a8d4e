import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from reconciler.core.render import markdown
from reconciler.model import Action, Item, Origins
from tests.core.builders import few, plan_of, planned, sample_items, task
from tests.core.render.samples import EVIL, an_item, changed, commit, hostile, hostile_plan, origins_of

REPORT = """\
<!-- reconciler plan -->
### Plan `ID`

**1 component restarts. 1 task is invalid. 1 task deletes keys. Dangerous changes: 1 warn.**

Tasks: 1 to update+delete, 1 unchanged, 1 invalid. Revision: `sha256:0123456789ab`

> `frozen: for "this" **test** <b>`

> `` the clone is `shallow` ``

<details><summary><b>invalid</b> <code>e/invalid</code>: 1 violation</summary>

~~~~diff
     desired_state/e/invalid/sink.json:4:16: error: /workerNum: expected an integer 1..1024, found "abc". Write a\
 number. [schema]
     aaaaaaa Ann Lee 2026-11-20 Raise throttle for shop
~~~~

</details>

<details><summary><b>update+delete</b> <code>b/delete</code>: 1 key, warn</summary>

~~~~diff
     restarts the component; changes around the checkpoint are written again
     1 key removed
     aaaaaaa Ann Lee 2026-11-20 Raise throttle for shop
-   sink/workerNum  "16"   16 -> default 16
     16 unchanged
!   /sink/workerNum: takes memory of the host; the component may not start, or other tasks suffer (warn)
~~~~

</details>
"""


class Reading(HTMLParser):
    """Tags, and text that stands outside of code."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.text, self._in_code = set(), "", False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        assert attributes == []
        self.tags.add(tag)
        self._in_code = self._in_code or tag == "code"

    def handle_endtag(self, tag):
        self._in_code = self._in_code and tag != "code"

    def handle_data(self, data):
        self.text += "" if self._in_code else data


def outside_of_code(report):
    """What a Markdown reader sees as text; HTML and block structure are checked on the way."""
    shown = []
    for token in MarkdownIt("commonmark").parse(report.removeprefix(markdown.MARKER)):
        assert token.type in {"html_block", "fence", "inline"} | {
            f"{name}_{end}"
            for name in ("heading", "paragraph", "blockquote", "bullet_list", "list_item")
            for end in ("open", "close")
        }
        if token.type == "html_block":
            read = Reading(token.content)
            assert read.tags <= {"details", "summary", "b", "code"}
            shown.append(read.text)
        for child in token.children or ():
            assert child.type in {"text", "code_inline", "strong_open", "strong_close"}
            shown.append(child.content if child.type == "text" else "")
    return "".join(shown)


def assert_inert(report):
    """Nothing in a report acts: no mention, no reference, no link, no markup, no command, no hidden character."""
    assert not re.search(r"[@#<>&$!~|\[\]]|https?:|www\.|:\w+:", outside_of_code(report))
    assert not any(line.startswith("/") or not line.isprintable() for line in report.split("\n"))
    assert report.count("\n<details>") == report.count("\n</details>\n")
    assert len(report.encode()) <= markdown.LIMIT_BYTES


def test_report_of_several_tasks():
    items = [sample_items()[index] for index in (1, 4, 5)]
    plan = replace(plan_of(*items, frozen='for "this" **test** <b>'), id="ID", frozen=False)
    assert markdown.report(plan, "desired_state", origins_of(plan, "the clone is `shallow`")) == REPORT


def test_plan_without_tasks_is_a_summary():
    assert markdown.report(plan_of(), "d").endswith("\nTasks: no tasks. Revision: `sha256:0123456789ab`\n")


def test_the_first_line_finds_the_comment_again():
    assert markdown.report(plan_of(), "d").startswith("<!-- reconciler plan -->\n")


def test_noop_that_failed_since_is_shown():
    found = Item(id="i", task="shop", action=Action.NOOP, reason="failed since", rail="failed")
    assert "<b>failed</b> <code>shop</code>" in markdown.report(plan_of(found), "d")


def test_address_that_may_mean_several_components_is_told_in_the_title():
    found = an_item(Action.UPDATE, address='["default", "IP", "10.0.0.9"]')
    assert "<code>shop</code>: perhaps more than one component<" in markdown.report(plan_of(found), "d")


@pytest.mark.parametrize("evil", EVIL, ids=ascii)
def test_hostile_texts_stay_inert(evil):
    plan, origins = hostile_plan(evil)
    assert_inert(markdown.report(plan, evil, origins))


@given(hostile)
@settings(max_examples=60, deadline=None)
def test_any_text_stays_inert_in_full(evil):
    plan, origins = hostile_plan(evil)
    report = markdown.report(plan, evil, origins)
    assert_inert(report)
    assert report.count("\n<details>") == len(plan.items)


def test_fence_is_longer_than_any_run_inside():
    report = markdown.report(plan_of(replace(an_item(Action.UPDATE), reason="~" * 9)), "d")
    assert f"\n{'~' * 10}diff\n" in report


@given(hostile)
@settings(max_examples=15, deadline=None)
def test_any_text_stays_inert_in_a_line(evil):
    plan = plan_of(*(an_item(Action.UPDATE, f"{number:04}{evil}", remarks=(evil * 9,)) for number in range(700)))
    report = markdown.report(plan, evil, origins_of(plan, evil))
    assert "\n- **update** `" in report
    assert_inert(report)


@given(st.text() | hostile)
def test_nothing_inside_ends_a_code_span(value):
    (_, inline, _) = MarkdownIt("commonmark").parse(f"x{markdown.code(value)}x")
    assert [child.type for child in inline.children] == ["text", "code_inline", "text"]


def test_underscores_in_a_name_are_shown_as_they_are():
    found = planned(task(few(sink={"a": "1"}), name="mysql_to_ob"))
    assert "<code>mysql_to_ob</code>" in markdown.report(plan_of(found), "d")


def test_signs_stand_in_the_first_column():
    report = markdown.report(plan_of(*sample_items()), "d")
    assert "\n+       table shop.invoice\n-       table shop.customer\n" in report


def test_a_reason_that_begins_with_a_sign_is_no_change():
    assert "\n     + added\n" in markdown.report(plan_of(replace(an_item(Action.UPDATE), reason="+ added")), "d")


def test_same_plan_gives_the_same_bytes():
    plans = [plan_of(*items) for items in (sample_items(), sample_items()[::-1])]
    one, other = (markdown.report(plan, "d", origins_of(plan)) for plan in plans)
    assert one == other


# --- what fits -----------------------------------------------------------------------------------------------------


def many(number, keys=1, name="shop"):
    changes = tuple(changed(f"/key{key}") for key in range(keys))
    return [an_item(Action.UPDATE, f"{name}-{index:05}", changes=changes) for index in range(number)]


def told_of(report):
    """Tasks in full, in a line, and as numbers."""
    return report.count("\n<details>"), report.count("\n- **"), re.findall(r"\nNot listed: (.*)\.\n", report)


def test_what_fits_is_told_in_full():
    report = markdown.report(plan_of(*many(200)), "d")
    assert told_of(report) == (200, 0, [])
    assert "Too much" not in report


def test_what_does_not_fit_is_told_in_a_line_and_the_report_says_so():
    report = markdown.report(plan_of(*many(500)), "d")
    full, short, left = told_of(report)
    assert (full + short, left) == (500, [])
    assert (
        f"**Too much for one comment.** Of 500 tasks, the most dangerous first, {full} stand here in full,"
        f" {short} in one line and 0 as a number. `reconciler plan --format html`, with the same arguments, shows everything."
        in report
    )


def test_what_does_not_fit_in_a_line_is_counted_by_action():
    items = [*many(5_000), *(an_item(Action.ADOPT, f"new-{index}") for index in range(1_500))]
    full, short, left = told_of(markdown.report(plan_of(*items), "d"))
    assert full > 100
    assert left == [f"{5_000 - full - short:,} update, 1,500 adopt"]


def test_the_most_dangerous_are_told_in_full():
    last = an_item(Action.UPDATE_DELETE, "zzz")
    report = markdown.report(plan_of(*many(5_000), last), "d")
    assert report.index("<code>zzz</code>") < report.index("<code>shop-00000</code>")


def test_a_huge_task_is_cut_and_leaves_room_for_others():
    report = markdown.report(plan_of(*many(1, 5_000), *many(1, name="small")), "d")
    assert told_of(report) == (2, 0, [])
    assert re.search(r"\n … 4,\d\d\d more lines: reconciler plan --format html\n~~~~\n", report)


def test_reports_that_share_a_comment_are_shorter():
    plan = plan_of(*many(5_000), *many(1, 5_000, name="huge"))
    assert len(markdown.report(plan, "d", limit_bytes=20_000).encode()) in range(17_000, 20_001)


def test_remarks_without_end_are_counted():
    plan = replace(plan_of(), remarks=tuple(f"remark {number} {'x' * 900}" for number in range(20)))
    report = markdown.report(plan, "d")
    assert report.count("\n> `remark") == 6
    assert "\n> and 14 more remarks: `reconciler plan --format html`\n" in report


@pytest.mark.parametrize(("number", "size"), [(1, 20_000), (30, 5_000), (3_000, 1), (500, 300)])
@pytest.mark.parametrize("text", ["x", "\U0001d4b3", "`", "\x1b", "<"], ids=ascii)
def test_a_report_is_never_longer_than_a_code_host_takes(number, size, text):
    evil = text * size
    items = [an_item(Action.UPDATE, f"{index}{evil}", changes=(changed(f"/{evil}"),)) for index in range(number)]
    plan = replace(plan_of(*items[:100], *items[100:]), revision=evil, remarks=(evil,) * number)
    who = commit("a", evil, 1, evil)
    report = markdown.report(plan, evil[:300], Origins({item.task: who for item in items}, {}, evil))
    assert len(report.encode()) <= markdown.LIMIT_BYTES
