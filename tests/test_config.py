import re
import tomllib
from pathlib import Path

import pytest

from reconciler import resources
from reconciler.config import ChannelConfig, DaemonConfig, TargetConfig, load
from reconciler.core.edges import DEFAULT_STATES
from reconciler.core.policy import Mode, NewTasks, Policy
from reconciler.core.status import State
from reconciler.errors import ConfigError
from reconciler.model import Cap, Limits, Severity, Window

NO_RESETS = "allow_reset is false: resets of it are shown and never carried out"
TARGET = """
[targets.default]
url = "http://127.0.0.1:8089"
username = "admin"
password = "${env:OMS_PASSWORD}"
"""
EVERYTHING = """
"$schema" = "schemas/reconciler.schema.json"

[desired_state]
path = "tasks"
source = "git"
ref = "release"
remote = "origin"
fetch_s = 30
require_signed = true
allowed_signers = "signers"
quiet_s = 1.0
max_wait_s = 10

[state]
url = "sqlite:///var/reconciler.db"

[policy]
mode = "observe"
new_tasks = "adopt"
verify_s = 12.5
literal_secrets = "warning"
approve_deletions = true
checkpoint_max_age_s = 90

[policy.limits]
removed_keys = 0.2
changed_keys = 0.4
tasks = 0.5
keys_floor = 7
tasks_floor = 8

[[policy.windows]]
name = "nights"
kind = "allow"
cron = "0 22 * * 1-5"
duration = "8h"
timezone = "Europe/Berlin"
labels = {team = "shop"}

[[fleet.caps]]
host = "db.example:2883"
throttle_rps = 50000
workers = 48

[targets.default]
url = "https://oms.example:8089/"
username = "admin"
password = "${credential:oms}"
edition = "EE"
version = "4.3.1-CP2"
max_concurrent = 5
min_update_interval_s = 60
stop_after_failures = 5
requests_per_s = 7.5
allow_reset = true
log_retention_h = 72
ca_file = "certs/oms.pem"

[targets.Eu-West]
url = "http://127.0.0.1:8089"
username = "x"
password = "literal"

[daemon]
resync_s = 300
http_listen = "127.0.0.1:9"
webhook_secret = "${env:HOOK}"
poll_s = 30
history_days = 90
log_format = "json"
log_level = "debug"

[[notify]]
name = "on-call"
url = "${env:CHAT_URL}"

[[notify]]
name = "shop"
url = "mailtos://shop:literal@mail.example"
states = ["failed", "synced"]
labels = {team = "shop"}
"""


@pytest.fixture
def settings(tmp_path):
    def settings(text=TARGET, **environment):
        path = tmp_path / "reconciler.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(path, environment)

    return settings


@pytest.fixture
def problems(settings, tmp_path):
    """Lines of the error, less the path in front of each."""

    def problems(text=TARGET, **environment):
        with pytest.raises(ConfigError) as raised:
            settings(text, **environment)
        lines = str(raised.value).split("\n")
        start = f"{tmp_path}/reconciler.toml: "
        assert all(line.startswith(start) for line in lines)
        return [line.removeprefix(start) for line in lines]

    return problems


def places(lines):
    return [line.split(": ")[0] for line in lines]


# --- what is accepted ------------------------------------------------------------------------------------------------


def test_everything_that_can_be_said_is_read(settings, tmp_path):
    found = settings(EVERYTHING)
    assert (found.desired_state, found.state) == (tmp_path / "tasks", tmp_path / "var" / "reconciler.db")
    git = found.git
    assert (git.ref, git.remote, git.fetch_s, git.require_signed) == ("release", "origin", 30, True)
    assert git.allowed_signers == tmp_path / "signers"
    assert found.policy == Policy(
        Mode.OBSERVE,
        NewTasks.ADOPT,
        targets={"default": "EE", "Eu-West": "CE"},
        concurrent={"default": 5, "Eu-West": 2},
        intervals={"default": 60, "Eu-West": 0},
        limits=Limits(0.2, 0.4, 0.5, 7, 8),
        windows=(Window("nights", True, "0 22 * * 1-5", 8 * 3600, "Europe/Berlin", (("team", "shop"),)),),
        approve_deletions=True,
        resets={"default": "", "Eu-West": NO_RESETS},
        retention_s={"default": 72 * 3600.0, "Eu-West": 168 * 3600.0},
        stop_after={"default": 5, "Eu-West": 3},
        checkpoint_max_age_s=90,
    )
    assert (found.verify_s, found.literal_secrets) == (12.5, Severity.WARNING)
    assert (found.checkpoint_max_age_s, found.caps) == (90, (Cap("db.example:2883", 50_000, 48),))
    certificates = str(tmp_path / "certs" / "oms.pem")
    assert found.targets["default"] == TargetConfig(
        "default",
        "https://oms.example:8089/",
        "admin",
        "${credential:oms}",
        "EE",
        "4.3.1-CP2",
        5,
        60,
        5,
        7.5,
        certificates,
    )
    assert found.daemon == DaemonConfig(1.0, 10, 300, "127.0.0.1:9", "${env:HOOK}", 30, 90, "json", "debug")
    assert found.notify == (
        ChannelConfig("on-call", "${env:CHAT_URL}", DEFAULT_STATES, {}),
        ChannelConfig(
            "shop", "mailtos://shop:literal@mail.example", frozenset({State.FAILED, State.SYNCED}), {"team": "shop"}
        ),
    )


def test_the_example_above_names_every_key_of_the_schema():
    def keys(schema):
        for name, inner in schema.get("properties", {}).items():
            yield name
            yield from keys(inner)
            yield from keys(inner.get("additionalProperties") or {})
            yield from keys(inner.get("items") or {})

    def named(table):
        for name, value in table.items():
            yield name
            for inner in value if isinstance(value, list) else [value]:
                yield from named(inner) if isinstance(inner, dict) else ()

    assert set(keys(resources.schema("reconciler"))) <= set(named(tomllib.loads(EVERYTHING)))


def test_a_target_is_enough(settings, tmp_path):
    found = settings()
    assert (found.desired_state, found.state) == (tmp_path / "desired_state", tmp_path / "state" / "reconciler.db")
    assert found.policy == Policy(
        Mode.AUTO,
        NewTasks.HOLD,
        targets={"default": "CE"},
        concurrent={"default": 2},
        intervals={"default": 0},
        resets={"default": NO_RESETS},
        retention_s={"default": 168 * 3600.0},
        stop_after={"default": 3},
    )
    assert (found.verify_s, found.literal_secrets) == (30, Severity.ERROR)
    assert found.targets["default"] == TargetConfig(
        "default", "http://127.0.0.1:8089", "admin", "${env:OMS_PASSWORD}", "CE", "4.2.5", 2, 0, 3, 20, ""
    )
    assert found.daemon == DaemonConfig(1.0, 10.0, 600, "127.0.0.1:8484", "", 0, 400, "auto", "info")
    assert found.notify == ()


def test_paths_start_at_the_file_wherever_one_stands(tmp_path, monkeypatch):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "reconciler.toml").write_text(TARGET)
    monkeypatch.chdir(tmp_path)
    found = load(Path("etc/reconciler.toml"), {})
    assert found.desired_state == Path("etc/desired_state")  # short in messages, and right from here
    assert found.state == tmp_path / "etc" / "state" / "reconciler.db"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///a/b.db", "{here}/a/b.db"),
        ("sqlite:////srv/b.db", "/srv/b.db"),
        ("sqlite:///../b.db", "{here}/../b.db"),
    ],
)
def test_a_database_is_relative_with_three_slashes_and_absolute_with_four(settings, tmp_path, url, path):
    assert str(settings(f'{TARGET}\n[state]\nurl = "{url}"').state) == path.format(here=tmp_path)


def test_absolute_paths_stay(settings):
    text = TARGET + 'ca_file = "/etc/oms.pem"\n[desired_state]\npath = "/srv/tasks"'
    assert settings(text).desired_state == Path("/srv/tasks")
    assert settings(text).targets["default"].ca_file == "/etc/oms.pem"


def test_a_password_is_not_shown_by_its_settings(settings):
    found = settings(EVERYTHING)
    assert "literal" not in repr((found.targets["Eu-West"], found.notify))


# --- the environment -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "look", "value"),
    [
        ("POLICY__MODE", "observe", lambda s: s.policy.mode, Mode.OBSERVE),
        ("POLICY__NEW_TASKS", "apply", lambda s: s.policy.new_tasks, NewTasks.APPLY),
        ("POLICY__VERIFY_S", "7", lambda s: s.verify_s, 7),
        ("POLICY__VERIFY_S", "0.25", lambda s: s.verify_s, 0.25),
        ("DESIRED_STATE__PATH", "/srv/tasks", lambda s: s.desired_state, Path("/srv/tasks")),
        ("STATE__URL", "sqlite:////srv/x.db", lambda s: s.state, Path("/srv/x.db")),
        ("TARGETS__DEFAULT__VERSION", "4.3", lambda s: s.targets["default"].version, "4.3"),
        ("TARGETS__DEFAULT__MAX_CONCURRENT", "9", lambda s: s.targets["default"].max_concurrent, 9),
        ("TARGETS__DEFAULT__ALLOW_RESET", "False", lambda s: len(s.targets), 2),
        ("TARGETS__DEFAULT__PASSWORD", "12345", lambda s: s.targets["default"].password, "12345"),
        ("TARGETS__EU_WEST__USERNAME", "y", lambda s: s.targets["Eu-West"].username, "y"),
        ("TARGETS__EU-WEST__USERNAME", "y", lambda s: s.targets["Eu-West"].username, "y"),
    ],
)
def test_a_variable_overrides_a_key_and_has_its_type(settings, name, text, look, value):
    found = look(settings(EVERYTHING, **{f"RECONCILER_{name}": text}))
    assert (found, type(found)) == (value, type(value))


def test_variables_can_make_a_target(settings):
    values = {"URL": "http://h", "USERNAME": "u", "PASSWORD": "p"}
    variables = {f"RECONCILER_TARGETS__SOUTH__{key}": value for key, value in values.items()}
    assert settings("", **variables).targets["south"].url == "http://h"


def test_of_two_targets_the_one_of_just_that_name_is_meant(settings):
    text = TARGET.replace("default", "a-b") + TARGET.replace("default", "a_b")
    targets = settings(text, RECONCILER_TARGETS__A_B__USERNAME="y").targets
    assert (targets["a-b"].username, targets["a_b"].username) == ("admin", "y")


def test_the_environment_of_the_process_counts(tmp_path, monkeypatch):
    (tmp_path / "reconciler.toml").write_text(TARGET)
    monkeypatch.setenv("RECONCILER_POLICY__MODE", "observe")
    assert load(tmp_path / "reconciler.toml").policy.mode is Mode.OBSERVE


def test_variables_of_other_programs_are_left_alone(settings):
    settings(RECONCILER_HOME="/srv", RECONCILER_VERSION="1", OTHER__KEY="x", _RECONCILER_COMPLETE="bash_source")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("POLICY__MODES", 'unknown key policy.modes. Did you mean "mode"?'),
        ("POLICYS__MODE", 'unknown key policys.mode. Did you mean "policy"?'),
        (
            "DAEMON__X",
            "unknown key daemon.x. Known here: history_days, http_listen, log_format, log_level, poll_s, resync_s, webhook_secret",
        ),
        ("NOTIFY__ON_CALL__URL", "unknown key notify.on_call.url."),
        ("POLICY__MODE__X", "unknown key policy.mode.x."),
        (
            "POLICY____MODE",
            "unknown key policy..mode. Known here: approve_deletions, checkpoint_max_age_s, limits, literal_secrets, mode, new_tasks, verify_s, windows",
        ),
        ("POLICY_MODE", "expected two underscores between section and key, found one"),
        ("STATE_URL", "expected two underscores between section and key, found one"),
    ],
)
def test_a_variable_that_means_no_key_is_an_error(problems, name, problem):
    assert problems(**{f"RECONCILER_{name}": "auto"}) == [f"RECONCILER_{name} in the environment: {problem}"]


def test_an_unknown_key_of_a_target_makes_no_target(problems):
    (line,) = problems(RECONCILER_TARGETS__SOUTH__URI="http://h")
    assert 'unknown key targets.south.uri. Did you mean "url"?' in line


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("POLICY__VERIFY_S", "soon", 'policy.verify_s: expected a number 0..86400, found "soon"'),
        ("POLICY__VERIFY_S", "1e3", 'policy.verify_s: expected a number 0..86400, found "1e3"'),
        (
            "TARGETS__DEFAULT__MAX_CONCURRENT",
            "1.5",
            "targets.default.max_concurrent: expected an integer 1..1000, found 1.5",
        ),
        (
            "TARGETS__DEFAULT__MAX_CONCURRENT",
            "9" * 5000,
            "targets.default.max_concurrent: expected an integer 1..1000, found ",
        ),
        (
            "TARGETS__DEFAULT__ALLOW_RESET",
            "yes",
            'targets.default.allow_reset: expected true or false, without quotes, found "yes"',
        ),
        ("TARGETS__DEFAULT", "x", 'targets.default: expected a table, found "x"'),
    ],
)
def test_a_value_of_the_environment_is_checked_as_one_of_the_file(problems, name, text, problem):
    (line,) = problems(**{f"RECONCILER_{name}": text})
    assert line.startswith(problem)


def test_a_variable_below_what_is_no_table_is_no_crash(problems):
    assert places(problems(TARGET + "\n[policy]\n".replace("[policy]", ""), RECONCILER_TARGETS__DEFAULT__X="1")) == [
        "RECONCILER_TARGETS__DEFAULT__X in the environment"
    ]
    assert problems("policy = 3\n" + TARGET, RECONCILER_POLICY__MODE="auto") == ["policy: expected a table, found 3"]


# --- what is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[polcy]\nmode = "auto"', 'polcy: expected one of desired_state, state, policy, fleet, targets, daemon, notify, found "polcy". Did you mean "policy"?'),
        ("[daemon]\nresync = 5", 'daemon.resync: expected one of resync_s, http_listen, webhook_secret, poll_s, history_days, log_format, log_level, found "resync"'),
        ("[policy]\nnewtasks = 1", 'policy.newtasks: expected one of mode, new_tasks, verify_s, literal_secrets, approve_deletions, checkpoint_max_age_s, limits, windows, found "newtasks". Did you mean "new_tasks"?'),
        ('[policy]\nmode = "autom"', 'policy.mode: expected one of "auto", "approve", "observe", found "autom". Did you mean "auto"?'),
        ("[policy]\nverify_s = -1", "policy.verify_s: expected a number 0..86400, found -1"),
        ("[policy]\nverify_s = nan", "policy.verify_s: expected a number 0..86400, found a date, a time or no number"),
        ("[policy]\nverify_s = inf", "policy.verify_s: expected a number 0..86400, found a date, a time or no number"),
        ("[policy]\nverify_s = true", "policy.verify_s: expected a number 0..86400, found true"),
        ("[policy]\nverify_s = 2026-11-20", "policy.verify_s: expected a number 0..86400, found a date, a time or no number"),
        ("[desired_state]\npath = 10:00:00", "desired_state.path: expected a path, found a date, a time or no number"),
        ('[desired_state]\npath = ""', 'desired_state.path: expected a path, found ""'),
        ("[desired_state]\npath = [1]", "desired_state.path: expected a path, found a list"),
        ('[desired_state]\nsource = "svn"', 'desired_state.source: expected "directory" or "git", found "svn"'),
        ('[state]\nurl = "postgres://h/db"', 'state.url: expected an address such as "sqlite:///state/reconciler.db", found "postgres://h/db"'),
        ('[state]\nurl = "sqlite:///"', 'state.url: expected an address such as "sqlite:///state/reconciler.db", found "sqlite:///"'),
        ("[daemon]\nresync_s = 0", "daemon.resync_s: expected a number 1..86400, found 0"),
        ('[daemon]\nhttp_listen = "localhost"', 'daemon.http_listen: expected host:port, or an empty text, found "localhost"'),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_what_was_expected_and_found(problems, text, problem):
    assert problems(f"{TARGET}\n{text}") == [problem]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("max_concurrent = 0", "targets.default.max_concurrent: expected an integer 1..1000, found 0"),
        ("max_concurrent = 2.5", "targets.default.max_concurrent: expected an integer 1..1000, found 2.5"),
        ("allow_reset = 1", "targets.default.allow_reset: expected true or false, without quotes, found 1"),
        ("log_retention_h = 0", "targets.default.log_retention_h: expected a number above 0, up to 87600, found 0"),
        ('version = "latest"', 'targets.default.version: expected a version such as "4.2.5", found "latest"'),
        (
            "version = 4.2",
            'targets.default.version: expected a version such as "4.2.5", found 4.2. Write it in quotes.',
        ),
        ('edition = "ce"', 'targets.default.edition: expected "CE" or "EE", found "ce". Did you mean "CE"?'),
        ('passwd = "sentinel"', "targets.default.passwd: expected one of "),
    ],
)
def test_what_is_wrong_with_a_target_is_named(problems, line, problem):
    (found,) = problems(TARGET + line)
    assert found.startswith(problem)
    assert "sentinel" not in found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('name = "on call"', 'notify.0.name: expected a name of letters, digits, "_" and "-", found "on call"'),
        ('name = "a"\nstates = ["faild"]', 'notify.a.states.0: expected one of "synced", "out-of-sync", "applying", "verifying", "unconfirmed", "failed", "blocked", "suspended", "invalid", "orphaned", found "faild". Did you mean "failed"?'),
        ('name = "a"\nstates = []', 'notify.a.states: expected a list of states such as ["failed", "invalid"], found a list'),
        ('name = "a"\nlabels = {team = 3}', "notify.a.labels.team: expected text, found 3. Write it in quotes."),
        ('name = "a"\nlabel = {}', 'notify.a.label: expected one of name, url, states, labels, found "label". Did you mean "labels"?'),
        ("", 'notify.0: expected the member "name", found an object without it'),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_channel_is_named(problems, text, problem):
    assert problems(f'{TARGET}\n[[notify]]\nurl = "x"\n{text}') == [problem]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("notify = 3\n" + TARGET, "notify: expected a list of tables, found 3. Write [[notify]] above each, with two brackets."),
        ("notify = [3]\n" + TARGET, "notify.0: expected a table, found 3"),
        (TARGET + '[notify]\nname = "a"', "notify: expected a list of tables, found an object. Write [[notify]] above each, with two brackets."),
        (TARGET + '[[notify]]\nname = "a"', 'notify.a: expected the member "url", found an object without it'),
    ],
)  # fmt: skip
def test_what_is_no_channel_is_named(problems, text, problem):
    assert problems(text) == [problem]


def test_two_channels_of_one_name_are_an_error(problems):
    text = "".join(f'[[notify]]\nname = "{name}"\nurl = "x"\n' for name in ("a", "b", "a"))
    expected = "notify.a: expected a name that no other channel has, found 2 channels of that name"
    assert problems(TARGET + text) == [expected]


@pytest.mark.parametrize(
    "lines",
    [
        ['url = ["json://sentinel"]'],
        ['url = {value = "json://sentinel"}'],
        ["url = 7007007007007"],
        ['url = "${sentinel}"'],
        ['url = "json://${env:sentinel"'],
        ['url = "x"', 'states = ["json://sentinel"]'],
        ['url = "x"', 'labels = "json://sentinel"'],
    ],
)
def test_no_message_holds_the_address_of_a_channel(problems, lines):
    (found,) = problems("\n".join([TARGET, "[[notify]]", 'name = "chat"', *lines]))
    assert found.startswith("notify.chat.")
    assert not {"sentinel", "7007007007007"} & set(re.findall(r"\w+", found))


@pytest.mark.parametrize("missing", ["url", "username", "password"])
def test_a_target_needs_an_address_and_an_account(problems, missing):
    text = "".join(line for line in TARGET.splitlines(keepends=True) if not line.startswith(missing))
    assert problems(text) == [f'targets.default: expected the member "{missing}", found an object without it']


@pytest.mark.parametrize("text", ["", "[targets]"])
def test_there_must_be_a_target(problems, text):
    assert len(problems(text)) == 1


def test_all_problems_are_named_at_once(problems):
    text = '[policy]\nmode = "x"\nmood = 1\n[state]\nurl = 3\n[targets.default]\nurl = "ftp://h"\nusername = ""\nedition = "X"'
    found = places(problems(text, RECONCILER_DAEMON__X="1"))
    assert sorted(found) == sorted(
        [
            "RECONCILER_DAEMON__X in the environment",
            "policy.mode",
            "policy.mood",
            "state.url",
            "targets.default",
            "targets.default.url",
            "targets.default.username",
            "targets.default.edition",
        ]
    )


@pytest.mark.parametrize(
    "line",
    [
        'url = "http://admin:sentinel@oms:8089"',
        'url = "sentinel://user:sentinel@"',
        "password = 7007007007007",
        'password = ["sentinel"]',
        'password = {value = "sentinel"}',
        'password = "${sentinel}"',
        'password = "${sentinel"',
        'password = "${env:sentinel-1}"',
    ],
)
def test_no_message_holds_a_secret(problems, line):
    key = line.split()[0]
    text = "".join(line for line in TARGET.splitlines(keepends=True) if not line.startswith(key)) + line
    (found,) = problems(text)
    assert found.startswith(f"targets.default.{key}")
    assert "sentinel" not in found
    assert "7007" not in found


def test_credentials_in_the_address_of_the_database_are_not_shown(problems):
    assert "sentinel" not in problems(TARGET + '[state]\nurl = "postgresql://u:sentinel@h/db"')[0]


def test_a_password_may_hold_an_escaped_reference(settings):
    text = TARGET.replace("${env:OMS_PASSWORD}", "a$${b")
    assert settings(text).targets["default"].password == "a$${b"


# --- what this release does not carry out ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[daemon]\nwebhook_secret = "x"', 'daemon.webhook_secret: expected desired_state.source = "git" as well: for a directory nothing is fetched'),
        ('[desired_state]\nsource = "git"\n[daemon]\nwebhook_secret = "x"\nhttp_listen = ""', "daemon.webhook_secret: expected daemon.http_listen as well, found it turned off: nobody could call it"),
    ],
)  # fmt: skip
def test_what_is_not_carried_out_is_refused_rather_than_ignored(problems, text, problem):
    assert problems(TARGET + text) == [problem]


def test_calls_and_deletions_may_need_an_approval(settings):
    policy = settings(TARGET + '[policy]\nmode = "approve"\napprove_deletions = true').policy
    assert (policy.mode, policy.approve_deletions) == (Mode.APPROVE, True)
    assert settings(TARGET).policy.approve_deletions is False


def test_the_policy_knows_what_it_only_has_to_tell(settings):
    policy = settings(TARGET + "stop_after_failures = 5\n[policy]\ncheckpoint_max_age_s = 90").policy
    assert (policy.stop_after, policy.checkpoint_max_age_s) == ({"default": 5}, 90)


# --- the file --------------------------------------------------------------------------------------------------------


def test_a_missing_file_says_how_to_name_one(tmp_path):
    with pytest.raises(ConfigError, match=r"x\.toml: no such file; write one, or name it with --config"):
        load(tmp_path / "x.toml", {})


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path, {})


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[policy\n", "expected TOML, found Expected ']' at the end of a table declaration (at line 1, column 8)"),
        (b'a = 1\nb = "\n', "expected TOML, found Illegal character '\\n' (at line 2, column 6)"),
        (b"a = 1\na = 2\n", "expected TOML, found Cannot overwrite a value (at end of document)"),
        (b"\xef\xbb\xbfa = 1", "expected TOML, found Invalid statement (at line 1, column 1)"),
        (b"a = '\xff'", "expected TOML, found 'utf-8' codec can't decode byte 0xff in position 5: invalid start byte"),
    ],
)
def test_what_is_no_toml_is_an_error_with_its_place(problems, content, problem):
    (found,) = problems(content)
    assert found.split(" (at ")[0] == problem.split(" (at ")[0]
    assert ("(at " in found) == ("(at " in problem)
