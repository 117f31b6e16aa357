"""What the reports show, and that nothing in them can act: hostile names, missing figures, one file without a network."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.unit import synthetic
from workflow.evo.reporting import figures, render
from workflow.evo.reporting.collect import collect_variant
from workflow.evo.reporting.compare import compare
from workflow.evo.reporting.images import BUDGET
from workflow.evo.reporting.markdown import Markdown, escape
from workflow.evo.variants import Variant

HOSTILE = (
    "<script>alert(1)</script>",
    "a\"b'c",
    "pipe | `tick` *star* [x](javascript:1)",
    "naïve 细胞 $x_1$",
    "{{ 7*7 }}",
)
SCORES = {
    "level2_relu": 0.387,
    "level2_leaky": 0.393,
    "level3_relu": 0.401,
    "level3_leaky": 0.422,
    "level4_relu": 0.413,
}
FINDING = {
    "severity": "warning",
    "code": "label_missing",
    "message": "images have no label file and count as background",
    "count": 1200,
    "examples": ["images/<b>1</b>.jpg"],
}
VOID = {"meta", "link", "img", "line", "path", "use", "br"}


class Page(HTMLParser):
    """Text, tags, attributes and resources of a page; fails on tags that do not match."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == [], self.open
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)


def page(session):
    html = render.session_html(compare(session), session.layout.root)
    return html, Page(html)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A folder with five finished variants, one of which had an incident, and one that failed."""
    session = synthetic.make_session(tmp_path_factory.mktemp("template"))
    synthetic.write_shared(session, findings=[FINDING])
    incident = {"time": "2026-03-01T08:40:00+01:00", "kind": "out_of_memory", "message": "continued at batch 8"}
    for name, score in SCORES.items():
        synthetic.write_done(session, name, score, incidents=[incident] if name == "level3_leaky" else [])
        synthetic.write_pictures(session, name, 320)
    log = session.layout.root / "logs" / "validate_model" / "level4_leaky.log"
    log.parent.mkdir(parents=True)
    log.write_text("error: m.yaml:3: unknown module '<i>Konv</i>'\n")
    return session.layout.root


@pytest.fixture
def session(tmp_path, template):
    session = synthetic.make_session(tmp_path)
    shutil.copytree(template, session.layout.root)
    return session


# report.html ---------------------------------------------------------------------------------------------------------


def test_the_page_answers_the_question_first(session):
    _, shown = page(session)
    assert "level3_leaky has the highest mAP50-95 on val, 0.422, 0.009 ahead of level4_relu." in shown.text
    assert "This is not a ranking: each variant was trained with one seed" in shown.text
    assert shown.text.index("0.009 ahead") < shown.text.index("Accuracy on val")


def test_the_page_shows_every_section(session):
    html, shown = page(session)
    for text in (
        "5 of 6", "level4_leaky is failed at validate_model : m.yaml:3: unknown module '<i>Konv</i>'", "1,630,000",
        "Fewest parameters", "level2_relu and level2_leaky", "red cell", "1 h 32 min", "12.3 ms", "LeakyReLU(0.1) 27",
        "executed: leaky_relu 27", "as promised", "images have no label file", "1,200", "continued at batch 8",
        "out_of_memory", "Test CPU", synthetic.digest("data")[:12], "git.commit", "no GPU: training runs on the CPU",
    ):  # fmt: skip
        assert text in shown.text, text
    assert html.count("<figure>") == 4 + 6  # curves; labels and five predictions
    assert "41.5" not in shown.text, "the estimate of the hours is no measurement"


def test_the_page_is_one_file_that_asks_for_nothing_and_runs_nothing(session):
    html, shown = page(session)
    assert not {"script", "iframe", "object", "embed", "form"} & set(shown.tags)
    assert "default-src 'none'" in html
    ids = {value for _, name, value in shown.attributes if name == "id"}
    for tag, name, value in shown.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in {"src", "href", "xlink:href"}:
            assert value.startswith("data:") or (value[0] == "#" and value[1:] in ids), (tag, name, value[:80])
    assert not re.search(r"@import|url\((?!#|[\"']?data:)", html)
    assert len([value for _, name, value in shown.attributes if name == "id"]) == len(ids), "an id stands twice"


def test_the_page_does_not_change_when_it_is_rendered_again(session):
    assert page(session)[0] == page(session)[0]


def test_hostile_names_are_text(tmp_path):
    yaml = Path('/models/it\'s "mine" <img src=x onerror=alert(1)>.yaml')
    session = synthetic.make_session(tmp_path, [Variant("mine", yaml), Variant("level4_relu", yaml, 4, "relu")])
    synthetic.write_shared(session, HOSTILE, [FINDING])
    message = "<img src=x onerror=alert(2)>"
    for name in session.variant_names:
        incident = {"time": "now", "kind": "<u>", "message": message}
        synthetic.write_done(session, name, 0.4, names=HOSTILE, incidents=[incident])
    html, shown = page(session)
    assert "script" not in shown.tags
    assert "img" not in shown.tags
    assert "u" not in shown.tags
    for text in (*HOSTILE, str(yaml), message):
        assert " ".join(text.split()) in shown.text
    assert "49" not in re.findall(r"class=\"wrap\">([^<]*)<", html)


def test_a_session_of_which_nothing_exists_has_a_page(tmp_path):
    session = synthetic.make_session(tmp_path)
    html, shown = page(session)
    assert "No variant has a measured accuracy yet." in shown.text
    assert shown.text.count("not run yet") == 6
    assert "The dataset has not been checked yet." in shown.text
    assert not re.search(r"\b(nan|None|inf|undefined)\b", shown.text, re.IGNORECASE)
    assert html.count("<figure>") == 0


def test_one_variant_alone_is_not_compared(tmp_path):
    session = synthetic.make_session(tmp_path, [Variant("level4_relu", Path("/m.yaml"), 4, "relu")])
    synthetic.write_done(session, "level4_relu", 0.4)
    html, shown = page(session)
    assert "nothing is ranked" in shown.text
    assert 'id="criteria"' not in html
    assert "not a ranking" not in shown.text
    assert "None recorded." in shown.text


def test_without_a_test_split_there_are_no_test_columns(tmp_path):
    session = synthetic.make_session(tmp_path)
    synthetic.write_shared(session, test=False)
    synthetic.write_done(session, "level2_relu", 0.4, test=False)
    _, shown = page(session)
    assert "Accuracy on test" not in shown.text
    assert "No test split was evaluated." in shown.text


def test_a_class_without_objects_has_a_dash(tmp_path):
    session = synthetic.make_session(tmp_path)
    synthetic.write_checks(session, "level2_relu")
    weights = synthetic.write_training(session, "level2_relu")["weights"]["best"]
    metrics = synthetic.split_metrics(0.4, absent=("platelet",))
    synthetic.write_metrics(session, "level2_relu", metrics, None, weights)
    html, _ = page(session)
    row = re.search(r'platelet</th><td class="n">(.*?)</td><td class="n">(.*?)</td>', html)
    assert row.groups() == ("0", "—")


def test_six_variants_with_incompressible_pictures_stay_below_three_megabytes(tmp_path):
    session = synthetic.make_session(tmp_path, train={"epochs": 300})
    for name in session.variant_names:
        synthetic.write_done(session, name, 0.4)
        synthetic.write_pictures(session, name, 1280)
    html, shown = page(session)
    assert shown.tags.count("img") == 7
    assert len(html.encode()) * 1.5 > BUDGET, "the pictures are there"
    assert len(html.encode()) < 3_000_000


def test_a_picture_that_does_not_open_is_left_out(session):
    (session.layout.root / "level2_relu" / "evaluate" / "plots" / "val" / "val_batch0_pred.jpg").write_bytes(b"x")
    assert page(session)[1].tags.count("img") == 5


# Curves --------------------------------------------------------------------------------------------------------------


def test_variants_differ_in_colour_and_activations_in_their_dash(session):
    drawn = figures.styles(compare(session)["variants"])
    assert len({style.colour for style in drawn.values()}) == 6
    assert drawn["level2_relu"].dashes == drawn["level3_relu"].dashes == ()
    assert drawn["level2_leaky"].dashes == drawn["level4_leaky"].dashes != ()


def test_more_variants_than_colours_still_differ():
    variants = [{"variant": f"v{i}", "activation": "relu"} for i in range(3 * figures.COLOURS)]
    drawn = figures.styles(variants)
    assert len({(style.colour, style.dashes) for style in drawn.values()}) == len(variants)


def test_curves_are_valid_svg_in_the_colours_of_the_page(session):
    variants = compare(session)["variants"]
    shown = figures.training_curves(variants, figures.styles(variants))
    assert [figure["title"] for figure in shown] == [title for _, title, _ in figures.PANELS]
    for figure in shown:
        svg = ET.fromstring(figure["svg"].replace("<svg ", '<svg xmlns:xlink="http://www.w3.org/1999/xlink" ', 1))
        titles = [element.text for element in svg.iter() if element.tag.endswith("title")]
        assert titles == list(SCORES), "one line per trained variant"
        assert "var(--series-4)" in figure["svg"]
        assert not re.search(r"#0[0-9a-f]{5}\b", figure["svg"]), "a stand-in colour is left"


def test_one_epoch_and_gaps_are_drawn():
    history = {"epoch": [1], "map50_95": [0.1], "box_loss": [None], "cls_loss": [2.0]}
    variant = {"variant": "<v>", "activation": None, "history": history, "training": None}
    shown = figures.training_curves([variant], figures.styles([variant]))
    assert [figure["title"] for figure in shown] == ["mAP50-95 on val", "Class loss on train"]
    assert "<title>&lt;v&gt;</title>" in shown[0]["svg"]


# Markdown ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (3, "3"),
        ("level2_relu", "level2_relu"),
        ("_x_", "\\_x\\_"),
        ("a|b", "a\\|b"),
        ("`c`", "\\`c\\`"),
        ("<b>&", "&lt;b&gt;&amp;"),
        ("two\nlines", "two lines"),
        ("[x](y)", "\\[x\\](y)"),
        (Markdown("**b**"), "**b**"),
    ],
)
def test_markdown_is_escaped(value, text):
    assert escape(value) == text


def cells(line: str) -> list[str]:
    return re.split(r"(?<!\\)\|", line)


def assert_tables_are_rectangular(text: str) -> None:
    width, fenced = None, text.splitlines()
    for line in fenced:
        if not line.startswith("|"):
            width = None
            continue
        width = width or len(cells(line))
        assert len(cells(line)) == width, line


def test_the_report_of_a_session_in_markdown(session):
    text = render.session_markdown(compare(session))
    assert "**level3_leaky has the highest mAP50-95 on val, 0.422, 0.009 ahead of level4_relu.** This is not" in text
    assert "- level4_leaky is **failed** at validate_model: m.yaml:3: unknown module '&lt;i&gt;Konv&lt;/i&gt;'" in text
    assert "| level2_relu and level2_leaky (tie) | 1,620,000 |" in text
    assert "level3_leaky, 2026-03-01T08:40:00+01:00, out_of_memory: continued at batch 8" in text
    assert "images/&lt;b&gt;1&lt;/b&gt;.jpg" in text
    assert_tables_are_rectangular(text)
    assert not re.search(r"\n{4,}", text)


def test_hostile_class_names_do_not_break_markdown(tmp_path):
    session = synthetic.make_session(tmp_path, [Variant("level4_relu", Path("/m.yaml"), 4, "relu")])
    synthetic.write_done(session, "level4_relu", 0.4, names=HOSTILE)
    for text in (
        render.session_markdown(compare(session)),
        render.variant_markdown(collect_variant(session, "level4_relu")),
    ):
        assert "<script>" not in text
        assert "pipe \\| \\`tick\\` \\*star\\* \\[x\\](javascript:1)" in text
        assert_tables_are_rectangular(text)


def test_the_report_of_a_variant(session):
    text = render.variant_markdown(collect_variant(session, "level3_leaky"))
    for line in (
        "# level3_leaky, session v3",
        "Status: **done**",
        "| Parameters | 1,630,000 |",
        "| val | 0.422 | 0.675 | 0.810 | 0.622 | 0.350 | 87 | 3,702 |",
        "| val | 0.4 ms | 12.3 ms | 0.8 ms | Test CPU, 2 threads |",
        "| Wall time, interruptions included | 1 h 32 min |",
        "| Peak memory, GPU | — |",
        "- 2026-03-01T08:40:00+01:00, out_of_memory: continued at batch 8",
        "| backbone | LeakyReLU(0.1) | LeakyReLU(0.1) 27 | leaky_relu 27 | LeakyReLU(0.1) 27 |",
        f"| best.pt, SHA-256 | {synthetic.digest('best', 'level3_leaky')} |",
        "- [BoxPR_curve.png](level3_leaky/evaluate/plots/val/BoxPR_curve.png)",
    ):
        assert line in text.splitlines(), line
    assert_tables_are_rectangular(text)


def test_the_report_of_a_variant_that_failed_says_why_and_invents_nothing(session):
    text = render.variant_markdown(collect_variant(session, "level4_leaky"))
    assert "Status: **failed** at `validate_model`: m.yaml:3: unknown module '&lt;i&gt;Konv&lt;/i&gt;'" in text
    for sentence in (
        "Not evaluated.",
        "Not trained.",
        "Nothing is recorded yet.",
        "Not checked.",
        "| Parameters | — |",
    ):
        assert sentence in text
    assert_tables_are_rectangular(text)


def test_the_transfer_of_pretrained_weights_is_told(session):
    pretrained = {"path": "yolov8n.pt", "sha256": "0" * 64, "matched": 301, "total": 355}
    training = synthetic.write_training(session, "level2_relu", pretrained=pretrained)
    assert training["pretrained"]["matched"] == 301
    text = render.variant_markdown(collect_variant(session, "level2_relu"))
    assert "| Pretrained weights | yolov8n.pt: 301 of 355 tensors matched |" in text
