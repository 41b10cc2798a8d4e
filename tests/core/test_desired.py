import pytest

from reconciler.core.desired import missing, overlaid, prepare, without
from reconciler.core.secrets import MARK, seal
from reconciler.errors import SecretError
from reconciler.model import Action
from tests.core.builders import (
    CATALOGUE,
    CLIENT,
    KEY,
    OTHER_KEY,
    SECRETS,
    SENTINEL,
    applied,
    few,
    planned,
    ready,
    task,
    whole,
)


def sealed(*places, key=KEY, **sections):
    return seal(few(**sections), places, key)


def lacking(sections, present=()):
    return missing(ready(sections), present, CATALOGUE)


# --- preparing -----------------------------------------------------------------------------------------------------


def test_prepared_task_has_its_secrets_in_clear_only_where_they_are_sent():
    desired = ready()
    assert desired.resolved["sink"]["password"] == SENTINEL
    assert desired.snapshot.content["sink"]["password"] == MARK
    assert desired.secret_places == {"/sink/password", "/source/password"}


def test_secret_inside_an_address_is_hidden_by_itself_too():
    desired = ready(few(sink={"jdbcUrl": "jdbc:x://h?password=${env:SINK}"}))
    assert desired.secret_values == {SENTINEL, f"jdbc:x://h?password={SENTINEL}"}


def test_empty_secret_hides_nothing(monkeypatch):
    monkeypatch.setitem(SECRETS, "SINK", "")
    assert ready(few(sink={"password": "${env:SINK}"})).secret_values == frozenset()


def test_secret_that_is_no_text_is_named_and_not_shown(monkeypatch):
    monkeypatch.setitem(SECRETS, "SINK", f"{SENTINEL}\udcff")
    with pytest.raises(SecretError, match=r"^\$\{env:SINK\}: its value is not UTF-8 text$"):
        ready()


def test_prepared_task_names_its_plugins():
    assert ready().plugins == {"source": "StoreSource", "sink": "JDBCSink"}


def test_reference_that_is_not_there_is_named():
    with pytest.raises(SecretError, match=r"\$\{env:GONE\}"):
        ready(whole(sink={"password": "${env:GONE}"}))


def test_checkpoint_reference_is_neither_compared_nor_recorded():
    desired = ready()
    assert "checkpoint" not in desired.snapshot.content["source"]
    assert planned(whole(source={"checkpoint": ...}), applied()).changes == ()


def test_unmanaged_key_is_neither_compared_nor_sent():
    declared = task(whole(sink={"workerNum": "99"}), unmanaged=("/sink/workerNum",))
    assert "workerNum" not in ready(declared).resolved["sink"]
    item = planned(declared, applied())
    assert (item.action, item.changes) == (Action.NOOP, ())


def test_secret_of_an_unmanaged_key_is_not_looked_up():
    assert ready(task(whole(sink={"password": "${env:GONE}"}), unmanaged=("/sink/password",))).secret_places == {
        "/source/password"
    }


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"sections": whole(sink={"workerNum": "8"})}, id="content"),
        pytest.param({"sections": whole(sink={"password": "${env:OTHER}"})}, id="secret"),
        pytest.param({"name": "other"}, id="address"),
    ],
)
def test_digest_of_the_request_covers(change):
    one, other = ready(), ready(task(**change))
    assert one.request_digest(allow_delete=False) != other.request_digest(allow_delete=False)


def test_digest_of_the_request_covers_the_deletion():
    assert ready().request_digest(allow_delete=False) != ready().request_digest(allow_delete=True)


def test_same_request_has_the_same_digest():
    assert ready().request_digest(allow_delete=True) == ready().request_digest(allow_delete=True)


# --- leaving out ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        pytest.param("/sink/a", {"b": {"c": "1", "d": "2"}, "e": ["x"]}, id="key"),
        pytest.param("/sink/b/c", {"a": "1", "b": {"c": "1", "d": "2"}, "e": ["x"]}, id="part of a key"),
        pytest.param("/*/a", {"b": {"c": "1", "d": "2"}, "e": ["x"]}, id="any section"),
        pytest.param("/sink/*", {}, id="any key"),
        pytest.param("/sink", {}, id="section"),
        pytest.param("/source/a", {"a": "1", "b": {"c": "1", "d": "2"}, "e": ["x"]}, id="other section"),
        pytest.param("/sink/a/z", {"a": "1", "b": {"c": "1", "d": "2"}, "e": ["x"]}, id="below a scalar"),
        pytest.param("/sink/e/0", {"a": "1", "b": {"c": "1", "d": "2"}, "e": ["x"]}, id="inside a list"),
    ],
)
def test_pattern_leaves_out_whole_keys(pattern, left):
    content = few(sink={"a": "1", "b": {"c": "1", "d": "2"}, "e": ["x"]})
    assert without(content, [pattern])["sink"] == left


# --- laying over ---------------------------------------------------------------------------------------------------


def test_first_content_is_what_was_sent():
    assert overlaid(None, sealed(sink={"a": "1"})) == sealed(sink={"a": "1"})


def test_sent_keys_lie_over_the_previous_ones():
    after = overlaid(sealed(sink={"a": "1", "b": "2"}), sealed(sink={"b": "3"}))
    assert after == sealed(sink={"a": "1", "b": "3"})


def test_fingerprints_of_keys_that_were_not_sent_stay():
    before = sealed("/sink/a", "/sink/b", sink={"a": "1", "b": "2"})
    after = overlaid(before, sealed("/sink/b", sink={"b": "3"}))
    assert after == sealed("/sink/a", "/sink/b", sink={"a": "1", "b": "3"})


def test_fingerprints_inside_a_key_that_was_sent_go():
    before = sealed("/sink/a/0/p", sink={"a": [{"p": "1"}]})
    assert overlaid(before, sealed(sink={"a": []})).fingerprints == {}


def test_fingerprints_of_another_key_go_and_the_mark_stays():
    before = sealed("/sink/a", key=OTHER_KEY, sink={"a": "1"})
    after = overlaid(before, sealed(sink={"b": "2"}))
    assert (after.fingerprints, after.content["sink"]) == ({}, {"a": MARK, "b": "2"})


# --- completeness --------------------------------------------------------------------------------------------------


def test_whole_payload_lacks_nothing():
    assert lacking(whole(), [ready().content]) == ()


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("coordinator", "taskIdentity"),
        ("coordinator", "sourceType"),
        ("coordinator", "sinkType"),
        ("condition", "whiteCondition"),
        ("source", "jar"),
        ("source", "dbType"),
        ("source", "clients"),
        ("source", "checkpoint"),
        ("sink", "jar"),
        ("sink", "jdbcUrl"),
        ("sink", "username"),
        ("sink", "password"),
    ],
)
def test_required_key_that_is_absent_is_missing(section, key):
    assert lacking(whole(**{section: {key: ...}})) == (f"/{section}/{key}",)


def test_required_member_of_a_list_is_missing_where_it_is():
    clients = [CLIENT, {"subtopic": "x"}, "text"]
    assert lacking(whole(source={"clients": clients})) == ("/source/clients/1/clientId", "/source/clients/2/clientId")


def test_list_without_any_element_is_missing():
    assert lacking(whole(source={"clients": []})) == ("/source/clients",)


def test_list_of_another_shape_has_no_members_to_miss():
    assert lacking(whole(source={"clients": "text"})) == ()


@pytest.mark.parametrize("section", ["source", "sink"])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        pytest.param(..., "", id="absent"),
        pytest.param("com.example.Unknown", " of a plug-in whose keys are known", id="unknown"),
    ],
)
def test_unknown_plugin_is_never_complete(section, value, words):
    assert lacking(whole(**{section: {"boosterClass": value}})) == (f"/{section}/boosterClass{words}",)


def test_emptied_section_is_missing():
    sections = {**whole(), "condition": {}}
    assert lacking(sections, [few(), ready().content]) == ("/condition/whiteCondition", "/condition")


def test_section_that_was_empty_before_is_not_missing():
    assert "/condition" not in lacking({**whole(), "condition": {}}, [few()])


def test_every_reference_that_cannot_be_resolved_is_told_at_once():
    def lookup(_scheme, name):
        raise SecretError(f"no {name}")

    written = task(few(source={"password": "${env:A}"}, sink={"password": "${env:B}"}))
    with pytest.raises(SecretError, match="no A; no B"):
        prepare(written, CATALOGUE, lookup, KEY)
