"""What one commit changes against another, in real repositories."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler import resources, wiring
from reconciler.compare import ID_PREFIX, Judge, compare
from reconciler.core.fleet import exit_code
from reconciler.core.policy import Mode, NewTasks, Policy
from reconciler.core.validation.taskfile import windows_of
from reconciler.git.compared import ComparedTree
from reconciler.git.repository import Repository
from reconciler.model import Limits, Severity
from tests.integration.bench import documents
from tests.repositories import Repo, isolate

VALIDATOR = wiring.validator()
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ROOT = "desired_state"
RESET = {"request": "r1", "id": "np_0", "startTimestamp": "2026-11-20T00:00:00Z", "reason": "lost logs"}


class Fleet(Repo):
    """A repository of tasks."""

    def put(self, task="shop", number=0, /, **changes):
        """Write a task's files; a document is laid over the usual one (None takes a member away), text replaces it."""
        for name, content in {**documents(number), **{name: {} for name in changes if name == "reset"}}.items():
            change = changes.get(name, {})
            laid = content | change if isinstance(change, dict) else None
            text = json.dumps({k: v for k, v in laid.items() if v is not None}) if laid is not None else change
            self.write(f"{ROOT}/{task}/{name}.json", text)
        return self

    def tree(self, ref, before=None, kind=ComparedTree):
        repository = Repository.discover(self.path / ROOT)
        return kind(repository, repository.resolve(ref), ROOT, before)

    def compared(self, before="HEAD^", after="HEAD", chosen=lambda _name: True, validator=VALIDATOR, **rules):
        old = self.tree(before) if before else None
        return compare(old, self.tree(after, old), judge(validator, **rules), chosen)

    def item(self, task="shop", **rules):
        """The one item of a task, in what the last commit changes."""
        (item,) = (item for item in self.compared(**rules).items if item.task == task)
        return item


def judge(validator=VALIDATOR, **rules):
    return Judge(validator, resources.catalogue(), Policy(**rules), NOW)


@pytest.fixture
def fleet(tmp_path, monkeypatch):
    """One task, committed."""
    isolate(monkeypatch, tmp_path)
    made = Fleet.make(tmp_path / "repo").put()
    made.commit("begin")
    return made


def paths(item):
    return {change.path: (change.old, change.new) for change in item.changes}


# --- a task that is there in both ------------------------------------------------------------------------------------


def test_an_edited_value_is_an_update_with_its_cost(fleet):
    fleet.put(sink={"workerNum": "17"}).commit()
    item = fleet.item()
    assert (item.action.value, paths(item)) == ("update", {"/sink/workerNum": ("16", "17")})
    assert item.cost[0] == "restarts the component"
    assert exit_code(fleet.compared()) == 2


def test_an_added_key_is_set(fleet):
    fleet.put(sink={"printSql": True}).commit()
    assert paths(fleet.item()) == {"/sink/printSql": (None, "true")}


def test_a_removed_key_stays_without_allow_delete(fleet):
    fleet.put(source={"splitThreshold": None}).commit()
    item = fleet.item()
    assert (item.action.value, [change.left_in_place for change in item.changes]) == ("noop", [True])
    assert exit_code(fleet.compared()) == 0


def test_a_removed_key_is_deleted_with_allow_delete(fleet):
    fleet.put(task={"allowDelete": True}).commit()
    fleet.put(task={"allowDelete": True}, source={"splitThreshold": None}).commit()
    assert fleet.item().action.value == "update+delete"


def test_an_incomplete_deletion_is_blocked_as_in_a_plan(fleet):
    whole = {"allowDelete": True, "allow": ["/coordinator/sourceType"]}
    fleet.put(task=whole).commit()
    fleet.put(task=whole, coordinator={"sourceType": None}).commit()
    item = fleet.item()
    assert (item.action.value, item.rail) == ("blocked", "incomplete")
    assert exit_code(fleet.compared()) == 3


def test_a_dangerous_change_needs_allow(fleet):
    fleet.put(sink={"jdbcUrl": "jdbc:oceanbase://10.0.0.99:2883"}).commit()
    assert fleet.item().rail == "danger"


def test_a_protected_key_is_refused(fleet):
    fleet.put(task={"protect": ["/sink/workerNum"]}, sink={"workerNum": "17"}).commit()
    assert fleet.item().rail == "protect"


def test_an_unmanaged_key_is_not_compared(fleet):
    fleet.put(task={"unmanaged": ["/sink/workerNum"]}, sink={"workerNum": "17"}).commit()
    item = fleet.item()
    assert (item.action.value, item.changes) == ("noop", ())


def reformatted(text):
    return json.dumps(dict(reversed(json.loads(text).items())), indent=7)


def with_other_line_ends(text):
    return json.dumps(json.loads(text), indent=2).replace("\n", "\r\n")


def with_numbers(text):
    return text.replace('"16"', "16")


@pytest.mark.parametrize("rewrite", [reformatted, with_other_line_ends, with_numbers])
def test_the_same_content_in_other_bytes_is_no_difference(fleet, rewrite):
    text = (fleet.path / ROOT / "shop/sink.json").read_text()
    fleet.commit("form", {f"{ROOT}/shop/sink.json": rewrite(text)})
    item = fleet.item()
    assert (item.action.value, item.reason) == ("noop", "nothing to send: the content is the same")
    assert (item.changes, item.remarks, exit_code(fleet.compared())) == ((), (), 0)


def test_a_file_mode_is_no_difference(fleet):
    (fleet.path / ROOT / "shop/sink.json").chmod(0o755)
    fleet.commit("mode")
    assert "mode change" in fleet.git("show", "--summary")
    assert fleet.compared().items == ()


def test_other_files_are_no_difference(fleet):
    fleet.commit("other", {"README.md": "x", f"{ROOT}/README.md": "x"})
    assert fleet.compared().items == ()
    fleet.commit("beside", {f"{ROOT}/shop/notes.txt": "x"})
    assert [item.action.value for item in fleet.compared().items] == ["noop"]


def test_a_commit_compared_with_itself_is_empty(fleet):
    plan = fleet.compared("HEAD", "HEAD")
    assert (plan.items, exit_code(plan), plan.revision) == ((), 0, fleet.head())


# --- what only reviewers ask about -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "remark"),
    [
        ({}, {"allowDelete": True}, "allowDelete: false -> true: a key that is removed from the files is deleted on"),
        ({"allowDelete": True}, {}, "allowDelete: true -> false: a key that is removed from the files stays on"),
        ({"protect": ["/sink/*", "/source"]}, {"protect": ["/source"]}, 'protect: less "/sink/*"'),
        ({}, {"allow": ["/sink/jdbcUrl"]}, 'allow: plus "/sink/jdbcUrl"'),
        ({"allow": ["/sink/a"]}, {"allow": ["/sink/b"]}, 'allow: plus "/sink/b", less "/sink/a"'),
        ({}, {"labels": {"team": "shop"}}, 'labels: none -> {"team": "shop"}'),
        ({"cmRegion": "a"}, {"cmRegion": "b"}, 'cmRegion: "a" -> "b"'),
        ({"suspend": {"reason": "wait"}}, {}, 'suspend: "wait" -> none'),
    ],
    ids=lambda value: value.partition(":")[0] if isinstance(value, str) else "",
)
def test_a_change_of_task_json_is_told_and_sends_nothing(fleet, before, after, remark):
    fleet.put(task=before).commit()
    fleet.put(task=after).commit()
    item = fleet.item()
    (told,) = item.remarks
    assert told.startswith(f"task.json: {remark}")
    assert (item.action.value, item.reason) == ("noop", "nothing to send: the content is the same")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"allowDelete": True}),
        ({"suspend": {"reason": "wait"}}, {}),
        ({"protect": ["/sink/*"]}, {}),
        ({"allow": ["/sink/a"]}, {"allow": ["/sink/a", "/sink/b"]}),
    ],
    ids=["allowDelete", "suspend", "protect", "allow"],
)
def test_what_was_held_is_sent_when_task_json_holds_less_back_and_the_plan_says_so(fleet, before, after):
    fleet.put(task=before).commit()
    fleet.put(task=after).commit()
    assert [remark for remark in fleet.compared().remarks if remark.startswith("task.json of 1 task holds less back")]
    assert not any("holds less back" in remark for remark in fleet.compared(chosen=lambda _name: False).remarks)
    back = fleet.tree("HEAD")
    told = compare(back, fleet.tree("HEAD^", back), judge()).remarks
    assert not any("holds less back" in remark for remark in told)


def test_tasks_that_hold_less_back_are_counted(fleet):
    fleet.put("other", 1).commit()
    fleet.put(task={"allowDelete": True}).put("other", 1, task={"allow": ["/sink/jdbcUrl"]}).commit()
    assert any(remark.startswith("task.json of 2 tasks hold less back") for remark in fleet.compared().remarks)


def test_the_remark_on_a_suspension_that_ends_says_what_follows(fleet):
    fleet.put(task={"suspend": {"reason": "wait"}}).commit()
    fleet.put().commit()
    assert fleet.item().remarks == (
        'task.json: suspend: "wait" -> none: what was changed while it was suspended is sent',
    )


def test_a_suspension_in_task_json_suspends(fleet):
    fleet.put(task={"suspend": {"reason": "wait", "until": "2026-12-01T00:00:00Z"}}, sink={"workerNum": "17"}).commit()
    item = fleet.item()
    assert (item.action.value, item.rail) == ("suspended", "suspend in task.json")
    assert item.remarks[-1] == 'task.json: suspend: none -> "wait (until 2026-12-01 00:00:00Z)"'


def test_the_same_list_in_another_order_is_not_told(fleet):
    fleet.put(task={"allow": ["/sink/a", "/sink/b"]}).commit()
    fleet.put(task={"allow": ["/sink/b", "/sink/a"]}).commit()
    assert fleet.item().remarks == ()


def test_a_changed_reference_is_a_changed_secret_and_names_both(fleet):
    fleet.put(sink={"password": "${env:OTHER}"}).commit()
    item = fleet.item()
    (change,) = item.changes
    assert (change.path, change.secret, change.new) == ("/sink/password", True, "«secret»")
    assert any("/sink/password: ${env:SINK} -> ${env:OTHER}: nothing is sent" in remark for remark in item.remarks)


def test_equal_references_are_equal_and_no_secret_is_needed(fleet, monkeypatch):
    monkeypatch.delenv("SINK", raising=False)
    fleet.put(sink={"workerNum": "17", "password": "${env:SINK}"}).commit()
    assert paths(fleet.item()) == {"/sink/workerNum": ("16", "17")}


def test_a_reference_inside_a_list_is_named(fleet):
    first, second = documents()["source"]["clients"]
    for name in ("ONE", "TWO"):
        fleet.put(source={"clients": [first | {"password": f"${{env:{name}}}", "port": 80}, second]}).commit()
    assert any("${env:ONE} -> ${env:TWO}" in remark for remark in fleet.item().remarks)


def test_a_literal_secret_that_changed_is_not_shown(fleet):
    lax = wiring.validator(Severity.WARNING)
    fleet.put(sink={"password": "sentinel-one"}).commit()
    fleet.put(sink={"password": "sentinel-two"}).commit()
    plan = fleet.compared(validator=lax)
    assert [change.secret for change in plan.items[0].changes] == [True]
    assert "sentinel" not in repr(plan)


# --- tasks that come, go and move ------------------------------------------------------------------------------------


def test_a_new_task_is_shown_with_all_its_keys(fleet):
    fleet.put("new", 1).commit()
    item = fleet.item("new")
    assert item.action.value == "update"
    assert ("/sink/workerNum" in paths(item), len(item.changes) > 10) == (True, True)
    assert item.reason.startswith('new task: shown is all that its files hold; policy.new_tasks is "hold"')
    assert exit_code(fleet.compared()) == 2


def test_a_new_task_that_will_be_adopted_sends_nothing(fleet):
    fleet.put("new", 1).commit()
    assert fleet.item("new", new_tasks=NewTasks.ADOPT).action.value == "adopt"
    assert exit_code(fleet.compared(new_tasks=NewTasks.ADOPT)) == 0


def test_a_new_task_for_a_target_that_is_not_configured_is_blocked(fleet):
    fleet.put("new", 1, task={"target": "elsewhere"}).commit()
    item = fleet.item("new", targets={"default": "CE"})
    assert (item.rail, "new task" in item.remarks[-1]) == ("target", True)


def test_a_removed_task_calls_nothing(fleet):
    fleet.put("other", 1).commit()
    fleet.git("rm", "-r", f"{ROOT}/other")
    fleet.commit()
    item = fleet.item("other")
    assert (item.action.value, "nothing is called" in item.reason) == ("orphaned", True)
    assert exit_code(fleet.compared()) == 0


def test_a_removed_task_that_was_wrong_calls_nothing(fleet):
    fleet.put("other", 1, sink="{").commit()
    fleet.git("rm", "-r", f"{ROOT}/other")
    fleet.commit()
    assert fleet.item("other").reason == "its directory is gone, and its files were wrong: nothing is called"


def test_a_renamed_task_sends_nothing(fleet):
    fleet.git("mv", f"{ROOT}/shop", f"{ROOT}/store")
    fleet.commit()
    (item,) = fleet.compared().items
    assert (item.task, item.action.value) == ("store", "noop")
    assert item.remarks[0].startswith("renamed from shop: ")


def test_a_task_that_is_renamed_and_edited_sends_the_edit_alone(fleet):
    fleet.git("mv", f"{ROOT}/shop", f"{ROOT}/store")
    fleet.put("store", sink={"workerNum": "17"}).commit()
    (item,) = fleet.compared().items
    assert (item.action.value, paths(item)) == ("update", {"/sink/workerNum": ("16", "17")})


def test_two_tasks_that_exchange_addresses_are_compared_by_address(fleet):
    fleet.put("other", 1, sink={"workerNum": "9"}).commit()
    fleet.put("shop", 1, sink={"workerNum": "9"}).put("other", 0).commit()
    assert [item.action.value for item in fleet.compared().items] == ["noop", "noop"]
    assert fleet.item().remarks[0].startswith("takes over the address of other: ")


def test_another_address_is_a_new_task_and_an_orphan(fleet):
    fleet.put("shop", 1).commit()
    orphan, new = sorted(fleet.compared().items, key=lambda item: item.action.value)
    assert (orphan.action.value, "now has another address" in orphan.reason) == ("orphaned", True)
    assert (new.action.value, new.reason.startswith("another address than before")) == ("update", True)


def test_many_vanished_tasks_freeze_as_they_would(fleet):
    for number in range(1, 6):
        fleet.put(f"t{number}", number)
    fleet.commit()
    fleet.git("rm", "-qr", *(f"{ROOT}/t{number}" for number in range(1, 6)))
    fleet.put(sink={"workerNum": "17"}).commit()
    plan = fleet.compared()
    assert (plan.frozen, exit_code(plan)) == (True, 3)
    assert any("5 of 6 tasks are gone" in remark for remark in plan.remarks)
    assert fleet.item().rail == "vanished"


def test_too_many_tasks_at_once_are_held_as_they_would_be(fleet):
    for number in range(1, 6):
        fleet.put(f"t{number}", number)
    fleet.commit()
    for number in range(1, 6):
        fleet.put(f"t{number}", number, sink={"workerNum": "17"})
    fleet.put(sink={"workerNum": "17"}).commit()
    plan = fleet.compared(chosen="t1".__eq__)
    assert [(item.task, item.rail) for item in plan.items] == [("t1", "tasks")]
    assert "limit tasks: 6 of 6 tasks would be restarted at once" in "; ".join(plan.remarks)
    assert exit_code(fleet.compared(limits=Limits(tasks=1))) == 2


def test_first_sends_count_towards_no_limit(fleet):
    for number in range(1, 8):
        fleet.put(f"t{number}", number)
    fleet.commit()
    assert {item.rail for item in fleet.compared().items} == {""}


def test_a_commit_without_any_task_freezes(fleet):
    fleet.git("rm", "-qr", f"{ROOT}/shop")
    fleet.commit("none", {f"{ROOT}/README": "nothing here"})
    assert any("all tasks are gone" in remark for remark in fleet.compared().remarks)


# --- wrong files -----------------------------------------------------------------------------------------------------


def test_what_becomes_wrong_is_invalid_with_its_violations(fleet):
    fleet.put(sink='{"workerNum": ').commit()
    item = fleet.item()
    assert (item.action.value, item.violations[0].file) == ("invalid", "shop/sink.json")
    assert exit_code(fleet.compared()) == 1


def test_what_was_wrong_is_shown_as_a_whole(fleet):
    fleet.put(sink="{").commit()
    fleet.put(sink={"workerNum": "17"}).commit()
    item = fleet.item(new_tasks=NewTasks.ADOPT)
    assert item.action.value == "update"
    assert item.reason.startswith("its files were wrong before, so what the component has is not known")
    assert paths(item)["/sink/workerNum"] == (None, "17")
    assert "besides" not in item.reason


def test_what_was_wrong_and_may_delete_says_that_more_may_go(fleet):
    fleet.put(task={"allowDelete": True}, sink="{").commit()
    fleet.put(task={"allowDelete": True}).commit()
    assert fleet.item().reason.endswith("keys that it has besides are deleted")


def test_what_is_wrong_and_stays_so_is_not_told_of_an_equal_task(fleet):
    fleet.put("other", 1, sink="{").commit()
    fleet.put(sink={"workerNum": "17"}).commit()
    assert [item.task for item in fleet.compared().items] == ["shop"]


def test_a_task_below_one_that_became_wrong_is_not_called_gone(fleet):
    fleet.put("team/a", 1).commit()
    fleet.git("rm", "-qr", f"{ROOT}/team")
    (fleet.path / ROOT / "team").symlink_to("/nowhere/else")
    fleet.commit()
    assert {item.task: item.action.value for item in fleet.compared().items} == {"team": "invalid"}


# --- addresses -------------------------------------------------------------------------------------------------------


def test_a_clash_with_a_task_that_did_not_change_makes_both_wrong(fleet):
    fleet.put("copy", 0).commit()
    found = {item.task: item for item in fleet.compared().items}
    assert {task: item.action.value for task, item in found.items()} == {"copy": "invalid", "shop": "invalid"}
    assert "the address of copy" in found["shop"].reason


def test_a_clash_of_two_changed_tasks_makes_both_wrong(fleet):
    fleet.put("one", 1).put("two", 1).commit()
    assert {item.task: item.action.value for item in fleet.compared().items} == {"one": "invalid", "two": "invalid"}


def test_a_clash_that_was_there_before_is_found_at_an_edit(fleet):
    fleet.put("copy", 0).commit()
    fleet.put("copy", 0, sink={"workerNum": "17"}).commit()
    assert {item.task: item.action.value for item in fleet.compared().items} == {"copy": "invalid"}


def test_a_clash_that_ends_shows_the_task_that_becomes_right(fleet):
    fleet.put("copy", 0).commit()
    fleet.git("rm", "-qr", f"{ROOT}/copy")
    fleet.commit()
    found = {item.task: item for item in fleet.compared().items}
    assert {task: item.action.value for task, item in found.items()} == {"copy": "orphaned", "shop": "update"}
    assert found["shop"].reason.startswith("its files were wrong before")


def test_an_address_that_is_written_with_escapes_clashes_all_the_same(fleet):
    key = documents(0)["task"]["key"].replace("1", "\\u0031")
    task = json.dumps(documents(0)["task"] | {"key": "KEY"}).replace("KEY", key)
    fleet.put("copy", 0, task=task).commit()
    fleet.put(sink={"workerNum": "17"}).commit()
    assert fleet.item().action.value == "invalid"


def test_a_wrong_task_of_the_same_address_does_not_clash(fleet):
    fleet.put("copy", 0, sink="{").put("odd", 1, task="[]").put("odd2", 2, task="{").commit()
    fleet.put(sink={"workerNum": "17"}).commit()
    assert fleet.item().action.value == "update"


def test_a_task_json_that_is_a_link_is_followed(fleet):
    fleet.put("copy", 1).commit()
    place = fleet.path / ROOT / "copy/task.json"
    place.unlink()
    place.symlink_to("../shop/task.json")
    fleet.commit()
    fleet.put(sink={"workerNum": "17"}).commit()
    assert fleet.item().action.value == "invalid"


# --- resets ----------------------------------------------------------------------------------------------------------


def test_a_new_reset_waits_for_its_approval(fleet):
    fleet.put(reset=RESET).commit()
    actions = {item.intended.value: item.action.value for item in fleet.compared().items}
    assert actions == {"noop": "noop", "reset": "blocked"}
    assert exit_code(fleet.compared()) == 3


def test_a_reset_that_stays_as_it_is_is_not_shown_again(fleet):
    fleet.put(reset=RESET).commit()
    fleet.put(reset=RESET, sink={"workerNum": "17"}).commit()
    assert [item.intended.value for item in fleet.compared().items] == ["update"]


def test_a_reset_that_is_asked_for_otherwise_is_shown(fleet):
    fleet.put(reset=RESET).commit()
    fleet.put(reset=RESET | {"startTimestamp": "2026-11-19T00:00:00Z"}).commit()
    assert [item.intended.value for item in fleet.compared().items] == ["noop", "reset"]


def test_a_reset_that_is_taken_back_is_told(fleet):
    fleet.put(reset=RESET).commit()
    fleet.commit("no reset", {f"{ROOT}/shop/reset.json": None})
    assert fleet.item().remarks == ('reset.json: is gone: request "r1" is not asked for any more',)


# --- the whole -------------------------------------------------------------------------------------------------------


def test_only_chosen_tasks_are_shown_and_clashes_with_others_still_count(fleet):
    fleet.put("copy", 0).put("new", 1).commit()
    plan = fleet.compared(chosen=lambda name: name == "copy")
    assert [(item.task, item.action.value) for item in plan.items] == [("copy", "invalid")]


def test_in_observe_mode_changes_are_held_as_in_a_plan(fleet):
    fleet.put(sink={"workerNum": "17"}).commit()
    assert fleet.item(mode=Mode.OBSERVE).rail == "mode"


def test_ids_are_the_same_each_time_and_those_of_no_plan(fleet):
    fleet.put("new", 1).put(sink={"workerNum": "17"}).commit()
    one, other = fleet.compared(), fleet.compared()
    assert one == other
    assert one.id.startswith(ID_PREFIX)
    assert replace(one.items[0], id="") == replace(other.items[0], id="")


def test_ids_do_not_tell_secrets(fleet):
    """A fingerprint under a key that everybody knows could be guessed, were it in an id."""
    fleet.put(sink={"password": "${env:OTHER}"}).commit()
    one = fleet.item().id
    fleet.git("reset", "--hard", "--quiet", "HEAD^")
    fleet.put(sink={"password": "${env:THIRD}"}).commit()
    assert fleet.item().id == one


def test_the_plan_says_what_it_compares(fleet):
    before = fleet.head()
    fleet.put(sink={"workerNum": "17"}).commit()
    assert fleet.compared().remarks[0].startswith(f"this is what {fleet.head()[:7]} changes against {before[:7]}")


def test_everything_is_new_against_nothing(fleet):
    assert [(item.task, item.action.value) for item in fleet.compared(None, "HEAD").items] == [("shop", "update")]


def test_a_merge_of_many_is_compared_as_any_commit(fleet):
    for number in range(1, 4):
        fleet.git("checkout", "-qb", f"b{number}", "main")
        fleet.put(f"t{number}", number).commit()
    fleet.git("checkout", "-q", "main")
    fleet.git("merge", "-q", "--no-ff", "b1", "b2", "b3")
    assert len(fleet.git("log", "-1", "--format=%P").split()) == 4
    assert [item.task for item in fleet.compared("HEAD^1").items] == ["t1", "t2", "t3"]


def test_a_bare_repository_is_compared_as_well(fleet, tmp_path):
    fleet.put(sink={"workerNum": "17"}).commit()
    bare = Fleet(fleet.clone(tmp_path / "bare.git", "--bare").path)
    assert [item.task for item in bare.compared().items] == ["shop"]


class CountingTree(ComparedTree):
    """Notes which tasks are asked for."""

    def entry(self, name):
        self.asked = [*getattr(self, "asked", ()), name]
        return super().entry(name)


def test_of_a_thousand_tasks_only_the_changed_one_is_read(fleet):
    for number in range(1, 1000):
        fleet.put(f"team{number % 7}/t{number}", number)
    fleet.commit()
    fleet.put(sink={"workerNum": "17"}).commit()
    old = fleet.tree("HEAD^", kind=CountingTree)
    new = fleet.tree("HEAD", old, kind=CountingTree)
    assert [item.task for item in compare(old, new, judge()).items] == ["shop"]
    assert (old.asked, new.asked) == (["shop"], ["shop"])


def test_a_new_task_may_ask_for_a_reset(fleet):
    fleet.put("new", 1, reset=RESET | {"id": "np_1"}).commit()
    assert [item.intended.value for item in fleet.compared().items] == ["reset", "update"]


def test_windows_hold_nothing_here_so_that_the_report_is_the_same_by_day_and_by_night(fleet):
    nights = {"kind": "allow", "cron": "0 22 * * 1-5", "duration": "8h", "timezone": "Europe/Berlin"}
    fleet.put(task={"windows": [nights]}, sink={"workerNum": "17"}).commit()
    closed = replace(windows_of({"windows": [nights]})[0], zone="UTC")
    item = fleet.item(windows=(closed,))
    assert (item.action.value, item.rail) == ("update", "")
    assert item.remarks[-1] == 'task.json: windows: none -> "allow 8h from \\"0 22 * * 1-5\\" Europe/Berlin"'
