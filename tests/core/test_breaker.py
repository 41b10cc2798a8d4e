from datetime import timedelta

import pytest

from reconciler.core.backoff import CAP_S
from reconciler.core.breaker import SUSPICIOUS, Breaker
from tests.core.builders import NOW

LATER = NOW + timedelta(minutes=1)


@pytest.fixture
def breaker():
    return Breaker()


@pytest.fixture
def opened(breaker):
    breaker.open("unreachable", "no answer", NOW)
    return breaker


def failed(breaker, calls):
    return [breaker.failed() for _ in range(calls)]


def test_breaker_is_closed_at_first(breaker):
    assert (breaker.kind, breaker.message) == ("", "")


def test_several_calls_without_an_answer_are_suspicious(breaker):
    assert failed(breaker, SUSPICIOUS + 1) == [False] * (SUSPICIOUS - 1) + [True, True]


def test_answer_makes_what_failed_before_forgotten(breaker):
    failed(breaker, 2)
    breaker.worked()
    assert failed(breaker, 3) == [False, False, True]


def test_open_breaker_is_not_suspicious_again(opened):
    assert not any(failed(opened, 4))


def test_open_breaker_says_why(opened):
    assert (opened.kind, opened.message, opened.since) == ("unreachable", "no answer", NOW)


def test_same_kind_of_trouble_is_no_news_and_keeps_its_first_words_and_time(opened):
    assert opened.open("unreachable", "no answer, request 7", LATER) is False
    assert (opened.kind, opened.message, opened.since) == ("unreachable", "no answer", NOW)


def test_another_kind_of_trouble_is_news(opened):
    assert opened.open("misconfigured", "401", LATER) is True
    assert (opened.kind, opened.message, opened.since) == ("misconfigured", "401", LATER)


def test_closing_an_open_breaker_is_news_once(opened):
    assert (opened.close(), opened.close()) == (True, False)
    assert (opened.kind, opened.message, opened.since) == ("", "", None)


def test_after_closing_calls_are_counted_anew(breaker):
    failed(breaker, 2)
    breaker.open("unreachable", "no answer", NOW)
    failed(breaker, 2)
    breaker.close()
    assert failed(breaker, 3) == [False, False, True]


def test_probe_that_succeeds_makes_a_closed_breaker_count_anew(breaker):
    failed(breaker, 2)
    assert breaker.close() is False
    assert failed(breaker, 2) == [False, False]


def test_probes_become_rarer_up_to_a_bound(opened):
    waits = [opened.next_probe_s(0.5) for _ in range(9)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, CAP_S / 2, CAP_S / 2, CAP_S / 2]


def test_probes_begin_often_again_after_the_breaker_was_closed(opened):
    first = [opened.next_probe_s(0.5) for _ in range(3)]
    opened.close()
    opened.open("unreachable", "again", NOW)
    assert [opened.next_probe_s(0.5) for _ in range(3)] == first
