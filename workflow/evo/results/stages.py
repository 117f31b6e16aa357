"""The stages of the pipeline, once. Whoever shows, plans, watches or times jobs reads this table.

The rules say what depends on what; a test checks that they and the table name the same stages with the same files.
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

CHECKS, TRAINING, EVALUATION, NPU, REPORT = "checks", "training", "evaluation", "npu", "report"

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
        rule: its name, that of its script as well.
        scope: `SESSION`, `VARIANT` or `BOARD`.
        group: one of `GROUPS`.
        outputs: attributes of the layout of its scope, all that the rule declares. The first one says that it is done.
        schema: of the first output; None where that is not a JSON document.
        label: a word for a narrow column.
        letter: stands for it in a strip of jobs, its own among the stages of a variant.
        params: what has changed when Snakemake says that the parameters of the rule have.
        fails_variant: whether a variant fails with it. A report that cannot be written leaves a variant as it is.
        applies: whether it belongs to a session.
    """

    rule: str
    scope: str
    group: str
    outputs: tuple[str, ...]
    schema: str | None
    label: str
    letter: str
    params: str
    fails_variant: bool = True
    applies: Callable[[Session], bool] = lambda session: True

    def output(self, session: SessionLayout, variant: str | None = None, board: str | None = None) -> Path:
        """Return the path of the first output."""
        return self.paths(session, variant, board)[0]

    def paths(self, session: SessionLayout, variant: str | None = None, board: str | None = None) -> list[Path]:
        """Return the paths of all outputs."""
        place: object = session
        if self.scope != SESSION:
            place = (
                session.variant(str(variant))
                if self.scope == VARIANT
                else session.variant(str(variant)).board(str(board))
            )
        return [getattr(place, name) for name in self.outputs]

    def log(self, session: SessionLayout, variant: str, board: str) -> Path:
        """Return the log of the stage for a variant and a board, as far as it runs for each of them."""
        return log_file(session.root, self.rule, *self._job(variant, board))

    def benchmark(self, session: SessionLayout, variant: str, board: str) -> Path:
        """Return the benchmark of the stage for a variant and a board, as far as it runs for each of them."""
        return benchmark_file(session.root, self.rule, *self._job(variant, board))

    def _job(self, variant: str, board: str) -> tuple[str | None, str | None]:
        return None if self.scope == SESSION else variant, board if self.scope == BOARD else None


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
        params="the dataset changed",
    ),
    Stage(
        "validate_model",
        VARIANT,
        CHECKS,
        ("model",),
        schema="model",
        label="model",
        letter="m",
        params="the network in the model file, or the number of classes, changed",
    ),
    Stage(
        "verify_activations",
        VARIANT,
        CHECKS,
        ("activations",),
        schema="activations",
        label="activations",
        letter="a",
        params="the pretrained weights changed",
    ),
    Stage(
        "preflight_npu",
        VARIANT,
        CHECKS,
        ("npu_check",),
        schema="npu",
        label="preflight",
        letter="p",
        params="train.imgsz, a board, the exporters or the compiler changed",
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
    ),
    Stage(
        "evaluate",
        VARIANT,
        EVALUATION,
        ("metrics", "curves", "plots"),
        schema="metrics",
        label="evaluate",
        letter="e",
        params="evaluate.splits, an evaluated split or the class names changed",
    ),
    Stage(
        "export_int8",
        VARIANT,
        NPU,
        ("npu_metadata", "model_int8"),
        schema="npu_metadata",
        label="export",
        letter="x",
        params="npu.calibration_images, the class names or the exporters changed",
    ),
    Stage(
        "compile_npu",
        BOARD,
        NPU,
        ("compatibility", "compiled", "operators"),
        schema="compatibility",
        label="compile",
        letter="c",
        params="the board's settings or the compiler's version changed",
    ),
    Stage(
        "evaluate_int8",
        VARIANT,
        NPU,
        ("metrics_int8",),
        schema="metrics_int8",
        label="int8",
        letter="i",
        params="evaluate.splits, an evaluated split or the class names changed",
    ),
    Stage(
        "bundle_deploy",
        BOARD,
        NPU,
        ("deploy",),
        schema=None,
        label="bundle",
        letter="b",
        params="what is bundled changed",
    ),
    Stage(
        "render_report",
        VARIANT,
        REPORT,
        ("report", "summary"),
        schema=None,
        label="report",
        letter="r",
        params="the report's own code, or boards and gates, changed",
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
        params="the variants, the report's own code, or boards and gates, changed",
        fails_variant=False,
    ),
)
"""In the order in which a variant comes through them."""

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


def stages_to_pass(session: Session, name: str) -> Iterator[tuple[Stage, str | None]]:
    """Yield what a variant fails with, in order, as `variant_stages` does.

    The memory check is for a training to come: one that is finished does not wait for it.
    """
    trained = session.layout.variant(name).training.is_file()
    for stage, board in variant_stages(session):
        if stage.fails_variant and not (trained and stage.rule == "check_memory"):
            yield stage, board


def boards_of(stage: Stage, boards: Iterable[str]) -> tuple[str | None, ...]:
    """Return the boards that a stage runs for, or ``(None,)`` where it does not run once per board."""
    return tuple(boards) if stage.scope == BOARD else (None,)


@cache  # the live page asks for each of them at every look
def log_file(root: Path, rule: str, variant: str | None = None, board: str | None = None) -> Path:
    """Return the log of a job: ``{root}/logs/{rule}.log``, ``…/{rule}/{variant}.log``, ``…/{variant}.{board}.log``."""
    return _job_file(SessionLayout(Path(root)).logs, rule, variant, board, "log")


@cache
def benchmark_file(root: Path, rule: str, variant: str | None = None, board: str | None = None) -> Path:
    """Return the benchmark that Snakemake writes when a job has succeeded: named as its `log_file`."""
    return _job_file(SessionLayout(Path(root)).benchmarks, rule, variant, board, "tsv")


def _job_file(folder: Path, rule: str, variant: str | None, board: str | None, suffix: str) -> Path:
    if variant is None:
        return folder / f"{rule}.{suffix}"
    return folder / rule / (f"{variant}.{board}.{suffix}" if board else f"{variant}.{suffix}")
