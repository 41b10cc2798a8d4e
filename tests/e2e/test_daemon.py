"""The daemon's life as its surroundings see it: start, signals, a service manager, a loop that hangs, the end."""

import itertools
import signal

import pytest


def test_an_edit_is_sent_once_and_a_restart_sends_nothing(site):
    daemon = site.started_with("shop", "mail")
    site.throttle("shop", to=4000)
    site.calls(1)
    site.settles()
    daemon.look_again()
    assert daemon.stop() == 0
    site.start().look_again()
    assert site.throttles == [4000]


# --- start and stop --------------------------------------------------------------------------------------------------


def test_ready_is_said_only_after_every_task_was_planned_once(site, manager, blocker):
    blocker.hang_at("shop/sink.json")
    site.put("mail", 0)
    site.put("shop", 1)
    daemon = site.launch(**manager.environment(), **blocker.environment())
    daemon.until(lambda: blocker.hangs)
    assert manager.states == []
    assert daemon.trouble() == "not every task was looked at yet"
    blocker.release()
    daemon.until(lambda: manager.states == ["READY"])
    assert site.states.keys() == {"mail", "shop"}
    assert manager.told("READY")[0]["STATUS"].startswith("2 ")
    assert daemon.ready().stop() == 0


def test_calls_are_not_waited_for_before_ready(site, manager):
    site.configure(policy={"new_tasks": "apply"})
    site.fault("slow", seconds=60)
    site.put()
    daemon = site.start(**manager.environment())
    assert manager.states == ["READY"]
    assert site.outcomes() == []
    daemon.kill()  # it would wait for the call


def test_the_manager_is_shown_how_many_tasks_are_in_which_state(site, manager):
    daemon = site.started_with("shop", "mail", **manager.environment())
    site.edit("sink", "shop", workerNum="many")
    daemon.until(lambda: manager.told("STATUS")[-1]["STATUS"] == "1 synced, 1 invalid")


def test_an_idle_daemon_feeds_the_watchdog(site, manager):
    daemon = site.started_with("shop", **manager.environment(watchdog_s=1))
    before = len(manager.told("WATCHDOG"))
    daemon.until(lambda: len(manager.told("WATCHDOG")) >= before + 3)
    ats = [at for at, message in manager.timed if "WATCHDOG" in message]
    assert max(later - earlier for earlier, later in itertools.pairwise(ats)) < 1


def test_the_end_is_announced_and_the_exit_code_is_0(site, manager):
    daemon = site.started_with("shop", **manager.environment())
    assert daemon.stop() == 0
    assert manager.states == ["READY", "STOPPING"]
    assert manager.told("WATCHDOG") == []  # nobody waited for it
    assert daemon.said("stopped", topic="lifecycle")


def test_what_is_adopted_by_policy_is_never_said_to_wait_for_its_turn(site):
    daemon = site.started_with("shop")
    site.comes_to("synced")
    assert daemon.said("waits for its turn") == []


def test_a_terminal_s_interrupt_ends_it_likewise(site):
    daemon = site.started_with("shop")
    daemon.signal(signal.SIGINT)
    assert daemon.wait() == 0


def test_a_manager_that_is_not_there_ends_nothing(site):
    daemon = site.started_with("shop", NOTIFY_SOCKET="@nobody-listens-here")
    assert daemon.says("systemd cannot be told")["level"] == "warning"
    assert daemon.stop() == 0


# --- a call under way when the end comes -------------------------------------------------------------------------------


def test_a_slow_call_is_finished_and_recorded_while_the_manager_is_asked_for_time(site, manager):
    daemon = site.started_with("shop", "mail", "news", **manager.environment())
    site.configure(targets_default={"max_concurrent": 1})
    daemon.reload()
    daemon.says("read anew")
    site.fault("slow", seconds=2)
    site.throttle("shop", "mail", "news", to=4000)
    site.calls(1)
    assert daemon.stop() == 0
    assert len(site.sent) == 1
    assert [entry.outcome for entry in site.store.history(None, 100) if entry.kind == "outcome"] == ["verifying"]
    assert int(manager.told("EXTEND_TIMEOUT_USEC")[0]["EXTEND_TIMEOUT_USEC"]) >= 5_000_000
    assert manager.states[-1] == "STOPPING"


def test_what_was_left_at_the_end_is_sent_after_the_next_start(site):
    daemon = site.started_with("shop")
    site.fault("slow", seconds=1)
    site.throttle("shop", to=4000)
    site.calls(1)
    assert daemon.stop() == 0
    site.throttle("shop", to=5000)
    site.start()
    site.calls(2)
    site.settles()
    assert site.throttles == [4000, 5000]


# --- a loop that hangs ---------------------------------------------------------------------------------------------------


def test_a_hung_loop_feeds_no_watchdog_and_is_not_alive(site, manager, blocker):
    daemon = site.started_with("shop", **manager.environment(watchdog_s=0.4), **blocker.environment())
    daemon.until(lambda: manager.told("WATCHDOG"))
    assert daemon.trouble("/healthz") == ""
    blocker.hang_at("shop/sink.json")
    site.throttle("shop", to=4000)
    daemon.until(lambda: blocker.hangs)
    daemon.until(lambda: manager.silent_s > 1)  # more than twice what the manager waits for
    assert "no progress" in daemon.trouble("/healthz")
    fed = len(manager.told("WATCHDOG"))
    blocker.release()
    daemon.until(lambda: daemon.trouble("/healthz") == "" and len(manager.told("WATCHDOG")) > fed)
    site.calls(1)


# --- reload ----------------------------------------------------------------------------------------------------------------


def test_a_reload_is_begun_and_ended(site, manager):
    daemon = site.started_with("shop", **manager.environment())
    daemon.reload()
    daemon.until(lambda: manager.states == ["READY", "RELOADING", "READY"])
    assert int(manager.told("RELOADING")[0]["MONOTONIC_USEC"]) > 0
    assert site.sent == []


BROKEN = {
    "value": ({"policy": {"mode": "fast"}}, "policy.mode"),
    "secret": ({"notify": {"name": "chat", "url": "${env:NOT_SET}"}}, "notify.chat.url"),
    "service": ({"notify": {"name": "chat", "url": "nothing://like-this"}}, "notify.chat.url"),
    "store": ({"state": {"url": "sqlite:///elsewhere.db"}}, "another store needs a restart"),
    "address": ({"daemon": {"http_listen": "127.0.0.1:99999"}}, "http_listen"),
}


def test_broken_configurations_are_refused_loudly_and_the_old_one_stays(site, manager):
    daemon = site.started_with("shop", **manager.environment())
    good = site.settings
    for number, (changes, told) in enumerate(BROKEN.values(), start=1):
        site.settings = good
        site.configure(**changes)
        daemon.reload()
        refusal = daemon.says("the old one stays in force", times=number, level="error")
        assert told in refusal["event"]
    daemon.until(lambda: manager.states == ["READY", *["RELOADING", "READY"] * len(BROKEN)])
    site.throttle("shop", to=4000)
    site.calls(1)
    site.settles()
    assert daemon.trouble() == ""


def test_a_new_desired_state_is_in_force_after_a_reload(site):
    daemon = site.started_with("shop")
    other = site.desired.with_name("other")
    site.desired.rename(other)
    site.desired = other
    site.configure(desired_state={"path": "other"})
    site.throttle("shop", to=4000)
    daemon.reload()
    site.calls(1)
    site.settles()
    site.throttle("shop", to=5000)  # the new directory is watched
    site.calls(2)


def test_new_limits_of_a_target_are_in_force_after_a_reload(site):
    daemon = site.started_with("shop", "mail", "news", "blog")
    site.configure(targets_default={"max_concurrent": 1})
    daemon.reload()
    daemon.says("read anew")
    site.oms.set_timing(stop_s=30)  # each restart takes a third of a second
    site.throttle("shop", "mail", "news", "blog", to=4000)
    site.calls(4)
    site.settles()
    assert site.most_at_once == 1


def test_a_reload_moves_the_pages_and_the_level_of_the_log(site):
    daemon = site.started_with("shop")
    site.move_pages()
    site.configure(daemon={"log_level": "debug"})
    daemon.reload()
    daemon.pages = f"http://{site.pages}"
    daemon.ready().signal(signal.SIGUSR1)
    daemon.says("looked at", level="debug", cause="command")


def test_a_password_that_is_written_out_is_warned_of_and_shown_nowhere(site):
    daemon = site.started_with("shop")
    site.configure(targets_default=site.target(password="simulator"))
    daemon.reload()
    said = daemon.says("targets.default.password: a secret that is written out", level="warning")
    assert '"simulator"' not in str(said)


# --- looks that nothing else causes ----------------------------------------------------------------------------------------


def test_a_signal_makes_it_look_at_everything(site, secret_file):
    daemon = site.started_with("mail")
    site.put("shop", 1, sink={"password": f"${{file:{secret_file}}}"})
    site.comes_to("synced")
    secret_file.write_text("rotated")  # which no event of the directory tells
    daemon.signal(signal.SIGUSR1)
    assert site.calls(1)[0]["config"]["sink"]["password"] == "rotated"
    daemon.says("a resync was asked for")


def test_what_no_event_tells_is_found_by_time(site, secret_file):
    site.configure(daemon={"resync_s": 1})
    site.put("shop", 0, sink={"password": f"${{file:{secret_file}}}"})
    site.start()
    secret_file.write_text("rotated")
    assert site.calls(1)[0]["config"]["sink"]["password"] == "rotated"
    site.settles()


def test_a_listed_directory_needs_no_events(site):
    site.configure(daemon={"poll_s": 0.1})
    site.started_with("shop")
    site.throttle("shop", to=4000)
    site.calls(1)


@pytest.fixture
def secret_file(tmp_path):
    path = tmp_path / "secret"
    path.write_text("first")
    return path
