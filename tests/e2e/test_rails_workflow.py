"""The rails as an operator meets them, by the command line alone and beside a daemon: held, read, lifted, told of."""

import json
import shutil
from datetime import UTC, datetime

import httpx
import pytest

from reconciler.simulator.fleet import ComponentSpec, ProjectSpec
from tests.e2e.daemons import SENTINELS, documents, name_of
from tests.e2e.daemons import site as a_site
from tests.integration.bench import REGION
from tests.integration.resets import HOUR_S, RESET, RESUME, STOP

TASKS = tuple(f"t{number:02}" for number in range(12))
MANY = TASKS[:10]
SPARE = dict.fromkeys(("batchSize", "flushMs", "maxRetryTimes", "poolSize", "retryMs"), "7")  # only limits guard these
FREEZE = '[[policy.windows]]\nname = "freeze"\nkind = "deny"\ncron = "* * * * *"\nduration = "1m"\n'


def config(number):
    """What the component of a project has: the files of its task, and what OMS writes itself."""
    sections = {name: content for name, content in documents(number).items() if name != "task"}
    sections["source"] |= {"password": SENTINELS["STORE"], "checkpoint": {f"MYSQL_np_{number}": "1760000000"}}
    sections["sink"] |= SPARE | {"password": SENTINELS["SINK"]}
    return sections


@pytest.fixture
def site(tmp_path, reaper):
    """A directory without tasks, beside an OMS whose components have whole configurations."""
    fleet = tuple(
        ProjectSpec(f"np_{number}", components=(ComponentSpec(name_of(number), config=config(number)),))
        for number in range(len(TASKS))
    )
    with a_site(tmp_path, fleet, reaper) as made:
        made.configure(targets_default={"max_concurrent": len(TASKS)})
        yield made


@pytest.fixture
def whole(site):
    """All tasks have files that are whole configurations, and no daemon has seen them yet."""
    for number, task in enumerate(TASKS):
        site.put(task, number, task={"allowDelete": True}, sink=SPARE)
    return site


# --- what an operator types ------------------------------------------------------------------------------------------


def ran(site, *arguments, code=0):
    """What a command said that ended as expected."""
    ended = site.run(*arguments)
    assert ended.code == code, ended.out + ended.err
    return ended.out + ended.err


def plan(site, code=3):
    """Read the plan, and save it for `approve`; its text ends with the line of the rails."""
    return ran(site, "plan", "--out", "plan.json", code=code)


def approve(site, *more, reason):
    """Approve what was read last."""
    return ran(site, "approve", "plan.json", *more, "--reason", reason)


def standing(site):
    """`{rail: state}` in the plan that was read last, for rails that do something."""
    rails = json.loads((site.root / "plan.json").read_text())["rails"]
    return {rail["name"]: rail["state"] for rail in rails if rail["state"] in ("tripped", "overridden")}


def history(site, kind):
    """Details of the journal's rows of a kind, oldest first."""
    said = json.loads(site.run("history", "--limit", "1000", "--format", "json").out)
    return [entry["detail"] for entry in reversed(said["entries"]) if entry["kind"] == kind]


def reason_of(row):
    return row["reason"].partition(": ")[2]  # behind who approved it


def released(site, rail):
    """Wait until the daemon has written down that a rail holds nothing any more."""

    def last():
        states = [row.detail["state"] for row in site.store.history("", 1000) if row.detail.get("rail") == rail]
        return states[:1] == ["released"]

    site.daemons[-1].until(last, f"{rail} released")


def says(site, task, words):
    """Wait until the daemon gives such a reason for the state of a task."""
    site.daemons[-1].until(lambda: words in site.store.states()[task].reason, f"{task}: {words}")


# --- import, then delete ---------------------------------------------------------------------------------------------


def copied(site, folder, number):
    """A copy of `conf/` as it lies on the host, from what the simulator's back door tells."""
    answer = httpx.get(f"{site.url}/simulator/component", params={"name": name_of(number)}, timeout=5).json()
    conf = folder / name_of(number) / "conf"
    conf.mkdir(parents=True)
    for section, content in answer["config"].items():
        (conf / f"{section}.json").write_text(json.dumps(content))
    return str(conf)


def test_imported_components_lose_a_key_each_once_somebody_approved_it(site, tmp_path_factory):
    site.configure(policy={"approve_deletions": True})
    outside = tmp_path_factory.mktemp("outside")
    where = ("--region", REGION, "--whole", "--secret-files", str(outside / "secrets"))
    for number, task in enumerate(("one", "two")):
        ran(site, "import", copied(site, outside, number), "--task", task, *where)
    assert ": 2 unchanged; no call.\n" in plan(site, code=0)

    site.edit("coordinator", "one", throttleIOPS=None)
    held = plan(site)
    assert "    approval: a deletion needs an approval" in held
    assert '  - coordinator/throttleIOPS  "104857600"' in held
    assert standing(site) == {"approval": "tripped"}
    assert "one: update+delete approved until" in approve(site, reason="ticket 1")
    assert "Done: 1 applied, 1 unchanged." in ran(site, "apply", "--yes")
    assert "throttleIOPS" not in site.config(0)["coordinator"]
    assert site.config(0)["sink"] == config(0)["sink"]  # all else stays, the password too

    site.start()
    site.edit("coordinator", "two", throttleIOPS=None)
    says(site, "two", "approval: a deletion needs an approval")
    assert "1 waiting, 0 approved, 0 expired" in ran(site, "approvals")
    plan(site)
    approve(site, "--task", "two", reason="ticket 2")
    site.calls(2)
    site.settles()
    released(site, "approval")
    assert [body["allowDelete"] for body in site.sent] == [True, True]
    assert [reason_of(row) for row in history(site, "intent")] == ["ticket 1", "ticket 2"]


def test_deletion_of_a_component_that_is_behind_is_held_by_a_rail_until_somebody_lifts_it(site):
    site.put("one", task={"allowDelete": True}, sink=SPARE)
    ran(site, "adopt", "--all")
    daemon = site.start()
    site.oms.set_component(name_of(0), status="STOPPED", checkpoint=site.oms.now - 3 * HOUR_S)
    site.edit("coordinator", "one", throttleIOPS=None)
    says(site, "one", "checkpoint: the newest checkpoint that OMS reports is 3 h old")
    daemon.until(lambda: history(site, "rail"), "a row of the rail")
    assert "Rails: tripped: checkpoint (1 task)" in ran(site, "status")
    told = ran(site, "explain", "one")
    assert "one is blocked" in told
    assert "approve PLAN --task one --force checkpoint --reason TEXT" in told
    assert "was held when it was tried last: checkpoint: the newest" in plan(site, code=2)
    assert site.sent == []
    approve(site, "--task", "one", "--force", "checkpoint", reason="incident 3")
    site.calls(1)
    site.settles()
    released(site, "checkpoint")
    assert [row["names"] for row in history(site, "rail")] == [["one"]] * len(history(site, "rail"))


# --- a reset, and back -----------------------------------------------------------------------------------------------


def declare(site):
    """Ask for a reset two hours back."""
    start = f"{datetime.fromtimestamp(int(site.oms.now) - 2 * HOUR_S, UTC):%FT%TZ}"
    site.write("reset", "one", {"request": "r1", "id": "np_0", "startTimestamp": start, "reason": "orders were lost"})


def test_link_is_reset_two_hours_back_by_apply_and_back_again_by_a_daemon_whose_answer_got_lost(site):
    site.configure(targets_default={"edition": "EE", "version": "4.3.0", "allow_reset": True, "log_retention_h": 168})
    site.oms.set_timing(catch_up=0.5)  # else the link is where it was before a command has started
    site.put("one", task={"allowDelete": True}, sink=SPARE)
    ran(site, "adopt", "--all")
    declare(site)
    plan(site)
    assert standing(site) == {"perhaps_sent": "tripped"}
    ran(site, "reset", "resolve", "one", "--not-sent", "--reason", "the first reset of this store")
    report = plan(site)
    assert "  ! reset r1 of the forward link of np_0 to " in report
    assert "  ! back by 2 h, from " in report
    assert standing(site) == {"approval": "tripped"}
    assert "one: reset approved until" in approve(site, reason="agreed with billing")
    assert "reset r1 of np_0 is carried out" in ran(site, "apply", "--yes")

    site.start()
    assert "where it was before r1" in ran(site, "reset", "undo", "one")
    says(site, "one", "approval: a reset needs an approval")
    assert "SKIPS the changes of " in plan(site)
    site.fault("close", action=RESET, effect="after")
    approve(site, reason="it was a mistake")
    says(site, "one", "was carried out is not known")
    site.throttle("one", to=4000)
    says(site, "one", "its edit waits for that")
    assert "then reconciler reset resolve one --sent or --not-sent" in ran(site, "explain", "one")
    assert site.sent == []
    ran(site, "reset", "resolve", "one", "--sent", "--reason", "its ticket is Successful")
    site.calls(1)
    site.settles()
    rows = ran(site, "reset", "list", "one").splitlines()
    assert [row.split()[1:3] for row in rows[1:3]] == [["undo-r1", "done"], ["r1", "done"]]
    assert [call.action for call in site.oms.calls if call.action in (STOP, RESET, RESUME)] == [STOP, RESET, RESUME] * 2


# --- windows ---------------------------------------------------------------------------------------------------------


def close(site):
    """Add a window in which nothing is ever called."""
    with (site.root / "reconciler.toml").open("a") as file:
        file.write(f"\n{FREEZE}")


def test_window_holds_a_change_lets_it_go_and_is_overridden_with_a_reason(whole):
    site = whole
    daemon = site.start()
    close(site)
    daemon.reload()
    daemon.says("the configuration was read anew")
    site.throttle("t01", "t02", to=1000)
    says(site, "t01", "window freeze denies calls for 1m")
    says(site, "t02", "window freeze denies calls for 1m")
    assert "Rails: tripped: window (2 tasks)" in plan(site)
    approve(site, "--task", "t01", "--force", "window", reason="incident 1")
    site.calls(1)
    site.settles("t01")
    assert site.state("t02") == "blocked"
    site.configure()  # without the window
    daemon.reload()
    site.calls(2)
    site.settles()
    released(site, "window")
    assert daemon.stop() == 0

    close(site)
    site.throttle("t00", to=2000)
    assert "    window freeze denies calls for 1m" in plan(site)
    assert standing(site) == {"window": "tripped"}
    forced = ran(site, "apply", "t00", "--yes", "--force", "window", "--reason", "incident 2")
    assert "  ! forced: window" in forced
    assert "Rails: overridden: window (1 task)" in forced
    intents = [(row.get("reason", ""), row.get("forced", [])) for row in history(site, "intent")]
    assert [forced for _, forced in intents] == [["window"], [], ["window"]]
    assert [intents[0][0].partition(": ")[2], intents[1][0], intents[2][0]] == ["incident 1", "", "incident 2"]
    assert site.throttles == [1000, 1000, 2000]


# --- half of the directory -------------------------------------------------------------------------------------------


def test_keys_and_directories_that_went_by_accident_are_held_until_each_rail_is_lifted(whole):
    site = whole
    ran(site, "adopt", "--all")
    for task in MANY:
        site.edit("sink", task, **dict.fromkeys(SPARE))
    daemon = site.start()
    says(site, "t00", "removed_keys: more than 10 % and more than 5")
    daemon.says("limit removed_keys: 50 of", topic="limit")
    said = plan(site)
    assert "\n! limit removed_keys: 50 of " in said
    assert "\n! limit tasks: 10 of 12 tasks would be restarted at once" in said
    assert (standing(site)["removed_keys"], standing(site)["tasks"]) == ("tripped", "tripped")
    assert "then held by: tasks" in ran(site, "explain", "t00")
    assert site.sent == []
    approve(site, "--force", "removed_keys", "--force", "tasks", reason="nobody needs them")
    site.calls(len(MANY))
    site.settles()
    assert not [number for number in range(len(MANY)) if SPARE.keys() & site.config(number)["sink"].keys()]
    released(site, "tasks")

    for task in TASKS[:6]:
        shutil.rmtree(site.desired / task)
    daemon.until(lambda: [site.state(task) for task in TASKS[:6]] == ["orphaned"] * 6, "the loss seen")
    gone = "vanished (6 of 12 known tasks are gone)"
    daemon.until(lambda: f"Rails: tripped: {gone}" in site.run("status").err, "the loss told")
    assert history(site, "rail")[-1]["message"] == "vanished tripped: 6 of 12 known tasks are gone"
    site.throttle("t11", to=4000)
    says(site, "t11", "vanished: 6 of 12 known tasks are gone")
    status = ran(site, "status")
    assert "nothing is sent at all: frozen: 6 of 12 known tasks are gone" in status
    assert "Rails: tripped: vanished (1 task)" in status
    assert daemon.stop() == 0
    meant = ran(site, "apply", "--yes", "--force", "vanished", "--reason", "they moved")
    assert "Rails: overridden: vanished (1 task)" in meant
    assert "Done: 1 applied, 5 unchanged, 6 orphaned." in meant
    *many, last = history(site, "intent")
    assert {(reason_of(row), *row["forced"]) for row in many} == {("nobody needs them", "removed_keys", "tasks")}
    assert (last["reason"], last["forced"]) == ("they moved", ["vanished"])
    assert len(site.sent) == len(MANY) + 1
