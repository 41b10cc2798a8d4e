from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core import canonical, secrets
from reconciler.core.diff import diff
from reconciler.core.plan import NOTHING
from reconciler.core.secrets import MARK, Reference, ReferenceSyntaxError, align, find, seal, substitute
from reconciler.errors import SecretError
from reconciler.model import Action
from tests.core.builders import (
    CATALOGUE,
    KEY,
    OTHER_KEY,
    SECRETS,
    SENTINEL,
    applied,
    few,
    lookup,
    planned,
    ready,
    task,
    whole,
)

PLACE = "/sink/password"


def places(**sections):
    written = few(**sections)
    return secrets.places(written, secrets.resolve(written, lookup), CATALOGUE)


def changes(stored, content, secret_places=frozenset({PLACE}), key=KEY):
    aligned = align(stored, content, secret_places, key)
    return diff(aligned.old, aligned.new, CATALOGUE, {})


# --- references ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "references"),
    [
        pytest.param("plain", [], id="none"),
        pytest.param("${env:A_1}", ["${env:A_1}"], id="env"),
        pytest.param("${file:/run/secrets/a b}", ["${file:/run/secrets/a b}"], id="file"),
        pytest.param("${credential:oms.sink-1}", ["${credential:oms.sink-1}"], id="credential"),
        pytest.param("a${env:X}b${env:Y}", ["${env:X}", "${env:Y}"], id="inside a text"),
        pytest.param("$${env:X}", [], id="escaped"),
        pytest.param("$$${env:X}", [], id="dollar before an escape"),
        pytest.param("$${${env:X}", ["${env:X}"], id="escape before a reference"),
        pytest.param("$ {x} $5 }", [], id="no brace behind the dollar"),
    ],
)
def test_references_are_found_in_order(text, references):
    assert [str(one) for one in find(text)] == references


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("${vault:x}", 'unknown scheme "vault"', id="unknown scheme"),
        pytest.param("${HOME}", 'unknown scheme "HOME"', id="no scheme"),
        pytest.param("${}", 'unknown scheme ""', id="empty"),
        pytest.param("${env:1X}", "malformed name", id="env name"),
        pytest.param("${env:}", "malformed name", id="no name"),
        pytest.param("${file:relative}", "malformed name", id="relative path"),
        pytest.param("${credential:../x}", "malformed name", id="path as credential"),
        pytest.param("${oms:checkpoint}", 'unknown scheme "oms"', id="checkpoint elsewhere"),
        pytest.param("a ${env:X", "not closed", id="unterminated"),
    ],
)
def test_malformed_reference_is_an_error(text, message):
    with pytest.raises(ReferenceSyntaxError, match=message):
        find(text)
    with pytest.raises(ReferenceSyntaxError, match=message):
        substitute(text, lookup)


def test_references_are_filled_in_and_escapes_taken_off():
    assert substitute("a=${env:SINK};$${env:SINK}", lookup) == f"a={SENTINEL};${{env:SINK}}"


def test_value_of_a_secret_is_not_read_again():
    assert substitute("${env:X}", lambda *_: "${env:X}") == "${env:X}"


def test_reference_knows_scheme_and_name():
    assert find("${file:/run/x}") == (Reference("file", "/run/x"),)


def test_references_are_filled_in_at_every_depth():
    resolved = secrets.resolve(few(source={"a": [{"b": "${env:SINK}", "n": 1}], "c": True}), lookup)
    assert resolved == few(source={"a": [{"b": SENTINEL, "n": 1}], "c": True})


def test_reference_that_cannot_be_resolved_is_named():
    with pytest.raises(SecretError, match=r"\$\{env:NOWHERE\}"):
        secrets.resolve(few(sink={"password": "${env:NOWHERE}"}), lookup)


def test_checkpoint_reference_is_left_out():
    assert secrets.resolve(few(source={"checkpoint": "${oms:checkpoint}", "a": "1"}), lookup) == few(source={"a": "1"})


def test_checkpoint_of_another_kind_stays():
    assert secrets.without_checkpoint(few(source={"checkpoint": {"c": "1"}})) == few(source={"checkpoint": {"c": "1"}})


# --- places --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sections", "place"),
    [
        pytest.param({"sink": {"password": "x"}}, PLACE, id="by the catalogue"),
        pytest.param({"source": {"clients": [{}, {"password": "x"}]}}, "/source/clients/1/password", id="in a list"),
        pytest.param({"sink": {"kafkaSaslJaasConfig": "x"}}, "/sink/kafkaSaslJaasConfig", id="by its name"),
        pytest.param({"sink": {"tokens": {"a/b": 7}}}, "/sink/tokens/a~1b", id="by a name on the way"),
        pytest.param({"coordinator": {"timezone": "${env:SINK}"}}, "/coordinator/timezone", id="by a reference"),
        pytest.param({"condition": {"x": "a${env:SINK}"}}, "/condition/x", id="by a reference inside a text"),
        pytest.param({"sink": {"jdbcUrl": "jdbc:x://h?password=y"}}, "/sink/jdbcUrl", id="option of an address"),
        pytest.param({"sink": {"endpoint": "http://u:y@h"}}, "/sink/endpoint", id="user of an address"),
    ],
)
def test_place_of_a_secret_is_found(sections, place):
    assert places(**sections) == {place}


@pytest.mark.parametrize(
    "sections",
    [
        pytest.param({"sink": {"workerNum": 8, "username": "u"}}, id="plain keys"),
        pytest.param({"sink": {"jdbcUrl": "jdbc:x://h:1?a=b"}}, id="address without credentials"),
        pytest.param({"sink": {"a": "$${env:SINK}"}}, id="escaped reference"),
        pytest.param({"sink": {"password": {}}}, id="nothing below the name"),
        pytest.param({"source": {"checkpoint": "${oms:checkpoint}"}}, id="checkpoint"),
    ],
)
def test_what_is_no_secret_is_no_place(sections):
    assert places(**sections) == frozenset()


def test_values_to_hide_are_the_texts_at_the_places():
    content = few(sink={"password": SENTINEL, "tokens": ["a", {"b": "7"}], "empty": "", "flag": "true"})
    wanted = ["/sink/password", "/sink/tokens", "/sink/empty", "/sink/flag", "/sink/gone", "/sink/tokens/9"]
    assert secrets.values(content, wanted) == {SENTINEL, "a", "7"}


# --- sealing -------------------------------------------------------------------------------------------------------


def test_seal_takes_the_value_out_of_everything():
    desired = ready()
    assert SENTINEL not in repr(desired.snapshot)
    assert SENTINEL.encode() not in canonical.dumps(desired.snapshot.content)
    assert desired.snapshot.content["sink"]["password"] == MARK


def test_seal_leaves_the_given_content_alone():
    content = few(sink={"password": SENTINEL, "list": [{"password": SENTINEL}]})
    seal(content, [PLACE, "/sink/list/0/password"], KEY)
    assert content["sink"] == {"password": SENTINEL, "list": [{"password": SENTINEL}]}


def test_prepared_task_does_not_show_its_secrets():
    assert SENTINEL not in repr(ready())


def test_another_key_gives_other_fingerprints():
    one, other = (seal(few(sink={"password": "x"}), [PLACE], key) for key in (KEY, OTHER_KEY))
    assert one.key_id != other.key_id
    assert one.fingerprints[PLACE] != other.fingerprints[PLACE]
    assert one.digest == other.digest


def test_fingerprint_is_no_plain_hash():
    assert canonical.digest("x") not in seal(few(sink={"password": "x"}), [PLACE], KEY).fingerprints.values()


def test_equal_values_in_two_places_look_different():
    prints = seal(few(sink={"a": "x", "b": "x"}), ["/sink/a", "/sink/b"], KEY).fingerprints
    assert len(set(prints.values())) == 2


@pytest.mark.parametrize(
    "place",
    [
        pytest.param("/sink/gone", id="no key"),
        pytest.param("/sink/list/5", id="no element"),
        pytest.param("/sink/list/x", id="no index"),
        pytest.param("/sink/list/²", id="a digit that is no index"),
        pytest.param("/sink/list/0/x", id="below a scalar"),
    ],
)
def test_place_that_is_not_there_is_passed_over(place):
    content = few(sink={"list": ["a"]})
    assert seal(content, [place], KEY).content == content


def test_name_of_a_key_tells_nothing_about_it():
    assert secrets.key_id(KEY) == secrets.key_id(KEY) != secrets.key_id(OTHER_KEY)
    assert len(secrets.key_id(KEY)) == 16


# --- comparing -----------------------------------------------------------------------------------------------------


def test_equal_secret_under_the_same_key_is_no_change():
    assert changes(seal(few(sink={"password": "x"}), [PLACE], KEY), few(sink={"password": "x"})) == ()


def test_rotated_secret_is_one_change_without_values():
    (change,) = changes(seal(few(sink={"password": "x"}), [PLACE], KEY), few(sink={"password": "y"}))
    assert (change.path, change.secret, change.old, change.new) == (PLACE, True, MARK, MARK)


def test_secret_under_another_key_cannot_be_compared_and_counts_as_unchanged():
    stored = seal(few(sink={"password": "x"}), [PLACE], OTHER_KEY)
    aligned = align(stored, few(sink={"password": "y"}), frozenset({PLACE}), KEY)
    assert aligned.incomparable == (PLACE,)
    assert aligned.old == aligned.new


def test_secret_removed_under_another_key_is_a_removal():
    (change,) = changes(seal(few(sink={"password": "x"}), [PLACE], OTHER_KEY), few())
    assert (change.kind.value, change.secret) == ("removed", True)


@pytest.mark.parametrize(("now", "changed"), [pytest.param("x", 0, id="equal"), pytest.param("y", 1, id="changed")])
def test_newly_secret_place_is_compared_with_what_was_stored_in_clear(now, changed):
    found = changes(seal(few(sink={"password": "x"}), [], KEY), few(sink={"password": now}))
    assert [(c.old, c.new) for c in found] == [(MARK, MARK)] * changed


@pytest.mark.parametrize(("now", "changed"), [pytest.param("x", 0, id="equal"), pytest.param("y", 1, id="changed")])
def test_place_that_is_no_secret_any_more_stays_one_for_the_comparison(now, changed):
    found = changes(seal(few(sink={"password": "x"}), [PLACE], KEY), few(sink={"password": now}), frozenset())
    assert [(c.old, c.new) for c in found] == [(MARK, MARK)] * changed


@pytest.mark.parametrize(
    ("before", "now"),
    [
        pytest.param({"user": "x"}, "user=x", id="object becomes text"),
        pytest.param("user=x", {"user": "x"}, id="text becomes object"),
        pytest.param({"²": "x"}, ["x"], id="object becomes list"),
        pytest.param(["x"], "x", id="list becomes text"),
    ],
)
def test_secret_of_another_shape_is_one_change(before, now):
    stored, wanted = (ready(few(sink={"saslConfig": value})) for value in (before, now))
    (change,) = changes(stored.snapshot, wanted.content, wanted.secret_places)
    assert (change.path, change.secret) == ("/sink/saslConfig", True)


def test_secret_is_hidden_in_text_and_structures():
    (added,) = changes(seal(few(), [], KEY), few(sink={"password": "x"}))
    assert secrets.shown([{"a": added.new}, 7]) == [{"a": MARK}, 7]
    assert secrets.shown_text(f"map «secret:{'0' * 64}»") == f"map {MARK}"
    assert secrets.holds_secret({"a": [f"«secret:{'0' * 64}»"]})
    assert not secrets.holds_secret({"a": ["«secret»"]})


def test_renamed_reference_with_the_same_value_is_no_change():
    renamed = whole(sink={"password": "${env:SAME}"})
    assert planned(renamed, applied()).action is Action.NOOP


def test_rotated_value_behind_the_same_reference_is_a_change(monkeypatch):
    base = applied()
    monkeypatch.setitem(SECRETS, "SINK", "rotated")
    (change,) = planned(None, base).changes
    assert (change.path, change.secret) == (PLACE, True)


def test_literal_and_reference_with_the_same_value_are_equal():
    assert planned(whole(sink={"password": SENTINEL}), applied()).action is Action.NOOP


secret_texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).map(lambda t: SENTINEL + t)
shapes = st.recursive(
    secret_texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc/~"), inner, max_size=2),
)


@settings(max_examples=60, deadline=None)
@given(shapes, shapes, st.booleans())
def test_no_shape_of_a_secret_gets_out(before, now, same_key):
    stored = ready(task(few(sink={"password": before, "x": {"token": now}})), key=KEY if same_key else OTHER_KEY)
    wanted = ready(task(few(sink={"password": now, "x": {"token": before}})))
    aligned = align(stored.snapshot, wanted.content, wanted.secret_places, KEY)
    found = diff(aligned.old, aligned.new, CATALOGUE, {}) + diff(NOTHING, aligned.new, CATALOGUE, {})
    assert SENTINEL not in repr((stored.snapshot, wanted.snapshot, aligned, found))


def test_stored_content_is_renewed_without_its_fingerprints_changing():
    stored = ready(few(sink={"password": "${env:SINK}", "workerNum": "8"})).snapshot
    older = replace(stored, content={**stored.content, "sink": {**stored.content["sink"], "workerNum": 8}})
    assert secrets.renewed(older, CATALOGUE) == stored


@pytest.mark.parametrize(("key", "kept"), [(KEY, True), (OTHER_KEY, False)], ids=["same key", "another key"])
def test_stored_content_is_sealed_by_todays_rules(key, kept):
    stored = ready(few(sink={"password": "${env:SINK}"})).snapshot
    plain = {**stored.content, "source": {"password": "in clear"}}
    older = replace(stored, content=plain, digest=canonical.content_digest(plain))
    sealed = secrets.resealed(older, CATALOGUE, key)
    assert (sealed.content["source"]["password"], sealed.key_id) == (secrets.MARK, secrets.key_id(key))
    assert ("/sink/password" in sealed.fingerprints, "/source/password" in sealed.fingerprints) == (kept, True)
