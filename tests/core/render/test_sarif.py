import pytest

from reconciler import resources
from reconciler.core.render import sarif
from reconciler.model import Place, Severity, Violation
from tests import published

RULES = resources.rules()


HERE = Place(4, 16)


def violation(file="shop/sink.json", place=HERE, pointer="/workerNum", rule="schema", **more):
    words = {"severity": Severity.ERROR, "expected": "an integer 1..1024", "found": '"many"'} | more
    return Violation("shop", file, place, pointer, rule, **words)


def logged(*found, folder="desired_state", code=1):
    return sarif.log([(folder, each) for each in found], RULES, "1.2.3", code)


def run(*found, **more):
    (only,) = logged(*found, **more)["runs"]
    return only


def result(*found, **more):
    (only,) = run(*found, **more)["results"]
    return only


def place(*found, **more):
    return result(*found, **more)["locations"][0]["physicalLocation"]


@pytest.mark.parametrize(
    "log",
    [
        pytest.param(logged(), id="nothing found"),
        pytest.param(logged(violation(), violation(rule="heap", severity=Severity.WARNING)), id="some"),
        pytest.param(logged(violation("", None, "")), id="the directory"),
        pytest.param(logged(violation("caf\udce9/sink.json", found='"\u202e"')), id="hidden characters"),
        pytest.param(logged(violation(), folder="/srv/a b"), id="outside"),
        pytest.param(sarif.failure("ConfigError", "no such file", "1.2.3", 64), id="failure"),
    ],
)
def test_log_fits_the_published_schema(log):
    assert published.problems(published.SARIF, log) == []


def test_result_says_what_is_wrong_where_and_how_bad():
    told = result(violation(suggestion="Write a number."))
    assert told["message"]["text"] == '/workerNum: expected an integer 1..1024, found "many". Write a number.'
    assert (told["ruleId"], told["level"]) == ("schema", "error")
    location = told["locations"][0]["physicalLocation"]
    assert location["artifactLocation"] == {"uri": "desired_state/shop/sink.json", "uriBaseId": "%SRCROOT%"}
    assert location["region"] == {"startLine": 4, "startColumn": 16}
    assert told["locations"][0]["logicalLocations"] == [{"fullyQualifiedName": "/workerNum", "kind": "value"}]


def test_rule_index_leads_to_the_rule():
    only = run(violation())
    assert only["tool"]["driver"]["rules"][only["results"][0]["ruleIndex"]]["id"] == "schema"


def test_driver_names_version_and_every_rule():
    driver = run()["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("reconciler", "1.2.3")
    assert [rule["id"] for rule in driver["rules"]] == list(RULES)


@pytest.mark.parametrize("rule", run()["tool"]["driver"]["rules"], ids=lambda rule: rule["id"])
def test_rule_has_every_text_that_github_requires(rule):
    texts = [rule["shortDescription"]["text"], rule["fullDescription"]["text"]]
    assert all(0 < len(text) <= 1024 for text in texts)
    assert rule["help"]["text"]
    assert rule["help"]["markdown"]
    assert rule["defaultConfiguration"]["level"] in ("error", "warning")


def test_setting_that_lowers_a_rule_is_the_level_of_the_result():
    assert result(violation(rule="literal-secret", severity=Severity.WARNING))["level"] == "warning"


def test_columns_count_characters():
    assert run()["columnKind"] == "unicodeCodePoints"


def test_whole_file_is_told_as_its_first_line():
    told = result(violation(place=None, pointer="", rule="missing-file"))
    assert told["locations"][0]["physicalLocation"]["region"] == {"startLine": 1}
    assert "logicalLocations" not in told["locations"][0]


@pytest.mark.parametrize(
    ("folder", "file", "uri"),
    [
        ("desired_state", "shop/sink.json", "desired_state/shop/sink.json"),
        ("", "shop/sink.json", "shop/sink.json"),
        (".", "shop/sink.json", "shop/sink.json"),
        (".", "", "."),
        ("desired_state", "", "desired_state"),
        ("desired_state", "a b/ü#?%/sink.json", "desired_state/a%20b/%C3%BC%23%3F%25/sink.json"),
        (".", "a:b/sink.json", "a%3Ab/sink.json"),
        ("desired_state", "caf\udce9/sink.json", "desired_state/caf%E9/sink.json"),
    ],
)
def test_path_is_a_relative_reference(folder, file, uri):
    artifact = place(violation(file), folder=folder)["artifactLocation"]
    assert artifact == {"uri": uri, "uriBaseId": "%SRCROOT%"}


def test_path_outside_of_the_repository_is_a_whole_address():
    assert place(violation(), folder="/srv/a b")["artifactLocation"] == {"uri": "file:///srv/a%20b/shop/sink.json"}


def test_fingerprint_stays_when_lines_move():
    assert fingerprint(violation()) == fingerprint(violation(place=Place(40, 1), found='"few"'))


@pytest.mark.parametrize("other", [{"rule": "null"}, {"pointer": "/x"}, {"file": "shop/source.json"}], ids=str)
def test_fingerprint_differs_with_rule_place_and_file(other):
    assert fingerprint(violation()) != fingerprint(violation(**other))


def fingerprint(found):
    return result(found)["partialFingerprints"]


def test_text_of_a_file_is_never_a_link():
    text = result(violation(found='"[click](https://example.org)"'))["message"]["text"]
    assert "\\[click\\](https" in text


def test_escape_sequences_are_written_out():
    assert "\\x1b[2J" in result(violation(found="\x1b[2J"))["message"]["text"]


def test_run_with_too_many_results_tells_the_errors_and_how_many_are_left_out():
    some = [violation(rule="heap", severity=Severity.WARNING)] * 2
    only = run(*some, *[violation()] * sarif.MAX_RESULTS)
    assert len(only["results"]) == sarif.MAX_RESULTS
    assert {told["level"] for told in only["results"]} == {"error"}
    (note,) = only["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"].startswith("2 more problems are not listed")


def test_failure_has_no_results_so_that_no_alert_is_closed():
    (only,) = sarif.failure("ConfigError", "reconciler.toml: no such file", "1.2.3", 64)["runs"]
    assert "results" not in only
    (invocation,) = only["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 64)
    (note,) = invocation["toolExecutionNotifications"]
    assert note == {
        "level": "error",
        "message": {"text": "reconciler.toml: no such file"},
        "descriptor": {"id": "ConfigError"},
    }
