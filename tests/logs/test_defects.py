from reconciler.logs import describe_exception

SECRET = "sentinel-secret"


def broken():
    password = SECRET
    raise ValueError(f"cannot use {password}")


def caught(function):
    try:
        function()
    except Exception as error:  # noqa: BLE001 - any will do
        return error
    raise AssertionError("nothing was raised")


def wrapped():
    try:
        broken()
    except ValueError as error:
        raise RuntimeError(SECRET) from error


def silenced():
    try:
        broken()
    except ValueError:
        raise RuntimeError(SECRET) from None


def test_it_names_class_and_places():
    text = describe_exception(caught(broken))
    assert text.startswith("ValueError: tests/logs/test_defects.py:")
    assert text.endswith(" in broken")


def test_it_holds_neither_words_nor_variables():
    assert SECRET not in describe_exception(caught(wrapped))


def test_causes_follow():
    text = describe_exception(caught(wrapped))
    assert text.startswith("RuntimeError: ")
    assert ", caused by ValueError: " in text


def test_a_silenced_cause_stays_away():
    assert "ValueError" not in describe_exception(caught(silenced))


def test_causes_in_a_circle_end():
    one, other = ValueError(), RuntimeError()
    one.__cause__, other.__cause__ = other, one
    assert describe_exception(one) == "ValueError, caused by RuntimeError"


def test_deep_recursion_is_cut_to_the_innermost_frames():
    def deeper(left):
        return deeper(left - 1) if left else broken()

    text = describe_exception(caught(lambda: deeper(100)))
    assert text.count(" in deeper") == 19
    assert text.endswith(" in broken")
