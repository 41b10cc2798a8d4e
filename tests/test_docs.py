import re
from pathlib import Path

import pytest

from reconciler import resources
from reconciler.core import rails
from reconciler.core.policy import FORCIBLE
from reconciler.core.status import State
from reconciler.core.validation.findings import RULES

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_every_rule_of_validation_is_documented():
    documented = re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \|$", (ROOT / "docs/rules.md").read_text(), re.MULTILINE)
    assert dict(documented) == {name: rule.reason for name, rule in RULES.items()}


def test_every_state_is_documented():
    text = (ROOT / "docs/operations.md").read_text()
    assert [state.value for state in State if f"`{state.value}`" not in text] == []


def test_every_rail_is_documented_and_how_it_is_forced():
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| (.+) \|$", (ROOT / "docs/rails.md").read_text(), re.MULTILINE))
    assert [name for name in rails.NAMES if name not in rows] == []
    assert {name for name, row in rows.items() if f"--force {name}`" in row} == set(FORCIBLE)


def keys(schema):
    """Names of settings, those inside of tables and lists of tables too."""
    for name, inner in schema.get("properties", {}).items():
        below = [*keys(inner), *keys(inner.get("items", {})), *keys(inner.get("additionalProperties") or {})]
        yield from below or [name]


def test_every_setting_is_in_the_example_of_the_configuration():
    text = (ROOT / "docs/configuration.md").read_text()
    wanted = set(keys(resources.schema("reconciler"))) - {"$schema"}
    assert wanted - set(re.findall(r"^(\w+) = ", text, re.MULTILINE)) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_pages_leads_somewhere(page):
    targets = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_open_points_name_places_that_exist():
    text = (ROOT / "docs/open-points.md").read_text()
    modules = re.findall(r"`((?:core|target)/[\w/]+\.py|attempt\.py)(?:: (\w+))?`", text)
    missing = [
        (module, function) for module, function in modules if function not in (ROOT / "reconciler" / module).read_text()
    ]
    assert modules
    assert missing == []
