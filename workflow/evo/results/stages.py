"""The table of stages. Reports, plan, monitor and timeline all read it; nothing else lists the rules.

The rules say what depends on what. A test compares them with this table: the same stages, files and wildcards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..config.session import Session
from ..layout import SessionLayout
from ..text.language import marked

SESSION, VARIANT, BOARD = "session", "variant", "board"
"""How often a stage runs: once for a session, for each variant, or for each variant and board."""

CHECKS, TRAINING, EVALUATION, NPU, REPORT = "Checks", "Training", "Evaluation", "NPU", "Report"

GROUPS = {
    CHECKS: marked("checks"),
    TRAINING: marked("training"),
    EVALUATION: marked("evaluation"),
    NPU: marked("int8: export, compile, evaluate, bundle"),
    REPORT: marked("report"),
}
"""Groups of stages in order, as a legend names them."""


@dataclass(frozen=True)
class Stage:
    """One rule of the pipeline.

    Attributes:
        rule: name of the rule and of its script.
        scope: `SESSION`, `VARIANT` or `BOARD`.
        group: one of `GROUPS`.
        outputs: attributes of the layout of its scope, every output of the rule. The stage is done when the first one
            exists.
        schema: schema of the first output; None where that is not a JSON document.
        label: one word, for a narrow column.
        letter: its mark in the monitor's row of jobs, unique among the stages of a variant.
        params: what changed when Snakemake reports changed parameters of the rule.
        gpu: whether it holds the GPU token while it runs.
        before_training_only: whether it no longer matters once the variant is trained.
        fails_variant: whether a variant fails when it fails. A variant without its report is still complete.
        applies: whether a session has this stage.
    """

    rule: str
    scope: str
    group: str
    outputs: tuple[str, ...]
    schema: str | None
    label: str
    letter: str
    params: str
    gpu: bool = False
    before_training_only: bool = False
    fails_variant: bool = True
    applies: Callable[[Session], bool] = lambda session: True

    def output(self, session: SessionLayout, variant: str | None = None, board: str | None = None) -> Path:
        """Return the path of the first output."""
        return self.paths(session, variant, board)[0]

    def paths(self, session: SessionLayout, variant: str | None = None, board: str | None = None) -> list[Path]:
        """Return the paths of all outputs."""
        layout: object = session
        if self.scope != SESSION:
            layout = session.variant(str(variant))
            if self.scope == BOARD:
                layout = session.variant(str(variant)).board(str(board))
        return [getattr(layout, name) for name in self.outputs]

    def log(self, session: SessionLayout, variant: str | None = None, board: str | None = None) -> Path:
        """Return the log: ``{root}/logs/{rule}.log``, ``…/{rule}/{variant}.log`` or ``…/{rule}/{variant}.{board}.log``."""
        return _job_file(session.logs, self, variant, board, "log")

    def benchmark(self, session: SessionLayout, variant: str | None = None, board: str | None = None) -> Path:
        """Return the benchmark that Snakemake writes when the job has succeeded, named like its log."""
        return _job_file(session.benchmarks, self, variant, board, "tsv")


@cache  # the monitor asks for all of them every two seconds
def _job_file(folder: Path, stage: Stage, variant: str | None, board: str | None, suffix: str) -> Path:
    if stage.scope == SESSION:
        return folder / f"{stage.rule}.{suffix}"
    job = f"{variant}.{board}" if stage.scope == BOARD else variant
    return folder / stage.rule / f"{job}.{suffix}"


STAGES = (
    Stage(
        "check_environment",
        SESSION,
        CHECKS,
        ("environment",),
        schema="environment",
        label="environment",
        letter="E",
        params="the training arguments changed",
    ),
    Stage(
        "draw_digits",
        SESSION,
        CHECKS,
        ("digits_yaml",),
        schema=None,
        label="digits",
        letter="D",
        params="the settings of the drawn digits changed",
        applies=lambda session: session.data is None,
    ),
    Stage(
        "check_dataset",
        SESSION,
        CHECKS,
        ("fingerprint", "dataset_yaml"),
        schema="fingerprint",
        label="dataset",
        letter="S",
        params="the dataset or the code of the check changed",
    ),
    Stage(
        "validate_model",
        VARIANT,
        CHECKS,
        ("model",),
        schema="model",
        label="model",
        letter="m",
        params="the network in the model file, the number of classes or the code of the check changed",
    ),
    Stage(
        "verify_activations",
        VARIANT,
        CHECKS,
        ("activations",),
        schema="activations",
        label="activations",
        letter="a",
        params="the pretrained weights or the code of the check changed",
    ),
    Stage(
        "preflight_npu",
        VARIANT,
        CHECKS,
        ("npu_check",),
        schema="npu",
        label="preflight",
        letter="p",
        params="train.imgsz, a board, the exporters, the compiler or the code of the check changed",
    ),
    Stage(
        "check_memory",
        VARIANT,
        CHECKS,
        ("memory",),
        schema="memory",
        label="memory",
        letter="g",
        params="what the training depends on changed",
        gpu=True,
        before_training_only=True,
        applies=lambda session: session.may_use_gpu,
    ),
    Stage(
        "train",
        VARIANT,
        TRAINING,
        ("training", "best", "last", "results_csv"),
        schema="training",
        label="train",
        letter="T",
        params="what the training depends on changed",
        gpu=True,
    ),
    Stage(
        "evaluate",
        VARIANT,
        EVALUATION,
        ("metrics", "curves", "matches", "plots"),
        schema="metrics",
        label="evaluate",
        letter="e",
        params="evaluate.splits, an evaluated split, the class names or the code of the evaluation changed",
        gpu=True,
    ),
    Stage(
        "export_int8",
        VARIANT,
        NPU,
        ("npu_metadata", "model_int8"),
        schema="npu_metadata",
        label="export",
        letter="x",
        params="npu.calibration_images, the class names, the exporters or the code of the export changed",
    ),
    Stage(
        "compile_npu",
        BOARD,
        NPU,
        ("compatibility", "compiled", "operators"),
        schema="compatibility",
        label="compile",
        letter="c",
        params="the board's settings, the compiler's version or the code of the compilation changed",
    ),
    Stage(
        "evaluate_int8",
        VARIANT,
        NPU,
        ("metrics_int8", "matches_int8"),
        schema="metrics_int8",
        label="int8",
        letter="i",
        params="evaluate.splits, an evaluated split, the class names, npu.kernels or the code of the evaluation changed",
    ),
    Stage(
        "bundle_deploy",
        BOARD,
        NPU,
        ("deploy",),
        schema=None,
        label="bundle",
        letter="b",
        params="the code of the bundle changed",
    ),
    Stage(
        "render_report",
        VARIANT,
        REPORT,
        ("report", "summary"),
        schema=None,
        label="report",
        letter="r",
        params="the code of the report, or boards and gates, changed",
        fails_variant=False,
    ),
    Stage(
        "compare_variants",
        SESSION,
        REPORT,
        ("report", "markdown", "csv", "summary"),
        schema=None,
        label="comparison",
        letter="C",
        params="the variants, the code of the report, or boards and gates, changed",
        fails_variant=False,
    ),
)
"""In the order in which a variant passes through them."""

BY_RULE = {stage.rule: stage for stage in STAGES}

BEFORE_TRAINING = frozenset(stage.rule for stage in STAGES if stage.group == CHECKS)


def shared_stages(session: Session) -> tuple[Stage, ...]:
    """Return the stages that run once for a session."""
    return tuple(stage for stage in STAGES if stage.scope == SESSION and stage.applies(session))


def variant_stages(session: Session) -> Iterator[tuple[Stage, str | None]]:
    """Yield the stages of one variant in order, those of a board once for each board, with its name."""
    for stage in STAGES:
        if stage.scope != SESSION and stage.applies(session):
            for board in boards_of(stage, session.npu.boards):
                yield stage, board


def boards_of(stage: Stage, boards: Iterable[str]) -> tuple[str | None, ...]:
    """Return the boards that a stage runs for, or ``(None,)`` where it does not run once per board."""
    return tuple(boards) if stage.scope == BOARD else (None,)
