"""Sentences on gates, compilers and int8 files."""

from __future__ import annotations

from .sentence import says, says_of

SENTENCES = {
    # Why an operator works in float, in ``metadata.json``.
    "float_read_before_quantised": says("its result is read before it is quantised, so it cannot be folded"),
    "float_conversion": says("it converts for an operator in floating point"),
    "float_no_integer_form": says("the quantiser has no integer form of it"),
    # What the int8 accuracy is measured with, by `workflow.evo.evaluation.interpreter.KERNELS`.
    "kernels_reference": says(
        "Accuracy in int8 is that of LiteRT's reference kernels, which the output of the compiler is tested against "
        "bit for bit, as its README says; that a device computes the same was not measured here."
    ),
    "kernels_optimised": says(
        "Accuracy in int8 is that of LiteRT's optimised kernels, which are faster and round differently from the "
        "reference kernels that the compiler is tested against (npu.kernels)."
    ),
    "measurement_of_another_file": says(
        "Line %(row)s of the measurements is of another file of %(variant)s on %(board)s than the present one: it is "
        "not used."
    ),
    "silicon_ratio": says_of(
        "On %(board)s the device took %(ratio)s times as long as Vela estimates, by one measured file.",
        "On %(board)s the device took %(ratio)s times as long as Vela estimates, by %(number)s measured files.",
        "number",
        ratio="number",
    ),
    # Gates that a board misses, `missed_` and the kind of the miss (`workflow.evo.npu.gates`).
    "missed_operators": says(
        "%(found)s of the operators on the NPU, required: %(limit)s %%", found="percent", limit="number"
    ),
    "missed_latency": says("estimated latency %(found)s (Vela), limit: %(limit)s ms", found="latency", limit="number"),
    "missed_nothing_on_npu": says("nothing runs on the NPU"),
    "missed_sram": says("%(found)s of SRAM, the board has %(limit)s", found="kibibytes", limit="kibibytes"),
    "missed_flash": says("%(found)s of flash, the board has %(limit)s", found="kibibytes", limit="kibibytes"),
    "missed_dram": says("%(found)s of DRAM, the board has %(limit)s", found="kibibytes", limit="kibibytes"),
    "missed_not_compiled": says("not compiled yet"),
    "missed_failed": says("the compiler failed: %(found)s"),
}
