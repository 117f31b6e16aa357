"""Which variant the report says to ship, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.resamples import resamples
from tests.unit.synthetic import NPU, compatibility, make_session, write_done, write_preflight
from tools.messages import latin_words
from workflow.evo.reporting.boards import differences
from workflow.evo.reporting.compare import compare
from workflow.evo.reporting.decision import decide
from workflow.evo.reporting.summary import VariantSummary
from workflow.evo.text.facts import sentence
from workflow.evo.text.language import Language
from workflow.evo.text.wording import percent

BOARD = NPU.boards[0]


def finished(tmp_path, figures, *, goal=None, spread=0.01, evidence=True):
    """Return a decision over variants with the given (accuracy in int8, cycles, passes the gates)."""
    session = make_session(tmp_path, goal=goal)
    names = session.variant_names[: len(figures)]
    for name, (accuracy, _, passes) in zip(names, figures, strict=True):
        write_done(session, name, accuracy + 0.005)
        if not passes:
            write_preflight(session, name, sram_kib=9000.0)
    variants = compare(session)["variants"][: len(figures)]
    for variant, (_, cycles, _) in zip(variants, figures, strict=True):
        variant["npu"][BOARD]["estimate"].update(cycles=cycles, latency_ms=cycles and cycles / 500e3)
    found = resamples({name: accuracy for name, (accuracy, _, _) in zip(names, figures, strict=True)}, spread)
    return decide([VariantSummary(v) for v in variants], BOARD, session.goal, found if evidence else {})


def said(decision) -> str:
    return " ".join(map(str, [decision.what, *decision.why]))


def test_without_limits_the_most_accurate_that_passes_is_shipped(tmp_path):
    decision = finished(tmp_path, [(0.50, 2e6, True), (0.60, 9e6, True), (0.70, 1e6, False)])
    assert decision.chosen == decision.file == decision.accurate == "level2_leaky"
    assert decision.passed == ["level2_leaky", "level2_relu"]
    assert list(decision.missed) == ["level3_relu"]
    assert str(decision.what).startswith(f"For the most accurate variant on {BOARD}, ship level2_leaky: it is 0.100 ")


def test_margin_interval_and_confidence_stand_in_the_first_sentence(tmp_path):
    decision = finished(tmp_path, [(0.50, 2e6, True), (0.49, 1e6, True)])
    assert decision.chosen == "level2_relu"
    assert decision.stays == pytest.approx(decision.beats["level2_leaky"], abs=0.001)
    what = str(decision.what)
    assert "0.010 mAP50-95 ahead of level2_leaky (95 % interval -0.0" in what
    assert f"the choice in {percent(100 * decision.stays)} of 2,000 resamples" in what
    assert "(95 % interval 0.480 to 0.5" in said(decision) or "(95 % interval 0.481 to 0.5" in said(decision)
    assert "cannot be told apart from that of level2_leaky" in said(decision)
    assert "level2_leaky is the fastest: 2.00 ms against 4.00 ms" in said(decision)
    assert "trained with one seed: the intervals cover the choice of images" in said(decision)


def test_a_clear_lead_is_the_choice_in_every_resample(tmp_path):
    decision = finished(tmp_path, [(0.60, 9e6, True), (0.48, 1e6, True)])
    assert (decision.stays, decision.beats) == (1.0, {"level2_leaky": 1.0})
    assert "told apart" not in said(decision)


def test_equal_accuracies_are_decided_by_latency(tmp_path):
    decision = finished(tmp_path, [(0.50, 2e6, True), (0.50, 1e6, True)])
    assert decision.chosen == "level2_leaky"


def test_without_evidence_the_point_decides_and_no_interval_is_made_up(tmp_path):
    decision = finished(tmp_path, [(0.50, 2e6, True), (0.48, 1e6, True)], evidence=False)
    assert (decision.chosen, decision.stays, decision.beats) == ("level2_relu", None, {})
    assert "interval for it" not in said(decision)
    assert "There is no interval" in said(decision)
    assert "resamples" not in said(decision)


def test_a_single_variant_that_qualifies(tmp_path):
    decision = finished(tmp_path, [(0.60, 1e6, False), (0.30, 2e6, True)])
    assert decision.chosen == "level2_leaky"
    assert decision.stays == 1.0
    assert "no other complete variant qualifies" in str(decision.what)


def test_where_nothing_passes_every_missed_gate_is_named(tmp_path):
    decision = finished(tmp_path, [(0.60, 1e6, False)])
    assert decision.chosen is decision.file is decision.closest is None
    assert decision.missed == {
        "level2_relu": [{"board": BOARD, "kind": "sram", "found": 9000.0, "limit": 4096}],
    }
    assert "No complete variant passes the gates" in str(decision.what)


def test_without_any_result_nothing_is_recommended(tmp_path):
    (decision,) = compare(make_session(tmp_path))["decisions"]
    assert decision["chosen"] is None
    assert len(decision["open"]) == 6
    assert sentence(decision["what"]) == f"No variant can be recommended for {BOARD} yet."


# A stated goal


def test_the_fastest_that_is_accurate_enough_by_the_lower_end_of_its_interval(tmp_path):
    figures = [(0.50, 4e6, True), (0.46, 2e6, True), (0.44, 1e6, True)]
    decision = finished(tmp_path, figures, goal={"objective": "latency", "min_map50_95": 0.43})
    assert decision.chosen == "level2_leaky", "0.44 is above 0.43, but the interval begins below it"
    assert decision.passed == ["level2_leaky", "level2_relu"]
    (short,) = decision.short["level3_relu"]
    assert (short["kind"], short["limit"]) == ("accuracy", 0.43)
    assert 0.41 < short["found"] < 0.43
    assert str(decision.what).startswith(
        f"For the fastest variant with int8 mAP50-95 of at least 0.430 on {BOARD}, ship level2_leaky: it is 4.00 ms "
        "faster than level2_relu, and it is the choice in "
    )
    assert 0.5 < decision.stays < 1, "in some resamples the fastest is accurate enough"


@pytest.mark.parametrize(
    ("limit", "code"),
    [({"max_latency_ms": 5.0}, "latency"), ({"max_sram_kib": 100}, "sram"), ({"max_flash_kib": 1000}, "flash")],
)
def test_a_limit_that_none_keeps_names_the_closest_and_by_how_much(tmp_path, limit, code):
    decision = finished(tmp_path, [(0.50, 9e6, True), (0.40, 3e6, True)], goal=limit)
    assert decision.chosen is None
    assert {one["kind"] for found in decision.short.values() for one in found} == {code}
    assert decision.closest == ("level2_leaky" if code == "latency" else "level2_relu")
    assert f"{decision.closest} comes closest: " in str(decision.what)
    assert "at most" in str(decision.what)
    assert decision.stays is None


def test_a_latency_that_is_not_known_keeps_no_limit_of_latency(tmp_path):
    decision = finished(tmp_path, [(0.50, None, True), (0.40, 1e6, True)], goal={"max_latency_ms": 5.0})
    assert decision.chosen == "level2_leaky"
    assert decision.short == {"level2_relu": [{"kind": "latency", "found": None, "limit": 5.0}]}


# Replicates


def replicated(tmp_path, accuracies):
    """Return a session of level2_relu and level2_leaky with the given int8 accuracies of their replicates."""
    session = make_session(tmp_path, replicates=3)
    session = replace(session, variants=session.variants[:6])
    for variant, value in zip(session.variants, accuracies, strict=True):
        write_done(session, variant.name, value + 0.005)
    return session


def test_the_mean_over_the_replicates_decides_and_the_best_of_them_ships(tmp_path):
    session = replicated(tmp_path, (0.40, 0.45, 0.41, 0.46, 0.36, 0.38))
    variants = [VariantSummary(v) for v in compare(session)["variants"]]
    found = resamples({"level2_relu": 0.42, "level2_leaky": 0.40})
    decision = decide(variants, BOARD, session.goal, found)
    assert (decision.chosen, decision.file) == ("level2_relu", "level2_relu_s1"), "not the one with the best single run"
    assert decision.passed == ["level2_relu", "level2_leaky"]
    text = said(decision)
    assert "cover the choice of images and of the seed, from 3 trainings of each variant" in text
    assert "level2_relu_s1, the best of its 3 replicates on val with 0.450" in text
    assert "it looks 0.030 better than their mean of 0.420" in text


def test_replicates_that_are_not_complete_are_left_out(tmp_path):
    session = make_session(tmp_path, replicates=3)
    for name in ("level2_relu", "level2_relu_s2", "level2_leaky_s1"):
        write_done(session, name, 0.405)
    (decision,) = compare(session)["decisions"]
    assert decision["passed"] == ["level2_relu", "level2_leaky"]
    assert decision["open"] == ["level3_relu", "level3_leaky", "level4_relu", "level4_leaky"]
    (first, second) = compare(session)["accuracies"]
    assert first["replicates"] == ["level2_relu", "level2_relu_s2"]
    assert (second["variant"], second["file"]) == ("level2_leaky", "level2_leaky_s1")


# Boards


def test_each_board_has_a_decision_of_its_own_and_the_difference_is_explained(tmp_path):
    boards = ("first", "second")
    session = make_session(tmp_path, npu=replace(NPU, boards=boards), goal={"objective": "latency"})
    for name in session.variant_names[:2]:
        write_done(session, name, 0.405)
    summary = compare(session)
    relu, leaky = summary["variants"][:2]
    for variant, cycles in ((relu, (1_000_000, 9_000_000)), (leaky, (2_000_000, 8_000_000))):
        variant["npu"] = {
            board: compatibility(board, variant["export"]["sha256"], cycles=number, bound=bound)
            for board, number, bound in zip(boards, cycles, ("npu", "flash"), strict=True)
        }
    variants = [VariantSummary(v) for v in summary["variants"]]
    found = [decide(variants, board, session.goal, {}) for board in boards]
    assert [decision.chosen for decision in found] == ["level2_relu", "level2_leaky"]
    (difference,) = differences(found, variants)
    assert sentence(difference) == (
        "On second the choice is another one than on first: level2_leaky instead of level2_relu. There 100.0 % of the "
        "cycles of level2_leaky are bound by flash accesses, on first 100.0 % by arithmetic (MACs) (Vela's estimate)."
    )


def test_a_choice_that_differs_by_a_limit_names_the_limit(tmp_path):
    boards = ("first", "second")
    session = make_session(tmp_path, npu=replace(NPU, boards=boards), goal={"max_latency_ms": 5.0})
    for name, accuracy in (("level2_relu", 0.5), ("level2_leaky", 0.4)):
        write_done(session, name, accuracy)
    summary = compare(session)
    relu, leaky = summary["variants"][:2]
    for variant, cycles in ((relu, (9_000_000, 1_000_000)), (leaky, (1_000_000, 1_000_000))):
        variant["npu"] = {
            board: compatibility(board, variant["export"]["sha256"], cycles=number)
            for board, number in zip(boards, cycles, strict=True)
        }
    variants = [VariantSummary(v) for v in summary["variants"]]
    found = [decide(variants, board, session.goal, {}) for board in boards]
    (difference,) = differences(found, variants)
    assert sentence(difference) == (
        "On second the choice is another one than on first: level2_relu instead of level2_leaky. On first level2_relu "
        "does not qualify: latency 18.00 ms, at most 5.00 ms."
    )
    relu["preflight"]["gate"]["missed"] = [{"board": "first", "kind": "sram", "found": 9000.0, "limit": 4096}]
    (difference,) = differences([decide(variants, board, session.goal, {}) for board in boards], variants)
    assert sentence(difference).endswith(
        "On first level2_relu misses a gate: 9,000 KiB of SRAM, the board has 4,096 KiB."
    )


def test_the_board_of_the_goal_comes_first(tmp_path):
    session = make_session(tmp_path, npu=replace(NPU, boards=("first", "second")), goal={"board": "second"})
    assert [decision["board"] for decision in compare(session)["decisions"]] == ["second", "first"]


def test_what_somebody_measured_replaces_the_estimate(tmp_path):
    session = make_session(tmp_path, goal={"objective": "latency"})
    for name in session.variant_names[:2]:
        write_done(session, name, 0.405)
    summary = compare(session)
    slow = {"ms": 99.0, "arena_kib": None, "who": "me", "when": "2026-11-01"}
    summary["variants"][0]["measured"] = {BOARD: slow}
    variants = [VariantSummary(v) for v in summary["variants"]]
    decision = decide(variants, BOARD, session.goal, {})
    assert decision.chosen == "level2_leaky"
    assert variants[0].latency(BOARD).measured and not variants[1].latency(BOARD).measured
    summary["variants"][0]["measured"] = {BOARD: {**slow, "ms": 0.5}}
    decision = decide([VariantSummary(v) for v in summary["variants"]], BOARD, session.goal, {})
    assert decision.chosen == "level2_relu"
    assert "0.50 ms as measured on the device" in said(decision)


@pytest.mark.parametrize(
    ("figures", "goal"),
    [
        ([(0.50, 2e6, True), (0.48, 1e6, True)], None),
        ([(0.60, 9e6, True), (0.48, 1e6, True)], {"objective": "latency"}),
        ([(0.60, 9e6, True), (0.48, 1e6, True), (0.4, 1e6, True)], {"min_map50_95": 0.9}),
        ([(0.60, 1e6, True)], {"max_latency_ms": 1.0, "max_sram_kib": 4000, "max_flash_kib": 4000}),
        ([(0.60, 1e6, False)], None),
        ([(0.50, None, True), (0.49, None, True)], {"objective": "latency"}),
        ([], None),
    ],
)
@pytest.mark.parametrize("evidence", [True, False])
def test_every_decision_can_be_said_in_korean(tmp_path, figures, goal, evidence):
    decision = finished(tmp_path, figures, goal=goal, evidence=evidence)
    texts = [sentence(found, Language("ko")) for found in (decision.what, *decision.why)]
    names = {"level2_relu", "level2_leaky", "level3_relu", "Vela", "ms", "mAP50-95", "int8", "SRAM", "KiB", "val"}
    assert latin_words(text.replace(BOARD, "") for text in texts) <= names
