"""Sentences that compare the variants of a session."""

from __future__ import annotations

from .sentence import says

CRITERIA = {
    "best_val_map50_95": says("Highest mAP50-95 on val"),
    "best_val_map50": says("Highest mAP50 on val"),
    "best_test_map50_95": says("Highest mAP50-95 on test"),
    "best_val_recall": says("Highest recall on val"),
    "best_int8_map50_95": says("Highest int8 mAP50-95 on val"),
    "best_int8_difference": says("Smallest change of mAP50-95 on val from float to int8"),
    "best_int8_difference_note": says("in either direction, relative to the float weights on the same input"),
    "best_vela_latency_ms": says("Lowest estimated latency on %(board)s (Vela)"),
    "best_vela_latency_ms_note": says("not measured; variants with operators on the CPU are left out"),
    "best_sram_kib": says("Least SRAM on %(board)s"),
    "best_sram_kib_note": says("as allocated by Vela; the runtime needs a few KiB more"),
    "best_flash_kib": says("Smallest compiled file for %(board)s"),
    "best_flash_kib_note": says("the flash that the model takes"),
    "best_parameters": says("Fewest parameters"),
    "best_epochs_seconds": says("Shortest training"),
    "best_epochs_seconds_note": says("sum of the epochs' wall times, without pauses"),
    "best_inference_ms": says("Fastest inference on this host"),
    "best_inference_ms_note": says("measured on the host of the evaluation, not on an NPU"),
}
"""Title of each criterion, by ``best_`` and its key, and what its figure is not, where that needs saying."""

HEADLINE = {
    "no_accuracy_yet": says("No variant has a measured accuracy yet."),
    "none_complete": says("No variant is complete yet; the accuracy of %(variants)s is measured."),
    "only_one": says(
        "%(name)s reaches mAP50-95 %(value)s on val; no other variant is evaluated, so there is no ranking.",
        value="metric",
    ),
    "only_one_deployed": says(
        "%(name)s reaches mAP50-95 %(value)s on val (%(deployed)s); no other variant is evaluated, so there is no "
        "ranking.",
        value="metric",
    ),
    "nothing_detected": says(
        "No variant detects anything yet: mAP50-95 on val is %(value)s for all %(number)s evaluated variants.",
        value="metric",
    ),
    "tied": says("%(variants)s share the highest mAP50-95 on val, %(value)s.", value="metric"),
    "highest": says(
        "%(name)s has the highest mAP50-95 on val, %(value)s, %(lead)s ahead of %(second)s.",
        value="metric",
        lead="metric",
    ),
    "highest_deployed": says(
        "%(name)s has the highest mAP50-95 on val, %(value)s, %(lead)s ahead of %(second)s; %(deployed)s.",
        value="metric",
        lead="metric",
    ),
    "in_int8": says("%(value)s in int8", value="metric"),
    "estimated_latency": says("estimated latency %(latency)s on %(board)s (Vela)", latency="latency"),
    "estimated_latency_of_npu": says(
        "estimated latency %(latency)s on %(board)s (Vela), without the operators on the CPU", latency="latency"
    ),
    "no_ranking": says("On these images that is not a ranking: %(variants)s cannot be told apart from it."),
}
"""The variant with the highest accuracy of the float weights, and what is as good."""

COMPARABILITY = {
    "same_network": says("%(variants)s are the same network."),
    "different_data": says("The variants were trained on different data: their results are not one experiment."),
    "different_seeds": says("The variants were trained with different seeds: their results are not one experiment."),
    "different_epochs": says(
        "The variants were trained for different numbers of epochs: their results are not one experiment."
    ),
    "different_image_sizes": says(
        "The variants were trained at different image sizes: their results are not one experiment."
    ),
    "different_optimizers": says(
        "The variants were trained with different optimizers: their results are not one experiment."
    ),
    "different_nominal_batches": says(
        "The variants were trained with different nominal batch sizes: their results are not one experiment."
    ),
    "different_hosts": says(
        "The variants were evaluated on different processors: their inference times are not comparable."
    ),
    "different_calibrations": says(
        "The variants were calibrated on different samples: their int8 accuracies are not comparable."
    ),
    "different_kernels": says(
        "The variants were evaluated in int8 with different kernels: their int8 accuracies are not comparable."
    ),
    "different_compilations": says(
        "The variants were compiled with different settings for %(board)s: Vela's estimates are not comparable."
    ),
    "misses_gate": says("%(variant)s misses a gate: %(missed)s."),
    "exceeds_sram": says(
        "%(variant)s needs %(found)s of SRAM, %(board)s has %(limit)s.", found="kibibytes", limit="kibibytes"
    ),
    "exceeds_flash": says(
        "%(variant)s needs %(found)s of flash, %(board)s has %(limit)s.", found="kibibytes", limit="kibibytes"
    ),
    "exceeds_dram": says(
        "%(variant)s needs %(found)s of DRAM, %(board)s has %(limit)s.", found="kibibytes", limit="kibibytes"
    ),
}
"""What makes the variants of a session less comparable, or less usable, than they look."""

SENTENCES = {**CRITERIA, **HEADLINE, **COMPARABILITY}
