import pytest

from tests.browser.reports import fleet, hostile, sample
from tests.core.render.samples import EVIL

CONTRASTS = """() => {
  const channel = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const [r, g, b, alpha = 1] = parts(getComputedStyle(e).backgroundColor);
      if (alpha === 1) return [r, g, b];
    }
    throw new Error("nothing behind");
  };
  const ratio = (one, other) => {
    const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const ownText = (e) => [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
  return [...document.body.querySelectorAll("*")].filter((e) => ownText(e) && e.checkVisibility()).map((e) => ({
    what: `${e.tagName.toLowerCase()}.${e.className}: ${e.textContent.trim().slice(0, 30)}`,
    ratio: ratio(parts(getComputedStyle(e).color), behind(e)),
  }));
}"""
THEMES = ["light", "dark"]
REFUSED = "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError'); }})"


def background(page):
    return page.evaluate("getComputedStyle(document.documentElement).backgroundColor")


def overflow(page):
    """How much wider than the window the page is, in pixels."""
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


@pytest.mark.parametrize("theme", THEMES)
def test_every_text_has_the_contrast_of_wcag_aa(visit, theme):
    page = visit(sample(), color_scheme=theme)
    page.locator(".chip").first.click()
    page.locator(".chip").first.click()
    page.locator(".chip").nth(3).click()
    page.locator(".chip").nth(1).click()
    page.locator(".chip").nth(2).click()
    found = page.evaluate(CONTRASTS)
    assert len(found) > 60
    assert [text for text in found if text["ratio"] < 4.5] == []


def test_light_and_dark_follow_the_system(visit):
    shown = {theme: background(visit(sample(), color_scheme=theme)) for theme in THEMES}
    assert shown == {"light": "rgb(245, 246, 248)", "dark": "rgb(14, 17, 22)"}


def test_a_chosen_theme_wins_and_stays_after_a_reload(visit):
    page = visit(sample(), color_scheme="light")
    light = background(page)
    page.get_by_role("button", name="Dark theme").click()
    dark = background(page)
    page.reload()
    assert (dark != light, background(page)) == (True, dark)
    page.get_by_role("button", name="Light theme").click()
    assert background(page) == light


def test_a_theme_can_be_chosen_where_nothing_may_be_stored(visit):
    page = visit(sample(), color_scheme="light")
    page.add_init_script(REFUSED)
    page.reload()
    light = background(page)
    page.get_by_role("button", name="Dark theme").click()
    assert background(page) != light


def test_paper_shows_everything_and_no_controls(visit):
    page = visit(sample(), color_scheme="dark")
    page.keyboard.press("e")
    assert page.locator(".body:visible").count() == 0
    page.emulate_media(media="print")
    assert page.locator(".body:visible").count() == page.locator("details").count() == 10
    assert page.locator("button:visible, input:visible, kbd:visible, .skip:visible").count() == 0
    assert background(page) == "rgb(255, 255, 255)"


def test_printing_opens_all_tasks_and_closes_them_again(visit):
    page = visit(fleet(30))
    assert page.locator("details[open]").count() == 0
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details[open]").count() == 30
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0


def test_a_printed_report_is_a_document_of_several_pages(visit):
    printed = visit(fleet(200)).pdf(format="A4")
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") > 10


def test_without_a_script_everything_is_there_and_nothing_pretends_to_work(visit):
    page = visit(sample(), java_script_enabled=False)
    assert page.locator(".body:visible").count() == page.locator("details").count() == 10
    assert page.locator("button:visible, input:visible, kbd:visible").count() == 0
    page.locator("summary").first.click()
    assert page.locator(".body:visible").count() == 9


def test_no_width_needs_scrolling_sideways(visit):
    page = visit(sample())
    wider = "cells => Math.max(...cells.map(cell => cell.scrollWidth - cell.clientWidth))"
    for width in (320, 390, 768, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        assert (width, overflow(page)) == (width, 0)
        assert page.locator("td:visible, th:visible").evaluate_all(wider) <= 0


def test_hostile_texts_do_nothing_but_stand_there(visit):
    page = visit(hostile(), viewport={"width": 390, "height": 844})
    assert page.evaluate("document.scripts.length + document.images.length + document.styleSheets.length") == 2
    assert page.locator("details.task").count() == 3 * len(EVIL)
    assert page.evaluate("document.activeElement.tagName") == "BODY"
    assert overflow(page) == 0
    assert page.get_by_text("@everyone fixes #12, closes other/project#3, !4").first.is_visible()


def test_a_thousand_tasks_are_not_laid_out_before_they_are_seen(visit):
    page = visit(fleet(1_000))
    assert page.locator("#count").inner_text() == "1,000 tasks"
    last = page.locator("details.task").last
    assert not last.evaluate("e => e.checkVisibility({contentVisibilityAuto: true})")
    last.scroll_into_view_if_needed()
    assert last.evaluate("e => e.checkVisibility({contentVisibilityAuto: true})")
