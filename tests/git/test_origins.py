"""Who changed what, in histories made by the real git program."""

import gc
import json
import os
import subprocess
import threading
import tracemalloc
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.errors import DesiredStateError
from reconciler.git import origins
from reconciler.git.origins import LastCommits, find
from reconciler.git.repository import RENEW_S, Repository
from tests.repositories import AUTHOR, Repo, git_environment, task_files

FOLDER = "desired_state"
SINK = f"{FOLDER}/shop/sink.json"
WORKERS, BATCH, RULES = "/sink/workerNum", "/sink/batchSize", "/condition/whiteCondition"
SHALLOW, DAMAGED = "the history here is shallow", "a part of the history cannot be read"


def text(**members):
    return json.dumps(members)


def opened(repo, folder=FOLDER):
    return Repository.discover(repo.path / folder)


def last_commit(repository, commit_id, task):
    """The last commit that touched a task's directory, as `git log -1 COMMIT -- DIRECTORY` has it."""
    return find(repository, commit_id, {task: ()}).tasks.get(task)


def who(repo, place=WORKERS, task="shop"):
    """Id of the commit of a value; None when it is not known."""
    found = find(opened(repo), repo.head(), {task: [place]}).keys.get((task, place))
    return found and found.id


def touched(repo, task="shop"):
    found = last_commit(opened(repo), repo.head(), task)
    return found and found.id


def remark(repo, task="shop", place=WORKERS):
    return find(opened(repo), repo.head(), {task: [place]}).remark


@pytest.fixture
def made(repo):
    """A task, and the commit that made it."""
    repo.first = repo.commit("make it", task_files(f"{FOLDER}/shop", sink=text(workerNum=16, batchSize="1").encode()))
    return repo


# --- values: a line of commits ---------------------------------------------------------------------------------------


def test_a_commit_is_named_with_its_author_date_and_subject(made):
    commit = made.commit("more workers\n\nbecause", {SINK: text(workerNum=32)})
    found = find(opened(made), made.head(), {"shop": [WORKERS]})
    assert found.keys["shop", WORKERS] == found.tasks["shop"]
    assert (found.tasks["shop"].id, found.tasks["shop"].author, found.remark) == (commit, AUTHOR, "")
    assert found.tasks["shop"].subject == "more workers"


def test_a_value_belongs_to_the_commit_that_set_it_not_to_later_ones_of_the_file(made):
    commit = made.commit("workers", {SINK: text(workerNum=32, batchSize="1")})
    other = made.commit("batch", {SINK: text(workerNum=32, batchSize="2")})
    assert (who(made), who(made, BATCH), touched(made)) == (commit, other, other)


@pytest.mark.parametrize(
    "same",
    [
        pytest.param('{\n    "workerNum": 16,\n    "batchSize": "1"\n}\n', id="indented anew"),
        pytest.param('{"batchSize":"1","workerNum":16}', id="reordered"),
        pytest.param('{\r\n"workerNum": 16,\r\n"batchSize": "1"}\r\n', id="CRLF"),
        pytest.param('{"workerNum": "16", "batchSize": "1"}', id="number to string"),
        pytest.param('{"workerNum": 1.6e1, "batchSize": "1"}', id="another number of that value"),
        pytest.param('{"worker\\u004eum": 16, "batchSize": "1"}', id="escaped"),
        pytest.param('{"workerNum": 16, "batchSize": "2", "$schema": "x"}', id="something else changed"),
    ],
)
def test_writing_a_value_another_way_is_not_to_touch_it(made, same):
    commit = made.commit("the same", {SINK: same})
    assert (who(made), touched(made)) == (made.first, commit)


def test_a_value_that_was_set_back_belongs_to_who_set_it_back(made):
    made.commit("change", {SINK: text(workerNum=32)})
    back = made.commit("back", {SINK: text(workerNum=16)})
    assert who(made) == back


def test_a_revert_names_the_revert(made):
    made.commit("change", {SINK: text(workerNum=32, batchSize="1")})
    made.git("revert", "--no-edit", "HEAD")
    assert who(made) == made.head()


def test_a_key_that_is_gone_belongs_to_who_took_it_away(made):
    gone = made.commit("gone", {SINK: text(batchSize="1")})
    made.commit("later", {SINK: text(batchSize="2")})
    assert who(made) == gone


def test_a_key_that_came_again_belongs_to_who_brought_it_again(made):
    made.commit("gone", {SINK: text(batchSize="1")})
    again = made.commit("again", {SINK: text(workerNum=16)})
    assert who(made) == again


def test_a_key_that_never_was_belongs_to_nobody(made):
    assert who(made, "/sink/nothing") is None
    assert remark(made, place="/sink/nothing") == ""


def test_a_list_of_rules_is_one_value_and_its_defaults_do_not_count(made):
    rules = f"{FOLDER}/shop/condition.json"
    commit = made.commit("rules", {rules: text(whiteCondition=[{"name": "a", "all": True}])})
    made.commit("say the default", {rules: text(whiteCondition=[{"name": "a", "map": "a"}])})
    assert who(made, RULES) == commit


def test_members_of_objects_have_commits_of_their_own_even_when_written_as_text(made):
    source = f"{FOLDER}/shop/source.json"
    first = made.commit("two", {source: text(extra={"a": 1, "b": 1})})
    second = made.commit("one", {source: text(extra={"a": 1, "b": 2})})
    assert (who(made, "/source/extra/a"), who(made, "/source/extra/b")) == (first, second)
    assert who(made, "/source/extra/a/deeper") is None


def test_a_broken_file_says_nothing_of_what_was_before(made):
    made.commit("broken", {SINK: "{"})
    repaired = made.commit("repaired", {SINK: text(workerNum=16, batchSize="2")})
    assert (who(made), who(made, BATCH)) == (made.first, repaired)


def test_whoever_repairs_a_file_that_was_always_broken_made_its_values(repo):
    repo.commit("broken", {SINK: "{"})
    repaired = repo.commit("repaired", {SINK: text(workerNum=16)})
    assert who(repo) == repaired


def test_values_of_a_file_that_is_broken_now_have_no_commit_but_the_task_has(made):
    commit = made.commit("broken", {SINK: "[1]"})
    assert (who(made), touched(made), remark(made)) == (None, commit, "")


def test_a_file_that_was_away_belongs_to_who_brought_it_again(made):
    away = made.commit("away", {SINK: None})
    assert who(made) == away
    again = made.commit("again", {SINK: text(workerNum=16)})
    assert who(made) == again


def test_a_squashed_branch_is_one_commit(made):
    made.git("checkout", "-qb", "branch")
    made.commit("one", {SINK: text(workerNum=32)})
    made.commit("two", {SINK: text(workerNum=32, batchSize="2")})
    made.git("checkout", "-q", "main")
    made.git("merge", "-q", "--squash", "branch")
    squashed = made.commit("squashed")
    assert (who(made), who(made, BATCH)) == (squashed, squashed)


def test_a_cherry_pick_is_a_commit_of_its_own(made):
    made.git("checkout", "-qb", "branch")
    made.commit("unrelated", {SINK: text(workerNum=16, batchSize="3")})
    made.git("checkout", "-q", "main")
    commit = made.commit("elsewhere", {f"{FOLDER}/shop/source.json": "{}"})
    made.git("checkout", "-q", "branch")
    made.git("cherry-pick", commit)
    assert made.head() not in (commit, made.first)
    assert touched(made) == made.head()
    assert who(made) == made.first


# --- values: merges --------------------------------------------------------------------------------------------------


def branched(repo, **branches):
    """Branches from the present commit, each with one commit; `{name: its id}`. The first is checked out."""
    repo.git("branch", "-f", "base")
    commits = {}
    for name, files in branches.items():
        repo.git("checkout", "-qB", name, "base")
        commits[name] = repo.commit(name, files)
    repo.git("checkout", "-q", next(iter(branches)))
    return commits


def merged(repo, files, *parents):
    """A merge with these files."""
    repo.git("merge", "-q", "--no-commit", "--no-ff", "-s", "ours", *parents)
    return repo.commit("merge", files)


def test_a_clean_merge_made_nothing(made):
    commits = branched(
        made,
        left={SINK: text(workerNum=32, batchSize="1")},
        right={f"{FOLDER}/shop/source.json": text(dbType="OB")},
    )
    made.git("merge", "-q", "--no-edit", "right")
    assert (who(made), who(made, "/source/dbType"), who(made, BATCH)) == (commits["left"], commits["right"], made.first)


def test_a_merge_that_joins_two_edits_of_one_file_made_nothing(made):
    commits = branched(
        made,
        left={SINK: text(workerNum=32, batchSize="1")},
        right={SINK: text(workerNum=16, batchSize="2")},
    )
    merge = merged(made, {SINK: text(batchSize=2, workerNum=32)}, "right")
    assert (who(made), who(made, BATCH), touched(made)) == (commits["left"], commits["right"], merge)


def test_a_conflict_solved_in_favour_of_one_side_belongs_to_that_side(made):
    commits = branched(made, left={SINK: text(workerNum=1)}, right={SINK: text(workerNum=2)})
    merged(made, {SINK: text(workerNum=2)}, "right")
    assert who(made) == commits["right"]


def test_a_merge_that_sets_a_value_of_its_own_is_the_one(made):
    branched(made, left={SINK: text(workerNum=1)}, right={SINK: text(workerNum=2)})
    merge = merged(made, {SINK: text(workerNum=3)}, "right")
    assert who(made) == merge


def test_a_merge_that_drops_a_key_of_both_sides_is_the_one(made):
    branched(made, left={SINK: text(workerNum=1)}, right={SINK: text(workerNum=2)})
    assert merged(made, {SINK: "{}"}, "right") == who(made)


def test_an_octopus_is_followed_to_each_of_its_branches(made):
    documents = {"a": "coordinator", "b": "source", "c": "sink"}
    commits = branched(made, **{b: {f"{FOLDER}/shop/{d}.json": text(key=b)} for b, d in documents.items()})
    made.git("merge", "-q", "--no-edit", "b", "c")
    assert {b: who(made, f"/{d}/key") for b, d in documents.items()} == commits


def test_a_parent_in_which_the_file_is_broken_is_looked_through(made):
    branched(made, left={SINK: "{"}, right={SINK: text(workerNum=2)})
    merged(made, {SINK: text(workerNum=16)}, "right")
    assert who(made) == made.first


def test_clocks_that_go_wrong_change_no_answer(made):
    made.commits = -1_000_000
    commits = branched(made, left={SINK: text(workerNum=32)}, right={f"{FOLDER}/shop/source.json": text(dbType="OB")})
    made.commits = 1_000
    made.git("merge", "-q", "--no-edit", "right")
    made.commits = -2_000_000
    made.commit("another", {f"{FOLDER}/other/sink.json": "{}"})
    assert (who(made), who(made, "/source/dbType")) == (commits["left"], commits["right"])


# --- values: moved files ---------------------------------------------------------------------------------------------


def test_a_renamed_directory_keeps_the_commits_of_its_values(made):
    commit = made.commit("workers", {SINK: text(workerNum=32, batchSize="1")})
    made.git("mv", f"{FOLDER}/shop", f"{FOLDER}/store")
    renamed = made.commit("rename")
    assert (who(made, task="store"), who(made, BATCH, "store")) == (commit, made.first)
    assert (touched(made, "store"), touched(made, "shop")) == (renamed, renamed)


def test_a_key_that_was_gone_before_the_rename_still_belongs_to_who_took_it_away(made):
    gone = made.commit("gone", {SINK: "{}"})
    made.git("mv", f"{FOLDER}/shop", f"{FOLDER}/store")
    made.commit("rename")
    assert who(made, task="store") == gone


def test_an_edit_on_the_way_belongs_to_the_rename(made):
    made.git("mv", f"{FOLDER}/shop", f"{FOLDER}/store")
    renamed = made.commit("rename", {f"{FOLDER}/store/sink.json": text(workerNum=16, batchSize="2")})
    assert (who(made, task="store"), who(made, BATCH, "store")) == (made.first, renamed)


def test_a_file_that_changed_a_little_on_the_way_is_found_by_likeness(repo):
    long = {f"key{number}": number for number in range(20)}
    first = repo.commit("long", {SINK: json.dumps(long, indent=1)})
    repo.git("mv", f"{FOLDER}/shop", f"{FOLDER}/store")
    renamed = repo.commit("rename", {f"{FOLDER}/store/sink.json": json.dumps(long | {"key3": "x"}, indent=1)})
    assert (who(repo, "/sink/key4", "store"), who(repo, "/sink/key3", "store")) == (first, renamed)


def test_a_new_task_beside_one_that_is_gone_has_nothing_of_it(made):
    made.git("rm", "-qr", f"{FOLDER}/shop")
    files = {"source": text(a=1), "sink": text(other="x", workerNum=16), "task": text(key="another")}
    new = made.commit("another", {f"{FOLDER}/store/{name}.json": content for name, content in files.items()})
    assert who(made, task="store") == new


def test_when_everything_is_moved_each_task_is_followed(made):
    made.commit("another", task_files(f"{FOLDER}/other", sink=text(workerNum=8).encode(), task={"key": "other"}))
    other = made.head()
    made.git("mv", FOLDER, "config")
    made.commit("move")
    found = find(opened(made, "config"), made.head(), {"shop": [WORKERS], "other": [WORKERS]})
    assert {task: commit.id for (task, _), commit in found.keys.items()} == {"shop": made.first, "other": other}


def test_files_that_are_alike_everywhere_tell_nothing_of_a_rename(made, monkeypatch):
    monkeypatch.setattr("reconciler.git.renames._MOST_PLACES", 0)
    monkeypatch.setattr("reconciler.git.renames._MOST_ALIKE", 0)
    made.git("mv", f"{FOLDER}/shop", f"{FOLDER}/store")
    assert made.commit("rename") == who(made, task="store")


def test_two_tasks_that_swap_their_names_swap_nothing_else(made):
    other = made.commit("another", task_files(f"{FOLDER}/other", sink=text(workerNum=8).encode(), task={"key": "o"}))
    for old, new in (("shop", "x"), ("other", "shop"), ("x", "other")):
        made.git("mv", f"{FOLDER}/{old}", f"{FOLDER}/{new}")
    swap = made.commit("swap")
    assert (who(made), who(made, task="other"), touched(made)) == (swap, swap, swap)
    assert other != swap


# --- tasks -----------------------------------------------------------------------------------------------------------


def test_a_commit_elsewhere_touches_no_task(made):
    made.commit("elsewhere", {"README.md": "x", f"{FOLDER}/other/sink.json": "{}"})
    assert touched(made) == made.first
    assert touched(made) == made.git("log", "-1", "--format=%H", "--", f"{FOLDER}/shop")


def test_a_task_in_a_folder_of_another_is_not_the_other(made):
    inner = made.commit("inner", {f"{FOLDER}/shop/inner/sink.json": "{}"})
    assert (touched(made), touched(made, "shop/inner")) == (made.first, inner)
    made.git("rm", "-qr", f"{FOLDER}/shop/inner")
    gone = made.commit("gone")
    assert (touched(made), touched(made, "shop/inner")) == (made.first, gone)


def test_a_directory_that_vanished_was_touched_by_who_took_it_away(made):
    made.git("rm", "-qr", f"{FOLDER}/shop")
    gone = made.commit("gone")
    made.commit("later", {"README.md": "x"})
    assert (touched(made), who(made)) == (gone, gone)


def test_a_merge_in_which_one_side_touched_a_task_did_not(made):
    commits = branched(made, left={SINK: text(a=1)}, right={"README.md": "x"})
    made.git("merge", "-q", "--no-edit", "right")
    assert touched(made) == commits["left"]


def test_a_merge_in_which_both_sides_touched_a_task_touched_it(made):
    branched(made, left={SINK: text(a=1)}, right={f"{FOLDER}/shop/source.json": "{}"})
    made.git("merge", "-q", "--no-edit", "right")
    assert touched(made) == made.head()


@pytest.mark.parametrize("task", ["nowhere", "", ".", "shop/sink.json/deeper", "\udcff", "a/../shop"])
def test_what_was_never_a_task_was_touched_by_nobody(made, task):
    found = find(opened(made), made.head(), {task: [WORKERS, "/task/key", "/sink"]})
    assert (found.tasks, found.keys, found.remark) == ({}, {}, "")


def test_everything_can_be_in_the_top_folder(repo):
    commit = repo.commit("make it", task_files("shop"))
    found = find(Repository.discover(repo.path), commit, {"shop": [WORKERS]})
    assert found.keys["shop", WORKERS].id == commit


def test_an_answer_is_as_of_the_commit_that_is_asked_for(made):
    made.commit("later", {SINK: text(workerNum=32)})
    found = find(opened(made), made.first, {"shop": [WORKERS]})
    assert found.keys["shop", WORKERS].id == made.first


def test_a_bare_repository_is_no_different(made, tmp_path):
    commit = made.commit("workers", {SINK: text(workerNum=32)})
    bare = made.clone(tmp_path / "bare.git", "--bare")
    assert (who(bare), touched(bare)) == (commit, commit)


# --- links, submodules, other people's files -------------------------------------------------------------------------


def test_a_file_that_is_a_link_has_the_commits_of_what_it_leads_to(made):
    common = f"{FOLDER}/common.json"
    made.write(common, text(workerNum=16))
    (made.path / SINK).unlink()
    (made.path / SINK).symlink_to("../common.json")
    linked = made.commit("link")
    made.commit("unrelated", {"README.md": "x"})
    assert (who(made), touched(made)) == (linked, linked)
    changed = made.commit("through the link", {common: text(workerNum=32)})
    assert (who(made), touched(made)) == (changed, linked)


def test_a_link_to_a_file_at_the_top_of_the_repository_is_followed(made):
    (made.path / SINK).unlink()
    (made.path / SINK).symlink_to("../../common.json")
    commit = made.commit("link", {"common.json": text(workerNum=16)})
    made.commit("unrelated", {"other.json": "{}"})
    assert who(made) == commit


def test_a_task_that_is_a_link_to_another_has_its_commits(made):
    (made.path / FOLDER / "alias").symlink_to("shop")
    made.commit("link")
    found = find(opened(made), made.head(), {"alias": [WORKERS], "shop": [WORKERS]})
    assert {commit.id for commit in (*found.keys.values(), *found.tasks.values())} == {made.first}
    assert len(found.keys) == len(found.tasks) == 2


@pytest.mark.parametrize("target", ["nowhere", "../../../etc/passwd", "sink.json"])
def test_a_link_that_leads_nowhere_has_no_values(made, target):
    (made.path / SINK).unlink()
    (made.path / SINK).symlink_to(target)
    commit = made.commit("link")
    assert (who(made), touched(made)) == (None, commit)


def test_the_desired_state_may_be_a_link_itself(made):
    (made.path / "link").symlink_to(FOLDER)
    made.commit("link")
    assert Repository(opened(made).opened, "link", "x").folder == "link"
    found = find(Repository(opened(made).opened, "link", "x"), made.head(), {"shop": [WORKERS]})
    assert found.keys["shop", WORKERS].id == made.first


def test_a_submodule_has_a_commit_and_no_values(made, tmp_path):
    other = Repo.make(tmp_path / "other")
    other.commit("inside", task_files("inner"))
    made.git("submodule", "--quiet", "add", str(other.path), f"{FOLDER}/module")
    added = made.commit("submodule")
    assert (touched(made, "module"), touched(made, "module/inner")) == (added, None)
    assert who(made, task="module/inner") is None


def test_a_pointer_to_a_large_file_has_no_values(made):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    commit = made.commit("pointer", {SINK: pointer})
    assert (who(made), touched(made)) == (None, commit)


# --- histories with holes --------------------------------------------------------------------------------------------


def test_what_lies_beyond_a_shallow_clone_is_left_out_and_the_remark_says_so(made, tmp_path):
    commit = made.commit("workers", {SINK: text(workerNum=32, batchSize="1")})
    made.commit("elsewhere", {"README.md": "x"})
    shallow = made.clone(tmp_path / "shallow", "--depth=2")
    assert shallow.git("rev-parse", "HEAD~1") == commit
    assert (who(shallow), touched(shallow)) == (None, None)
    assert SHALLOW in remark(shallow)
    assert "fetch-depth: 0" in remark(shallow)


def test_what_a_shallow_clone_holds_is_found_in_it(made, tmp_path):
    commit = made.commit("workers", {SINK: text(workerNum=32, batchSize="1")})
    shallow = made.clone(tmp_path / "shallow", "--depth=2")
    assert (who(shallow), touched(shallow), remark(shallow)) == (commit, commit, "")


def test_what_a_shallow_clone_holds_only_in_part_is_left_out_in_part(made, tmp_path):
    made.commit("between", {"README.md": "x"})
    commit = made.commit("workers", {SINK: text(workerNum=32, batchSize="1")})
    shallow = made.clone(tmp_path / "shallow", "--depth=2")
    found = find(opened(shallow), commit, {"shop": [WORKERS, BATCH]})
    assert list(found.keys) == [("shop", WORKERS)]
    assert SHALLOW in found.remark


def lost(repo, what):
    """Take an object out of a repository."""
    name = repo.git("rev-parse", what)
    path = repo.path / ".git" / "objects" / name[:2] / name[2:]
    path.chmod(0o600)
    path.unlink()


@pytest.mark.parametrize("what", ["HEAD~1", "HEAD~1^{tree}", f"HEAD~1:{FOLDER}"])
def test_a_hole_in_the_history_leaves_out_what_lies_behind_it(made, what):
    made.commit("between", {SINK: text(workerNum=8)})
    made.commit("last", {SINK: text(workerNum=8, batchSize="2")})
    lost(made, what)
    found = find(opened(made), made.head(), {"shop": [WORKERS, BATCH]})
    assert (found.tasks, found.keys) == ({}, {})
    assert DAMAGED in found.remark


def test_an_older_version_of_a_file_that_is_missing_leaves_out_its_values_only(made):
    commit = made.commit("last", {SINK: text(workerNum=8)})
    lost(made, f"HEAD~1:{SINK}")
    assert (who(made), touched(made)) == (None, commit)
    assert DAMAGED in remark(made)


def test_a_merge_is_followed_where_its_history_is_whole(made):
    commits = branched(made, left={SINK: text(workerNum=1)}, right={SINK: text(workerNum=2)})
    merged(made, {SINK: text(workerNum=2)}, "right")
    lost(made, commits["left"])
    assert (who(made), touched(made)) == (commits["right"], commits["right"])


@pytest.mark.parametrize("what", ["HEAD", "HEAD^{tree}", f"HEAD:{FOLDER}", f"HEAD:{FOLDER}/shop", f"HEAD:{SINK}"])
def test_a_first_commit_that_cannot_be_read_ends_in_a_remark(made, what):
    head = made.head()
    repository = opened(made)
    lost(made, what)
    found = find(repository, head, {"shop": [WORKERS]})
    assert found.keys == {}
    assert DAMAGED in found.remark


def test_a_rename_that_cannot_be_looked_for_ends_in_a_remark(made):
    made.commit("other", {"other/file": "x"})
    made.git("mv", f"{FOLDER}/shop", f"{FOLDER}/store")
    made.commit("rename", {"other/file": "y"})
    lost(made, "HEAD~1:other")
    assert who(made, task="store") is None
    assert DAMAGED in remark(made, "store")


def test_likeness_that_cannot_be_looked_for_ends_in_a_remark(repo):
    repo.commit("other", {"other.json": json.dumps(list(range(50)), indent=1)})
    repo.commit("make it", {SINK: text(workerNum=1), "other.json": None})
    lost(repo, "HEAD~1:other.json")
    assert who(repo) is None
    assert DAMAGED in remark(repo)


def test_a_revision_that_is_no_commit_ends_in_a_remark(made):
    assert DAMAGED in find(opened(made), "0" * 64, {"shop": []}).remark


def test_the_search_ends_after_so_many_commits_and_says_so(made, monkeypatch):
    monkeypatch.setattr(origins, "MOST_COMMITS", 1)
    made.commit("elsewhere", {"README.md": "x"})
    assert touched(made) is None
    assert remark(made) == "only the last 1 commits were searched for who changed what"


# --- one after another, before calls ---------------------------------------------------------------------------------


class Clock:
    """Each look at it takes so many seconds."""

    def __init__(self, step_s):
        self.now_s, self.step_s = 0.0, step_s

    def __call__(self):
        self.now_s += self.step_s
        return self.now_s


def last_commits(repo, step_s=0.0):
    return LastCommits(lambda: opened(repo), Clock(step_s))


def id_of(commit):
    return commit and commit.id


@pytest.fixture
def fleet(made):
    """Three tasks, each with a commit of its own; `{task: commit}`."""
    made.of = {"shop": made.first}
    for task in ("a", "deep/b"):
        made.of[task] = made.commit(task, task_files(f"{FOLDER}/{task}"))
    (made.path / FOLDER / "alias").symlink_to("shop")
    made.commit("alias", {f"{FOLDER}/README.md": "x"})
    made.of["alias"] = made.first
    return made


def test_last_commits_are_found_one_after_another(fleet):
    ask = last_commits(fleet)
    assert {task: id_of(ask.find(fleet.head(), task)) for task in fleet.of} == fleet.of
    assert ask.find(fleet.head(), "nowhere") is None
    assert ask.find(fleet.head(), "no/where") is None
    assert id_of(ask.find(fleet.of["a"], "a")) == fleet.of["a"]
    assert ask.find(fleet.of["a"], "deep/b") is None


def test_a_search_that_takes_too_long_is_given_up_and_gone_on_with_when_asked_again(fleet):
    ask = last_commits(fleet, origins.LONGEST_WAIT_S)
    assert ask.find(fleet.head(), "shop") is None
    answers = [id_of(ask.find(fleet.head(), "shop")) for _ in range(10)]
    assert answers == [None] * 10  # not one step fits into that time
    ask = last_commits(fleet, origins.LONGEST_WAIT_S * 0.6)
    answers = [id_of(ask.find(fleet.head(), "shop")) for _ in range(5)]
    assert answers[0] is None
    assert answers[-1] == fleet.first


def test_names_that_are_no_text_are_in_nobodys_way(fleet):
    name = os.fsdecode(b"caf\xe9")
    for folder in (fleet.path / FOLDER / name, fleet.path / FOLDER / "shop"):
        folder.mkdir(exist_ok=True)
        (folder / name).touch()
    commit = fleet.commit("bytes")
    assert id_of(last_commits(fleet).find(commit, "a")) == fleet.of["a"]
    assert touched(fleet) == commit
    fleet.git("mv", f"{FOLDER}/shop", f"{FOLDER}/store")
    fleet.commit("rename")
    assert who(fleet, task="store") == fleet.first


def test_many_threads_may_ask(fleet):
    ask, answers = last_commits(fleet), {}
    threads = [
        threading.Thread(target=lambda task=task: answers.update({task: id_of(ask.find(fleet.head(), task))}))
        for task in fleet.of
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == fleet.of


def test_only_so_many_searches_are_kept(fleet):
    ask = last_commits(fleet)
    for number in range(20):
        fleet.commit(f"{number}", {"README.md": str(number)})
        assert id_of(ask.find(fleet.head(), "a")) == fleet.of["a"]


def test_a_commit_that_cannot_be_read_may_be_there_the_next_time(fleet, tmp_path):
    places = [Repo.make(tmp_path / "empty"), fleet]
    ask = LastCommits(lambda: Repository.discover(places.pop(0).path / FOLDER))
    assert ask.find(fleet.head(), "a") is None
    assert id_of(ask.find(fleet.head(), "a")) == fleet.of["a"]


def test_a_repository_that_cannot_be_opened_is_an_error(tmp_path):
    with pytest.raises(DesiredStateError):
        LastCommits(lambda: Repository.discover(tmp_path / "nowhere")).find("0" * 40, "shop")


# --- any history -----------------------------------------------------------------------------------------------------

VALUES = st.sampled_from([1, "1", 2, "x", [1, 2], [2, 1], {"a": 1}, {"a": "1", "b": 2}])
DOCUMENTS = st.one_of(
    st.dictionaries(st.sampled_from(["p", "q"]), VALUES),
    st.sampled_from(["{", "[]", '{"p": 1, "p": 2}']),
    st.none(),
)
KEYS = ("/sink/p", "/sink/q", "/sink/p/a")
THOROUGH = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def written(document, style):
    """A document as a file, in one of three styles; None: no file."""
    if document is None or isinstance(document, str):
        return document
    members = dict(reversed(document.items())) if style == 1 else document
    return json.dumps(members, indent=style or None) + "\n"


def imported(path: Path, commits):
    """A bare repository with these commits, each `(parents, text of sink.json, time)`; their ids."""
    repo = Repo.make(path, bare=True)
    stream = []
    for number, (parents, content, time) in enumerate(commits, 1):
        subject = f"commit {number}"
        stream += [
            f"commit refs/heads/c{number}\nmark :{number}\ncommitter A <a@example.com> {time} +0000",
            f"data {len(subject)}\n{subject}",
            *([f"from :{parents[0]}"] if parents else []),
            *(f"merge :{parent}" for parent in parents[1:]),
            "deleteall",
            f"M 100644 inline {FOLDER}/shop/task.json\ndata 3\n{number:03}",
        ]
        if content is not None:
            stream.append(f"M 100644 inline {SINK}\ndata {len(content)}\n{content}")
    text = "\n".join([*stream, f"reset refs/heads/main\nfrom :{len(commits)}\n"])
    subprocess.run(
        ["git", "fast-import", "--quiet", "--date-format=raw"],
        input=text.encode(),
        cwd=path,
        env=git_environment(),
        check=True,
        capture_output=True,
    )
    names = repo.git("for-each-ref", "--format=%(refname:lstrip=2) %(objectname)").splitlines()
    ids = dict(line.split() for line in names)
    return repo, [ids[f"c{number}"] for number in range(1, len(commits) + 1)]


BROKEN = object()


def said(content, place):
    """What a file says at a place: all scalars as text; None when it is not there, BROKEN when nobody knows."""

    def plain(value):
        if isinstance(value, dict):
            return {key: plain(member) for key, member in value.items()}
        return [plain(member) for member in value] if isinstance(value, list) else str(value)

    if content is None:
        return None
    try:
        value = json.loads(
            content, object_pairs_hook=lambda pairs: dict(pairs) if len({*dict(pairs)}) == len(pairs) else 1
        )
    except ValueError:
        return BROKEN
    if not isinstance(value, dict):
        return BROKEN
    for part in place.split("/")[2:]:
        value = value.get(part) if isinstance(value, dict) else None
    return None if value is None else plain(value)


def replayed(contents, place):
    """Number of the version that made a value what it is in the last one; None when nobody knows or nobody did."""
    made, now = None, None
    for number, content in enumerate(contents):
        value = said(content, place)
        if value is not BROKEN and value != now:
            made, now = number, value
    return None if said(contents[-1], place) is BROKEN else made


@THOROUGH
@given(st.lists(st.tuples(DOCUMENTS, st.sampled_from([0, 1, 4]), st.integers(1, 9)), min_size=1, max_size=9))
def test_in_a_line_of_commits_the_answer_is_that_of_replaying_it(tmp_path_factory, line):
    contents = [written(document, style) for document, style, _ in line]
    commits = [
        ([number] if number else [], content, time)
        for number, (content, (_, _, time)) in enumerate(zip(contents, line, strict=True))
    ]
    repo, ids = imported(tmp_path_factory.mktemp("line"), commits)
    found = find(opened(repo), ids[-1], {"shop": KEYS})
    expected = {place: replayed(contents, place) for place in KEYS}
    assert {place: ids.index(commit.id) for (_, place), commit in found.keys.items()} == {
        place: number for place, number in expected.items() if number is not None
    }
    assert (found.tasks["shop"].id, found.remark) == (ids[-1], "")


PLAIN = st.dictionaries(st.sampled_from(["p", "q"]), VALUES)


@st.composite
def histories(draw):
    """Commits with one to three parents each."""
    size = draw(st.integers(2, 9))
    commits = []
    for number in range(1, size + 1):
        known = list(range(1, number))
        parents = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3, unique=True)) if known else []
        commits.append((parents, written(draw(PLAIN), draw(st.sampled_from([0, 1, 4]))), draw(st.integers(1, 9))))
    return commits


@THOROUGH
@given(histories())
def test_in_any_history_the_answer_made_the_value_and_nobody_touched_it_since(tmp_path_factory, commits):
    repo, ids = imported(tmp_path_factory.mktemp("graph"), commits)
    found = find(opened(repo), ids[-1], {"shop": KEYS})
    for place in KEYS:
        now = said(commits[-1][1], place)
        same, waiting = set(), [len(commits)]
        while waiting:
            number = waiting.pop()
            if number not in same and said(commits[number - 1][1], place) == now:
                same.add(number)
                waiting.extend(commits[number - 1][0])
        makers = {n for n in same if not any(said(commits[p - 1][1], place) == now for p in commits[n - 1][0])}
        answer = found.keys.get(("shop", place))
        allowed = {number for number in makers if commits[number - 1][0] or now is not None}
        assert ids.index(answer.id) + 1 in allowed if answer else makers - allowed


def test_asking_again_and_again_keeps_nothing(repo):
    """A daemon asks for years: what pygit2 never lets go of must not grow with the number of questions."""
    commit = repo.commit("first", {"shop/orders/task.json": "{}"})
    repository = Repository.discover(repo.path)

    def ask():
        for _ in range(100):
            assert last_commit(repository, commit, "shop/orders") is not None

    def held():
        ask()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    ask()
    tracemalloc.start()
    try:
        rounds = [held() for _ in range(4)]
        assert min(later - before for before, later in pairwise(rounds)) < 1000  # bytes; what leaks does so in each
    finally:
        tracemalloc.stop()


def test_more_folders_than_are_remembered_have_their_commits_and_so_they_have_later(repo):
    folders = [f"team-{number:02}" for number in range(70)]
    commit = repo.commit("all", {f"{folder}/orders/task.json": "{}" for folder in folders})
    now_s = [0.0]
    last = LastCommits(lambda: Repository.discover(repo.path), monotonic=lambda: now_s[0])
    for later_s in (0.0, 1.0, RENEW_S + 2.0):
        now_s[0] = later_s
        assert {last.find(commit, f"{folder}/orders").id for folder in folders} == {commit}
