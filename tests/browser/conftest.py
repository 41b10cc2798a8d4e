"""The HTML report in a real Chromium: Debian's, driven by Playwright. Each page is watched while it is open."""

import pytest
from playwright.sync_api import sync_playwright

from tests.programs import need

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 10_000


@pytest.fixture(scope="module")  # not longer: other tests of this process may want an event loop of their own
def browser():
    (program,) = need("chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, tmp_path):
    """Open a report; nothing may be asked of the network, complained about or popped up until the test ends."""
    trouble, contexts = [], []

    def opened(report, path="", **context):
        contexts.append(browser.new_context(offline=True, **context))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE_MS)
        file = tmp_path / "report.html"
        file.write_text(report, encoding="utf-8")
        for event in ("console", "pageerror", "dialog", "websocket", "popup", "download"):
            page.on(event, lambda what, event=event: trouble.append(f"{event}: {what}"))
        page.on("request", lambda request: request.url == file.as_uri() or trouble.append(request.url))
        page.goto(file.as_uri() + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert trouble == []
