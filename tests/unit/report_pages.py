"""Reading the reports of a session in a test: the elements and cells of a page, the rows of a Markdown table."""

from __future__ import annotations

import re
from contextlib import ExitStack
from html.parser import HTMLParser
from unittest.mock import patch

from workflow.evo.reporting import page as report_page
from workflow.evo.reporting.compare import compare
from workflow.evo.reporting.render import session_markdown
from workflow.evo.text.facts import sentence

HOSTILE = "<script>alert(1)</script>"
VOID = {"meta", "link", "img", "br", "input", "hr"}


class Page(HTMLParser):
    """The elements of a page, the text of its table cells, and whatever it would load from elsewhere."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.handlers: list[str] = []
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for key, value in attrs:
            if key == "id":
                self.ids.append(value)
            elif key == "href" and tag == "a":
                self.links.append(value)
            elif key in {"src", "href", "xlink:href", "data", "poster", "srcset", "action"}:
                self.loads.append(value)
            elif key.startswith("on"):
                self.handlers.append(key)
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.texts.append(data)
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def variant(self, name: str) -> list[str]:
        """Return the row of a variant in the table of all variants."""
        return next(row for row in self.rows if row[0] == name and len(row) == 14)


def render(session, curves: bool = False) -> tuple[str, str]:
    """Return the page in its first language, without scripts, and the Markdown; charts take most of the time."""
    summary = compare(session)
    with ExitStack() as stack:
        stack.enter_context(patch.object(report_page, "_library", return_value="/* not needed here */"))
        if not curves:
            stack.enter_context(patch.object(report_page, "draw", return_value={}))
        html = report_page.session_html(summary, session.layout.root)
    html = re.sub(r"<(script|template)\b.*?</\1>", "", html, flags=re.DOTALL)
    return html, session_markdown(summary)


def said(facts) -> list[str]:
    """Return what facts of a summary say in English."""
    return [sentence(found) for found in facts]


def assert_tables_are_whole(markdown: str):
    """Every row of a Markdown table has as many cells as its header; a pipe that is escaped makes no cell."""
    columns = None
    for line in markdown.splitlines():
        if not line.startswith("|"):
            columns = None
            continue
        cells = len(re.findall(r"(?<!\\)\|", line))
        columns = columns or cells
        assert cells == columns, line
