"""Secrets that are written out in `reconciler.toml`: allowed, and warned of."""

import pytest

from reconciler.config import load

TARGET = '[targets.default]\nurl = "http://h"\nusername = "u"\npassword = "{}"\n'
GOOD = TARGET.format("${env:OMS}")


@pytest.fixture
def literals(tmp_path):
    def read(text, **environment):
        path = tmp_path / "reconciler.toml"
        path.write_text(text)
        return load(path, environment)

    return read


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        pytest.param(GOOD, (), id="a reference"),
        pytest.param(TARGET.format("a${file:/x}b"), (), id="a reference and more"),
        pytest.param(TARGET.format("sentinel"), ("targets.default.password",), id="a literal"),
        pytest.param(TARGET.format("sent$${inel"), ("targets.default.password",), id="an escaped reference"),
        pytest.param(
            GOOD + '[daemon]\nhttp_listen = "h:1"\nwebhook_secret = "sentinel"\n[desired_state]\nsource = "git"\n',
            ("daemon.webhook_secret",),
            id="webhook",
        ),
        pytest.param(
            GOOD + '[[notify]]\nname = "a"\nurl = "mailto://u:sentinel@h"\n', ("notify.a.url",), id="credentials"
        ),
        pytest.param(GOOD + '[[notify]]\nname = "a"\nurl = "json://127.0.0.1:1"\n', (), id="an address without them"),
        pytest.param(GOOD + '[[notify]]\nname = "a"\nurl = "mailto://u:${env:P}@h"\n', (), id="a referred password"),
    ],
)
def test_a_literal_secret_is_found(literals, text, keys):
    settings = literals(text)
    assert settings.literals == keys
    assert [("sentinel" in said, keys[0] in said) for said in settings.warnings()] == [(False, True) for _ in keys]


def test_a_literal_is_in_the_file_whatever_the_environment_says(literals):
    override = {"RECONCILER_TARGETS__DEFAULT__PASSWORD": "${env:OMS}"}
    assert literals(TARGET.format("sentinel"), **override).literals == ("targets.default.password",)
    assert literals(GOOD, RECONCILER_TARGETS__DEFAULT__PASSWORD="sentinel").literals == ()
    assert literals(GOOD.replace('"${env:OMS}"', "7"), **override).literals == ("targets.default.password",)
