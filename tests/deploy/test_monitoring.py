"""Dashboard, alerts and documentation speak of the metrics that exist, by the labels that they have."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from reconciler.core.status import State, TaskStatus
from reconciler.events import TOPICS, CallEnded, Notice, StateChanged, Vitals
from reconciler.logs.lines import line_of
from reconciler.metrics import (
    CAUSES,
    FETCHES,
    HOOKS,
    LEVELS,
    NOTIFICATIONS,
    OUTCOMES,
    PROBLEMS,
    RESULTS,
    TROUBLES,
    Metrics,
)
from reconciler.model import Stage
from tests.logs.examples import EXAMPLES, changed

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/monitoring.md").read_text()
DASHBOARD = json.loads((ROOT / "deploy/grafana-dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
RULES = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus-alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
QUERIES = [
    *((panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]),
    *((rule["alert"], rule["expr"]) for rule in RULES),
]
FROM_PROMETHEUS = {"job", "instance"}
VALUES = {
    "state": {state.value for state in State},
    "result": set(RESULTS),
    "cause": set(CAUSES),
    "outcome": {*OUTCOMES, *NOTIFICATIONS, *FETCHES, *HOOKS},
    "level": set(LEVELS),
    "topic": set(TOPICS),
    "kind": {*TROUBLES, *PROBLEMS},
    "stage": {stage.value for stage in Stage},
}
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[A-Za-z_:][A-Za-z0-9_:]*|=~|!~|!=|[0-9.]+|\S')
WORDS = {"and", "or", "unless", "bool", "offset", "on", "ignoring", "group_left", "group_right", "by", "without"}
FUNCTIONS = {"sum", "min", "max", "absent", "increase", "rate", "time", "histogram_quantile"}


def exported():
    """Families of a daemon to which everything happened once."""
    now = datetime.now(UTC)
    metrics = Metrics(lambda: Vitals("", "", {}, 0, 0, 0.0, 0, 0, now, now, {"default": ""}, "r"), "1.2.3")
    status = TaskStatus("t", State.FAILED, None, "", "", None, "", None, None)
    metrics(CallEnded("t", "default", "update", "accepted", 0.1, "c", "r", "p"))
    metrics(StateChanged(status, None, {}, "digest"))
    metrics(Notice("info", "git", "text"))
    metrics.notification("mail", "sent")
    return list(text_string_to_metric_families(metrics.render("")[0].decode()))


FAMILIES = exported()
LABELS = {sample.name: set(sample.labels) for family in FAMILIES for sample in family.samples} | {"up": set()}


def selectors(expression):
    """`([(metric, [(label, value)])], {label grouped by})` of a PromQL expression."""
    tokens = TOKEN.findall(expression)
    metrics, grouped, at = [], set(), 0
    while at < len(tokens):
        token = tokens[at]
        if token in ("by", "without"):
            end = tokens.index(")", at)
            grouped |= {each for each in tokens[at + 2 : end] if each != ","}
            at = end
        elif token == "{":
            end = tokens.index("}", at)
            inner = tokens[at + 1 : end]
            metrics[-1][1].extend((inner[i], inner[i + 2].strip('"')) for i in range(0, len(inner), 4))
            at = end
        elif re.match(r"[A-Za-z_:]", token) and token not in WORDS:
            if at + 1 < len(tokens) and tokens[at + 1] in ("(", "by"):
                assert token in FUNCTIONS, token
            else:
                metrics.append((token, []))
        at += 1
    return metrics, grouped


def test_the_tokenizer_finds_what_an_expression_asks_for():
    found = selectors('sum by (a, b) (rate(x_total{c=~"d|e",f!="g"}[5m])) / time() > 0.5 or absent(up{job="r"})')
    assert found == ([("x_total", [("c", "d|e"), ("f", "g")]), ("up", [("job", "r")])], {"a", "b"})


@pytest.mark.parametrize(("where", "expression"), QUERIES, ids=[where for where, _ in QUERIES])
def test_every_query_asks_for_metrics_and_labels_that_exist(where, expression):
    metrics, grouped = selectors(expression)
    assert metrics
    for name, matchers in metrics:
        assert name in LABELS, f"{where}: no metric {name}"
        known = LABELS[name] | FROM_PROMETHEUS
        assert {label for label, _ in matchers} | grouped <= known, f"{where}: {name} has {known}"


@pytest.mark.parametrize(("where", "expression"), QUERIES, ids=[where for where, _ in QUERIES])
def test_every_query_asks_for_values_that_occur(where, expression):
    for _, matchers in selectors(expression)[0]:
        for label, value in matchers:
            if label in VALUES:
                assert set(value.split("|")) <= VALUES[label], where


def test_every_metric_is_on_the_dashboard():
    shown = {name for title, query in QUERIES[: len(QUERIES) - len(RULES)] for name, _ in selectors(query)[0]}
    missing = [
        family.name for family in FAMILIES if not shown & {family.name, *(sample.name for sample in family.samples)}
    ]
    assert missing == ["reconciler_process_virtual_memory_bytes"]  # says little: threads reserve much and use little


def test_panels_do_not_overlap_and_say_what_they_mean():
    taken = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert [panel["title"] for panel in PANELS if not panel["description"]] == []


def test_the_dashboard_takes_any_data_source():
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert DASHBOARD["schemaVersion"] >= 36
    used = [each["datasource"] for panel in PANELS for each in (panel, *panel["targets"])]
    used += [each["datasource"] for each in variables.values() if each["type"] == "query"]
    assert {each["uid"] for each in used} == {"${datasource}"}
    assert "id" not in DASHBOARD


def test_variables_of_the_dashboard_come_from_labels_that_exist():
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            name, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()
            assert label in LABELS[name] | FROM_PROMETHEUS
            assert variable["query"]["query"] == variable["definition"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_says_how_bad_it_is_and_what_to_do(rule):
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description"}
    assert len(rule["annotations"]["description"]) > 60
    assert re.fullmatch(r"[0-9]+[mh]", rule.get("for", "0m"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_labels_in_the_text_of_an_alert_are_there(rule):
    metrics, grouped = selectors(rule["expr"])
    left = grouped or set.union(*(LABELS[name] for name, _ in metrics), FROM_PROMETHEUS)
    used = re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"]))
    assert set(used) <= left


def table(heading):
    """Rows of the table that follows a heading, cell by cell."""
    section = PAGE.split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row] for row in rows]


def test_every_metric_is_documented_with_type_and_labels_and_no_other():
    documented = {row[0].strip("`"): (row[1], set(re.findall(r"`(\w+)`", row[2]))) for row in table("## Metrics")}
    there = {
        f"{family.name}_total" if family.type == "counter" else family.name: (
            family.type,
            set(family.samples[0].labels) - {"le"},
        )
        for family in FAMILIES
    }
    assert documented == there


@pytest.mark.parametrize(
    "value", sorted({*CAUSES, *RESULTS, *OUTCOMES, *TROUBLES, *TOPICS, *NOTIFICATIONS, *PROBLEMS, *FETCHES, *HOOKS})
)
def test_every_value_of_a_label_is_documented(value):
    assert f"`{value}`" in "".join(row[3] for row in table("## Metrics"))


def test_every_alert_is_documented_with_its_severity_and_no_other():
    documented = {row[0].strip("`"): row[1] for row in table("## Alerts")}
    assert documented == {rule["alert"]: rule["labels"]["severity"] for rule in RULES}


def test_every_field_of_a_log_line_is_documented():
    documented = {name for row in table("### Fields") for name in re.findall(r"`(\w+)`", row[0])}
    lines = [line_of(event) for event in (*EXAMPLES, changed(State.SYNCED, ticket=7, request_id="abc"))]
    assert {name for line in lines for name in line.fields()} - documented == set()


def test_every_kind_of_log_line_is_documented():
    documented = re.findall(r"`([\w-]+)`", table("### Fields")[0][1])
    assert {line_of(event).kind for event in EXAMPLES} | {"library", "left-out"} == set(documented)
