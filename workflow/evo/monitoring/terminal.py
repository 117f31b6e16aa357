"""The state of a session in a terminal: a table of figures, and what happened in sentences."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..host.console import duration
from ..printable import printable
from ..results.stages import BY_RULE, SESSION, STAGES
from ..text.wording import DASH, metric
from .jobs import DONE, FAILED, INTERRUPTED, RUNNING, WAITING, Job
from .state import NEW, STOPPED, Gpu, SessionState, Training, VariantState

WIDE = 120
"""Columns of a terminal that is wide enough for every figure."""

MESSAGES = 6
"""Most sentences below the table; older ones are in the report."""

OTHER_LINES = 16
"""Lines besides the rows of variants and GPUs, with a few sentences among them."""

URGENCY = (RUNNING, FAILED, STOPPED, WAITING, NEW, DONE)

STYLES = {RUNNING: "cyan", DONE: "green", FAILED: "bold red", STOPPED: "yellow", WAITING: "dim", NEW: "dim"}
GLYPHS = {DONE: "✓", RUNNING: "▶", FAILED: "✗", INTERRUPTED: "‖", STOPPED: "‖", WAITING: "·", NEW: "·"}


def frame(state: SessionState, width: int, height: int | None = None) -> RenderableType:
    """Return the frame for a terminal of ``width`` columns.

    Args:
        state: the session.
        width: columns.
        height: lines of the terminal, None for no limit. Where there is no room for all variants, those that need
            attention are shown and the others are counted.
    """
    room = len(state.variants) if height is None else max(height - len(state.gpus) - OTHER_LINES, 4)
    shown, hidden = list(state.variants), []
    if len(shown) > room:
        urgent = sorted(shown, key=lambda variant: URGENCY.index(variant.state))
        hidden = urgent[room - 1 :]
        shown = [variant for variant in shown if variant not in hidden]
    return Group(
        _title(state),
        _totals(state),
        *(_gpu(gpu) for gpu in state.gpus),
        Text(),
        _variants(shown, wide=width >= WIDE),
        *([Text(f"… and {_counted(hidden)}", "dim")] if hidden else []),
        Text(),
        *_messages(state),
        _legend(wide=width >= WIDE),
    )


def render(state: SessionState, console: Console) -> None:
    """Print one frame."""
    console.print(frame(state, console.width))


def _title(state: SessionState) -> RenderableType:
    words = f" · {_counted(state.variants)} of {len(state.variants)}"
    line = Text.assemble((state.name, "bold"), "  ", (state.state, STYLES[state.state]), words)
    row = Table.grid(expand=True, padding=(0, 1))
    row.add_column(overflow="ellipsis", no_wrap=True)
    row.add_column(justify="right", no_wrap=True)
    row.add_row(line, Text(_clock(state.time), "dim"))
    return row


def _counted(variants: Sequence[VariantState]) -> str:
    """Return ``1 running, 2 done``."""
    counts = Counter(variant.state for variant in variants)
    return ", ".join(f"{counts[state]} {state}" for state in URGENCY if counts[state])


def _totals(state: SessionState) -> RenderableType:
    share = state.epochs_done / max(state.epochs, 1)
    bar = Table.grid(padding=(0, 1))
    bar.add_column(no_wrap=True)
    bar.add_column(width=24)
    bar.add_column(no_wrap=True)
    bar.add_row(
        f"epochs {state.epochs_done}/{state.epochs}",
        ProgressBar(total=1, completed=share, width=24),
        f"{100 * share:.0f} % · disk {state.disk_free_gib:g} GiB free",
    )
    facts = [
        f"trained {duration(state.trained_s)}",
        *([f"left {_left(state.seconds_left)}"] if state.seconds_left != 0 else []),
        *([f"started {_clock(state.started)}"] if state.started else []),
        *([f"incidents {state.incidents}"] if state.incidents else []),
        *([f"retries {state.retries}"] if state.retries else []),
    ]
    return Group(bar, Text(" · ".join(facts)))


def _gpu(gpu: Gpu) -> RenderableType:
    figures = gpu.figures
    used, total = figures["memory_used_mib"], figures["memory_total_mib"]
    memory = DASH if used is None or total is None else f"{used / 1024:.1f}/{total / 1024:.1f} GiB"
    power, limit = figures["power_w"], figures["power_limit_w"]
    watts = DASH if power is None else f"{power:.0f}" + ("" if limit is None else f"/{limit:.0f}") + " W"
    parts = [
        f"busy {_number(figures['utilisation_percent'])} %",
        memory,
        f"{_number(figures['temperature_c'])} °C",
        watts,
        printable(f"{figures['name'] or gpu.figures['uuid']} on {gpu.host}: {gpu.variant}"),
    ]
    return Text("GPU " + " · ".join(parts), overflow="ellipsis", no_wrap=True)


def _variants(variants: Sequence[VariantState], wide: bool) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), expand=False, header_style="bold")
    table.add_column("variant", overflow="ellipsis", no_wrap=True, max_width=24 if wide else 13)
    if wide:
        table.add_column("".join(BY_RULE[job.rule].letter for job in variants[0].jobs), no_wrap=True)
    table.add_column("stage", overflow="ellipsis", no_wrap=True, min_width=13, max_width=26 if wide else 13)
    for head in ("epoch", *(("batch",) if wide else ()), "box", "cls", "dfl/l1", *(("mAP50",) if wide else ())):
        table.add_column(head, justify="right", no_wrap=True)
    for head in ("mAP", *(("best", "int8") if wide else ()), "s/ep", "img/s", "left", "try"):
        table.add_column(head, justify="right", no_wrap=True)
    if wide:
        table.add_column("CPU", justify="right", no_wrap=True)
        table.add_column("memory", justify="right", no_wrap=True)
        table.add_column("bad", justify="right", no_wrap=True)
    for variant in variants:
        table.add_row(*_cells(variant, wide), style=STYLES[variant.state] if variant.state in {WAITING, NEW} else "")
    return table


def _cells(variant: VariantState, wide: bool) -> list[RenderableType]:
    training, live = variant.training, variant.state == RUNNING and variant.training.epoch is not None
    losses = training.losses or {}
    stage = Text(_stage(variant, wide), STYLES[variant.state])
    epoch = f"{training.epoch or 0}/{training.epochs}"
    third = losses.get("dfl", losses.get("l1"))
    batch = DASH if training.batch is None or training.batches is None else f"{training.batch}/{training.batches}"
    return [
        Text(variant.name, "bold" if live else ""),
        *([_strip(variant.jobs)] if wide else []),
        stage,
        epoch,
        *([batch] if wide else []),
        _number(losses.get("box"), 2),
        _number(losses.get("cls"), 2),
        _number(third, 3),  # without DFL an L1 distance, of the order of 0.01
        *([_fraction(training.map50)] if wide else []),
        _fraction(training.map50_95),
        *([_fraction(variant.map50_95["float"]), _fraction(variant.map50_95["int8"])] if wide else []),
        _number(training.seconds_per_epoch, 1),
        _number(training.images_per_s),
        _left(training.seconds_left) if live else DASH,
        str(training.attempts or DASH),
        *([_percent(training), _memory(training), str(variant.incidents or DASH)] if wide else []),
    ]


def _stage(variant: VariantState, wide: bool) -> str:
    """Return the mark of a variant's state and its stage; for a running training its phase."""
    words = [BY_RULE[rule].label for rule in variant.stage.split(", ")]
    stage = ", ".join(words) if wide or len(words) == 1 else f"{words[0]} +{len(words) - 1}"
    if variant.state == RUNNING and variant.stage == "train":
        stage = variant.training.phase or stage
    return f"{GLYPHS[variant.state]} {DONE if variant.state == DONE else stage}"


def _strip(jobs: tuple[Job, ...]) -> Text:
    styles = {**STYLES, INTERRUPTED: "yellow"}
    return Text.assemble(*((GLYPHS[job.state], styles[job.state]) for job in jobs))


def _messages(state: SessionState) -> list[RenderableType]:
    """Return sentences: first what failed or stopped, then the newest incidents, then what waits for what."""
    broken = [
        Text.assemble((f"{job.rule}: ", "bold red"), job.words or "") for job in state.jobs if job.state == FAILED
    ]
    broken += [
        Text.assemble((f"{v.name}: ", STYLES[v.state]), f"{v.stage}: {v.words}")
        for v in state.variants
        if v.state in {FAILED, STOPPED} and v.words
    ]
    waiting = [v for v in state.variants if v.state == WAITING]
    groups = itertools.groupby(waiting, key=lambda variant: (variant.stage, variant.words))
    queue = [
        Text(f"waiting: {', '.join(v.name for v in group)} with {stage} {words}", "dim")
        for (stage, words), group in groups
    ]
    running = [
        Text.assemble((f"{job.rule}", "cyan"), f": running, {job.words}") for job in state.jobs if job.state == RUNNING
    ] + [
        Text.assemble((f"{v.name}: ", "cyan"), f"{v.stage}: {v.words}")
        for v in state.variants
        if v.state == RUNNING and v.words
    ]
    found = [(v.incident["time"], v.name, v.incident["message"]) for v in state.variants if v.incident]
    incidents = sorted(found, key=lambda incident: incident[0], reverse=True)
    happened = [Text.assemble((f"{_clock(time)} {name}: ", "magenta"), message) for time, name, message in incidents]
    lines = [*broken[:MESSAGES], *happened[:MESSAGES], *running, *queue]
    hidden = max(len(broken) - MESSAGES, 0) + max(len(happened) - MESSAGES, 0)
    if hidden:
        lines.append(Text(f"and {hidden} more: --json has them all", "dim"))
    if state.state == DONE:
        lines.append(Text(printable(f"the report: {state.folder}/report.html"), "green"))
    return [*lines, Text()] if lines else []


def _legend(wide: bool) -> Text:
    text = (
        "losses: mean of the epoch so far · mAP: mAP50-95 of the last validation on val · "
        "s/ep: seconds an epoch, mean of five · img/s: trained in this epoch · left: estimate · try: attempts"
    )
    if wide:
        names = ", ".join(f"{stage.letter} {stage.label}" for stage in STAGES if stage.scope != SESSION)
        text += (
            " · best: mAP50-95 of best.pt, int8: of the quantised model · CPU and memory: of the training process · "
            f"bad: incidents\n{names}"
        )
    return Text(f"{text}\n✓ done  ▶ running  ✗ failed  ‖ not running any more  · not begun", "dim")


def _clock(iso: str | None) -> str:
    if not iso:
        return DASH
    try:
        return datetime.fromisoformat(iso).astimezone().strftime("%H:%M:%S")
    except ValueError:
        return iso


def _left(seconds: float | None) -> str:
    return DASH if seconds is None else f"≈{duration(seconds)}"


def _number(value: float | None, digits: int = 0) -> str:
    return DASH if value is None else f"{value:.{digits}f}"


def _fraction(value: float | None) -> str:
    return metric(value).removeprefix("0") if value is not None and 0 <= value < 1 else metric(value)


def _percent(training: Training) -> str:
    return DASH if training.cpu_percent is None else f"{training.cpu_percent:.0f} %"


def _memory(training: Training) -> str:
    return DASH if training.memory_mib is None else f"{training.memory_mib / 1024:.1f} GiB"
