"""One row of the outcome table each, for a write and for a read: the real client against the simulator's faults.

Whether a call that was not clearly answered had its effect is known here, because the simulator tells; the client must
come to the same verdict either way.
"""

import pytest

from reconciler.errors import (
    CapabilityMissingError,
    PermanentTargetError,
    TargetMisconfiguredError,
    TemporaryTargetError,
    UnknownOutcomeError,
)
from reconciler.model import Accepted
from reconciler.simulator.faults import Rule
from tests.contract.conftest import NAME, PROJECT

TEMPORARY, UNKNOWN, PERMANENT = TemporaryTargetError, UnknownOutcomeError, PermanentTargetError
MISCONFIGURED, INCAPABLE = TargetMisconfiguredError, CapabilityMissingError

# kind of fault, its parameters, what a write ends in, what a read ends in
ANSWERS = {
    "429": ("http", {"status": 429}, TEMPORARY, TEMPORARY),
    "429 with Retry-After": ("http", {"status": 429, "retry_after": 3}, TEMPORARY, TEMPORARY),
    "503 with Retry-After": ("http", {"status": 503, "retry_after": 3}, TEMPORARY, TEMPORARY),
    "503": ("http", {"status": 503}, UNKNOWN, TEMPORARY),
    "500": ("http", {"status": 500}, UNKNOWN, TEMPORARY),
    "502": ("http", {"status": 502}, UNKNOWN, TEMPORARY),
    "504": ("http", {"status": 504}, UNKNOWN, TEMPORARY),
    "408": ("http", {"status": 408}, UNKNOWN, TEMPORARY),
    "500 in JSON": ("http", {"status": 500, "html": False}, UNKNOWN, TEMPORARY),
    "read timeout": ("hang", {}, UNKNOWN, TEMPORARY),
    "closed": ("close", {}, UNKNOWN, TEMPORARY),
    "reset": ("reset", {}, UNKNOWN, TEMPORARY),
    "truncated body": ("truncated", {}, UNKNOWN, TEMPORARY),
    "cut JSON": ("cut_json", {}, UNKNOWN, TEMPORARY),
    "success missing": ("success_missing", {}, UNKNOWN, TEMPORARY),
    "success as a text": ("success_text", {}, UNKNOWN, TEMPORARY),
    "success as a number": ("success_text", {"value": 1}, UNKNOWN, TEMPORARY),
    "INNER_ERROR": ("inner_error", {}, UNKNOWN, TEMPORARY),
    "GHANA-OPERAT000001": ("cm_unavailable", {}, TEMPORARY, TEMPORARY),
    "GHANA-OPERIE000000": ("wrapped_error", {}, TEMPORARY, TEMPORARY),
    "PARAM_ERROR": ("param_error", {}, PERMANENT, PERMANENT),
    "GHANA-PROJECT000001": ("no_such_project", {}, PERMANENT, PERMANENT),
    "unheard-of code": ("error", {}, PERMANENT, PERMANENT),
    "400": ("http", {"status": 400}, PERMANENT, PERMANENT),
    "401": ("http", {"status": 401}, MISCONFIGURED, MISCONFIGURED),
    "403": ("http", {"status": 403}, MISCONFIGURED, MISCONFIGURED),
    "redirect": ("http", {"status": 302, "location": "/login"}, MISCONFIGURED, MISCONFIGURED),
    "login page": ("not_json", {}, MISCONFIGURED, MISCONFIGURED),
    "Unsupported action": ("unsupported_action", {}, INCAPABLE, INCAPABLE),
}
ROWS = [pytest.param(*row, id=name) for name, row in ANSWERS.items()]
CAPPED = {"GHANA-OPERAT000001", "GHANA-OPERIE000000"}


def ended(call):
    """The kind of error that a call ends in."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is the question
        call()
    return caught.value


@pytest.fixture
def written(target, oms, update):
    """An update while a rule is in force: (what it ended in, whether it had its effect)."""

    def written(kind, parameters, effect=""):
        oms.add_fault(Rule(kind, "UpdateIncrSync", effect=effect, parameters=parameters))
        error = ended(lambda: target.update_incr_sync(update(coordinator={"throttleRps": "9"})))
        return error, oms.component(NAME).config["coordinator"]["throttleRps"] == "9"

    return written


@pytest.mark.parametrize("effect", ["before", "after"])
@pytest.mark.parametrize(("kind", "parameters", "of_write", "_of_read"), ROWS)
def test_write_ends_in_its_row_whether_it_had_its_effect_or_not(written, kind, parameters, of_write, _of_read, effect):
    error, happened = written(kind, parameters, effect)
    assert (type(error), happened) == (of_write, effect == "after")


@pytest.fixture
def enterprise(connect, served, oms):
    """A client that may send resets, and the simulator behind it."""
    return connect(served[1], edition="EE", version="4.3.0", read_s=0.25), oms


COMMANDS = {
    "StopProject": lambda target: target.stop_project(PROJECT),
    "ResumeProject": lambda target: target.resume_project(PROJECT),
    "ResetIncrStartTimestamp": lambda target: target.reset_incr_start_timestamp(
        PROJECT, reverse=False, start_timestamp=1_742_365_118
    ),
}


@pytest.mark.parametrize(("kind", "parameters", "of_write", "_of_read"), ROWS)
@pytest.mark.parametrize("action", COMMANDS)
def test_command_to_a_project_ends_in_the_row_of_a_write(enterprise, action, kind, parameters, of_write, _of_read):
    target, oms = enterprise
    oms.add_fault(Rule(kind, action, parameters=parameters))
    assert type(ended(lambda: COMMANDS[action](target))) is of_write
    assert [call.action for call in oms.calls] == [action]


@pytest.mark.parametrize(("kind", "parameters", "_of_write", "of_read"), ROWS)
@pytest.mark.parametrize("read", ["components", "progress"])
def test_read_ends_in_its_row_and_never_unknown(target, oms, kind, parameters, _of_write, of_read, read):
    oms.add_fault(Rule(kind, parameters=parameters))
    assert type(ended(lambda: getattr(target, read)(PROJECT))) is of_read


@pytest.mark.parametrize(("kind", "parameters", "of_write", "_of_read"), ROWS)
def test_call_after_a_fault_is_normal_again(target, written, update, kind, parameters, of_write, _of_read):
    written(kind, parameters)
    assert isinstance(target.update_incr_sync(update()), Accepted)
    assert target.components(PROJECT)[0].name == NAME


@pytest.mark.parametrize(("kind", "parameters", "_of_write", "_of_read"), ROWS)
def test_nothing_is_ever_repeated_by_the_client_itself(written, oms, kind, parameters, _of_write, _of_read):
    written(kind, parameters)
    assert len(oms.calls) == 1


@pytest.mark.parametrize("name", [name for name, row in ANSWERS.items() if row[2] is TEMPORARY])
def test_only_failures_that_call_themselves_passing_are_capped(written, name):
    kind, parameters, *_ = ANSWERS[name]
    assert written(kind, parameters)[0].capped is (name in CAPPED)


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_handed_on(written, status):
    assert written("http", {"status": status, "retry_after": 3})[0].retry_after_s == 3.0


def test_request_id_of_a_refusal_is_kept(written, oms):
    error, _ = written("param_error", {})
    assert (error.request_id, error.code) == (oms.calls[0].request_id, "PARAM_ERROR")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_verdict_does_not_depend_on_the_language(written, oms, language):
    oms.set_switches(language=language)
    assert type(written("cm_unavailable", {})[0]) is TEMPORARY


@pytest.mark.parametrize("manner", ["json", "redirect", "html"])
def test_wrong_credentials_are_a_misconfiguration_however_they_are_refused(connect, served, oms, update, manner):
    oms.set_switches(wrong_credentials=manner)
    stranger = connect(served[1], password="wrong")
    for call in (lambda: stranger.update_incr_sync(update()), lambda: stranger.progress(PROJECT), stranger.probe):
        assert type(ended(call)) is MISCONFIGURED


def test_refused_connection_is_temporary_for_a_write_and_a_read(connect, update):
    nowhere = connect("http://127.0.0.1:1")
    errors = [ended(lambda: nowhere.update_incr_sync(update())), ended(lambda: nowhere.components(PROJECT))]
    assert [(type(error), error.capped) for error in errors] == [(TEMPORARY, False)] * 2


def test_unknown_host_is_temporary(connect, update):
    assert type(ended(lambda: connect("http://nowhere.invalid").update_incr_sync(update()))) is TEMPORARY


@pytest.mark.parametrize(
    ("data", "ticket"),
    [(None, None), ("3000001", 3000001), (2**63 - 1, 2**63 - 1), (2**63, None), ("text", None), ({"id": 1}, None)],
)
def test_clear_yes_is_accepted_whatever_comes_as_its_ticket(target, oms, update, data, ticket):
    oms.add_fault(Rule("data", "UpdateIncrSync", parameters={"value": data}))
    assert target.update_incr_sync(update()).ticket == ticket


def test_slow_answer_within_the_limit_is_accepted(target, oms, update):
    oms.add_fault(Rule("slow", "UpdateIncrSync", parameters={"seconds": 0.05}))
    assert target.update_incr_sync(update()).ticket == oms.tickets[0].id


@pytest.mark.parametrize("kind", ["empty_lists", "missing_lists"])
def test_lists_that_are_not_there_mean_no_components(target, oms, kind):
    oms.add_fault(Rule(kind, "DescribeProjectComponents"))
    assert target.components(PROJECT) == ()


def test_probe_is_content_with_a_server_that_does_not_know_the_action(target, oms):
    oms.set_switches(edition="CE")
    target.probe()
    assert [call.action for call in oms.calls] == ["DescribeRegions"]
