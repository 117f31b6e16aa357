"""The live page in a real browser: no errors, no request elsewhere, text of others as text, and then the report."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator

import pytest

from tests.unit.live_session import start, watch, write, write_busy, write_finished
from tests.unit.synthetic import make_session
from workflow.evo.monitoring.server import LiveServer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def served(tmp_path):
    session = make_session(tmp_path)
    start(session)
    with LiveServer(watch(session), "127.0.0.1", 0, 0.0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield session, server
        server.shutdown()
        thread.join()


class Opened:
    """A page with what it complained about and asked for."""

    def __init__(self, browser, url: str, **settings):
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page = browser.new_page(**settings)
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog {dialog.message}"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_shows_every_variant_and_fits_without_an_error_or_a_request_elsewhere(browser, served, width, scheme):
    session, server = served
    write_busy(session)
    opened = Opened(browser, server.url, viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = opened.page
    page.wait_for_selector("#variants tr")
    assert page.locator("#variants th").all_inner_texts() == session.variant_names
    text = page.inner_text("body")
    for words in ("training", "≈ 1:30", "97 %", "not running since", "1 running, 1 done, 1 failed"):
        assert words in text
    assert "<script>alert(1)</script> [bold red]not markup[/]" in text
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.wait_for_timeout(2300)  # it asks again
    assert opened.requests.count(f"{server.url}state.json") >= 2
    assert {url for url in opened.requests if not url.startswith((server.url, "data:"))} == set()
    assert opened.complaints == []
    page.close()


def test_a_name_with_markup_is_drawn_as_text(browser, served):
    _, server = served
    document = json.loads(server.state())
    hostile = '<img src=x onerror="alert(1)">'
    document["name"] = document["folder"] = document["variants"][0]["name"] = document["variants"][0]["words"] = hostile
    page = browser.new_page()
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    page.route("**/state.json", lambda route: route.fulfill(json=document))
    page.goto(server.url)
    page.wait_for_selector("#variants tr")
    assert page.inner_text("#name") == hostile
    assert page.locator("#variants th").first.inner_text() == hostile
    assert (page.locator("img[src]").count(), dialogs) == (0, [])
    page.close()


def test_a_session_that_gets_done_turns_into_its_report(browser, served):
    session, server = served
    page = Opened(browser, server.url).page
    page.wait_for_selector("#variants tr")
    assert page.locator("#report").is_hidden()
    for name in session.variant_names:
        write_finished(session, name)
    write(session.layout.digits / "data.yaml", "names: []")
    write(session.layout.report, "<html><h1>the report</h1></html>")
    page.wait_for_url("**/report")
    assert page.inner_text("h1") == "the report"
    page.goto(f"{server.url}#live")
    page.wait_for_selector("#report a")
    assert page.inner_text("#state") == "done"
    page.close()
