"""The page of a session in a real browser: it draws, asks for nothing, fits a phone and is accessible."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.unit.synthetic import (
    CLASSES,
    make_session,
    write_checks,
    write_curves,
    write_done,
    write_shared,
)
from workflow.evo.config.variants import Variant
from workflow.evo.reporting.compare import compare
from workflow.evo.reporting.page import session_html

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

HOSTILE = "<script>alert(1)</script>"
QUOTED = Path("/models/\"><img src=x onerror='alert(2)'>.yaml")
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        found = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """The page of six variants, one of them failed, with hostile names."""
    folder = tmp_path_factory.mktemp("page")
    names = [HOSTILE, *CLASSES[1:]]
    variants = [
        Variant(f"level{level}_{kind}", QUOTED if level == 2 else Path(f"/models/{level}_{kind}.yaml"), level, kind)
        for level in (2, 3, 4)
        for kind in ("relu", "leaky")
    ]
    session = make_session(folder, variants)
    write_shared(session, names)
    incident = {"time": "2026-03-01T08:10:00+01:00", "kind": "oom", "message": f"out of memory {HOSTILE}"}
    for index, name in enumerate(session.variant_names[:-1]):
        write_done(session, name, 0.4 + index / 50, names=names, incidents=[incident])
    write_curves(session, names)
    write_checks(session, session.variant_names[-1])
    log = session.layout.root / "logs" / "train" / f"{session.variant_names[-1]}.log"
    log.parent.mkdir(parents=True)
    log.write_text("error: loss is not finite\n")
    path = folder / "report.html"
    path.write_text(session_html(compare(session), session.layout.root))
    return path


def opened(browser, path, size="desktop", theme="light", language="en"):
    """Return the page once every chart is drawn, what it complained about, and what it asked for."""
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme, locale="en-GB")
    page, complaints, requests = context.new_page(), [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
    page.on("request", lambda request: request.url.startswith("data:") or requests.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_function("document.documentElement.dataset.drawn")
    if language != "en":
        page.click(f"[data-language={language}]")
        page.wait_for_function(f"document.documentElement.dataset.drawn === '{language}'")
    return page, complaints, requests


EMPTY = """[...document.querySelectorAll('[data-chart]')].filter(chart => !chart.querySelector('svg path'))
    .map(chart => chart.dataset.chart)"""


@pytest.mark.parametrize(
    ("size", "theme", "language"),
    [("desktop", "light", "en"), ("desktop", "dark", "ko"), ("phone", "dark", "en"), ("phone", "light", "ko")],
)
def test_the_page_draws_without_complaint_or_request_and_is_accessible(browser, page_file, size, theme, language):
    axe = pytest.importorskip("axe_core_python.sync_playwright")
    page, complaints, requests = opened(browser, page_file, size, theme, language)
    assert complaints == []
    assert requests == [page_file.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]
    assert page.evaluate(EMPTY) == []
    found = axe.Axe().run(page)["violations"]
    bad = [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found if v["impact"] in {"serious", "critical"}]
    assert bad == []
    page.context.close()


def test_hostile_names_are_text(browser, page_file):
    page, complaints, _ = opened(browser, page_file)
    text = page.inner_text("body")
    assert HOSTILE in text
    assert QUOTED.as_posix() in text
    assert page.evaluate("document.querySelectorAll('img').length") == 0
    assert HOSTILE in page.inner_html("[data-chart=classes-heat] svg").replace("&lt;", "<").replace("&gt;", ">")
    assert complaints == []
    page.context.close()


def test_a_failed_variant_stands_with_its_reason(browser, page_file):
    page, _, _ = opened(browser, page_file)
    assert "level4_leaky is failed at train: loss is not finite" in page.inner_text("#open")
    page.context.close()


FADED = """name => [...document.querySelectorAll(`[data-chart="${name}"] svg [opacity="0.12"]`)].length"""


def test_a_picked_variant_stands_out_everywhere_and_the_choice_can_be_cleared(browser, page_file):
    page, _, _ = opened(browser, page_file)
    page.check("table.grid input[value=level2_leaky]")
    page.wait_for_function(f"({FADED})('pareto') > 0 && ({FADED})('curve-map50_95') > 0")
    assert page.is_checked(".picker input[value=level2_leaky]")
    page.click("button[data-clear]")
    page.wait_for_function(f"({FADED})('pareto') === 0")
    assert not page.is_checked("table.grid input[value=level2_leaky]")
    page.click("[data-chart=pareto] .mark-symbol path >> nth=0")
    assert page.locator("table.grid tr.picked").count() == 1
    page.context.close()


def test_the_table_sorts_from_the_keyboard_and_says_so(browser, page_file):
    page, _, _ = opened(browser, page_file)
    header = page.locator("table.grid thead th", has_text="int8")
    header.locator("button").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") in {"ascending", "descending"}
    cells = page.locator("table.grid tbody tr td:nth-child(5)").all_inner_texts()
    values = [float(cell) if cell != "—" else -1 for cell in cells]
    assert values in (sorted(values), sorted(values, reverse=True))
    page.context.close()


def test_sixty_variants_stay_usable(browser, tmp_path):
    variants = [
        Variant(f"v{i:02}_{kind}", Path(f"/m/{i}.yaml"), 2, kind) for i in range(30) for kind in ("relu", "leaky")
    ]
    session = make_session(tmp_path, variants, train={"epochs": 100})
    write_shared(session)
    for index, name in enumerate(session.variant_names):
        write_done(session, name, 0.2 + index / 100)
    write_curves(session)
    summary = compare(session)
    html = session_html(summary, session.layout.root)
    path = tmp_path / "report.html"
    path.write_text(html)
    assert len(html.encode()) < 8_000_000
    page, complaints, _ = opened(browser, path)
    page.check("table.grid input[value=v07_relu]")
    page.wait_for_function(f"({FADED})('pareto') === 59")
    assert complaints == []
    page.context.close()


def test_another_language_keeps_theme_choice_and_place_of_the_keyboard(browser, page_file):
    page, complaints, _ = opened(browser, page_file)
    page.select_option("#theme", "dark")
    page.check("table.grid input[value=level2_leaky]")
    page.focus("[data-language=ko]")
    page.keyboard.press("Enter")
    page.wait_for_function("document.documentElement.dataset.drawn === 'ko'")
    assert page.title() == "세션 v3 보고서"
    assert page.input_value("#theme") == "dark"
    assert page.inner_text("#theme option:checked") == "☾ 어둡게"
    assert page.is_checked("table.grid input[value=level2_leaky]")
    assert page.evaluate("document.activeElement.dataset.language") == "ko"
    assert page.get_attribute("[data-language=ko]", "aria-pressed") == "true"
    assert complaints == []
    page.context.close()
