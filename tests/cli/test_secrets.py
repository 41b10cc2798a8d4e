"""Secrets as an operator meets them: rotated, renamed, missing; in every report and never in clear."""

import pytest

from tests.projects import MYSQL

OLD, NEW = "sentinel-before", "sentinel-after"
PLACES = {
    "a secret": ("sink", "password"),
    "a key that is no secret": ("sink", "username"),
    "inside an address": ("sink", "jdbcUrl"),
}


class Vault:
    """Where a value is kept, for one scheme of references."""

    def __init__(self, scheme, folder, monkeypatch):
        self._scheme, self._folder, self._monkeypatch = scheme, folder, monkeypatch
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))

    def put(self, name, value):
        if self._scheme == "env":
            self._monkeypatch.setenv(name, value)
        else:
            (self._folder / name).write_text(f"{value}\n")

    def take(self, name):
        if self._scheme == "env":
            self._monkeypatch.delenv(name)
        else:
            (self._folder / name).unlink()

    def reference(self, name):
        found = {"env": name, "file": str(self._folder / name), "credential": name}
        return f"${{{self._scheme}:{found[self._scheme]}}}"


@pytest.fixture(params=["env", "file", "credential"])
def vault(request, tmp_path, monkeypatch):
    (tmp_path / "vault").mkdir()
    return Vault(request.param, tmp_path / "vault", monkeypatch)


@pytest.fixture
def known(project, vault):
    """A task of which one value is a reference, adopted."""

    def known(place="a secret"):
        file, key = PLACES[place]
        vault.put("ONE", OLD)
        text = "jdbc:oceanbase://10.0.0.21:2883?x={}" if key == "jdbcUrl" else "{}"
        project.edit(MYSQL, file, **{key: text.format(vault.reference("ONE"))})
        project.edit(MYSQL, "task", allow=["/sink"])
        return project.adopted()

    return known


@pytest.mark.parametrize("place", PLACES)
def test_a_rotated_secret_is_a_change_and_shown_as_such(known, vault, place):
    project = known(place)
    vault.put("ONE", NEW)
    for format_ in ("text", "json", "markdown", "html"):
        ended = project.reconciler("plan", MYSQL, "--format", format_)
        assert ended.code == 2
        assert "«secret changed»" in ended.out
        assert OLD not in ended.out + ended.err
        assert NEW not in ended.out + ended.err


def test_another_reference_to_an_equal_value_is_no_change(known, vault):
    project = known()
    vault.put("TWO", OLD)
    project.edit(MYSQL, "sink", password=vault.reference("TWO"))
    ended = project.reconciler("plan", MYSQL)
    assert ended.code == 0


def test_a_reference_that_leads_nowhere_is_named_and_holds_its_task(known, vault):
    project = known()
    vault.take("ONE")
    ended = project.reconciler("plan", MYSQL, "--format", "json")
    (item,) = ended.json["items"]
    assert (ended.code, item["action"], item["rail"]) == (3, "blocked", "secret")
    assert vault.reference("ONE") in item["reason"]
    assert OLD not in ended.out + ended.err


def test_a_literal_password_of_the_configuration_is_warned_of(project):
    config = project.root / "reconciler.toml"
    config.write_text(config.read_text().replace("${env:OMS_PASSWORD}", "sentinel-of-oms"))
    ended = project.reconciler("validate")
    assert ended.code == 0
    assert ended.err.startswith("reconciler.toml: targets.default.password: a secret that is written out")
    assert "sentinel" not in ended.err + ended.out
