"""Rails and approvals in every form of a report."""

from dataclasses import replace
from datetime import timedelta

import jsonschema
import pytest

from reconciler import resources
from reconciler.core import rails
from reconciler.core.policy import Mode, Policy
from reconciler.core.rails import Counts
from reconciler.core.render import data, html, markdown, text
from reconciler.model import Action, Approval
from tests.core.builders import NOW, plan_of
from tests.core.render.samples import EVIL, an_item

PAGE = resources.report_page()
APPROVED = Approval("c" * 64, "t", "a", "p" * 64, "update", ("tasks",), "agreed", "ann", NOW, NOW + timedelta(days=1))
STATES = rails.states(Policy(mode=Mode.APPROVE), Counts(held={"approval": 2}, lifted={"tasks": 1}, approved=1))
LINE = (
    "Rails: tripped: approval (2 tasks); overridden: tasks (1 task); off: window (none in the configuration),"
    " min_update_interval_s (no target), stop_after_failures (no target)."
)
SENT = replace(an_item(Action.UPDATE), forced=("tasks",), approval=APPROVED)
WAITS = replace(an_item(Action.BLOCKED, "waits"), intended=Action.UPDATE, rail="approval")
WORDS = "approved by ann: agreed (until 2026-11-22 12:00:00Z; lifts tasks)"


def plan(*items, standing=STATES, **more):
    return replace(plan_of(*items), rails=standing, **more)


def page(shown):
    return html.report(shown, "desired_state", page=PAGE)


FORMS = [
    pytest.param(lambda shown: text.plain(shown, "desired_state"), id="text"),
    pytest.param(lambda shown: markdown.report(shown, "desired_state"), id="markdown"),
    pytest.param(page, id="html"),
]


@pytest.mark.parametrize("form", FORMS)
def test_rails_are_told_in_one_line(form):
    assert form(plan(SENT)).count(LINE) == 1


@pytest.mark.parametrize("form", FORMS)
def test_it_is_told_who_approved_until_when_and_what_is_lifted(form):
    assert form(plan(SENT)).count(WORDS) == 1


@pytest.mark.parametrize("form", FORMS)
def test_the_command_that_approves_is_told_once(form):
    shown = plan(WAITS, replace(WAITS, task="too"))
    told = f"2 items wait for an approval: reconciler approve {shown.id[:16]} --reason TEXT"
    assert form(shown).count(told) == 1
    assert "1 item waits for an approval: " in form(plan(WAITS))


@pytest.mark.parametrize("form", FORMS)
def test_a_comparison_has_neither_rails_nor_a_command(form):
    shown = form(plan(WAITS, standing=(), id="rev-" + "0" * 64))
    assert "Rails:" not in shown
    assert "an approval: reconciler approve" not in shown


@pytest.mark.parametrize("form", FORMS)
def test_what_people_wrote_moves_no_cursor(form):
    assert "\x1b" not in form(plan(replace(SENT, approval=replace(APPROVED, reason=EVIL, by=EVIL))))


def test_what_people_wrote_ends_no_markup():
    assert "<script>alert" not in page(plan(replace(SENT, approval=replace(APPROVED, reason=EVIL, by=EVIL))))


def test_only_the_full_report_lists_rails_one_by_one():
    short, full = (text.plain(plan(SENT), "desired_state", full=full).split("\n") for full in (False, True))
    listed = [line for line in full if line not in short]
    assert len(listed) == len(rails.NAMES)
    assert listed[0] == "    mode                   on                 approve: every call needs an approval"
    assert "    approval               tripped         2  every call needs one; 1 task approved" in listed


@pytest.mark.parametrize(("standing", "style"), [(STATES, "changed"), (rails.states(Policy()), "dim")])
def test_the_line_stands_out_when_something_trips(standing, style):
    (line,) = (line for line in text.lines(plan(standing=standing), "d") if line[0].text.startswith("Rails:"))
    assert line[0].style == style


def test_json_has_every_rail_and_the_approval_and_fits_its_schema():
    shown = data.plan(plan(SENT, WAITS))
    jsonschema.Draft202012Validator(resources.schema("plan")).validate(shown)
    assert [rail["name"] for rail in shown["rails"]] == list(rails.NAMES)
    assert shown["rails"][rails.NAMES.index("approval")] == {
        "name": "approval",
        "state": "tripped",
        "text": "every call needs one; 1 task approved",
        "tasks": 2,
    }
    assert [item["approval"] and (item["approval"]["by"], item["approval"]["forced"]) for item in shown["items"]] == [
        ("ann", ["tasks"]),
        None,
    ]
