from contextlib import closing

import pytest

from reconciler import resources
from reconciler.cli import deposit
from reconciler.core.draft import draft
from reconciler.core.importing import AWAITED, Names, imported
from reconciler.errors import ConfigError
from reconciler.ports import StateStore
from tests.cli.said import opened
from tests.components import EXAMPLES, NAME
from tests.tasks import VALIDATOR


class Taking:
    """A store during whose transaction somebody else makes the directory."""

    def __init__(self, store: StateStore, place) -> None:
        self._store, self._place = store, place

    def adopt(self, *arguments):
        self._store.adopt(*arguments)
        (self._place / "theirs").mkdir(parents=True)

    def __getattr__(self, name):
        return getattr(self._store, name)


def test_a_place_that_was_taken_meanwhile_takes_everything_back(project):
    names = Names("shop/orders", str(project.root / "secrets"))
    made = imported(EXAMPLES["whole"], resources.catalogue(), names, whole=False)
    address = {"dimension": "NAME", "key": NAME, "cmRegion": "r"}
    files = draft("shop/orders", address, made, VALIDATOR, whole=False)
    place = project.desired / "shop/orders"
    wish = deposit.Wish(place, project.root / "secrets", files.task, files.files, made, "why")
    with closing(opened(project)) as store:
        with pytest.raises(ConfigError, match="cannot be written: Directory not empty; nothing was imported"):
            deposit.carry_out(Taking(store, place), wish)
        assert (dict(store.records()), dict(store.notified(AWAITED))) == ({}, {})
    assert [path.name for path in place.parent.rglob("*")] == ["orders", "theirs"]
    assert not (project.root / "secrets").exists()
