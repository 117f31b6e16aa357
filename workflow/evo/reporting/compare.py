"""One document that answers which variant of a session is best, and on what evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..config.session import Session
from ..results.collect import collect_variant, read_if_there
from ..results.known import recognised
from ..text.language import marked
from ..text.message import Figure, Message, numbered, with_messages
from ..text.wording import count, duration, kibibytes, latency, metric, milliseconds

NOISE = 0.03
"""Smallest difference of map50_95 that ranks two trainings with one seed each: repeated trainings of one network on
a small dataset, seeds apart, differed by about this much."""


BOARD = "{board}"
"""Stands in a path for the first board of the session, which decides between variants; ``%(board)s`` in a title."""


@dataclass(frozen=True)
class Criterion:
    """One question a reader may rank the variants by.

    Attributes:
        key: names it in ``summary.json``.
        title: for people, what is measured or estimated on what; a text of the catalogue, like ``note``.
        path: where its value stands in a variant's summary.
        higher: whether higher is better.
        say: turns a value into text, one of ``wording.FIGURES``; values with equal text are a tie.
        note: what the figure is not.
        take: turns what stands at ``path`` into the value; None where it does not compare.
    """

    key: str
    title: str
    path: tuple[str, ...]
    higher: bool
    say: Callable[[Any], str]
    note: str | None = None
    take: Callable[[Any], Any] = lambda found: found


def whole_latency(facts: Mapping[str, Any]) -> float | None:
    """Return the estimated latency of a compiled model in milliseconds; None where it leaves operators out.

    Otherwise a variant would win by leaving its work to the CPU, whose time Vela does not estimate.
    """
    estimate = facts["estimate"]
    return estimate["latency_ms"] if estimate["covers_all_operators"] else None


def float_accuracy(variant: Mapping[str, Any]) -> float | None:
    """Return map50_95 on val of the float weights, to stand beside int8: on its square input where int8 was measured.

    `yolo val`, whose figure stands in where there is no int8 yet, pads each image to its own shape.
    """
    beside = value_at(variant, ("int8", "float", "val", "map50_95"))
    return value_at(variant, ("metrics", "val", "map50_95")) if beside is None else beside


def int8_loss(int8: Mapping[str, Any]) -> float | None:
    """Return how far int8 is from float in map50_95 on val; None where float finds nothing, so that nothing is lost."""
    difference = int8["difference"]["val"]["map50_95"]
    return abs(difference) if difference is not None and int8["float"]["val"]["map50_95"] else None


CRITERIA = (
    Criterion("val_map50_95", marked("Highest mAP50-95 on val"), ("metrics", "val", "map50_95"), True, metric),
    Criterion("val_map50", marked("Highest mAP50 on val"), ("metrics", "val", "map50"), True, metric),
    Criterion("test_map50_95", marked("Highest mAP50-95 on test"), ("metrics", "test", "map50_95"), True, metric),
    Criterion("val_recall", marked("Highest recall on val"), ("metrics", "val", "recall"), True, metric),
    Criterion("int8_map50_95", marked("Highest mAP50-95 on val as int8"), ("int8", "val", "map50_95"), True, metric),
    Criterion(
        "int8_difference",
        marked("Smallest change of mAP50-95 on val by int8"),
        ("int8",),
        False,
        metric,
        marked("in either direction, against the float weights on the same input"),
        int8_loss,
    ),
    Criterion(
        "vela_latency_ms",
        marked("Lowest latency on %(board)s, Vela's estimate"),
        ("npu", BOARD),
        False,
        latency,
        marked("not measured; variants that leave operators to the CPU do not compare"),
        whole_latency,
    ),
    Criterion(
        "sram_kib",
        marked("Least SRAM on %(board)s"),
        ("npu", BOARD, "memory", "sram", "used_kib"),
        False,
        kibibytes,
        marked("as Vela allocates it; the runtime needs some KiB more"),
    ),
    Criterion(
        "flash_kib",
        marked("Smallest compiled file for %(board)s"),
        ("npu", BOARD, "memory", "flash", "used_kib"),
        False,
        kibibytes,
        marked("what the model takes in flash"),
    ),
    Criterion("parameters", marked("Fewest parameters"), ("model", "parameters"), False, count),
    Criterion(
        "epochs_seconds",
        marked("Shortest training"),
        ("training", "epochs_seconds"),
        False,
        duration,
        marked("sum of the epochs' wall times, pauses left out"),
    ),
    Criterion(
        "inference_ms",
        marked("Fastest inference on this host"),
        ("metrics", "val", "speed_ms", "inference"),
        False,
        milliseconds,
        marked("measured on the host that ran the evaluation, not on an NPU"),
    ),
)


def value_at(document: Any, path: Iterable[str]) -> Any:
    """Return the value at ``path`` in nested mappings, or None where one is absent."""
    for key in path:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def at_board(path: Iterable[str], board: str) -> tuple[str, ...]:
    """Return a path with the name of the board in its place."""
    return tuple(board if key == BOARD else key for key in path)


def compare(session: Session) -> dict[str, Any]:
    """Return a document of ``session_summary.schema.json`` from whatever exists of the session."""
    board = session.npu.boards[0]
    variants = [collect_variant(session, name) for name in session.variant_names]
    dataset, dataset_problem = read_if_there(session.layout.fingerprint, "fingerprint")
    environment, environment_problem = read_if_there(session.layout.environment, "environment")
    problems = [problem for problem in (dataset_problem, environment_problem) if problem]
    summary = {
        "session": session.name,
        "as_of": max(
            (v["training"]["finished"] for v in variants if v["training"]), key=datetime.fromisoformat, default=None
        ),
        "boards": list(session.npu.boards),
        "headline": headline(variants, board),
        "settings": dict(session.train),
        "dataset": _with_known_findings(dataset),
        "environment": _with_known_findings(environment),
        "variants": variants,
        "criteria": criteria(variants, board),
        "incidents": [{"variant": v["variant"], **incident} for v in variants for incident in v["incidents"]],
        "warnings": [*problems, *warnings(variants, board)],
    }
    return with_messages(summary)


def _with_known_findings(document: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if document is None:
        return None
    findings = [{**finding, "message": recognised(finding["message"])} for finding in document["findings"]]
    return {**document, "findings": findings}


def done(variants: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the variants whose figures may be compared."""
    return [variant for variant in variants if variant["status"] == "done"]


def criteria(variants: Iterable[Mapping[str, Any]], board: str) -> list[dict[str, Any]]:
    """Return the best variants by each criterion that two or more finished variants have a value for.

    Args:
        variants: their summaries.
        board: name of the board whose figures are compared.
    """
    finished = done(variants)
    found = []
    for criterion in CRITERIA:
        standing = {v["variant"]: value_at(v, at_board(criterion.path, board)) for v in finished}
        values = {name: criterion.take(value) for name, value in standing.items() if value is not None}
        values = {name: value for name, value in values.items() if value is not None}
        if len(values) < 2 or (criterion.higher and not any(values.values())):  # nobody is best at finding nothing
            continue
        best = (max if criterion.higher else min)(values.values())
        winners = [name for name, value in values.items() if criterion.say(value) == criterion.say(best)]
        found.append(
            {
                "key": criterion.key,
                "title": Message(criterion.title, board=board),
                "value": best,
                "text": Message("%(value)s", value=Figure(criterion.say.__name__, best)),
                "variants": winners,
                "tie": len(winners) > 1,
                "all": len(winners) == len(values),
                "note": criterion.note and Message(criterion.note),
            }
        )
    return found


def headline(variants: Iterable[Mapping[str, Any]], board: str) -> dict[str, Any]:
    """Return the answer in two sentences, with its figures: best by map50_95 on val, and whether that is a ranking.

    Of the best one also what becomes of it as int8, and on ``board`` by Vela's estimate.
    """
    variants = list(variants)
    ranked = sorted(
        ((v["metrics"]["val"]["map50_95"], v["variant"]) for v in done(variants) if _ranking_value(v) is not None),
        key=lambda item: -item[0],
    )
    result: dict[str, Any] = {"best": None, "map50_95": None, "lead": None, "within_noise": [], "noise": NOISE}
    best = next((v for v in variants if ranked and v["variant"] == ranked[0][1]), None)
    caveat = None
    if not ranked:
        measured = [v["variant"] for v in variants if v["status"] != "done" and _ranking_value(v) is not None]
        text = Message("No variant has a measured accuracy yet.")
        if measured:
            text = Message("No variant is complete yet; the accuracy of %(variants)s is measured.", variants=measured)
    elif len(ranked) == 1:
        value, name = ranked[0]
        result.update(best=name, map50_95=value)
        reached = {"name": name, "value": Figure("metric", value)}
        if deployed := _deployed(best, board):
            text = Message(
                "%(name)s reaches mAP50-95 %(value)s on val (%(deployed)s); no other variant is evaluated, so nothing "
                "is ranked.",
                **reached,
                deployed=deployed,
            )
        else:
            text = Message(
                "%(name)s reaches mAP50-95 %(value)s on val; no other variant is evaluated, so nothing is ranked.",
                **reached,
            )
    else:
        (value, name), (second, _) = ranked[:2]
        close = [other for score, other in ranked[1:] if round(value - score, 6) < NOISE]
        result.update(best=name, map50_95=value, lead=round(value - second, 6), within_noise=close)
        tied = [other for score, other in ranked if metric(score) == metric(value)]
        untied = [other for other in close if other not in tied]
        text, caveat = _best_of_several(ranked, tied, untied, _deployed(best, board))
    return {
        **result,
        "int8_map50_95": value_at(best, ("int8", "val", "map50_95")),
        "board": board,
        "vela_latency_ms": value_at(best, ("npu", board, "estimate", "latency_ms")),
        "text": text,
        "caveat": caveat,
        "done": len(done(variants)),
        "variants": len(variants),
    }


def _best_of_several(
    ranked: list[tuple[float, str]], tied: list[str], close: list[str], deployed: list[Message]
) -> tuple[Message, Message | None]:
    """Return what the ranking says, and whether that means anything; ``tied`` are the best, ``close`` just behind."""
    (value, name), (second, runner_up) = ranked[:2]
    highest = Figure("metric", value)
    if metric(value) == metric(0):
        return Message(
            "No variant detects anything yet: mAP50-95 on val is %(value)s for all %(number)s evaluated.",
            value=highest,
            number=len(ranked),
        ), None
    if len(tied) > 1:
        text = Message("%(variants)s share the highest mAP50-95 on val, %(value)s.", variants=tied, value=highest)
    else:
        first = {"name": name, "value": highest, "lead": Figure("metric", value - second), "second": runner_up}
        if deployed:
            text = Message(
                "%(name)s has the highest mAP50-95 on val, %(value)s, %(lead)s ahead of %(second)s; %(deployed)s.",
                **first,
                deployed=deployed,
            )
        else:
            text = Message(
                "%(name)s has the highest mAP50-95 on val, %(value)s, %(lead)s ahead of %(second)s.", **first
            )
    if close:
        return text, numbered(
            "This is not a ranking: each variant was trained with one seed, and %(variants)s is less than %(noise)s "
            "behind.",
            "This is not a ranking: each variant was trained with one seed, and %(variants)s are less than %(noise)s "
            "behind.",
            len(close),
            variants=close,
            noise=NOISE,
        )
    if len(tied) > 1:
        return text, Message(
            "Each variant was trained with one seed: differences below %(noise)s are not a ranking.", noise=NOISE
        )
    return text, Message(
        "With one seed per variant, differences below %(noise)s are not a ranking; this one is larger.", noise=NOISE
    )


def _deployed(variant: Mapping[str, Any], board: str) -> list[Message]:
    """Return what is known of a variant as int8 and compiled, as parts of a sentence; empty when nothing is."""
    accuracy = value_at(variant, ("int8", "val", "map50_95"))
    estimate = value_at(variant, ("npu", board, "estimate")) or {}
    words = [] if accuracy is None else [Message("as int8 %(value)s", value=Figure("metric", accuracy))]
    if estimate.get("latency_ms") is not None:
        found = {"latency": Figure("latency", estimate["latency_ms"]), "board": board}
        if estimate["covers_all_operators"]:
            words.append(Message("%(latency)s by Vela's estimate on %(board)s", **found))
        else:
            words.append(
                Message("%(latency)s by Vela's estimate on %(board)s, without the operators left to the CPU", **found)
            )
    return words


def _ranking_value(variant: Mapping[str, Any]) -> float | None:
    return value_at(variant, ("metrics", "val", "map50_95"))


DIFFERENCES = (
    (
        ("training", "data_hash"),
        marked("The variants were trained on different data: their figures are not of one experiment."),
    ),
    (
        ("training", "arguments", "seed"),
        marked("The variants were trained with different seeds: their figures are not of one experiment."),
    ),
    (
        ("training", "arguments", "epochs"),
        marked("The variants were trained for different numbers of epochs: their figures are not of one experiment."),
    ),
    (
        ("training", "arguments", "imgsz"),
        marked("The variants were trained at different image sizes: their figures are not of one experiment."),
    ),
    (
        ("training", "arguments", "optimizer"),
        marked("The variants were trained with different optimizers: their figures are not of one experiment."),
    ),
    (
        ("training", "arguments", "nbs"),
        marked(
            "The variants were trained with different nominal batch sizes: their figures are not of one experiment."
        ),
    ),
    (
        ("metrics", "evaluation", "device"),
        marked("The variants were evaluated on different processors: their inference times do not compare."),
    ),
    (
        ("export", "calibration"),
        marked("The variants were calibrated on different samples: their int8 accuracies do not compare."),
    ),
)
"""What has to be equal for variants to compare: its place in a summary, and what to say where it differs."""


def warnings(variants: Iterable[Mapping[str, Any]], board: str) -> list[Message]:
    """Return, in plain words, what makes the variants of a session less comparable, or less usable, than they look."""
    variants = list(variants)
    finished = done(variants)
    by_network: dict[str, list[str]] = {}
    for variant in finished:
        by_network.setdefault(variant["training"]["model_fingerprint"], []).append(variant["variant"])
    found = [
        Message("%(variants)s are the same network.", variants=names) for names in by_network.values() if len(names) > 1
    ]
    for path, sentence in DIFFERENCES:
        if len({str(value_at(variant, path)) for variant in finished}) > 1:
            found.append(Message(sentence))
    if len({str(_assumptions(v, board)) for v in finished}) > 1:
        found.append(
            Message(
                "The variants were compiled differently for %(board)s: Vela's estimates do not compare.", board=board
            )
        )
    return found + [sentence for variant in variants for sentence in _obstacles(variant)]


def _assumptions(variant: Mapping[str, Any], board: str) -> list[Any]:
    """Return what Vela's estimate for one board rests on besides the model."""
    keys = ("by", "clock_mhz", "system_config", "memory_mode")
    return [value_at(variant, ("npu", board, "estimate", key)) for key in keys]


def _obstacles(variant: Mapping[str, Any]) -> list[Message]:
    """Return the gates that a variant misses, and the memories it does not fit into although it did untrained."""
    name = variant["variant"]
    gates = value_at(variant, ("preflight", "gate", "missed")) or ()
    found = [Message("%(name)s misses a gate: %(missed)s.", name=name, missed=missed) for missed in gates]
    for board, facts in (variant["npu"] or {}).items():
        for kind, memory in facts["memory"].items():
            untrained = value_at(variant, ("preflight", "boards", board, "memory", kind, "fits"))
            if memory["fits"] is False and untrained is not False:
                found.append(
                    Message(
                        "%(name)s needs %(needs)s of %(place)s, %(board)s has %(has)s.",
                        name=name,
                        needs=Figure("kibibytes", memory["used_kib"]),
                        place=kind if kind == "flash" else kind.upper(),
                        board=board,
                        has=Figure("kibibytes", memory["budget_kib"]),
                    )
                )
    return found


CSV_COLUMNS = {
    "variant": ("variant",),
    "level": ("level",),
    "activation": ("activation",),
    "status": ("status",),
    "stage": ("stage",),
    "reason": ("reason",),
    "parameters": ("model", "parameters"),
    "map50": ("metrics", "val", "map50"),
    "map50_95": ("metrics", "val", "map50_95"),
    "precision": ("metrics", "val", "precision"),
    "recall": ("metrics", "val", "recall"),
    "confidence": ("metrics", "val", "confidence"),
    "test_map50": ("metrics", "test", "map50"),
    "test_map50_95": ("metrics", "test", "map50_95"),
    "test_precision": ("metrics", "test", "precision"),
    "test_recall": ("metrics", "test", "recall"),
    "int8_map50": ("int8", "val", "map50"),
    "int8_map50_95": ("int8", "val", "map50_95"),
    "int8_difference": ("int8", "difference", "val", "map50_95"),
    "test_int8_map50_95": ("int8", "test", "map50_95"),
    "board": ("npu", BOARD, "board"),
    "ops_percent": ("npu", BOARD, "ops_percent"),
    "macs_percent": ("npu", BOARD, "macs_percent"),
    "npu_blobs": ("npu", BOARD, "npu_blobs"),
    "cpu_operators": ("npu", BOARD, "operators", "cpu"),
    "vela_cycles": ("npu", BOARD, "estimate", "cycles"),
    "vela_latency_ms": ("npu", BOARD, "estimate", "latency_ms"),
    "sram_kib": ("npu", BOARD, "memory", "sram", "used_kib"),
    "flash_kib": ("npu", BOARD, "memory", "flash", "used_kib"),
    "dram_kib": ("npu", BOARD, "memory", "dram", "used_kib"),
    "gate": ("gate",),
    "epochs": ("epochs",),
    "best_epoch": ("training", "best_epoch"),
    "training_seconds": ("training", "seconds"),
    "epochs_seconds": ("training", "epochs_seconds"),
    "attempts": ("training", "attempts"),
    "incidents": ("incidents_count",),
    "host_inference_ms": ("metrics", "val", "speed_ms", "inference"),
    "host_device": ("metrics", "evaluation", "device"),
    "imgsz": ("metrics", "evaluation", "imgsz"),
    "seed": ("training", "arguments", "seed"),
    "model_fingerprint": ("training", "model_fingerprint"),
    "data_hash": ("training", "data_hash"),
    "weights_sha256": ("training", "weights", "best"),
    "int8_sha256": ("export", "sha256"),
}
"""Columns of ``summary.csv`` and where their value stands in a variant's summary. Without a prefix, metrics are of
val; ``training_seconds`` is wall time including interruptions; what depends on a board is of the session's first one,
and ``vela_…`` is Vela's estimate."""


def csv_rows(variants: Iterable[Mapping[str, Any]], board: str) -> list[dict[str, Any]]:
    """Return one row of ``summary.csv`` per variant, with the figures of one board; what is absent is empty."""
    rows = []
    for variant in variants:
        training, passed = variant["training"], value_at(variant, ("preflight", "gate", "passed"))
        flat = {
            **variant,
            "epochs": len(training["epochs"]) if training else None,
            "incidents_count": len(variant["incidents"]) if training else None,
            "gate": None if passed is None else "passed" if passed else "missed",
        }
        rows.append({column: value_at(flat, at_board(path, board)) for column, path in CSV_COLUMNS.items()})
    return rows
