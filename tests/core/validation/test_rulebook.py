import ast
import json
import re
from pathlib import Path

import pytest

from reconciler import resources
from reconciler.core.validation import rulebook
from reconciler.core.validation.findings import RULES
from tests import tasks

ROOT = Path(__file__).parents[3]
RULEBOOK = resources.rules()
ONE_TASK = re.compile(r"\w+\.json")
TRIED = {
    name: rule
    for name, rule in RULEBOOK.items()
    if all(ONE_TASK.fullmatch(file) for file, _ in rule.wrong + rule.right)
}


def broken(**pieces):
    """Rules that a task breaks which is valid but for these pieces of its files."""
    return {violation.rule for violation in tasks.examine(**pieces).violations}


def laid_over(example):
    """The pieces as documents; one that names a component has no other address."""
    pieces = {file.removesuffix(".json"): json.loads(text) for file, text in example}
    task = pieces.get("task", {})
    if "component" in task and "key" not in task:
        pieces["task"] = json.dumps(task).encode()
    return pieces


def as_bytes(example):
    return {file.removesuffix(".json"): text.encode() for file, text in example}


def test_every_rule_is_explained_and_nothing_else():
    assert set(RULEBOOK) == set(RULES)


POSITIONS = {"Violation": 4} | dict.fromkeys(("Finding", "Fault", "fault", "stop", "_violation", "_whole"), 2)
"""{what makes a violation: which of its arguments is the rule}."""


def rules_in(source):
    """Rules that a module writes out where it makes violations."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            argument = node.args[POSITIONS[name] :][:1] if name in POSITIONS else []
            yield from (each.value for each in argument if isinstance(each, ast.Constant))


def test_every_rule_that_the_program_names_is_explained():
    named = {rule for path in (ROOT / "reconciler").rglob("*.py") for rule in rules_in(path.read_text())}
    assert len(named) > 40
    assert named <= set(RULEBOOK)


@pytest.mark.parametrize("rule", TRIED)
def test_right_example_breaks_no_rule(rule):
    assert broken(**laid_over(RULEBOOK[rule].right)) == set()


@pytest.mark.parametrize("rule", TRIED)
def test_wrong_example_breaks_its_rule(rule):
    wrong = RULEBOOK[rule].wrong
    assert rule in broken(**as_bytes(wrong)) or rule in broken(**laid_over(wrong))


def test_only_rules_about_files_and_bytes_are_shown_in_words():
    assert set(RULEBOOK) - set(TRIED) == {
        *("unreadable", "root-task", "folder-name", "file-name", "missing-file", "empty-file"),
        *("too-large", "not-utf8", "bom", "too-deep", "address-clash", "defect", "reset-request"),
        *("fleet-source-id", "fleet-sink-table", "fleet-throttle-cap", "fleet-worker-cap"),
    }


@pytest.mark.parametrize("rule", RULEBOOK)
def test_meaning_fits_what_code_hosts_show(rule):
    assert 20 < len(RULEBOOK[rule].meaning) <= 1024
    assert RULEBOOK[rule].meaning.isprintable()
    assert RULEBOOK[rule].lift.endswith((".", "]."))


def test_terminal_text_holds_everything_about_a_rule():
    text = rulebook.text(RULEBOOK["near-miss"])
    assert text.startswith("near-miss (error): a misspelt key is ignored by the component without a word\n\n")
    assert 'Wrong:\n    sink.json: {"workerNums": "16"}\nRight:\n    sink.json: {"workerNum": "16"}\n' in text
    assert text.endswith('"manage": ["/sink/workerNums"].')


def test_a_warning_has_nothing_to_lift_and_an_error_is_mended():
    assert "keeps nothing from being sent" in RULEBOOK["heap"].lift
    assert "mend the file" in RULEBOOK["null"].lift


def test_markdown_shows_brackets_and_underscores_of_a_paragraph_as_they_are():
    assert '"manage": \\["/sink/workerNums"\\].' in rulebook.markdown(RULEBOOK["near-miss"])


def test_data_holds_the_same():
    assert rulebook.data(RULEBOOK["file-name"]) == {
        "id": "file-name",
        "severity": "warning",
        "reason": RULES["file-name"].reason,
        "meaning": RULEBOOK["file-name"].meaning,
        "wrong": {"": "desired_state/shop/sinks.json"},
        "right": {"": "desired_state/shop/sink.json"},
        "lift": RULEBOOK["file-name"].lift,
    }


def test_the_page_of_the_documentation_is_the_one_that_is_written():
    page = ROOT / "docs" / "rules.md"
    assert page.read_text(encoding="utf-8") == rulebook.page(RULEBOOK), "run scripts/rules.py"
