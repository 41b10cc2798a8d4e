"""`import` beside a running daemon: nothing is sent, nothing freezes, nobody is told of trouble."""

import json

import pytest

from tests.e2e.daemons import Site
from tests.integration.bench import REGION, SENTINELS, documents, name_of
from tests.repositories import Repo, git_environment


@pytest.fixture
def import_(site, tmp_path_factory):
    """Import the component of a project."""
    outside = tmp_path_factory.mktemp("outside")

    def run(number):
        content = documents(number)
        content["source"]["password"], content["sink"]["password"] = SENTINELS.values()
        copy = outside / f"{number}.json"
        copy.write_text(json.dumps({section: content[section] for section in content if section != "task"}))
        address = ("--task", f"t{number}", "--key", name_of(number), "--region", REGION)
        ended = site.run("import", str(copy), *address, "--secret-files", str(outside / "secrets"))
        assert ended.code == 0, ended
        site.daemons[-1].until(lambda: site.state(f"t{number}"), f"a word about t{number}")

    return run


def is_calm(site: Site):
    """Nothing was called, and every word so far is one about tasks that are well."""
    (daemon,) = site.daemons
    loud = [line for line in daemon.lines if line["level"] in ("warning", "error")]
    return (site.sent, loud, set(site.states.values()), daemon.metric("passes_total", result="frozen")) == (
        [],
        [],
        {"synced"},
        0,
    )


def test_files_that_appear_are_known_before_they_are_seen(site, import_):
    site.configure(policy={"new_tasks": "apply"}, desired_state={"quiet_s": 0})
    site.start()
    for number in range(2):
        import_(number)
        assert is_calm(site)
    site.daemons[-1].look_again()
    assert is_calm(site)
    site.throttle("t1", to=7)
    assert len(site.calls(1)) == 1


def test_files_that_are_not_committed_are_awaited(site, import_):
    site.environment = git_environment(site.root) | site.environment
    site.configure(policy={"new_tasks": "apply"}, desired_state={"source": "git"})
    repo = Repo.make(site.root)
    (site.desired / "README").touch()
    repo.commit("Begin", {".gitignore": "state/\nlog-*\n*.db*\n"})
    site.start()
    for number in range(2):
        import_(number)
        assert is_calm(site)
    site.daemons[-1].look_again()
    assert is_calm(site)
    commit = repo.commit("Import two components")
    site.daemons[-1].says("reads commit", revision=commit)
    site.daemons[-1].look_again()
    assert is_calm(site)
    assert dict(site.store.notified("(imported)")) == {}
