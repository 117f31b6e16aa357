"""Which variant the report says to ship, and why."""

from __future__ import annotations

import pytest

from tests.unit.synthetic import make_session, write_done, write_preflight
from tools.messages import latin_words
from workflow.evo.reporting.compare import compare
from workflow.evo.reporting.decision import NOISE, decide
from workflow.evo.reporting.summary import VariantSummary
from workflow.evo.text.facts import sentence
from workflow.evo.text.language import Language

BOARD = "ethos-u55-256"


def finished(tmp_path, figures):
    """Return a decision over variants with the given (accuracy in int8, cycles, passes the gates)."""
    session = make_session(tmp_path)
    names = session.variant_names[: len(figures)]
    for name, (accuracy, _, passes) in zip(names, figures, strict=True):
        write_done(session, name, accuracy + 0.005)
        if not passes:
            write_preflight(session, name, sram_kib=9000.0)
    variants = compare(session)["variants"][: len(figures)]
    for variant, (_, cycles, _) in zip(variants, figures, strict=True):
        variant["npu"][BOARD]["estimate"].update(cycles=cycles, latency_ms=cycles and cycles / 500e3)
    return decide([VariantSummary(variant) for variant in variants], BOARD)


def test_within_the_noise_of_the_best_the_fastest_is_shipped(tmp_path):
    decision = finished(tmp_path, [(0.50, 2e6, True), (0.48, 1e6, True), (0.46, 5e5, True)])
    assert decision.chosen == "level2_leaky"
    assert decision.close == ["level2_relu", "level2_leaky"]
    why = str(decision.why)
    assert str(decision.what) == f"Ship level2_leaky on {BOARD}."
    assert "The highest is 0.500 (level2_relu)" in why
    assert f"differences below {NOISE} are noise" in why
    assert "2.00 ms" in why


def test_a_clear_lead_beats_any_latency(tmp_path):
    decision = finished(tmp_path, [(0.60, 9e6, True), (0.48, 1e6, True)])
    assert decision.chosen == "level2_relu"
    assert "at least 0.03 ahead of the other variant that passes" in str(decision.why)


def test_a_variant_that_misses_a_gate_is_not_shipped(tmp_path):
    decision = finished(tmp_path, [(0.60, 1e6, False), (0.30, 2e6, True)])
    assert decision.chosen == "level2_leaky"
    assert list(decision.missed) == ["level2_relu"]
    assert "only complete variant that passes" in str(decision.why)


def test_where_nothing_passes_every_missed_gate_is_named(tmp_path):
    decision = finished(tmp_path, [(0.60, 1e6, False)])
    assert decision.chosen is None
    assert decision.missed == {
        "level2_relu": [{"board": BOARD, "kind": "sram", "found": 9000.0, "limit": 4096}],
    }
    assert "No complete variant passes the gates" in str(decision.what)


def test_without_any_result_nothing_is_recommended(tmp_path):
    decision = compare(make_session(tmp_path))["decision"]
    assert decision["chosen"] is None
    assert len(decision["open"]) == 6
    assert sentence(decision["what"]) == f"No variant can be recommended for {BOARD} yet."


@pytest.mark.parametrize("cycles", [1e6, None])
def test_the_most_accurate_one_is_shipped_where_it_is_also_the_fastest_or_no_latency_is_known(tmp_path, cycles):
    decision = finished(tmp_path, [(0.50, cycles, True), (0.49, cycles and 2e6, True)])
    assert decision.chosen == "level2_relu"
    assert "accuracy does not separate it from level2_leaky" in str(decision.why)


@pytest.mark.parametrize(
    "figures",
    [
        [(0.50, 2e6, True), (0.48, 1e6, True)],
        [(0.60, 9e6, True), (0.48, 1e6, True)],
        [(0.60, 9e6, True), (0.48, 1e6, True), (0.4, 1e6, True)],
        [(0.60, 1e6, True)],
        [(0.60, 1e6, False)],
        [(0.50, 1e6, True), (0.49, 2e6, True)],
        [(0.50, None, True), (0.49, None, True)],
        [],
    ],
)
def test_every_decision_can_be_said_in_korean(tmp_path, figures):
    decision = finished(tmp_path, figures)
    texts = [sentence(found, Language("ko")) for found in (decision.what, decision.why)]
    assert latin_words(text.replace(BOARD, "") for text in texts) <= {"level2_relu", "level2_leaky", "Vela", "ms"}
