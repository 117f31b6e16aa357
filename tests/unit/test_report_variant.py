"""The Markdown report of one variant, from whatever exists of it."""

import re
from pathlib import Path

import pytest

from tests.unit.report_pages import assert_tables_are_whole
from tests.unit.synthetic import (
    make_session,
    split_metrics,
    write_checks,
    write_done,
    write_history,
    write_metrics,
    write_training,
)
from workflow.evo.config.variants import Variant
from workflow.evo.errors import UserError
from workflow.evo.files import write_atomically
from workflow.evo.reporting.render import variant_markdown
from workflow.evo.results.collect import collect_variant
from workflow.evo.results.journal import Journal
from workflow.evo.text.facts import fact, sentence
from workflow.evo.text.markdown import escape, link_target

NAME = "level3_relu"
NO_VALUE = re.compile(r"\b(nan|None|null|undefined|inf)\b")


def report(session, name=NAME) -> str:
    return variant_markdown(collect_variant(session, name))


def write_log(session, rule: str, text: str, name: str = NAME):
    path = session.layout.root / "logs" / rule / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_finished_variant_shows_its_figures(session):
    write_done(session, NAME, 0.4)
    text = report(session)
    assert text.startswith(f"# {NAME}, session v3\n\nStatus: **done**\n")
    assert "| val | 0.400 | 0.640 | 0.810 | 0.600 | 0.350 | 87 | 3,702 |" in text
    assert "| test | 0.390 |" in text
    assert "| red cell | 0.400 |" in text
    assert "| val | 0.4 ms | 12.3 ms | 0.8 ms | Test CPU, 2 threads |" in text
    assert "| Wall time, interruptions included | 1 h 32 min |" in text
    assert "| Time in epochs | 4 min 6 s |" in text
    assert "| Peak memory, GPU | — |" in text
    assert "| Scope of the activation | backbone, neck |" in text
    assert "## Incidents\n\nNone.\n" in text
    assert not NO_VALUE.search(text.replace("\nNone.\n", ""))
    assert_tables_are_whole(text)


def test_a_variant_that_has_not_run_says_so_in_every_section(session):
    text = report(session)
    assert "Status: **missing** at `validate_model`: not run yet" in text
    for line in ("Not evaluated.", "Not trained.", "Not checked.", "Nothing is recorded yet."):
        assert f"\n{line}\n" in text
    assert "| Parameters | — |" in text
    assert "| Network, SHA-256 | — |" in text
    assert not NO_VALUE.search(text)
    assert_tables_are_whole(text)


def test_an_unknown_variant_is_refused(session):
    with pytest.raises(UserError, match="level3_rleu"):
        collect_variant(session, "level3_rleu")


def test_a_failure_stands_with_the_error_of_its_log(session):
    write_checks(session, NAME)
    write_log(session, "train", "epoch 1\nerror: the loss is not finite\n")
    assert "Status: **failed** at `train`: the loss is not finite\n" in report(session)


def test_a_crash_stands_with_its_last_line(session):
    write_log(session, "validate_model", "Traceback (most recent call last):\n  File x\nKeyError: 'nc'\n")
    assert "Status: **failed** at `validate_model`: KeyError: 'nc'\n" in report(session)


def test_a_long_error_is_cut_and_its_colours_are_removed(session):
    findings = "".join(f"line {number}\n" for number in range(8))
    write_log(session, "validate_model", f"\x1b[31merror: bad file\x1b[0m\n{findings}")
    assert sentence(collect_variant(session, NAME)["reason"]) == "bad file; line 0; line 1; … and 6 more"


def test_a_failed_shared_check_is_why_a_variant_is_not_trained(session):
    write_checks(session, NAME)
    path = session.layout.root / "logs" / "check_dataset.log"
    path.parent.mkdir(parents=True)
    path.write_text("error: no labels\n")
    assert "Status: **failed** at `check_dataset`: no labels" in report(session)


def test_a_message_over_several_lines_stays_one_line(session):
    write_done(
        session,
        NAME,
        0.4,
        incidents=[{"time": "2026-03-01T08:10:00+01:00", "kind": "crash", "message": "first\n\n# second\n| third"}],
    )
    text = report(session)
    assert r"- 1 Mar 2026, 08:10 GMT+01:00, crash: first \# second \| third" in text
    assert "\n# second" not in text
    assert "\nNone.\n" not in text


def test_an_unfinished_training_says_how_far_it_is(session):
    write_checks(session, NAME)
    paths = session.layout.variant(NAME)
    journal = Journal(paths.checkpoints)
    journal.start_attempt("recipe", 16)
    journal.incident("out_of_memory", fact("quoted", text="batch 16 did not fit, going on with 8"))
    write_history(paths.checkpoints / "work" / "results.csv", 3)
    summary = collect_variant(session, NAME)
    assert summary["status"] == "missing"
    assert summary["history"]["epoch"] == [1, 2, 3]
    assert "attempt 1, 3 epochs so far, not finished; last incident: batch 16 did not fit" in sentence(
        summary["reason"]
    )
    assert "out of memory: batch 16 did not fit, going on with 8" in variant_markdown(summary).replace("\\", "")


def test_metrics_of_other_weights_are_not_shown(session):
    write_done(session, NAME, 0.4)
    write_metrics(session, NAME, split_metrics(0.7), None, "0" * 64)
    text = report(session)
    assert "Status: **failed** at `evaluate`: metrics.json is of other weights than training.json" in text
    assert "0.700" not in text
    assert "Not evaluated." in text


def test_trained_weights_with_other_activations_fail_the_variant(session):
    found = {"backbone": {"SiLU": 27}, "neck": {"ReLU": 18}, "detect": {"SiLU": 12}}
    write_done(session, NAME, 0.4, activations={"verified": False, "found": found})
    text = report(session)
    assert "Status: **failed** at `train`: best.pt does not have the activations that its level requires" in text
    assert "but NOT in the trained weights" in text


def test_metrics_without_a_value_are_dashes(session):
    write_checks(session, NAME)
    training = write_training(session, NAME)
    write_metrics(session, NAME, split_metrics(None), None, training["weights"]["best"])
    text = report(session)
    assert "| val | — | — | — | — | — | 87 | 3,702 |" in text
    assert not NO_VALUE.search(text.replace("\nNone.\n", ""))


def test_without_a_test_split_there_is_no_row_of_it(session):
    write_done(session, NAME, 0.4, test=False)
    text = report(session)
    assert "| test |" not in text
    assert "Classes on test" not in text
    assert_tables_are_whole(text)


def test_hostile_class_names_and_paths_are_text(tmp_path):
    variant = Variant("own", Path("/models/a\"b'c|d`e<script>.yaml"))
    session = make_session(tmp_path, [variant])
    names = ["<script>alert(1)</script>", "pipe | `tick` [link](http://x) *star* _under_ a_b"]
    write_done(session, "own", 0.4, names=names)
    text = report(session, "own")
    assert "<script" not in text
    assert "| &lt;script&gt;alert(1)&lt;/script&gt; |" in text
    assert r"| pipe \| \`tick\` \[link\](http://x) \*star\* \_under\_ a_b |" in text
    assert "| Model definition | /models/a\"b'c\\|d\\`e&lt;script&gt;.yaml |" in text
    assert_tables_are_whole(text)


def test_plots_are_linked_relative_to_the_session(session):
    write_done(session, NAME, 0.4)
    write_atomically(session.layout.variant(NAME).plots / "val" / "val_batch0_pred.jpg", b"")
    (session.layout.variant(NAME).plots / "val" / "a (1).png").write_bytes(b"")
    text = report(session)
    assert f"- [val_batch0_pred.jpg]({NAME}/evaluate/plots/val/val_batch0_pred.jpg)" in text
    assert f"- [a (1).png]({NAME}/evaluate/plots/val/a%20%281%29.png)" in text
    for target in re.findall(r"\]\(([^)]+jpg)\)", text):
        assert (session.layout.root / target).is_file()


def test_pretrained_weights_say_how_much_of_them_was_used(session):
    pretrained = {"path": "yolo_n.pt", "sha256": "0" * 64, "matched": 1, "total": 12}
    document = write_training(session, NAME)
    summary = collect_variant(session, NAME)
    assert document["pretrained"] is None
    assert "| Pretrained weights | none |" in variant_markdown(summary)
    summary["training"]["pretrained"] = pretrained
    assert "| Pretrained weights | yolo_n.pt: 1 of 12 tensors matched |" in variant_markdown(summary)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (0, "0"),
        ("level2_relu", "level2_relu"),
        ("a|b", r"a\|b"),
        ("`x`", r"\`x\`"),
        ("a\\b", r"a\\b"),
        ("<b> & c", "&lt;b&gt; &amp; c"),
        ("two\nlines", "two lines"),
    ],
)
def test_text_is_no_markup(value, text):
    assert escape(value) == text


def test_a_link_target_has_no_character_that_ends_it():
    assert link_target("a (b)/c|d.png") == "a%20%28b%29/c%7Cd.png"


@pytest.mark.parametrize(("recorded", "row"), [({"precision": "fp16"}, "| Arithmetic | fp16 |"), ({}, None)])
def test_the_arithmetic_of_a_training_is_shown_where_it_was_recorded(session, recorded, row):
    write_training(session, NAME, **recorded)
    text = report(session)
    assert (row in text) if row else ("Arithmetic" not in text)
