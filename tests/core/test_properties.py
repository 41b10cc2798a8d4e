"""What holds for any documents and any order of edits, not for examples only."""

import json
from dataclasses import replace

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import resources
from reconciler.core.fleet import summary
from reconciler.core.limits import RAILS
from reconciler.core.plan import Base
from reconciler.core.policy import NewTasks, Policy
from reconciler.core.render import data, markdown, text
from reconciler.model import SECTIONS, Action
from tests.core.builders import (
    APPLY,
    OTHER_KEY,
    SENTINEL,
    carried_out,
    few,
    plan_of,
    planned,
    ready,
    record_of,
    task,
    whole,
)

pytestmark = pytest.mark.no_cover  # measuring doubles their time; other tests reach the same lines

SCHEMA = jsonschema.Draft202012Validator(resources.schema("plan"))
SETTINGS = settings(max_examples=60, deadline=None)
FREE = replace(APPLY, forced=frozenset(("incomplete", *RAILS)))

names = st.sampled_from(["a", "b", "__x", "x/y", "~", "", "é"])
secret_keys = st.sampled_from(["password", "apiToken"])
scalars = st.sampled_from(["1", "2", 1, 2, True, "true", 1.5, "${env:SINK}", "a${env:STORE}b", "$${x}"])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | secret_keys, inner, max_size=3),
    max_leaves=8,
)
rules = st.recursive(
    st.fixed_dictionaries(
        {"name": st.sampled_from("abc")},
        optional={"map": st.sampled_from("abc"), "all": st.booleans(), "func": st.sampled_from(["exact", "fn"])},
    ),
    lambda inner: st.fixed_dictionaries({"name": st.sampled_from("abc"), "sub": st.lists(inner, max_size=3)}),
    max_leaves=6,
)
conditions = st.dictionaries(st.sampled_from(["whiteCondition", "blackCondition"]), st.lists(rules, max_size=3))
sections = st.builds(
    lambda plain, condition: {**plain, "condition": {**plain["condition"], **condition}},
    st.fixed_dictionaries({name: st.dictionaries(names | secret_keys, values, max_size=4) for name in SECTIONS}),
    conditions,
)
edits = st.lists(st.tuples(sections, st.booleans()), min_size=1, max_size=4)


def applied_to(base, content, *, allow_delete):
    """Plan, carry it out, and return the item and what the address holds then."""
    made = task(content, allow_delete=allow_delete, allow=("/*",))
    item = planned(made, base, policy=FREE)
    return item, carried_out(item, ready(made), base) if item.action.sends else base


def shuffled(value, random):
    """The same document, members in another order."""
    if isinstance(value, dict):
        members = [(key, shuffled(member, random)) for key, member in value.items()]
        random.shuffle(members)
        return dict(members)
    return [shuffled(element, random) for element in value] if isinstance(value, list) else value


def respelled(value):
    """The same document outside of rules, each number and boolean as the text that equals it."""
    if isinstance(value, dict):
        return {key: respelled(member) for key, member in value.items()}
    if isinstance(value, list):
        return [respelled(element) for element in value]
    return value if isinstance(value, str) else json.dumps(value)


@SETTINGS
@given(edits)
def test_after_applying_any_edits_there_is_nothing_left_to_send(steps):
    base = Base()
    for content, allow_delete in [*steps, *steps[::-1]]:
        first, base = applied_to(base, content, allow_delete=allow_delete)
        again, _ = applied_to(base, content, allow_delete=allow_delete)
        if first.rail == "lost_secret":  # waits for somebody to declare the secret
            assert again.rail == "lost_secret"
            continue
        assert again.action is Action.NOOP
        assert all(change.left_in_place for change in again.changes)
        assert not (allow_delete and again.changes)


@SETTINGS
@given(sections)
def test_plan_of_equal_states_is_empty(content):
    desired = ready(content)
    item = planned(content, Base(record_of(desired), desired.snapshot))
    looked_closer = planned(content, Base(record_of(desired, digest_version=0), desired.snapshot))
    assert (item.action, item.changes) == (looked_closer.action, looked_closer.changes) == (Action.NOOP, ())


@SETTINGS
@given(sections, st.randoms(use_true_random=False))
def test_order_of_members_and_spelling_of_scalars_never_matter(content, random):
    written = json.loads(json.dumps(shuffled(content, random), indent=random.randint(0, 4)))
    written = {name: part if name == "condition" else respelled(part) for name, part in written.items()}
    assert ready(written).snapshot == ready(content).snapshot


@SETTINGS
@given(edits, st.booleans(), st.booleans())
def test_deletion_is_sent_only_for_a_removed_key_with_allow_delete_and_a_whole_payload(steps, forces, complete):
    base, rules = Base(), FREE if forces else APPLY
    for content, allow_delete in steps:
        given_sections = whole(**content) if complete else content
        made = task(given_sections, allow_delete=allow_delete, allow=("/*",))
        item = planned(made, base, policy=rules)
        if item.action is Action.UPDATE_DELETE:
            assert allow_delete
            assert any(change.kind.value == "removed" for change in item.changes)
            assert complete or "incomplete" in item.forced
        if item.action.sends:
            base = carried_out(item, ready(made), base)


@SETTINGS
@given(sections, sections, sections)
def test_uncertain_base_is_always_sent(before, tried, wanted):
    applied_content, candidate = ready(before), ready(tried)
    record = record_of(applied_content, open_intents=1)
    base = Base(record, applied_content.snapshot, (candidate.snapshot,))
    item = planned(task(wanted, allow=("/*",)), base, policy=FREE)
    if item.rail == "lost_secret":  # waits for somebody to declare the secret
        return
    assert item.action is Action.UPDATE
    assert planned(wanted, carried_out(item, ready(wanted), base)).action is Action.NOOP


@SETTINGS
@given(sections, sections, st.booleans(), st.booleans())
def test_no_secret_gets_into_any_rendering_or_snapshot(before, now, allow_delete, same_key):
    base_task = ready(before) if same_key else ready(before, key=OTHER_KEY)
    base = Base(record_of(base_task), base_task.snapshot)
    made = task(now, allow_delete=allow_delete)
    items = [
        planned(made, base),
        planned(replace(made, name="new")),
        planned(task(before, name="old"), policy=Policy(new_tasks=NewTasks.ADOPT)),
    ]
    plan = plan_of(*items)
    held = carried_out(items[0], ready(made), base)
    shown = [
        text.plain(plan, "d", full=True),
        markdown.report(plan, "d"),
        data.dumps(data.plan(plan)),
        repr((plan, held)),
    ]
    assert not any(SENTINEL in one for one in shown)


@SETTINGS
@given(sections, sections)
def test_every_plan_fits_its_schema_and_is_read_back(before, now):
    base = Base(record_of(ready(before)), ready(before).snapshot)
    plan = plan_of(planned(now, base), planned(task(now, name="new")))
    rendered = data.plan(plan)
    SCHEMA.validate(rendered)
    assert data.read(data.dumps(rendered)).id == plan.id
    assert sum(summary(plan)[action.value] for action in Action) == len(plan.items)


@SETTINGS
@given(sections, sections)
def test_plan_is_the_same_for_the_same_input(before, now):
    base = Base(record_of(ready(before)), ready(before).snapshot)
    one, other = (plan_of(planned(now, base)) for _ in range(2))
    assert data.dumps(data.plan(one)) == data.dumps(data.plan(other))


@SETTINGS
@given(sections, st.permutations(range(5)))
def test_order_of_tasks_does_not_matter(content, order):
    items = [planned(task(content, name=f"task-{number}")) for number in range(5)]
    assert plan_of(*(items[number] for number in order)) == plan_of(*items)


def test_leaving_one_key_out_and_putting_it_back_sends_it_again_only_after_a_deletion():
    full, less = few(sink={"a": "1", "b": "2"}), few(sink={"a": "1"})
    _, base = applied_to(Base(), full, allow_delete=True)
    kept, unchanged = applied_to(base, less, allow_delete=False)
    deleted, shorter = applied_to(base, less, allow_delete=True)
    assert (kept.action, deleted.action) == (Action.NOOP, Action.UPDATE_DELETE)
    assert applied_to(unchanged, full, allow_delete=False)[0].action is Action.NOOP
    assert applied_to(shorter, full, allow_delete=False)[0].action is Action.UPDATE
