"""What the soak must not let pass."""

import random

import fleet
import pytest
from rig import SECRETS
from soaking.files import Files
from soaking.trouble import Spell
from soaking.verdict import Ledger, Row, addresses, converged, imagined_moves

TASK, NAMED, QUIET = 0, 1, 19  # the first may delete keys, the last is never edited


@pytest.fixture
def files(tmp_path, monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    fleet.make(tmp_path, 20, tables=(2, 3))
    return Files(tmp_path, 20, random.Random(1))  # noqa: S311 - reproducible, nothing to protect


def sent(files, number=TASK, at=10.0, outcome="verifying", sequence=1):
    """The two rows of an intent that took a second."""
    address = next(addresses(files.tended[number]))
    rows = [Row(sequence, at, "intent", address, "update", "applying", {})]
    if outcome:
        rows.append(Row(sequence + 1, at + 1.0, "outcome", address, "update", outcome, {"intent": sequence}))
    return rows


def call(files, number=TASK, at=10.5, nth=1, value="1", **body):
    config = {"coordinator": {"throttleRps": value}, "condition": {}, "source": {"checkpoint": {"c": at}}, "sink": {}}
    whole = {"key": files.tended[number].component, "config": config, **body}
    return {"number": nth, "at": at, "executed": True, "body": whole}


def ledger(files, calls, rows, kills=(), spells=()):
    made = Ledger(files, calls, rows, list(kills), list(spells))
    return made, list(made.unexplained())


def test_a_call_with_its_intent_is_explained(files):
    made, unexplained = ledger(files, [call(files)], sent(files))
    assert unexplained == []
    assert list(made.repeated()) == []


def test_a_call_without_an_intent_is_not(files):
    assert "has no intent" in ledger(files, [call(files)], [])[1][0]
    assert "has no intent" in ledger(files, [call(files, at=20.0)], sent(files))[1][0]
    assert "has no intent" in ledger(files, [call(files, number=NAMED)], sent(files))[1][0]


def test_two_calls_for_one_intent_are_one_too_many(files):
    calls = [call(files), call(files, at=10.6, nth=2, value="2")]
    assert "made 2 calls" in ledger(files, calls, sent(files))[1][0]


def test_a_call_to_a_component_that_no_task_declares_is_found(files):
    stranger = call(files)
    stranger["body"]["key"] = "another"
    assert "which no task declares" in ledger(files, [stranger], sent(files, outcome="unknown"))[1][0]


@pytest.mark.parametrize(
    ("outcome", "more"), [("", {"kills": [10.2]}), ("unknown", {"spells": [Spell("outage", 9, 12)]})]
)
def test_an_intent_without_a_call_needs_a_kill_or_an_outage(files, outcome, more):
    assert ledger(files, [], sent(files, outcome=outcome), **more)[1] == []
    assert "made no call" in ledger(files, [], sent(files, outcome="verifying"))[1][0]


@pytest.mark.parametrize(("outcome", "wrong"), [("verifying", 1), ("unknown", 0)])
def test_the_same_content_twice_is_right_only_in_doubt(files, outcome, wrong):
    calls = [call(files), call(files, at=20.5, nth=2)]
    made, _ = ledger(files, calls, [*sent(files, outcome=outcome), *sent(files, at=20.0, sequence=3)])
    assert len(list(made.repeated())) == wrong


def test_a_deletion_needs_a_key_that_was_removed_and_not_yet_deleted(files):
    calls = [call(files, allowDelete=True), call(files, at=20.5, nth=2, value="2", allowDelete=True)]
    made, _ = ledger(files, calls, [*sent(files), *sent(files, at=20.0, sequence=3)])
    assert len(list(made.undeclared_deletions())) == 2
    files.tended[TASK].removed.append((9.0, "tuning1"))
    assert len(list(made.undeclared_deletions())) == 1
    files.tended[TASK].removed.append((19.0, "tuning2"))
    assert list(made.undeclared_deletions()) == []


def test_a_task_that_nobody_edited_is_not_sent_to(files):
    made, _ = ledger(files, [call(files, number=QUIET)], sent(files, number=QUIET))
    assert "never changed" in next(made.untouched())
    files.edit(files.tended[QUIET])
    assert list(made.untouched()) == []


def test_components_must_be_as_their_files_say(files):
    has = {one.component: {"config": fleet.wanted(fleet.read(one.folder))} for one in files.tended}
    assert list(converged(files, has)) == []
    files.edit(files.tended[TASK])
    assert "throttleRps" in next(converged(files, has))


def test_a_key_that_was_removed_stays_only_where_it_may(files):
    has = {one.component: {"config": fleet.wanted(fleet.read(one.folder))} for one in files.tended}
    for one in files.tended[:2]:
        files.edit(one, "add")
        has[one.component] = {"config": fleet.wanted(fleet.read(one.folder))}
        document = fleet.read(one.folder)["coordinator"]
        del document[next(key for key in document if key.startswith("extra"))]
        (one.folder / "coordinator.json").write_text(fleet.as_text(document))
    wrong = list(converged(files, has))
    assert len(wrong) == 1
    assert wrong[0].startswith(files.tended[TASK].name)


def test_a_component_is_not_taken_for_another_one(files):
    line = '{{"kind": "moved", "task": "t", "before": "{0}", "component": "{1}"}}'
    names = [one.component for one in files.tended]
    assert len(list(imagined_moves(files, line.format(*names[:2])))) == 1
    files.tended[0].names.append("10.1.0.1-9000:moved")
    assert list(imagined_moves(files, line.format(*files.tended[0].names))) == []


def test_a_broken_file_is_no_other_content(files):
    one = files.tended[TASK]
    before, changed = fleet.read(one.folder), list(one.changed)
    files.break_(one, is_edit=False)()
    assert (fleet.read(one.folder), one.changed) == (before, changed)
    assert not one.is_away
