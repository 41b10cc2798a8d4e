import gc
import threading
import traceback
from contextlib import closing
from dataclasses import replace
from time import monotonic

import pytest

from reconciler.core.status import State
from reconciler.errors import ConfigError
from reconciler.events import Notice, PassEnded, TargetChanged, TaskGone
from reconciler.notify import ChannelSettings, Notifier
from reconciler.notify.outbox import CAPACITY
from reconciler.state.sqlite import SqliteStore

ENOUGH_S = 10.0
TOKEN = "s3ntin3l"
DOWN = TargetChanged("default", "unreachable", "connection refused")


def mute(*_what):
    pass


@pytest.fixture
def tell(start, chat, webhook):
    """Start a notifier, tell it events and stop it; returns what the webhook has heard of by then."""

    def told(*events, **filters):
        start(chat(**filters), events=events).stop(ENOUGH_S)
        return webhook.titles

    return told


# --- what is told ----------------------------------------------------------------------------------------------------


def test_a_failure_and_its_recovery_are_told(start, chat, changed, webhook):
    notifier = start(chat())
    notifier(changed("failed"))
    webhook.wait_for(1)
    notifier(changed("synced"))
    webhook.wait_for(2)
    assert webhook.titles == ["shop/orders: failed", "shop/orders: recovered"]


def test_who_stops_sends_what_waits(tell, changed):
    assert tell(changed("failed"), DOWN) == ["shop/orders: failed", "target default: unreachable"]


def test_a_restart_sends_nothing_twice(tell, changed):
    trouble = changed("failed"), DOWN, PassEnded("start", 9, 0.1, frozen="vanished"), Notice("error", "config", "x")
    first = tell(*trouble)
    assert len(first) == 4
    assert tell(*trouble) == first


def test_a_restart_tells_what_changed_meanwhile(tell, changed):
    tell(changed("failed", "a"), changed("failed", "b"), changed("failed", "c"))
    assert tell(
        changed("synced", "a"),
        changed("failed", "b", content="def"),
        changed("failed", "c", before=None),
        TaskGone("c", State.FAILED),
    )[3:] == ["a: recovered", "b: failed", "c: gone"]


def test_marks_are_kept_by_channel(start, chat, changed, store):
    for name in ("one", "two"):
        notifier = start(chat(name))
        notifier(changed("failed"))
        notifier.stop(ENOUGH_S)
    assert store.notified("one") == store.notified("two") == {"task shop/orders": "failed:abc"}


def test_filters_are_each_channels_own(start, chat, webhooks, changed):
    everything, shop, synced = webhooks(), webhooks(), webhooks()
    notifier = start(
        chat("everything", everything),
        chat("shop", shop, labels={"team": "shop"}),
        chat("synced", synced, states=frozenset({State.SYNCED})),
    )
    for event in (
        changed("failed", "a", labels={"team": "shop"}),
        changed("failed", "b"),
        changed("synced", "c"),
        DOWN,
    ):
        notifier(event)
    notifier.stop(ENOUGH_S)
    assert everything.titles == ["a: failed", "b: failed", "target default: unreachable"]
    assert (shop.titles, synced.titles) == (["a: failed"], ["c: synced", "target default: unreachable"])


def test_what_was_told_survives_in_the_file(tmp_path, clock, chat, changed, webhook):
    for tasks in ("a", "ab"):
        with closing(SqliteStore.open(tmp_path / "own.db", clock.now, digest_version=1)) as store:
            notifier = Notifier([chat()], store, clock, lambda: 0.5, mute, mute)
            notifier.start()
            for task in tasks:
                notifier(changed("failed", task))
            notifier.stop(ENOUGH_S)
    assert webhook.titles == ["a: failed", "b: failed"]


def test_without_a_channel_there_is_nothing_to_do(start, changed):
    notifier = start()
    notifier(changed("failed"))
    notifier.stop(0)


def test_a_notifier_that_was_never_started_can_be_stopped(store, clock, chat, said):
    Notifier([chat()], store, clock, lambda: 0.5, said.append, mute).stop(0)
    assert said == []


# --- many at once ----------------------------------------------------------------------------------------------------


def test_ten_messages_are_ten_and_eleven_are_one(tell, changed):
    tasks = [f"t{n:02}" for n in range(11)]
    assert tell(*(changed("failed", task) for task in tasks[:10])) == [f"{task}: failed" for task in tasks[:10]]
    assert tell(*(changed("failed", task, content="def") for task in tasks))[10:] == ["11 failed"]


def test_the_outage_of_a_target_with_a_thousand_tasks_is_one_message(start, chat, changed, webhook, store):
    notifier = start(chat(), events=[changed("unconfirmed", f"t{number}") for number in range(1000)])
    webhook.wait_for(1)
    notifier.stop(ENOUGH_S)
    assert webhook.titles == ["1000 unconfirmed"]
    assert len(store.notified("chat")) == 1000


def test_a_trickle_becomes_a_summary_too(start, chat, changed, webhook, clock):
    notifier = start(chat())
    for number in range(10):
        notifier(changed("failed", f"t{number}"))
    webhook.wait_for(10)
    began = clock.monotonic()
    notifier(changed("failed", "late"))
    webhook.wait_for(11)
    assert clock.monotonic() - began >= 60


# --- channels that do not work ---------------------------------------------------------------------------------------


def test_a_channel_that_is_down_is_told_when_it_is_up_again(start, chat, changed, webhook, said, counted):
    webhook.status = 503
    notifier = start(chat())
    notifier(changed("failed"))
    webhook.wait_for_attempts(3)
    webhook.status = 200
    webhook.wait_for(1)
    notifier.stop(ENOUGH_S)
    assert webhook.titles == ["shop/orders: failed"]
    assert [(notice.level, notice.topic) for notice in said] == [("warning", "notify"), ("info", "notify")]
    assert counted == [("chat", "failed")] * (len(counted) - 1) + [("chat", "sent")]


def test_only_the_last_of_what_happened_meanwhile_is_told(start, chat, changed, webhook):
    webhook.refuses = lambda message: message["title"].endswith("failed")
    notifier = start(chat(), events=[changed("failed", "a"), changed("failed", "b")])
    webhook.wait_for_attempts(2)
    notifier(changed("synced", "a"))
    notifier(changed("blocked", "b"))
    webhook.wait_for(1)
    notifier.stop(ENOUGH_S)
    assert webhook.titles == ["b: blocked"]


def test_waits_between_attempts_grow_up_to_five_minutes(start, chat, changed, webhook, clock):
    webhook.status = 500
    start(chat())(changed("failed"))
    webhook.wait_for_attempts(12)
    assert 300 < clock.monotonic() < 2 + 12 * 150


def test_a_message_that_is_always_refused_does_not_hold_up_the_others(start, chat, changed, webhook):
    webhook.refuses = lambda message: "poison" in message["title"]
    start(chat(), events=[changed("failed", task) for task in ("poison", "a", "b")])
    webhook.wait_for(2)
    assert webhook.titles == ["a: failed", "b: failed"]


def test_what_could_not_be_sent_before_the_end_is_told_after_the_next_start(tell, changed, webhook, said, store):
    webhook.status = 500
    assert tell(changed("failed")) == []
    assert store.notified("chat") == {}
    assert "1 messages were not sent before the end" in said[-1].text
    webhook.status = 200
    assert tell(changed("failed", before=State.FAILED)) == ["shop/orders: failed"]


def test_a_channel_that_hangs_holds_up_neither_the_caller_nor_the_others_nor_the_end(start, chat, webhooks, changed):
    hanging, well = webhooks(), webhooks()
    hanging.silent.set()
    notifier = start(chat("hanging", hanging, query="rto=30"), chat("well", well))
    notifier(changed("failed"))
    hanging.wait_for_attempts(1)
    well.wait_for(1)
    began = monotonic()
    for number in range(1000):
        notifier(changed("failed", f"t{number}"))
    notifier.stop(0.2)
    assert monotonic() - began < 3


def test_a_channel_that_hangs_is_tried_again_after_its_time_limit(start, chat, changed, webhook):
    webhook.silent.set()
    start(chat(query="rto=0.1"))(changed("failed"))
    webhook.wait_for_attempts(2)
    webhook.silent.clear()
    webhook.wait_for(1)
    assert webhook.titles == ["shop/orders: failed"]


def test_too_many_waiting_subjects_are_dropped_counted_and_not_recorded(start, chat, changed, webhook, store, counted):
    webhook.silent.set()
    notifier = start(chat(), events=[changed("failed", "first")])
    webhook.wait_for_attempts(1)
    for number in range(CAPACITY + 5):
        notifier(changed("failed", f"t{number}"))
    assert counted == [("chat", "dropped")] * 5
    notifier.stop(0)
    assert store.notified("chat") == {}


def test_too_many_events_before_the_start_are_dropped_and_counted(store, clock, chat, changed, counted):
    notifier = Notifier([chat()], store, clock, lambda: 0.5, mute, lambda *counts: counted.append(counts))
    for number in range(CAPACITY + 5):
        notifier(changed("failed", f"t{number}"))
    assert counted == [("chat", "dropped")] * 5


def test_a_store_that_cannot_be_written_is_said_and_nothing_is_told_twice(start, chat, changed, webhook, store, said):
    notifier = start(chat())
    store.close()
    notifier(changed("failed"))
    webhook.wait_for(1)
    notifier(changed("failed", reason="in other words"))
    notifier.stop(ENOUGH_S)
    assert webhook.titles == ["shop/orders: failed"]
    assert "what was told cannot be recorded, so a restart may tell it again" in said[0].text


def test_what_could_not_be_recorded_is_recorded_with_the_next_message(tmp_path, clock, chat, changed):
    path = tmp_path / "own.db"
    with closing(SqliteStore.open(path, clock.now, digest_version=1)) as store:
        noticed = threading.Event()
        notifier = Notifier([chat()], store, clock, lambda: 0.5, lambda _: noticed.set(), mute)
        notifier.start()
        path.rename(tmp_path / "away.db")
        notifier(changed("failed", "a"))
        assert noticed.wait(ENOUGH_S)
        (tmp_path / "away.db").rename(path)
        notifier(changed("failed", "b"))
        notifier.stop(ENOUGH_S)
        assert store.notified("chat") == {"task a": "failed:abc", "task b": "failed:abc"}


def test_what_the_notifier_says_of_itself_is_never_told(tell):
    assert tell(Notice("error", "notify", "broken")) == []


@pytest.fixture
def outputs(caplog, capfd, tmp_path):
    """All that was logged at whatever level, printed and written to files."""
    caplog.set_level(0)

    def read():
        files = [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
        return f"{caplog.text} {capfd.readouterr()} {files}"

    return read


# --- secrets ---------------------------------------------------------------------------------------------------------


def test_every_wrong_address_is_named(store, clock, chat):
    channels = [ChannelSettings("one", f"slack://{TOKEN}"), chat(), ChannelSettings("two", TOKEN)]
    with pytest.raises(ConfigError) as raised:
        Notifier(channels, store, clock, lambda: 0.5, mute, mute)
    assert [line.split(": expected an Apprise URL")[0] for line in str(raised.value).splitlines()] == [
        "notify.one.url",
        "notify.two.url",
    ]


@pytest.mark.parametrize("status", [200, 500])
def test_no_piece_of_the_address_gets_anywhere(start, webhook, said, changed, outputs, status):
    webhook.status = status
    settings = ChannelSettings("chat", webhook.url(f"/{TOKEN}", f"+X-Auth={TOKEN}"))
    notifier = start(settings)
    notifier(changed("failed"))
    notifier.stop(ENOUGH_S)
    assert webhook.asked
    assert TOKEN not in f"{outputs()} {said!r} {settings!r} {notifier!r} {webhook.received}"


def test_no_traceback_of_a_wrong_address_holds_it(store, clock):
    with pytest.raises(ConfigError) as raised:
        Notifier([ChannelSettings("chat", TOKEN)], store, clock, lambda: 0.5, mute, mute)
    assert TOKEN not in "".join(traceback.format_exception(raised.value))


def test_no_thread_is_left_behind(tell, changed):
    tell(changed("failed"))
    gc.collect()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("notify-")]


def test_two_targets_are_two_subjects(tell):
    assert tell(DOWN, replace(DOWN, target="eu")) == ["target default: unreachable", "target eu: unreachable"]
