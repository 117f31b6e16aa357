"""Sentences on which variant to ship, and why."""

from __future__ import annotations

from .sentence import says

GOAL = {
    "goal_accuracy": says("the most accurate variant"),
    "goal_accuracy_within": says("the most accurate variant with %(limits)s"),
    "goal_latency": says("the fastest variant"),
    "goal_latency_within": says("the fastest variant with %(limits)s"),
    "limit_accuracy": says("int8 mAP50-95 of at least %(limit)s", limit="metric"),
    "limit_latency": says("at most %(limit)s per inference", limit="latency"),
    "limit_sram": says("at most %(limit)s of SRAM", limit="kibibytes"),
    "limit_flash": says("at most %(limit)s of flash", limit="kibibytes"),
}
"""What is asked for."""

ANSWER = {
    "ship_confident": says(
        "For %(goal)s on %(board)s, ship %(variant)s: it is %(lead)s, and it is the choice in %(share)s of "
        "%(number)s resamples.",
        share="percent",
        number="count",
    ),
    "ship": says("For %(goal)s on %(board)s, ship %(variant)s: it is %(lead)s."),
    "ship_only": says("For %(goal)s on %(board)s, ship %(variant)s: no other complete variant qualifies."),
    "ship_none_yet": says("No variant can be recommended for %(board)s yet."),
    "ship_none_passes": says("No complete variant passes the gates of %(board)s."),
    "ship_none_keeps": says(
        "No complete variant is %(goal)s on %(board)s; %(nearest)s comes closest: %(short)s.", short="joined"
    ),
    "ahead_by": says(
        "%(margin)s mAP50-95 ahead of %(second)s (95 %% interval %(low)s to %(high)s)",
        margin="metric",
        low="signed",
        high="signed",
    ),
    "ahead_by_value": says("%(margin)s mAP50-95 ahead of %(second)s", margin="metric"),
    "faster_by": says("%(margin)s faster than %(second)s", margin="latency"),
    "faster_than_unknown": says("ahead of %(second)s, whose latency is not known"),
    "short_accuracy": says(
        "the interval of its int8 mAP50-95 begins at %(found)s, %(limit)s is asked for", found="metric", limit="metric"
    ),
    "short_latency": says("latency %(found)s, at most %(limit)s", found="latency", limit="latency"),
    "short_sram": says("SRAM %(found)s, at most %(limit)s", found="kibibytes", limit="kibibytes"),
    "short_flash": says("flash %(found)s, at most %(limit)s", found="kibibytes", limit="kibibytes"),
}
"""The answer: what to ship, its margin, and how sure that is."""

REASONS = {
    "why_none_yet": says("A recommendation needs a complete variant with a measured int8 accuracy."),
    "why_none_passes": says("The gates that each of them misses are listed below."),
    "its_figures": says("Its int8 mAP50-95 on val is %(accuracy)s, its latency %(latency)s.", accuracy="metric"),
    "its_figures_with_interval": says(
        "Its int8 mAP50-95 on val is %(accuracy)s (95 %% interval %(low)s to %(high)s), its latency %(latency)s.",
        accuracy="metric",
        low="metric",
        high="metric",
    ),
    "latency_estimated": says("%(latency)s by Vela's estimate", latency="latency"),
    "latency_measured": says("%(latency)s as measured on the device", latency="latency"),
    "latency_unknown": says("not known"),
    "not_told_apart": says("On these images its accuracy cannot be told apart from that of %(variants)s."),
    "faster_and_close": says(
        "Of these, %(variant)s is the fastest: %(latency)s against %(slower)s.", latency="latency", slower="latency"
    ),
    "no_interval": says("There is no interval: the evidence for it was not kept, evaluate again."),
    "covers_images": says(
        "Each variant was trained with one seed: the intervals cover the choice of images, not another training."
    ),
    "covers_images_and_seeds": says(
        "The intervals cover the choice of images and of the seed, from %(seeds)s trainings of each variant."
    ),
    "ships_the_best": says(
        "The file that ships is %(file)s, the best of its %(number)s replicates on val with %(best)s: chosen for that, "
        "it looks %(optimism)s better than their mean of %(mean)s, which is what to expect elsewhere.",
        best="metric",
        optimism="metric",
        mean="metric",
    ),
}
"""What a reader has to know of the answer."""

BOARDS = {
    "boards_differ": says(
        "On %(board)s the choice is another one than on %(other)s: %(variant)s instead of %(instead)s. %(why)s"
    ),
    "boards_short": says("On %(board)s %(variant)s does not qualify: %(short)s.", short="joined"),
    "boards_missed": says("On %(board)s %(variant)s misses a gate: %(missed)s.", missed="joined"),
    "boards_bound": says(
        "There %(share)s of the cycles of %(variant)s are bound by %(bound)s, on %(other)s %(other_share)s by "
        "%(other_bound)s (Vela's estimate).",
        share="percent",
        other_share="percent",
    ),
    "bound_npu": says("arithmetic (MACs)"),
    "bound_sram": says("SRAM accesses"),
    "bound_dram": says("DRAM accesses"),
    "bound_flash": says("flash accesses"),
    "bound_unknown": says("What bounds the cycles is not known."),
}
"""Why the choice differs between boards."""

SENTENCES = {**GOAL, **ANSWER, **REASONS, **BOARDS}
