import json

import pytest
import structlog

from reconciler.logs.formats import LONGEST_VALUE

EVIL = "orders\nERROR forged\r\x1b[2J\u202e\u2028\x00"


def log(event, level="error", **fields):
    getattr(structlog.get_logger(), level)(event, **fields)


def test_text_is_a_sentence_with_what_else_is_known(written):
    lines = written("text")
    log("shop/orders is failed", reason="refused.", next="reconciler retry shop/orders", task="shop/orders", ticket=7)
    assert lines() == [
        "2026-07-02 01:04:05Z ERROR   shop/orders is failed: refused. Next: reconciler retry shop/orders [ticket=7]"
    ]


def test_text_without_reason_and_facts_is_short(written):
    lines = written("text")
    log("stopping", "info")
    assert lines() == ["2026-07-02 01:04:05Z INFO    stopping"]


@pytest.mark.parametrize(
    ("log_format", "shown"), [("text", "[plan=abcdefabcdef]"), ("json", '"' + "abcdef" * 11 + '"')]
)
def test_long_ids_are_short_in_text_and_whole_in_json(written, log_format, shown):
    lines = written(log_format)
    log("sent", "info", plan="abcdef" * 11)
    assert shown in lines()[0]


def test_values_with_blanks_are_quoted_in_text(written):
    lines = written("text")
    log("moved", component="a b", exception='say "x"')
    assert lines()[0].endswith(r'moved [component="a b" exception="say \"x\""]')


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_value_can_forge_a_line(written, log_format):
    lines = written(log_format)
    log(EVIL, reason=EVIL, **{EVIL: EVIL})
    written_lines = lines()
    assert len(written_lines) == 1
    assert written_lines[0].isprintable()


def test_no_value_can_forge_a_journal_entry(entries):
    log(EVIL, reason=EVIL, **{EVIL: EVIL, "_pid": 1, "PRIORITY": "7", "9": "x"})
    assert entries[0]["PRIORITY"] == "3"
    assert all(value.isprintable() for value in entries[0].values())
    assert not [key for key in entries[0] if not key.replace("_", "A").isalnum() or key.startswith("_")]
    assert entries[0]["PID"] == "1"
    assert entries[0]["FACT"] == "x"


def test_json_keeps_numbers_and_other_scripts(written):
    lines = written("json")
    log("订单 is synced", "info", ticket=7, seconds=0.5)
    assert lines() == [
        '{"ts": "2026-07-02T01:04:05.678Z", "level": "info", "event": "订单 is synced", "ticket": 7, "seconds": 0.5}'
    ]


def test_long_values_are_cut(written):
    lines = written("json")
    log("x", reason="y" * 100_000)
    reason = json.loads(lines()[0])["reason"]
    assert len(reason) == LONGEST_VALUE
    assert reason.endswith("y…")


def test_an_exception_is_told_without_its_words(written):
    lines = written("json")
    try:
        int("sentinel-secret")
    except ValueError as error:
        for how in (error, (type(error), error, error.__traceback__)):
            log("broken", exc_info=how)
    written_lines = lines()
    assert "sentinel-secret" not in "".join(written_lines)
    for line in written_lines:
        assert json.loads(line)["exception"].startswith("ValueError: tests/logs/test_formats.py:")


def test_nothing_is_said_of_an_exception_that_is_none(written):
    lines = written("json")
    log("fine", exc_info=True)
    assert "exc" not in lines()[0]
