import pytest

from tests.browser.reports import fleet, sample

FOCUS = "document.activeElement.closest('details')?.querySelector('h3').textContent ?? document.activeElement.id"


def shown(page):
    """Names of the tasks that are listed."""
    return page.locator("li:not([hidden]) > details h3").all_inner_texts()


def count(page):
    return page.get_by_role("status").inner_text()


@pytest.mark.parametrize(
    ("report", "found"),
    [
        pytest.param(
            sample,
            {
                "b/delete": "b/delete",
                "WHITEcondition": "a/update",
                "sink/jdbcUrl": "d/danger",
                "shop.customer": "a/update",
                "invoice 5,000": "a/update",
                "sink.json:4:16": "e/invalid",
                "forget g/gone": "g/gone",
            },
            id="tasks, keys, values, places and reasons",
        ),
        pytest.param(
            lambda: fleet(50),
            dict.fromkeys(["bbbbbbb", "b" * 40, "Súilleabháin", "fixes #12", "2026-11-18"], "shop-0000"),
            id="commits",
        ),
    ],
)
def test_search_finds(visit, report, found):
    page = visit(report())
    for words, name in found.items():
        page.get_by_role("searchbox").fill(words)
        assert (shown(page), count(page)[:5]) == ([name], "1 of "), words


def test_what_matches_nothing_says_so(visit):
    page = visit(sample())
    page.get_by_role("searchbox").fill("<script>nothing</script>")
    assert (shown(page), count(page)) == ([], "0 of 10 tasks")
    assert page.get_by_text("No task matches.").is_visible()


def test_chips_show_only_their_actions_and_together_with_the_search(visit):
    page = visit(fleet(50))
    page.get_by_role("button", name="adopt 10").click()
    assert count(page) == "10 of 50 tasks"
    page.get_by_role("button", name="update 40").click()
    assert count(page) == "50 tasks"
    page.get_by_role("button", name="adopt 10").click()
    page.get_by_role("searchbox").fill("shop-002")
    assert shown(page) == [f"shop-{number:04}" for number in (21, 22, 23, 24, 26, 27, 28, 29)]
    assert page.get_by_role("button", name="update 40").get_attribute("aria-pressed") == "true"


def test_a_few_matches_are_opened_and_closed_again(visit):
    page = visit(fleet(50))
    page.get_by_role("searchbox").fill("before-7")
    assert page.get_by_text("before-7").is_visible()
    assert page.evaluate("CSS.highlights.get('found').size") == 1
    page.keyboard.press("Escape")
    assert page.locator("details[open]").count() == 0
    assert (page.get_by_role("searchbox").input_value(), count(page)) == ("", "50 tasks")


def test_many_matches_stay_closed(visit):
    page = visit(fleet(50))
    page.get_by_role("searchbox").fill("before")
    assert (count(page), page.locator("details[open]").count()) == ("50 tasks", 0)


def test_keys_move_between_the_tasks_that_are_shown(visit):
    page = visit(fleet(50))
    page.keyboard.press("/")
    page.keyboard.type("shop-001")
    visited = []
    for key in ("ArrowDown", "j", "j", "k", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
        visited.append(page.evaluate(FOCUS))
    assert visited == [f"shop-{number:04}" for number in (11, 12, 13, 12, 13, 12)]


def test_keys_stop_at_the_first_and_the_last_task(visit):
    page = visit(fleet(3))
    for key in ("k", "j"):
        page.keyboard.press(key)
    assert page.evaluate(FOCUS) == "shop-0000"
    page.keyboard.press("k")
    page.keyboard.press("k")
    page.keyboard.press("k")
    assert page.evaluate(FOCUS) == "shop-0001"


def test_a_letter_in_the_search_is_a_letter(visit):
    page = visit(fleet(3))
    page.keyboard.press("/")
    page.keyboard.type("jke/")
    assert page.get_by_role("searchbox").input_value() == "jke/"


def test_a_key_with_a_modifier_is_the_browsers(visit):
    page = visit(fleet(3))
    page.keyboard.press("Control+j")
    assert page.evaluate(FOCUS) == ""


def test_enter_opens_and_closes_the_task_in_focus(visit):
    page = visit(fleet(30))
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    assert page.locator("details[open] h3").all_inner_texts() == ["shop-0001"]
    page.keyboard.press("Enter")
    assert page.locator("details[open]").count() == 0


def test_all_tasks_open_and_close_by_key_and_by_button(visit):
    page = visit(fleet(30))
    page.keyboard.press("e")
    assert page.locator("details[open]").count() == 30
    page.get_by_role("button", name="Close all").click()
    assert page.locator("details[open]").count() == 0
    assert page.get_by_role("button", name="Open all").is_visible()


def test_the_tab_key_reaches_everything_and_focus_is_seen(visit):
    page = visit(fleet(2))
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim().split(/\\s+/).slice(0, 3).join(' ')"))
        assert page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)") >= 2
    assert reached[0] == "Skip to the"
    assert reached[-2:] == ["update shop-0001 1", "adopt shop-0000 1"]


def test_the_first_link_leads_past_the_controls(visit):
    page = visit(fleet(2))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUS) == "shop-0001"


def test_a_thousand_tasks_are_searched(visit):
    page = visit(fleet(1_000))
    page.get_by_role("searchbox").fill("after-77")
    assert count(page) == "11 of 1,000 tasks"
    page.get_by_role("searchbox").fill("")
    page.keyboard.press("Enter")
    page.keyboard.press("k")
    assert count(page) == "1,000 tasks"
