import pytest

from reconciler import wiring
from reconciler.config import load
from reconciler.errors import StateStoreError, TargetMisconfiguredError
from reconciler.model import Severity
from tests.projects import KAFKA, lay_out

CONFIG = """
[targets.default]
url = "http://127.0.0.1:1"
username = "admin"
password = "${env:RECONCILER_TEST_PASSWORD}"
max_concurrent = 7
[targets.literal]
url = "http://127.0.0.1:1"
username = "admin"
password = "a$${b"
"""


@pytest.fixture
def settings(tmp_path):
    path = lay_out(tmp_path) / "reconciler.toml"
    path.write_text(CONFIG)
    return load(path, {})


@pytest.fixture
def store(settings):
    store = wiring.open_store(settings, read_only=False)
    yield store
    store.close()


def test_the_parts_fit_together(settings, store):
    survey = wiring.reconciler(settings, store).survey(settings.policy, [KAFKA])
    assert [item.task for item in survey.plan.items] == [KAFKA]


def test_tools_know_how_many_components_a_target_allows(settings, store):
    tools = wiring.tools(settings, store, lambda _task, _text: None)
    assert tools.max_concurrent == {"default": 7, "literal": 2}
    assert 0 <= tools.random() < 1


def test_a_target_is_opened_with_the_password_that_its_reference_means(settings, monkeypatch):
    monkeypatch.setenv("RECONCILER_TEST_PASSWORD", "sentinel")
    target = wiring.target_factory(settings)("default", ())
    target.close()
    wiring.target_factory(settings)("literal", ()).close()


def test_a_target_without_a_password_is_misconfigured_and_the_message_says_where(settings, monkeypatch):
    monkeypatch.delenv("RECONCILER_TEST_PASSWORD", raising=False)
    expected = r"reconciler.toml: targets.default.password: \$\{env:RECONCILER_TEST_PASSWORD\}: the environment has no"
    with pytest.raises(TargetMisconfiguredError, match=expected):
        wiring.target_factory(settings)("default", ())


def test_a_store_that_can_be_written_is_opened_without_a_word(settings):
    store, trouble = wiring.open_store_for_reports(settings)
    store.close()
    assert trouble == ""


def test_a_store_that_cannot_even_be_read_is_an_error(settings):
    settings.state.mkdir(parents=True)
    with pytest.raises(StateStoreError):
        wiring.open_store_for_reports(settings)


def test_the_validator_has_the_severity_that_is_set(settings):
    (raw, *_) = wiring.source(settings).tasks()
    raw.files["sink.json"] = b'{"password": "in clear"}'
    for severity in Severity:
        found = wiring.validator(severity).examine(raw).violations
        assert [v.severity for v in found if v.rule == "literal-secret"] == [severity]
