"""Saved plans: carried out once, as they were read, or not at all."""

import json
import os
import re
import shutil
import stat
import threading

import pytest

from reconciler.simulator.faults import Rule
from tests.projects import KAFKA, ORACLE, SECRETS
from tests.repositories import Repo, isolate


@pytest.fixture
def known(project):
    """All tasks known, and one edited."""
    project.adopted().edit(KAFKA, "sink", workerNum="13")
    return project


def save(project, *arguments, out="plan.json"):
    project.reconciler("plan", "--out", out, *arguments)
    return json.loads((project.root / out).read_text())


def apply(project, wanted="plan.json"):
    return project.reconciler("apply", "--yes", "--plan", wanted)


def is_stale(ended, project, calls=0):
    """Refused because it is another plan by now, and nothing was called since."""
    is_said = " any more but " in ended.err or " was carried out before" in ended.err
    return (ended.code, is_said, len(project.updates)) == (3, True, calls)


# --- once ------------------------------------------------------------------------------------------------------------


def test_a_plan_is_carried_out_once(known):
    save(known)
    assert apply(known).code == 0
    again = apply(known)
    assert (again.code, len(known.updates)) == (3, 1)
    assert "was carried out before, and a plan runs once: 20" in again.err


def test_a_plan_that_failed_in_part_is_not_carried_out_again(known):
    known.edit(ORACLE, "sink", workerNum="17")
    known.simulator.add_fault(Rule("param_error", action="UpdateIncrSync"))
    save(known)
    assert apply(known).code == 1
    assert "was carried out before" in apply(known).err
    assert len(known.updates) == 2


def test_a_plan_that_only_adopts_is_carried_out_once(project):
    project.configure(new_tasks="adopt")
    save(project)
    assert (apply(project).code, is_stale(apply(project), project)) == (0, True)


def test_a_plan_with_nothing_to_do_does_nothing_as_often_as_one_likes(project):
    project.adopted()
    save(project)
    assert [apply(project).code for _ in range(2)] == [0, 0]
    assert project.simulator.calls == ()


def test_forgetting_a_task_makes_no_plan_fresh_again(project):
    """Serials begin anew with a new record, so the same files make a plan of the same id."""
    project.configure(new_tasks="apply")
    project.keep(KAFKA)
    saved = save(project)
    assert apply(project).code == 0
    shutil.move(project.desired / KAFKA, project.root / "aside")
    assert project.reconciler("forget", "--vanished").code == 0
    shutil.move(project.root / "aside", project.desired / KAFKA)
    assert save(project, out="again.json")["id"] == saved["id"]
    ended = apply(project)
    assert (ended.code, "was carried out before, and a plan runs once" in ended.err) == (3, True)
    assert len(project.updates) == 1


def test_two_that_apply_the_same_plan_send_it_once(known):
    save(known)
    results = []
    threads = [threading.Thread(target=lambda: results.append(run(known))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (sorted(results), len(known.updates)) == ([0, 3], 1)


def run(project):
    from tests.projects import run_process

    return run_process(project.root, "apply", "--yes", "--plan", "plan.json").code


# --- stale -----------------------------------------------------------------------------------------------------------


def edited(project):
    project.edit(KAFKA, "sink", workerNum="14")


def also_edited(project):
    project.edit(ORACLE, "sink", workerNum="17")


def adopted(project):
    assert project.reconciler("adopt", KAFKA).code == 0


def sent(project):
    assert project.reconciler("apply", "--yes").code == 0


def under_another_policy(project):
    project.configure(new_tasks="apply")


@pytest.mark.parametrize("change", [edited, also_edited, adopted, sent, under_another_policy])
def test_what_changed_since_makes_a_plan_stale(known, change):
    save(known)
    change(known)
    assert is_stale(apply(known), known, calls=len(known.updates))


@pytest.mark.parametrize("wanted", ["plan.json", "id"])
def test_a_rotated_secret_makes_a_plan_stale(known, monkeypatch, wanted):
    wanted = save(known)["id"] if wanted == "id" else (save(known), wanted)[1]
    monkeypatch.setenv("SHOP_SINK_PASSWORD", "sentinel-of-another-day")
    assert is_stale(apply(known, wanted), known)


def test_a_new_task_leaves_the_plan_of_the_others_as_it_was(known):
    save(known)
    shutil.copytree(known.desired / KAFKA, known.desired / "new")
    known.edit("new", "task", component={"project": "np_other", "link": "forward", "index": 0})
    assert (apply(known).code, len(known.updates)) == (0, 1)


def test_the_same_files_under_another_revision_are_the_same_plan_and_that_is_said(known):
    save(known)
    path = known.desired / ORACLE / "sink.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=7))
    ended = apply(known)
    assert (ended.code, len(known.updates)) == (0, 1)
    assert "the plan was made of sha256:" in ended.err
    assert "they mean the same, it is carried out as it was saved" in ended.err


# --- files that are no plan ------------------------------------------------------------------------------------------


def truncated(data):
    return data[: len(data) // 2]


def with_another_value(data):
    return data.replace(b'"new": "13"', b'"new": "99"')


def with_another_task(data):
    return data.replace(KAFKA.encode(), b"somebody-else")


def without_the_task(data):
    plan = json.loads(data)
    return json.dumps(plan | {"items": [item for item in plan["items"] if item["task"] != KAFKA]}).encode()


def with_another_id(data):
    return re.sub(rb'"id": "[0-9a-f]{64}"', b'"id": "' + b"0" * 64 + b'"', data, count=1)


def with_more(data):
    return json.dumps(json.loads(data) | {"approved": True}).encode()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (truncated, "not JSON, or cut off: "),
        (with_another_value, f"was edited, or saved by another release: what it says of task {KAFKA} is not what"),
        (without_the_task, "was edited, or saved by another release: its id is not that of its items"),
        (with_another_id, "was edited, or saved by another release: its id is not that of its items"),
        (with_more, "not a whole plan of this release: the whole: "),
        (lambda _: b"[]", "not a plan of version 1 (version: null)"),
        (lambda _: b'{"version": 2}', "not a plan of version 1 (version: 2)"),
        (lambda _: b'{"version": 1, "error": {}}', "holds the error that kept a plan from being made"),
        (lambda _: b'{"version": 1, "items": []}', "not a whole plan of this release"),
        (lambda _: b"\xff\xfe\x00", "not JSON, or cut off: "),
        (lambda _: b"[" * 100_000, "not JSON, or cut off: "),
        (lambda _: b"", "not JSON, or cut off: "),
    ],
)
def test_what_is_no_whole_saved_plan_is_64_and_says_why(known, change, message):
    save(known)
    path = known.root / "plan.json"
    path.write_bytes(change(path.read_bytes()))
    ended = apply(known)
    assert (ended.code, len(known.updates)) == (64, 0)
    assert f"--plan plan.json: {message}" in ended.err


def test_a_plan_that_names_another_task_is_refused(known):
    save(known)
    path = known.root / "plan.json"
    path.write_bytes(with_another_task(path.read_bytes()))
    ended = apply(known)
    assert (ended.code in (3, 64), len(known.updates)) == (True, 0)


def test_a_directory_is_no_plan(known):
    ended = apply(known, "desired_state")
    assert (ended.code, "--plan desired_state: not a file" in ended.err) == (64, True)


def test_a_file_that_is_too_large_is_not_read(known):
    (known.root / "plan.json").touch()
    os.truncate(known.root / "plan.json", 1 << 40)
    ended = apply(known)
    assert (ended.code, "too large for a plan" in ended.err) == (64, True)


def test_a_reformatted_plan_is_the_same_plan(known):
    path = known.root / "plan.json"
    path.write_text(json.dumps(save(known)))
    assert (apply(known).code, len(known.updates)) == (0, 1)


# --- how it is written -----------------------------------------------------------------------------------------------


def test_no_secret_is_saved(project):
    project.configure(new_tasks="apply")
    text = json.dumps(save(project), ensure_ascii=False)
    assert [value for value in SECRETS.values() if value in text] == []
    assert "«secret»" in text


def test_it_is_an_ordinary_file_and_nothing_is_left_beside_it(known):
    before = os.umask(0o027)
    try:
        save(known)
    finally:
        os.umask(before)
    assert stat.S_IMODE((known.root / "plan.json").stat().st_mode) == 0o640
    assert [path.name for path in known.root.iterdir() if "plan.json" in path.name] == ["plan.json"]


def test_a_link_is_written_through(known):
    (known.root / "link.json").symlink_to("real.json")
    save(known, out="link.json")
    assert ((known.root / "link.json").is_symlink(), (known.root / "real.json").is_file()) == (True, True)


def test_a_pipe_is_written_to(known):
    os.mkfifo(known.root / "pipe")
    read = []
    reader = threading.Thread(target=lambda: read.append((known.root / "pipe").read_text()))
    reader.start()
    known.reconciler("plan", "--out", "pipe")
    reader.join(30)
    assert json.loads(read[0])["version"] == 1


def test_what_cannot_be_written_is_64_and_leaves_the_old_one(known):
    save(known)
    before = (known.root / "plan.json").read_bytes()
    ended = known.reconciler("plan", "--out", "nowhere/plan.json")
    assert (ended.code, ended.err.endswith("--out nowhere/plan.json: No such file or directory\n")) == (64, True)
    assert (known.root / "plan.json").read_bytes() == before


# --- from one checkout to another ------------------------------------------------------------------------------------


@pytest.fixture
def clones(known, tmp_path_factory, monkeypatch):
    """The project in a repository, and a clone of it that uses the same store."""
    isolate(monkeypatch, known.root)
    monkeypatch.setenv("RECONCILER_DESIRED_STATE__SOURCE", "git")
    monkeypatch.setenv("RECONCILER_STATE__URL", f"sqlite:///{known.database}")
    repo = Repo.make(known.root)
    repo.commit("Begin", {".gitignore": "state/\nplan.json\n"})
    return repo, repo.clone(tmp_path_factory.mktemp("clones") / "other")


def test_a_plan_of_one_checkout_is_applied_in_another(known, clones, monkeypatch):
    save(known)
    shutil.move(known.root / "plan.json", clones[1].path / "plan.json")
    monkeypatch.chdir(clones[1].path)
    assert (apply(known).code, len(known.updates)) == (0, 1)
    assert is_stale(apply(known), known, calls=1)


def test_a_plan_of_an_earlier_commit_is_applied_at_a_later_one_that_means_the_same(known, clones):
    repo, _ = clones
    assert save(known)["revision"] == repo.head()
    repo.commit("Other files", {"README.md": "x"})
    ended = apply(known)
    assert (ended.code, len(known.updates)) == (0, 1)
    assert f"the files are now those of {repo.head()[:16]}" in ended.err
    assert known.reconciler("history", "--format", "json").json["entries"][0]["revision"] == repo.head()
