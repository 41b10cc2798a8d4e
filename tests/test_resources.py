import json

import pytest

from reconciler import resources
from reconciler.model import SECTIONS


def test_there_is_a_schema_for_every_kind_of_file():
    assert {"task", "reset", "reconciler", *SECTIONS} <= set(resources.schema_names())
    assert list(resources.schema_names()) == sorted(resources.schema_names())


@pytest.mark.parametrize("name", resources.schema_names())
def test_every_schema_is_one_of_draft_2020_12(name):
    from jsonschema import Draft202012Validator

    schema = json.loads(resources.schema_text(name))
    assert schema == resources.schema(name)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)


def test_each_caller_has_a_schema_of_its_own():
    resources.schema("task")["title"] = "changed"
    assert resources.schema("task")["title"] != "changed"


def test_a_schema_that_is_not_there_is_an_error():
    with pytest.raises(FileNotFoundError):
        resources.schema_text("nothing")


def test_the_catalogue_knows_the_parameters():
    assert resources.catalogue() is resources.catalogue()
    assert resources.catalogue().is_secret("sink", ("password",), "x")


def test_the_html_report_has_its_texts():
    page = resources.report_page()
    assert page is resources.report_page()
    assert page.template.rstrip().endswith("</html>")
    assert "light-dark(" in page.style
    assert "addEventListener" in page.script
