"""A change over the whole fleet beside a running daemon: counted as one, held, and let go by a word or by a second edit."""

import pytest

from tests.repositories import Repo, git_environment

ALL = tuple(f"t{number:02}" for number in range(12))
HELD = "tasks: more than 30 % and more than 5 of all tasks would be restarted at once"


def held(site):
    return {name for name, said in site.store.states().items() if said.reason.startswith(HELD)}


def committed(site):
    """The tasks in a repository that the daemon follows; commits what was edited since."""
    site.environment = git_environment(site.root) | site.environment
    repo = Repo.make(site.desired.parent)
    site.configure(desired_state={"source": "git", "path": "desired_state"})
    return repo


@pytest.fixture
def committing(site):
    """Edits are commits."""
    repo = committed(site)

    def commit():
        repo.git("add", "desired_state")
        repo.git("commit", "--quiet", "-m", "Another throttle")

    for number, task in enumerate(ALL):
        site.put(task, number)
    commit()
    site.start()
    return commit


def test_commit_over_all_tasks_sends_none_until_it_is_approved_with_the_rail(site, committing):
    site.throttle(*ALL, to=4000)
    committing()
    daemon = site.daemons[-1]
    daemon.until(lambda: held(site) == set(ALL), "all held")
    assert daemon.said("limit tasks: 12 of 12 tasks would be restarted at once", topic="limit", level="warning")
    assert site.sent == []
    daemon.until(lambda: "limit tasks: 12 of 12 tasks would be" in site.run("status").err, "status says how many")
    assert "tasks: 12 of 12 tasks would be restarted at once (100 %), more than" in site.run("explain", "t00").out
    planned = site.run("plan", "--format", "json")
    assert planned.code == 3
    plan = planned.json["id"]
    approved = site.run("approve", plan, "--force", "tasks", "--reason", "agreed with everybody")
    assert approved.code == 0, approved.err
    site.calls(12)
    site.settles()
    assert site.throttles == [4000] * 12


def test_commit_that_is_reverted_restarts_nothing(site, committing):
    site.throttle(*ALL, to=4000)
    committing()
    daemon = site.daemons[-1]
    daemon.until(lambda: held(site) == set(ALL), "all held")
    site.throttle(*ALL[4:], to=20000)
    committing()
    site.calls(4)
    site.settles()
    assert site.throttles == [4000] * 4


def test_edits_that_come_one_after_another_are_held_but_for_what_is_under_way(site):
    daemon = site.started_with(*ALL)
    site.fault("slow", seconds=1)
    site.throttle(*ALL, to=4000)
    daemon.until(lambda: len(held(site)) > 5, "held")
    daemon.look_again()
    daemon.until(lambda: {site.state(task) for task in set(ALL) - held(site)} <= {"synced"}, "the others synced")
    assert len(site.sent) == len(ALL) - len(held(site)) < 6
