import pytest

from reconciler.logs.limit import BURST_LINES, BURST_S, MOST_KEPT, REPEAT_S, Limiter
from reconciler.logs.lines import Line


def line(text="is failed", subject="shop/orders", group="states", **members):
    return Line("error", text, "state-changed", group, subject, **members)


@pytest.fixture
def said(time):
    """A limiter with what it wrote."""
    lines = []
    limiter = Limiter(lines.append, time)
    limiter.texts = lambda: [each.event for each in lines]
    return limiter


def test_the_same_is_said_once(said):
    for _ in range(38):
        said.say(line())
    assert said.texts() == ["is failed"]


def test_the_same_is_said_again_after_ten_minutes_with_a_count(said, time):
    for _ in range(38):
        said.say(line())
    time.seconds = REPEAT_S
    said.flush()
    assert said.texts() == ["is failed", "is failed (said 37 times more within 10 min)"]


def test_what_was_not_repeated_is_not_said_again(said, time):
    said.say(line())
    time.seconds = REPEAT_S
    said.flush()
    assert said.texts() == ["is failed"]
    said.say(line())
    assert said.texts() == ["is failed"] * 2


def test_what_never_ends_is_one_line_in_ten_minutes(said, time):
    for _ in range(3600):
        said.say(line())
        time.seconds += 1
    assert len(said.texts()) == 6


@pytest.mark.parametrize("other", [{"reason": "x"}, {"mark": "x"}, {"subject": "x"}, {"text": "x"}])
def test_another_text_subject_or_content_is_no_repeat(said, other):
    said.say(line())
    said.say(line(**other))
    assert len(said.texts()) == 2


def test_what_goes_back_and_forth_is_said_a_few_times(said):
    for _ in range(10):
        said.say(line("is failed"))
        said.say(line("is synced"))
    assert said.texts() == ["is failed", "is synced"] * 3


def test_the_last_line_about_a_task_becomes_true(said, time):
    for _ in range(10):
        time.seconds += 20
        said.say(line("is failed"))
        time.seconds += 1
        said.say(line("is synced"))
    time.seconds += REPEAT_S
    said.flush()
    assert said.texts()[-1].startswith("is synced (said ")


def test_a_burst_is_summed_up(said, time):
    for number in range(10_000):
        said.say(line(f"task {number} is blocked", f"t{number}"))
    assert len(said.texts()) == BURST_LINES
    time.seconds = BURST_S
    said.flush()
    assert said.texts()[BURST_LINES:] == ['9,980 more lines of "states" were left out']


def test_the_sum_names_some_of_them(time):
    lines = []
    limiter = Limiter(lines.append, time)
    for number in range(30):
        limiter.say(line(subject=f"t{number}"))
    limiter.sum_up()
    assert lines[-1].reason == "more than 20 in 10 s; among them t20, t21, t22"
    assert lines[-1].level == "error"
    assert lines[-1].next == "reconciler status shows every task"


def test_other_groups_have_a_burst_of_their_own(said):
    for number in range(50):
        said.say(line(subject=f"t{number}"))
    said.say(line("is synced", group="others"))
    assert said.texts()[-1] == "is synced"


def test_summing_up_early_happens_once_in_a_window(said, time):
    for number in range(100):
        said.say(line(subject=f"t{number}"))
        said.sum_up()
    assert len(said.texts()) == BURST_LINES + 1
    time.seconds = BURST_S
    said.flush()
    assert said.texts()[-1] == '79 more lines of "states" were left out'


def test_after_its_window_a_group_may_speak_again(said, time):
    for number in range(BURST_LINES):
        said.say(line(subject=f"t{number}"))
    time.seconds = BURST_S
    said.say(line("again", "other"))
    assert said.texts()[-1] == "again"


def test_some_lines_are_never_left_out(said):
    for _ in range(100):
        said.say(line(always=True))
    assert len(said.texts()) == 100


def test_what_was_left_out_of_a_burst_is_no_repeat(said, time):
    for number in range(BURST_LINES + 1):
        said.say(line(subject=f"t{number}"))
    time.seconds = BURST_S
    said.say(line(text="later", subject=f"t{BURST_LINES}"))
    assert said.texts()[-1] == "later"


def test_repeats_that_are_due_together_are_a_burst_too(said, time):
    for number in range(5 * BURST_LINES):
        time.seconds = number // BURST_LINES * BURST_S
        for _ in range(2):
            said.say(line(subject=f"t{number}"))
    before = len(said.texts())
    assert before == 5 * BURST_LINES
    time.seconds = REPEAT_S + 5 * BURST_S
    said.flush()
    assert len(said.texts()) - before == BURST_LINES


def test_memory_is_bounded(said):
    for number in range(2 * MOST_KEPT):
        said.say(line(subject=f"t{number}", group=f"g{number // BURST_LINES}"))
    assert len(said.texts()) == 2 * MOST_KEPT
    assert len(said._said) <= MOST_KEPT  # noqa: SLF001 - what is bounded is not to be seen from outside
    assert len(said._last) <= MOST_KEPT  # noqa: SLF001 - likewise


def test_a_count_is_said_before_it_is_forgotten(said):
    said.say(line())
    said.say(line())
    for number in range(MOST_KEPT):
        said.say(line(subject=f"t{number}", group=f"g{number // BURST_LINES}"))
    assert "is failed (said 1 times more within 1 min)" in said.texts()
