import json

from reconciler import resources
from reconciler.core.draft import draft, section_of
from reconciler.core.importing import Names, imported
from reconciler.model import SECTIONS
from tests.tasks import NAME, VALIDATOR

ADDRESS = {"dimension": "NAME", "key": NAME, "cmRegion": "r"}


def drafted(*, whole=False, **sections):
    made = imported({s: sections.get(s, {}) for s in SECTIONS}, resources.catalogue(), Names("shop"), whole=whole)
    return draft("shop", ADDRESS, made, VALIDATOR, whole=whole)


def test_files_are_what_was_judged_and_characters_that_hide_something_are_escaped():
    made = drafted(sink={"note": "a\u202eb", "workerNum": "8"})
    assert made.files["sink.json"] == b'{\n  "note": "a\\u202eb",\n  "workerNum": "8"\n}\n'
    assert {name: json.loads(data) for name, data in made.files.items()} == {
        f"{name}.json": content for name, content in made.documents.items()
    }
    assert made.task.sections["sink"] == made.documents["sink"]


def test_the_whole_may_be_deleted_from():
    made = drafted(whole=True, coordinator={"listenPort": "16001"})
    assert made.documents["task"] == {**ADDRESS, "allowDelete": True, "manage": ["/coordinator/listenPort"]}
    assert made.task.allow_delete


def test_a_key_of_a_component_is_no_slip():
    made = drafted(sink={"workerNumb": "8"}, source={"clients": [{"clientIdd": "c", "clientId": "c"}]})
    assert made.documents["task"]["manage"] == ["/sink/workerNumb", "/source/clients/0/clientIdd"]
    assert made.task is not None


def test_what_else_is_wrong_stays_wrong():
    made = drafted(condition={"whiteCondition": [{"name": "a", "mapp": "b"}]})
    assert made.task is None
    assert [(section_of(one), one.rule) for one in made.violations] == [("condition", "near-miss")]
