"""The gates that a variant has to pass before it costs a GPU second, and the check of its activations."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.synthetic import NPU
from workflow.evo.config.variants import Variant
from workflow.evo.errors import EvoError, UserError
from workflow.evo.npu.gates import gate, missed_on, refuse_missed
from workflow.evo.npu.int8_check import expected_activations, verify_activations
from workflow.evo.text.facts import fact
from workflow.evo.text.misses import missed_gate

LEAKY = Variant("level4_leaky", Path("x.yaml"), 4, "leaky")
OWN = Variant("mine", Path("x.yaml"))


def board(ops=100.0, latency=10.0, **memory):
    fits = {"used_kib": 100.0, "budget_kib": 2048.0, "fits": True}
    return {
        "ops_percent": ops,
        "estimate": {"latency_ms": latency},
        "memory": {kind: {**fits, **memory.get(kind, {})} for kind in ("sram", "flash", "dram")},
    }


def check(facts):
    return {
        "boards": {"preset-u55-256": facts},
        "failed": {"preset-u65-256": fact("quoted", text="Vela crashed").document()},
    }


def missed(variant=LEAKY, facts=None, **settings):
    return gate(variant, replace(NPU, **settings), check(facts or board()))["missed"]


def said(misses):
    return [str(missed_gate(miss)) for miss in misses]


def test_a_variant_within_its_limits_passes():
    verdict = gate(LEAKY, NPU, check(board()))
    assert verdict == {
        "mode": "fail",
        "passed": True,
        "limits": {"min_ops_percent": 97.0, "max_latency_ms": None},
        "missed": [],
    }


@pytest.mark.parametrize(
    ("level", "activation", "target"),
    [(2, "relu", 85), (2, "leaky", 87), (3, "relu", 90), (3, "leaky", 92), (4, "relu", 95), (4, "leaky", 97)],
)
def test_each_level_has_the_target_of_the_first_session(level, activation, target):
    variant = Variant("v", Path("x.yaml"), level, activation)
    assert missed(variant, board(ops=target)) == []
    found = missed(variant, board(ops=target - 0.1))
    assert found == [{"board": "preset-u55-256", "kind": "operators", "found": target - 0.1, "limit": target}]
    assert said(found) == [f"preset-u55-256: {target - 0.1:.1f} % of the operators on the NPU, required: {target} %"]


def test_the_reference_and_further_models_have_a_limit_only_when_one_is_set():
    for variant in (OWN, Variant("level1_silu", Path("x.yaml"), 1, "silu")):
        assert missed(variant, board(ops=40.0)) == []
        assert len(missed(variant, board(ops=40.0), min_ops_percent=50.0)) == 1


def test_latency_is_named_as_an_estimate():
    assert said(missed(facts=board(latency=10.01), max_latency_ms=10.0)) == [
        "preset-u55-256: estimated latency 10.01 ms (Vela), limit: 10 ms"
    ]
    assert missed(facts=board(latency=10.0), max_latency_ms=10.0) == []


@pytest.mark.parametrize(("kind", "name"), [("sram", "SRAM"), ("flash", "flash"), ("dram", "DRAM")])
def test_memory_that_does_not_fit_is_named_with_both_figures(kind, name):
    facts = board(**{kind: {"used_kib": 11107.0, "budget_kib": 1126.0, "fits": False}})
    assert said(missed(facts=facts)) == [f"preset-u55-256: 11,107 KiB of {name}, the board has 1,126 KiB"]
    facts = board(**{kind: {"budget_kib": None, "fits": None}})
    assert missed(facts=facts) == []


def test_warn_only_reports():
    verdict = gate(LEAKY, replace(NPU, gate="warn"), check(board(ops=10.0)))
    assert verdict["mode"] == "warn" and not verdict["passed"] and len(verdict["missed"]) == 1
    refuse_missed(LEAKY, verdict)


def test_a_missed_gate_refuses_the_variant_in_one_line():
    verdict = gate(LEAKY, NPU, check(board(ops=10.0, latency=None)))
    with pytest.raises(UserError, match=r"npu: level4_leaky misses 2 gates: preset-u55-256: 10\.0 % of the operators"):
        refuse_missed(LEAKY, verdict)


def test_only_the_configured_boards_count():
    assert missed(boards=("preset-u55-256",)) == []
    assert missed(boards=("preset-u55-256", "preset-u65-256")) == [
        {
            "board": "preset-u65-256",
            "kind": "failed",
            "found": {"code": "quoted", "parameters": {"text": "Vela crashed"}},
            "limit": None,
        }
    ]
    assert said(missed(boards=("preset-u85-256",))) == ["preset-u85-256: not compiled yet"]


def test_the_misses_of_one_board_are_its_own_and_unknown_before_the_check():
    verdict = {"gate": gate(LEAKY, replace(NPU, boards=("preset-u55-256", "preset-u65-256")), check(board(ops=10.0)))}
    assert [miss["kind"] for miss in missed_on(verdict, "preset-u55-256")] == ["operators"]
    assert [miss["kind"] for miss in missed_on(verdict, "preset-u65-256")] == ["failed"]
    assert missed_on(verdict, "preset-u85-256") == []
    assert missed_on(None, "preset-u55-256") is None


def test_the_calls_of_a_network_say_which_operators_its_int8_model_has():
    executed = {"backbone": {"leaky_relu": 27}, "neck": {"silu": 18}, "detect": {"silu": 12, "sigmoid": 1}}
    assert expected_activations(executed) == {"LEAKY_RELU": 27, "LOGISTIC": 30}
    assert expected_activations({"backbone": {"hardtanh": 27}}) == {"RELU6": 27}, "what torch executes for ReLU6"
    assert verify_activations(executed, {"LEAKY_RELU": 27, "LOGISTIC": 30})["found"] == {
        "LEAKY_RELU": 27,
        "LOGISTIC": 30,
    }


def test_the_second_head_of_an_end_to_end_network_is_not_exported():
    executed = {"neck": {"relu": 18}, "detect": {"relu": 24, "sigmoid": 1}}
    assert expected_activations(executed, end2end=True) == {"RELU": 30}


def test_a_model_with_other_activations_is_refused_with_both_counts():
    executed = {"backbone": {"relu": 27}, "neck": {"relu": 18}, "detect": {"relu": 12, "sigmoid": 1}}
    with pytest.raises(EvoError, match="has 45 RELU, 12 LOGISTIC, the checked network has 57 RELU"):
        verify_activations(executed, {"RELU": 45, "LOGISTIC": 12})
