import re

import click
import pytest

from reconciler import __version__
from reconciler.__main__ import main
from reconciler.cli.main import COMMANDS, FAILED, HELD, USAGE, cli, exit_code_of, run
from reconciler.errors import (
    ConfigError,
    DesiredStateError,
    MigrationError,
    SecretError,
    StateStoreError,
    StoreLockedError,
)
from tests.projects import KAFKA, MYSQL

READERS = ("validate", "plan", "status", "explain", "history")


def commands():
    context = click.Context(cli)
    return {name: cli.get_command(context, name) for name in COMMANDS}


# --- help ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_in_the_list_is_the_first_line_of_the_commands_own_help(name):
    assert commands()[name].help.split("\n")[0] == COMMANDS[name][1]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_does(name):
    options = [each for each in commands()[name].params if isinstance(each, click.Option)]
    assert [option.name for option in options if not option.help] == []


def test_help_lists_every_command_with_its_line(reconciler):
    ended = reconciler("--help")
    assert (ended.code, ended.err) == (0, "")
    words = " ".join(ended.out.split())
    assert all(f"{name} {line}" in words for name, (_, line) in COMMANDS.items())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_more_than_a_line(reconciler, name):
    ended = reconciler(name, "-h")
    assert (ended.code, ended.err) == (0, "")
    assert COMMANDS[name][1].split(",")[0][:40] in ended.out
    assert "Options:" in ended.out


@pytest.mark.parametrize("name", ["validate", "plan", "apply"])
def test_commands_with_exit_codes_explain_them(reconciler, name):
    assert "Exit code: 1" in reconciler(name, "--help").out


def test_the_version_is_printed(reconciler):
    assert reconciler("--version").out == f"reconciler, version {__version__}\n"


def test_without_a_command_help_is_printed_as_wrong_usage(reconciler):
    ended = reconciler()
    assert (ended.code, ended.out) == (USAGE, "")
    assert "Usage: reconciler" in ended.err


# --- wrong usage -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--nope", "plan"], "No such option"),
        (["nope"], "No such command 'nope'"),
        (["plan", "--nope"], "No such option"),
        (["plan", "--format", "xml"], "Invalid value for '--format'"),
        (["plan", "nope"], 'no task or folder of tasks is named "nope"'),
        (["plan", "oceanbase-to-kaffka"], 'did you mean "oceanbase-to-kafka"?'),
        (["plan", "--out", "nowhere/plan.json"], "--out nowhere/plan.json: No such file or directory"),
        (["plan", "--out", "."], "Invalid value for '--out'"),
        (["validate", "nowhere"], "Path 'nowhere' does not exist"),
        (["status", "oceanbase-to-kafk"], 'did you mean "oceanbase-to-kafka"?'),
        (["explain"], "Missing argument 'TASK'"),
        (["explain", "nope"], 'no task or folder of tasks is named "nope"'),
        (["history", "--limit", "0"], "0 is not in the range x>=1"),
        (["--config", "nowhere.toml", "plan"], "nowhere.toml: no such file"),
        (["--color", "blue", "plan"], "Invalid value for '--color'"),
    ],
)
def test_wrong_usage_is_64_and_says_what_is_wrong(project, arguments, problem):
    ended = project.reconciler(*arguments)
    assert (ended.code, ended.out) == (USAGE, "")
    assert problem in ended.err


def test_wrong_usage_tells_where_help_is(project):
    error = project.reconciler("plan", "nope").err
    assert error.startswith("Usage: reconciler plan [OPTIONS] [TASK]...\nTry 'reconciler plan --help' for help.\n\n")


def test_a_wrong_configuration_is_64_with_a_line_for_each_problem(project):
    project.configure(mode="x", new_tasks="y")
    ended = project.reconciler("plan")
    assert (ended.code, ended.out) == (USAGE, "")
    assert ended.err.splitlines() == [
        'reconciler: reconciler.toml: policy.mode: expected one of "auto", "approve", "observe", found "x"',
        'reconciler.toml: policy.new_tasks: expected one of "hold", "adopt", "apply", found "y"',
    ]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError, USAGE),
        (StoreLockedError, HELD),
        (StateStoreError, FAILED),
        (MigrationError, FAILED),
        (DesiredStateError, FAILED),
        (SecretError, FAILED),
    ],
)
def test_errors_have_exit_codes(error, code):
    assert exit_code_of(error("")) == code


# --- standard output -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*READERS, "apply"])
@pytest.mark.parametrize(
    ("mistake", "kind"),
    [
        (["--nope"], "NoSuchOption"),
        (["--format=json", "--limit", "x"], None),
        ([], "ConfigError"),
    ],
    ids=["usage", "value", "configuration"],
)
def test_with_format_json_an_error_is_json_on_standard_output(project, name, mistake, kind):
    (project.root / "reconciler.toml").write_text("nonsense")
    task = [KAFKA] if name == "explain" else []
    yes = ["--yes"] if name == "apply" else []
    ended = project.reconciler(name, *task, *yes, "--format", "json", *mistake)
    assert ended.code == USAGE
    assert ended.json["version"] == 1
    assert kind in (None, ended.json["error"]["kind"])
    assert ended.json["error"]["message"] in ended.err


@pytest.mark.parametrize("name", READERS)
def test_standard_output_is_data_and_nothing_else(project, name):
    project.adopted()
    ended = project.reconciler(name, *([KAFKA] if name == "explain" else []), "--format", "json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.json["version"] == 1


@pytest.mark.parametrize("choice", ["always", "never", "auto"])
@pytest.mark.parametrize("name", ["plan", "status"])
def test_colour_is_a_matter_of_choice_and_of_the_terminal(project, name, choice):
    out = project.reconciler("--color", choice, name).out
    assert ("\x1b[" in out) == (choice == "always")


@pytest.mark.parametrize("name", ["plan", "status"])
def test_a_wish_for_colour_is_stronger_than_no_color(project, name, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" in project.reconciler("--color", "always", name).out


# --- names from outside ----------------------------------------------------------------------------------------------

EVIL = "evil\x1b[31m\x9b\u202e\u2028\nname"
RAW = re.compile(r"[^\n\x20-\x7e\x85\xa0-\U0010ffff]|[\x85\u2028\u202e]")


@pytest.fixture
def evil(project):
    """A task whose name would paint a terminal, and whose keys would too."""
    project.keep(KAFKA)
    (project.desired / KAFKA).rename(project.desired / EVIL)
    project.edit(EVIL, "sink", **{"\x1b]0;title\x07key": "\x1b[2J\x9b", "\u202eother": "1"})
    return project


COMMAND_LINES = [
    ["validate"],
    ["plan"],
    ["plan", EVIL],
    ["plan", "--format", "markdown"],
    ["plan", EVIL + "x"],
    ["status"],
    ["explain", EVIL],
    ["adopt", EVIL],
    ["history"],
    ["suspend", EVIL, "--reason", EVIL],
    ["status", EVIL],
    ["resume", EVIL],
    ["retry", EVIL],
    ["apply", EVIL, "--yes"],
    ["apply", "--plan", EVIL, "--yes"],
    ["apply", "--yes", "--force", EVIL],
    ["suspend", EVIL, "--reason", "x", "--until", EVIL],
    ["forget", EVIL],
    ["schema", EVIL],
    [EVIL],
]


@pytest.mark.parametrize("arguments", COMMAND_LINES, ids=lambda line: " ".join(ascii(word) for word in line))
def test_no_control_character_of_a_name_reaches_a_terminal(evil, arguments):
    evil.adopted()
    ended = evil.reconciler(*arguments)
    assert RAW.findall(ended.out + ended.err) == []


@pytest.mark.parametrize("arguments", [["validate"], ["plan"], ["status"], ["explain", EVIL], ["history"]])
def test_json_holds_the_very_name_and_only_escapes_of_it(evil, arguments):
    evil.adopted()
    ended = evil.reconciler(*arguments, "--format", "json")
    assert RAW.findall(ended.out) == []
    assert EVIL in set(strings(ended.json))


def strings(value):
    if isinstance(value, dict):
        for member in value.values():
            yield from strings(member)
    elif isinstance(value, list):
        for element in value:
            yield from strings(element)
    elif isinstance(value, str):
        yield value


def test_a_forgotten_name_is_printed_safely(evil):
    evil.adopted()
    (evil.desired / EVIL).rename(evil.root / "away")
    ended = evil.reconciler("forget", EVIL)
    assert (ended.code, RAW.findall(ended.out)) == (0, [])
    assert ended.out.endswith("name: forgotten\n")


# --- completion ------------------------------------------------------------------------------------------------------


def completed(reconciler, monkeypatch, *words):
    """What the shell would offer for the last word."""
    monkeypatch.setenv("_RECONCILER_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", " ".join(["reconciler", *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    with pytest.raises(SystemExit):
        run([])


@pytest.mark.parametrize(
    "command", ["plan", "apply", "status", "explain", "history", "adopt", "suspend", "resume", "retry"]
)
def test_names_of_tasks_are_completed(project, capsys, monkeypatch, command):
    completed(project.reconciler, monkeypatch, command, "oceanbase-to-k")
    assert capsys.readouterr().out == f"plain,{KAFKA}\n"


def test_completion_reads_the_configuration_that_is_named(project, capsys, monkeypatch):
    (project.root / "reconciler.toml").rename(project.root / "other.toml")
    completed(project.reconciler, monkeypatch, "--config", "other.toml", "plan", "m")
    assert capsys.readouterr().out == f"plain,{MYSQL}\n"


@pytest.mark.parametrize("damage", ["reconciler.toml", "desired_state"])
def test_completion_of_names_is_silent_when_nothing_can_be_read(project, capsys, monkeypatch, damage):
    (project.root / damage).rename(project.root / "away")
    completed(project.reconciler, monkeypatch, "plan", "")
    assert "".join(capsys.readouterr()).strip() == ""


def test_commands_are_completed(project, capsys, monkeypatch):
    completed(project.reconciler, monkeypatch, "s")
    assert [line.split(",")[1] for line in capsys.readouterr().out.split()] == [
        "status",
        "sync",
        "suspend",
        "schema",
        "simulate",
    ]


# --- defects ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", ["text", "json"])
def test_a_defect_is_reported_without_the_words_of_the_exception(project, monkeypatch, format_):
    words = "sentinel-in-an-exception"

    def sentinel(*_arguments, **_more):
        raise RuntimeError(words)

    monkeypatch.setattr("sqlite3.connect", sentinel)
    ended = project.reconciler("plan", "--format", format_)
    assert ended.code == FAILED
    assert "reconciler/cli/plan.py" in ended.err
    assert "this is a defect of reconciler, please report it: RuntimeError" in ended.err.splitlines()[-1]
    assert words not in ended.out + ended.err
    assert ended.json["error"]["kind"] == "Defect" if format_ == "json" else ended.out == ""


def test_the_program_leaves_with_the_exit_code(project, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["reconciler", "plan"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == HELD


def test_ctrl_c_is_130(project, monkeypatch):
    def interrupted(*_arguments, **_more):
        raise KeyboardInterrupt

    monkeypatch.setattr("sqlite3.connect", interrupted)
    ended = project.reconciler("plan", "--format", "json")
    assert (ended.code, ended.err.strip()) == (130, "interrupted")
    assert ended.json["error"]["message"] == "interrupted"
