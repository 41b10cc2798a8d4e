"""`reset resolve` beside a running daemon: it goes on with what somebody said."""

import pytest

from tests.e2e.daemons import Site, until
from tests.integration.resets import HOUR_S, PROJECT, RESET, RESUME, STOP, Resets


@pytest.fixture
def unknown(site: Site) -> Resets:
    """A daemon whose reset got no answer; the project is left stopped."""
    site.configure(
        policy={"new_tasks": "hold"},
        targets_default={"edition": "EE", "version": "4.3.1", "allow_reset": True, "log_retention_h": 8000},
    )
    site.oms.set_timing(suspend_s=60.0, reset_s=60.0, resume_s=60.0)
    made = Resets(site, 24 * HOUR_S)
    site.fault("close", action=RESET, effect="after")
    site.launch().says("it is not known whether it was carried out")
    return made


@pytest.mark.parametrize(
    ("word", "stages"),
    [("--sent", ["accepted", "resuming", "done"]), ("--not-sent", ["returning", "refused"])],
)
def test_the_daemon_goes_on_with_what_was_said(site, unknown, word, stages):
    ended = site.run("reset", "resolve", "shop", word, "--reason", "seen in the console")
    assert (ended.code, "the daemon goes on with it now" in ended.out) == (0, True)
    site.daemons[-1].until(lambda: unknown.stages[-len(stages) :] == stages, stages[-1])
    until(lambda: site.oms.project(PROJECT).status == "RUNNING", "the project")
    assert unknown.calls == [STOP, RESET, RESUME]
