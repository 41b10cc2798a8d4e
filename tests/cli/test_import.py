"""`reconciler import`: what is written, recorded, listed and refused."""

import errno
import json
import os
import re
import shutil
import stat
import sys
from contextlib import closing
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler import secret_files
from reconciler.core.importing import AWAITED
from tests.cli.said import opened
from tests.components import ADDRESS, EXAMPLES, FORMS, NAME, SENTINEL, any_component, conf, document, run_directory
from tests.projects import MYSQL
from tests.repositories import Repo, isolate

ONE = EXAMPLES[MYSQL]


@pytest.fixture
def empty(project):
    """A project without tasks."""
    project.keep()
    return project


def source_of(project, sections=ONE, form=conf):
    shutil.rmtree(project.root / "copied", ignore_errors=True)
    return form(project.root / "copied", sections)


def imported(project, *options, sections=ONE, form=conf, name="shop/orders", address=ADDRESS):
    """Import a component; how that ended."""
    return project.reconciler("import", source_of(project, sections, form), "--task", name, *address, *options)


def kept(project, *options, **more):
    """Import with files of secrets, so that everything can be read at once."""
    return imported(project, "--secret-files", project.root / "secrets", *options, **more)


def task(project, file, name="shop/orders"):
    return json.loads((project.desired / name / f"{file}.json").read_text())


def written(project):
    """Everything below the project that is no copy and no file of secrets, as one text."""
    files = [path for path in project.root.rglob("*") if path.is_file()]
    ours = [path for path in files if path.relative_to(project.root).parts[0] not in ("copied", "secrets")]
    return b"".join(path.read_bytes() for path in ours)


def is_empty(ended):
    (item,) = ended.json["items"]
    return (ended.code, item["action"], item["changes"]) == (0, "noop", [])


# --- the first plan is empty -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("sections", EXAMPLES.values(), ids=EXAMPLES)
def test_after_an_import_the_plan_is_empty(empty, sections, form):
    assert kept(empty, sections=sections, form=form).code == 0
    assert is_empty(empty.reconciler("plan", "--format", "json"))
    assert list(empty.updates) == []


@pytest.mark.parametrize("sections", EXAMPLES.values(), ids=EXAMPLES)
def test_the_plan_of_a_whole_import_is_empty(empty, sections):
    assert kept(empty, "--whole", sections=sections).code == 0
    assert is_empty(empty.reconciler("plan", "--format", "json"))


@pytest.mark.parametrize("sections", EXAMPLES.values(), ids=EXAMPLES)
def test_no_secret_is_written_told_or_stored(empty, sections):
    ended = imported(empty, sections=sections)
    assert SENTINEL not in ended.out + ended.err
    assert SENTINEL.encode() not in written(empty)


def test_the_plan_waits_for_the_variables_and_is_empty_once_they_are_set(empty, monkeypatch):
    out = imported(empty, "--format", "json").json
    blocked = empty.reconciler("plan", "--format", "json")
    assert (blocked.code, blocked.json["items"][0]["rail"]) == (3, "secret")
    values = {"/source/password": ONE["source"]["password"], "/sink/password": ONE["sink"]["password"]}
    for secret in out["secrets"]:
        monkeypatch.setenv(re.fullmatch(r"\$\{env:(.+)\}", secret["reference"])[1], values[secret["pointer"]])
    assert is_empty(empty.reconciler("plan", "--format", "json"))


def test_a_variable_with_another_value_is_a_change(empty, monkeypatch):
    imported(empty)
    monkeypatch.setenv("SHOP_ORDERS_SOURCE_PASSWORD", ONE["source"]["password"])
    monkeypatch.setenv("SHOP_ORDERS_SINK_PASSWORD", "mistyped")
    (item,) = empty.reconciler("plan", "--format", "json").json["items"]
    assert [change["pointer"] for change in item["changes"]] == ["/password"]


# --- for any component -----------------------------------------------------------------------------------------------


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(sections=any_component, form=st.sampled_from(list(FORMS.values())), whole=st.booleans())
def test_any_component_is_imported_without_a_difference_and_without_a_secret(empty, sections, form, whole):
    for folder in ("desired_state", "state", "secrets"):
        shutil.rmtree(empty.root / folder, ignore_errors=True)
    empty.desired.mkdir()
    ended = kept(empty, *(["--whole"] if whole else []), sections=sections, form=form)
    assert (ended.code, SENTINEL in ended.out + ended.err) == (0, False), ended
    planned = empty.reconciler("plan", "--format", "json")
    assert is_empty(planned)
    assert SENTINEL not in planned.out + planned.err
    assert SENTINEL.encode() not in written(empty)


# --- what is written -------------------------------------------------------------------------------------------------


def test_files_are_written_as_found_and_can_be_read_by_everybody(empty):
    imported(empty)
    assert list(task(empty, "sink")) == [key for key in ONE["sink"] if key != "checkpoint"]
    assert task(empty, "task") == {"dimension": "NAME", "key": NAME, "cmRegion": "default"}
    assert (empty.desired / "shop/orders/sink.json").read_text().startswith('{\n  "boosterClass": ')
    assert stat.S_IMODE((empty.desired / "shop/orders").stat().st_mode) & 0o055 == 0o055
    assert [path.name for path in (empty.desired / "shop").iterdir()] == ["orders"]


def test_what_oms_keeps_is_left_out_and_listed(empty):
    out = imported(empty, "--format", "json").json
    left = {row["pointer"] for row in out["leftOut"]}
    assert left >= {"/coordinator/taskIdentity", "/coordinator/bridgeQueueSize", "/source/checkpoint"}
    assert not left & {f"/{section}/{key}" for section in ONE for key in task(empty, section)}


def test_a_whole_import_keeps_it_and_lists_what_has_to_be_managed(empty):
    kept(empty, "--whole")
    ours = task(empty, "task")
    assert (ours["allowDelete"], task(empty, "source")["checkpoint"]) == (True, "${oms:checkpoint}")
    assert "/coordinator/taskIdentity" in ours["manage"]
    assert task(empty, "coordinator")["bridgeQueueSize"] == "256"


def test_a_key_can_be_deleted_after_a_whole_import(empty):
    kept(empty, "--whole", sections=EXAMPLES["whole"])
    empty.edit("shop/orders", "sink", "workerNum")
    (item,) = empty.reconciler("plan", "--format", "json").json["items"]
    assert (item["intended"], item["rail"]) == ("update+delete", None)


def test_a_key_that_looks_like_a_slip_is_listed_under_manage(empty):
    imported(empty, sections=ONE | {"sink": ONE["sink"] | {"workerNumb": "3"}})
    assert task(empty, "task")["manage"] == ["/sink/workerNumb"]


def test_a_component_by_its_place_needs_neither_key_nor_region(empty):
    assert kept(empty, address=("--component", "np_4x9jimport:reverse:3")).code == 0
    assert task(empty, "task") == {"component": {"project": "np_4x9jimport", "link": "reverse", "index": 3}}


def test_another_target_is_named(empty):
    with (empty.root / "reconciler.toml").open("a") as file:
        file.write('[targets.east]\nurl = "http://127.0.0.1:1"\nusername = "u"\npassword = "p"\n')
    kept(empty, "--target", "east")
    assert task(empty, "task")["target"] == "east"


def test_a_run_directory_or_a_request_tells_the_key(empty):
    imported(empty, form=run_directory, address=("--region", "r"))
    imported(empty, form=FORMS["request"], address=("--key", NAME.replace("10.0.0.1", "10.0.0.9")), name="moved")
    assert task(empty, "task")["key"] == NAME
    assert task(empty, "task", "moved")["cmRegion"] == "default"


def test_a_document_may_be_piped_in(empty, monkeypatch):
    text = Path(source_of(empty, form=document)).read_bytes()
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(text)))
    ended = empty.reconciler("import", "-", "--task", "a", *ADDRESS)
    assert (ended.code, task(empty, "sink", "a")["jar"]) == (0, ONE["sink"]["jar"])


def test_names_of_variables_are_nobody_elses(empty):
    imported(empty, name="shop/orders")
    other = ("--component", "np_other:forward:0")
    out = imported(empty, "--format", "json", name="shop-orders", address=other).json
    assert "${env:SHOP_ORDERS_SINK_PASSWORD_2}" in {secret["reference"] for secret in out["secrets"]}


def test_files_of_secrets_are_read_by_nobody_else(empty):
    kept(empty)
    folder = empty.root / "secrets"
    assert task(empty, "sink")["password"] == f"${{file:{folder}/shop_orders_sink_password}}"
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("ending", ["", "\n", "\r", "\r\n", "\n\r", "\r\r"], ids=repr)
def test_line_ends_of_a_secret_are_its_own(empty, ending):
    kept(empty, sections=ONE | {"sink": ONE["sink"] | {"password": f"x{ending}"}})
    assert secret_files.resolver()("file", str(empty.root / "secrets/shop_orders_sink_password")) == f"x{ending}"


def test_the_journal_says_where_it_is_from_and_why(empty):
    imported(empty, "--reason", "onboarding")
    (row,) = empty.reconciler("history", "--format", "json").json["entries"]
    why = f"imported from {empty.root}/copied/conf: onboarding"
    assert (row["action"], row["detail"]["reason"]) == ("adopt", why)


def test_the_text_says_what_to_do(empty):
    out = imported(empty).out
    assert out.startswith("shop/orders: imported and recorded as applied, nothing was called\n")
    assert "  not looked at: checkpoint.chk, runningConf.json\n" in out
    assert "  SHOP_ORDERS_SINK_PASSWORD    /sink/password\n" in out
    assert "  /source/checkpoint                       OMS moves it all the time\n" in out
    assert out.endswith("then reconciler plan shop/orders shows no difference\n")


def test_a_secret_that_stands_elsewhere_in_clear_is_warned_about(empty):
    sections = ONE | {"sink": ONE["sink"] | {"note": f"ask for {ONE['sink']['password']}"}}
    ended = imported(empty, sections=sections)
    assert "warning: /sink/note holds the secret of /sink/password in clear" in ended.out
    assert SENTINEL not in ended.out + ended.err


# --- only trying -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", ["text", "json"])
def test_trying_writes_and_records_nothing(empty, format_):
    before = sorted(empty.root.rglob("*"))
    source = source_of(empty)
    shown = kept(empty, "--dry-run", "--format", format_)
    shutil.rmtree(Path(source).parent)
    assert (shown.code, sorted(empty.root.rglob("*"))) == (0, before)
    assert SENTINEL not in shown.out


def test_trying_shows_the_files(empty):
    tried, done = (imported(empty, *more, "--format", "json").json for more in (["--dry-run"], []))
    assert (tried.pop("written"), done.pop("written")) == (False, True)
    assert tried == done
    assert done["files"]["sink.json"] == task(empty, "sink")


# --- what is refused -------------------------------------------------------------------------------------------------


def refused(project, ended, code, *words):
    """Nothing was written, recorded or given away."""
    assert (ended.code, [word for word in words if word not in ended.err]) == (code, []), ended
    assert SENTINEL not in ended.out + ended.err
    assert [path for path in project.desired.rglob("*") if path.is_file()] == []
    assert not (project.root / "secrets").exists()
    with closing(opened(project)) as store:
        assert (dict(store.records()), dict(store.notified(AWAITED))) == ({}, {})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["--task", name, *ADDRESS], "--task: expected a path below the desired state", id=f"name {name!r}")
        for name in ("", "..", "a/../b", ".a", "/a", "a//b", "a/", "sink.json", "a\nb", "a" * 256)
    ]
    + [
        (["--task", "a"], "say which component it is"),
        (["--task", "a", "--key", NAME], "--region is needed as well"),
        (["--task", "a", *ADDRESS, "--component", "np_a:forward:0"], "and not both"),
        (["--task", "a", "--component", "np_a:sideways:0"], "expected PROJECT:LINK:INDEX"),
        (["--task", "a", *ADDRESS, "--target", "west"], "has no target 'west'; it has: default"),
        (["--task", "a", *ADDRESS, "--secret-files", "desired_state/secrets"], "whose files are committed"),
        (["--task", "a", *ADDRESS, "--secret-files", "a}b"], "no reference can name a path"),
        (["--task", "a", *ADDRESS, "--secret-files", "reconciler.toml"], "expected a directory, found a file"),
        (["--task", "a", *ADDRESS, "--secret-files", "copied"], "others may look into it: chmod 700"),
    ],
)
def test_wrong_usage_is_64(empty, arguments, words):
    refused(empty, empty.reconciler("import", source_of(empty), *arguments), 64, words)


@pytest.mark.parametrize(
    "address", [("--key", NAME.replace("4x9j", "5y0k"), "--region", "r"), ("--component", "np_5y0k:forward:0")]
)
def test_a_copy_of_another_component_is_refused(empty, address):
    refused(empty, imported(empty, form=run_directory, address=address), 64, f"what was copied is of {NAME}")


def test_what_is_no_copy_is_refused(empty):
    folder = empty.root / "none"
    folder.mkdir()
    refused(empty, empty.reconciler("import", folder, "--task", "a", *ADDRESS), 64, "expected coordinator.json, ")
    (folder / "sink.json").write_text("{}")
    refused(
        empty, empty.reconciler("import", folder, "--task", "a", *ADDRESS), 64, "condition.json, source.json is not"
    )
    (folder / "task.json").write_text("{}")
    refused(empty, empty.reconciler("import", folder, "--task", "a", *ADDRESS), 64, "the directory of a task already")
    refused(empty, empty.reconciler("import", "gone.json", "--task", "a", *ADDRESS), 1, "gone.json: cannot be read: No")


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("sink", '{"password": "S3nt1nel",\n "a": null}', ":2:7: error: /a: expected a value, found null"),
        ("sink", '{"password": "S3nt1nel"', "sink.json:1:24: error: expected"),
        ("source", '{"clients": [], "password": "S3nt1nel"}', "source.json:1:13: error: /clients: expected a list of"),
        ("sink", '{\n  "workerNum": "many"}', "sink.json:2:16: error: /workerNum: expected an integer"),
        ("condition", "[]", "condition.json:1:1: error: expected one JSON object"),
    ],
)
def test_every_fault_is_told_with_its_place_in_the_copy(empty, file, text, words):
    source = source_of(empty)
    Path(source, f"{file}.json").write_text(text)
    ended = empty.reconciler("import", source, "--task", "a", "--secret-files", "secrets", *ADDRESS)
    refused(empty, ended, 1, f"{source}/{file}.json", words, "nothing was written")


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ({"config": {"sink": {}}}, ":1:12: error: /config/coordinator: expected all four sections"),
        ({"sink": 7, "source": {}, "condition": {}, "coordinator": {}}, ":1:10: error: /sink: expected an object"),
        (
            {"config": {"sink": {"workerNum": "many"}, "source": {}, "condition": {}, "coordinator": {}}},
            ":1:35: error: /config/sink/workerNum: expected an integer",
        ),
    ],
)
def test_a_document_is_judged_by_its_own_places(empty, content, place):
    (empty.root / "one.json").write_text(json.dumps(content))
    ended = empty.reconciler("import", "one.json", "--task", "a", *ADDRESS)
    refused(empty, ended, 1, f"one.json{place}")


def test_a_document_that_is_no_json_is_refused(empty):
    (empty.root / "one.json").write_text('{"password": "S3nt1nel", }')
    refused(empty, empty.reconciler("import", "one.json", "--task", "a", *ADDRESS), 1, "one.json:1:26: error: ")


def test_what_the_options_make_wrong_is_told_of_the_new_file(empty):
    ended = imported(empty, address=("--key", NAME, "--region", "a\nb"))
    refused(empty, ended, 1, "shop/orders/task.json:4:15: error: /cmRegion: expected text of at least one character")


def test_faults_in_json_have_their_pointer(empty):
    ended = imported(empty, "--format", "json", sections=ONE | {"sink": ONE["sink"] | {"workerNum": "many"}})
    (violation,) = ended.json["violations"]
    assert (ended.code, violation["pointer"], violation["line"]) == (1, "/workerNum", 1)


@pytest.mark.parametrize(
    ("value", "options", "words"),
    [
        ("a\0b", [], "no environment variable can hold it: give --secret-files"),
        ("x" * 65_535, ["--secret-files", "secrets"], "more than 65534 bytes cannot be read back"),
    ],
)
def test_a_secret_that_could_not_be_read_back_is_refused(empty, value, options, words):
    refused(empty, imported(empty, *options, sections=ONE | {"sink": {"password": value}}), 64, words)


def test_nothing_is_overwritten(empty):
    (empty.desired / "shop/orders").mkdir(parents=True)
    refused(empty, kept(empty), 64, "is there already, and nothing is overwritten", "reconciler adopt shop/orders")
    (empty.desired / "file").touch()
    assert "expected a directory inside" in kept(empty, name="file/a").err


def test_a_link_out_of_the_desired_state_is_not_followed(empty):
    (empty.desired / "out").symlink_to(empty.root)
    refused(empty, kept(empty, name="out/a"), 64, "expected a directory inside of")


def test_no_file_of_secrets_is_overwritten(empty):
    (empty.root / "secrets").mkdir(mode=0o700)
    (empty.root / "secrets/shop_orders_sink_password").write_text("mine")
    ended = kept(empty)
    assert (ended.code, "shop_orders_sink_password: is there already" in ended.err) == (64, True)
    assert (empty.root / "secrets/shop_orders_sink_password").read_text() == "mine"


def test_what_cannot_be_written_leaves_nothing_behind(empty, monkeypatch):
    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device", "a file")

    with closing(opened(empty)) as store:
        store.fingerprint_key()
    monkeypatch.setattr(os, "fsync", full)
    refused(empty, kept(empty), 64, "a file: cannot be written: No space left on device; nothing was imported")
    assert list(empty.desired.iterdir()) == []


def test_without_a_desired_state_there_is_nowhere_to_write(empty):
    empty.desired.rmdir()
    ended = imported(empty)
    assert (ended.code, "expected the directory of the desired state, found none" in ended.err) == (64, True)


def test_a_component_belongs_to_one_task(empty):
    kept(empty)
    ended = imported(empty, name="other")
    assert (ended.code, "belongs to task shop/orders already" in ended.err) == (64, True)
    (empty.desired / "broken").mkdir()
    (empty.desired / "broken/task.json").write_text('{"dimension": 7}')
    assert imported(empty, name="other").code == 64


def test_a_component_whose_directory_is_gone_is_known(empty):
    kept(empty)
    assert empty.reconciler("apply", "--yes").code == 0
    shutil.rmtree(empty.desired / "shop")
    assert "reconciler forget shop/orders, then import" in imported(empty, name="other").err
    assert "reconciler forget shop/orders, then import" in imported(empty).err
    assert empty.reconciler("forget", "shop/orders").code == 0
    assert imported(empty, name="other").code == 0


def test_what_was_taken_back_before_anybody_read_it_can_be_imported_again(empty):
    imported(empty)
    shutil.rmtree(empty.desired / "shop")
    assert kept(empty, "--whole").code == 0
    assert is_empty(empty.reconciler("plan", "--format", "json"))


# --- where commits are followed --------------------------------------------------------------------------------------


@pytest.fixture
def repo(empty, monkeypatch):
    """A repository, not committed to yet."""
    isolate(monkeypatch, empty.root)
    monkeypatch.setenv("RECONCILER_DESIRED_STATE__SOURCE", "git")
    (empty.desired / ".gitkeep").touch()
    made = Repo.make(empty.root)
    made.write(".gitignore", "state/\nsecrets/\ncopied/\n")
    return made


def test_imports_that_are_not_committed_freeze_nothing(empty, repo, tmp_path_factory):
    repo.commit()
    folder = tmp_path_factory.mktemp("outside")
    for index in range(5):
        where = ("--component", f"np_{index}:forward:0")
        ended = imported(empty, "--secret-files", folder / "s", name=f"t{index}", address=where)
        assert f"until {empty.desired.name}/t{index} is committed, its files are not read" in ended.out
    planned = empty.reconciler("plan", "--format", "json")
    assert (planned.code, planned.json["frozen"]) == (0, False)
    assert {item["reason"] for item in planned.json["items"]} == {
        "imported, and its files are not among those that are read yet"
    }
    status = empty.reconciler("status", "--format", "json").json["tasks"]
    assert {row["state"] for row in status} == {"synced"}
    repo.commit()
    planned = empty.reconciler("plan", "--format", "json")
    assert {item["reason"] for item in planned.json["items"]} == {"no difference"}


def test_what_was_committed_and_vanishes_freezes_as_ever(empty, repo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("outside")
    for index in range(5):
        where = ("--component", f"np_{index}:forward:0")
        imported(empty, "--secret-files", folder / "s", name=f"t{index}", address=where)
    repo.commit()
    assert empty.reconciler("apply", "--yes").code == 0
    shutil.rmtree(empty.desired)
    repo.commit(files={"desired_state/x": ""})
    assert empty.reconciler("plan").code == 3


def test_an_import_that_is_given_up_is_forgotten_by_name_only(empty, repo):
    repo.commit()
    imported(empty)
    assert empty.reconciler("forget", "--vanished").out == "nothing to forget\n"
    assert empty.reconciler("forget", "shop/orders").out == "shop/orders: forgotten\n"
    with closing(opened(empty)) as store:
        assert (dict(store.records()), dict(store.notified(AWAITED))) == ({}, {})


def test_the_first_import_needs_no_commit(empty, repo):
    assert imported(empty).code == 0


def test_a_task_of_the_commit_is_not_made_again(empty, repo):
    imported(empty)
    repo.commit()
    shutil.rmtree(empty.desired / "shop")
    ended = imported(empty)
    assert (ended.code, "the commit that is followed has a task shop/orders already" in ended.err) == (64, True)


def test_files_of_secrets_stay_out_of_the_repository(empty, repo):
    ended = kept(empty)
    assert (ended.code, f"lies in {empty.root}, whose files are committed" in ended.err) == (64, True)
