"""Windows on the command line: what they are told of, what is held, and how it is sent all the same."""

from datetime import UTC, datetime

import pytest

from tests.projects import CONFIG, KAFKA, MYSQL

NEVER = '[[policy.windows]]\nname = "never"\nkind = "allow"\ncron = "0 0 29 2 *"\nduration = "1m"\n'
CLOSED = '[[policy.windows]]\nname = "freeze"\nkind = "deny"\ncron = "* * * * *"\nduration = "1m"\n'
OF_SHOP = f'{CLOSED}labels = {{team = "shop"}}\n'


@pytest.fixture
def windows(project):
    """Write windows into the configuration of a project whose every task is known."""
    project.adopted().edit(KAFKA, "sink", workerNum="13")

    def configure(text):
        path = project.root / "reconciler.toml"
        path.write_text(f"{CONFIG.format(url=project.url, **project.config)}\n{text}")
        return project

    return configure


def item(project, task=KAFKA):
    return next(each for each in project.reconciler("plan", "--format", "json").json["items"] if each["task"] == task)


def test_plan_says_which_window_holds_and_that_it_stays_so(windows):
    ended = windows(CLOSED).reconciler("plan")
    assert ended.code == 3
    assert 'window freeze denies calls for 1m from "* * * * *" UTC: no call is possible within a year' in ended.out


def test_plan_says_until_when(windows):
    hour = (datetime.now(UTC).hour + 12) % 24
    found = item(windows(NEVER.replace("0 0 29 2 *", f"7 {hour} * * *")))
    assert (found["rail"], found["until"][10:]) == ("window", f"T{hour:02}:07:00+00:00")


def test_status_says_what_to_do(windows):
    text = windows(CLOSED).reconciler("explain", KAFKA).out
    assert f"{KAFKA} is blocked: window freeze denies calls" in text
    assert "Next: wait until then, or apply --force window --reason TEXT." in text


def test_window_of_a_label_holds_tasks_with_it(windows):
    project = windows(OF_SHOP)
    assert item(project)["rail"] is None
    project.edit(KAFKA, "task", labels={"team": "shop"})
    assert item(project)["rail"] == "window"


def test_apply_sends_nothing_and_a_reason_lifts_the_window(windows):
    project = windows(CLOSED)
    assert (project.reconciler("apply", "--yes").code, project.updates) == (3, ())
    ended = project.reconciler("apply", "--yes", "--force", "window", "--reason", "outage")
    assert (ended.code, len(project.updates)) == (0, 1)
    rows = project.reconciler("history", KAFKA, "--format", "json").json["entries"]
    assert [row["detail"]["forced"] for row in rows if row["kind"] == "intent"] == [["window"]]


# --- validation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ('"0 0 29 2 *"', 'policy.windows.never.cron: expected five fields as in crontab(5), such as "0 22 * * 1-5", found "0 25 * * *" (bad hour)'),
        ('"1m"\n', 'policy.windows.never.duration: expected at most 366d, found "999d"'),
        ('"1m"', 'policy.windows.never.timezone: expected an IANA time zone such as "Europe/Berlin", found "Europe/Berln". Did you mean "Europe/Berlin"?'),
    ],
    ids=["cron", "duration", "timezone"],
)  # fmt: skip
def test_configuration_names_the_window_that_cannot_be(windows, wrong, problem):
    right = {'"0 0 29 2 *"': '"0 25 * * *"', '"1m"\n': '"999d"\n', '"1m"': '"1m"\ntimezone = "Europe/Berln"'}[wrong]
    ended = windows(NEVER.replace(wrong, right)).reconciler("plan")
    assert (ended.code, problem in ended.err) == (64, True)


def test_every_problem_of_the_windows_is_told_at_once(windows):
    both = NEVER.replace("29 2", "31 2") + CLOSED.replace('"1m"', '"1m"\ntimezone = "Mars"')
    error = windows(both).reconciler("status").err
    assert ("policy.windows.never.cron" in error, "policy.windows.freeze.timezone" in error) == (True, True)


def test_windows_need_names_of_their_own(windows):
    error = windows(NEVER + NEVER).reconciler("status").err
    assert "policy.windows.never: expected a name that no other window has, found 2 windows of that name\n" in error


def test_validate_says_where_a_window_of_task_json_is_wrong(project):
    good = {"kind": "allow", "cron": "0 22 * * *", "duration": "8h", "timezone": "Europe/Berlin"}
    project.edit(MYSQL, "task", windows=[good, good | {"timezone": "Europe/Berln"}, good | {"cron": "0 0 31 4 *"}])
    (one, two) = project.reconciler("validate", "--format", "json").json["violations"]
    assert (one["rule"], one["pointer"], one["suggestion"]) == (
        "window",
        "/windows/1/timezone",
        'Did you mean "Europe/Berlin"?',
    )
    assert (two["rule"], two["pointer"], two["expected"]) == (
        "window",
        "/windows/2/cron",
        'five fields as in crontab(5), such as "0 22 * * 1-5"',
    )


@pytest.mark.parametrize(
    "broken",
    [[1], [{}], [{"kind": "allow", "cron": 5, "duration": "x", "timezone": []}], "x", {"kind": "allow"}],
    ids=["number", "empty", "wrong types", "text", "object"],
)
def test_what_is_no_window_at_all_is_for_the_schema(project, broken):
    project.edit(MYSQL, "task", windows=broken)
    found = project.reconciler("validate", "--format", "json").json["violations"]
    assert found
    assert {one["rule"] for one in found} <= {"schema", "missing-member"}
