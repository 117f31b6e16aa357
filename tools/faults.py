"""Kills trainings at random instants, continues them, and compares what they end with, bit for bit.

    make faults N=200
    .venv/bin/python -m tools.faults --kills 200 --seed 1

A network of five layers is trained for six epochs on a dozen images of 64 pixels, once without interruption for every
configuration, then again and again with `kill -9` from outside: in a batch, a step, the validation, results.csv, the
writing of a checkpoint, its rename, the publication. Every run has to end with the weights, the moving average, the
optimizer, the published files and results.csv (its column of times left out) of the uninterrupted one.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import gc
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow.evo.config.loading import load_session
from workflow.evo.config.session import Session
from workflow.evo.data.check import check
from workflow.evo.data.dataset import load_dataset
from workflow.evo.data.digits import draw
from workflow.evo.data.view import link
from workflow.evo.errors import EvoError
from workflow.evo.files import write_json
from workflow.evo.host import ultralytics_env
from workflow.evo.host.entry_point import entry_point

VARIANT = "tiny"
MODEL = """
nc: 10
activation: torch.nn.ReLU()
reg_max: 1
npu: {activation_scope: [backbone, neck, detect]}
backbone:
  - [-1, 1, Conv, [8, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
head:
  - [-1, 1, Conv, [32, 3, 2]]
  - [[2, 3], 1, Detect, [nc]]
"""
DIGITS = {"train": 12, "val": 4, "test": 0, "size": 64, "seed": 0}
EPOCHS = 6
KILLS_PER_RUN = 4
LOST = 99
"""Exit code of a process in which something else went wrong than the training."""
AGAIN = 100
"""Exit code of a process that the workflow's own script would start again at once."""
BATCH = 4
BASE = {
    "epochs": EPOCHS,
    "imgsz": 64,
    "batch": BATCH,
    "device": "cpu",
    "lr0": 0.01,
    "warmup_epochs": 1,
    "close_mosaic": 2,
    "mosaic": 1.0,
}
"""Three batches an epoch: with an accumulation of 2 or 5, gradients wait for a step when an epoch ends."""


@dataclass(frozen=True)
class Setup:
    """One configuration of the campaign; ``workers`` are data loader processes, ``nbs`` images per optimizer step."""

    name: str
    optimizer: str
    nbs: int
    workers: int = 0
    end2end: bool = False

    @property
    def accumulation(self) -> int:
        return max(round(self.nbs / BATCH), 1)


SETUPS = (
    Setup("sgd-1", "SGD", 4),
    Setup("sgd-5", "SGD", 20),
    Setup("adamw-2-workers", "AdamW", 8, workers=2),
    Setup("sgd-2-end2end", "SGD", 8, end2end=True),
    Setup("adamw-5", "AdamW", 20),
    Setup("sgd-2-workers", "SGD", 8, workers=2),
    Setup("adamw-1", "AdamW", 4),
    Setup("musgd-2", "MuSGD", 8),
)
PHASES = ("batch", "step", "validation", "csv", "write", "rename", "publish")


# A run in a process of its own -----------------------------------------------------------------------------------


class Bench:
    """A folder with the dataset and one session per configuration; the working directory while it is open."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        ultralytics_env.prepare(self.folder / "settings")
        # Everything is imported once, before the processes are forked: that is most of what their start costs.
        import matplotlib.font_manager  # noqa: F401  by the validator
        import torch
        import torch._inductor  # by use_deterministic_algorithms
        import torchvision  # noqa: F401
        import ultralytics.models.yolo.detect  # noqa: F401

        import workflow.evo.training.run
        import workflow.evo.training.trainer  # noqa: F401

        self._threads = torch.get_num_threads()
        torch.set_num_threads(1)
        gc.collect()
        gc.freeze()
        self._before = Path.cwd()
        os.chdir(self.folder)
        self.dataset = load_dataset(draw(self.folder / "digits", DIGITS))
        self.document = check(self.dataset, self.folder / "hashes.json", progress=False)

    def close(self) -> None:
        import torch

        gc.unfreeze()
        torch.set_num_threads(self._threads)
        os.chdir(self._before)

    def session(self, setup: Setup, **train: Any) -> Session:
        """Return the session of a configuration, with its dataset linked."""
        model = self.folder / f"{'end2end' if setup.end2end else 'plain'}.yaml"
        model.write_text(MODEL.replace("reg_max: 1", f"reg_max: 1\nend2end: {str(setup.end2end).lower()}"))
        arguments = {**BASE, "optimizer": setup.optimizer, "nbs": setup.nbs, "workers": setup.workers, **train}
        session = load_session(
            {"session": setup.name, "models": {VARIANT: {"yaml": str(model)}}, "train": arguments, "data": "demo"}
        )
        link(self.dataset, session.layout.data)
        write_json(session.layout.fingerprint, "fingerprint", self.document)
        return session

    def clear(self, session: Session) -> None:
        """Remove what a run left behind, checkpoints included."""
        shutil.rmtree(session.layout.variant(VARIANT).folder, ignore_errors=True)
        train_log(session).unlink(missing_ok=True)

    def train(self, session: Session, prepare: Callable[[], None] = lambda: None, kill: Kill | None = None) -> int:
        """Train in a forked process until it ends or is killed; return its exit code, `AGAIN`, or minus the signal.

        Args:
            prepare: called in that process first, to change what it meets.
            kill: when to end it from outside.
        """
        layout = session.layout.variant(VARIANT)
        layout.checkpoints.mkdir(parents=True, exist_ok=True)
        reached, told = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(reached)
                os._exit(_train_here(session, train_log(session), prepare, kill, told))
            finally:  # whatever is raised, this copy of the process goes on with nothing
                os._exit(LOST)
        os.close(told)
        if kill is not None and os.read(reached, 1):
            time.sleep(kill.delay)
            os.kill(pid, signal.SIGKILL)
        os.close(reached)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def replace(owner: type, name: str, by: Callable[..., Any]) -> None:
    """Put another function in the place of a method, for the rest of this process."""
    setattr(owner, name, by)


def train_log(session: Session) -> Path:
    """Return where a training of `Bench` logs: not in its variant's folder, which a test may put on a full disk."""
    return session.root.resolve() / "train.log"


@dataclass(frozen=True)
class Kill:
    """When a process is killed: ``delay`` seconds after it entered ``phase`` for the ``time``-th time, from 1."""

    phase: str
    time: int
    delay: float


def _train_here(session: Session, log: Path, prepare: Callable[[], None], kill: Kill | None, told: int) -> int:
    from workflow.evo.host.console import Console
    from workflow.evo.training import run
    from workflow.evo.training.recovery import RestartRequired

    with log.open("a") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    replace(run._Training, "_require_checks", lambda self: None)  # the checks of a network are not what is tried here
    try:
        _keep_workers()
        _scatter_fitness()
        _read_results_without_threads()
        prepare()
        with _watched_phases(kill, told):
            run.train(session, VARIANT, Console(VARIANT))
    except RestartRequired:
        return AGAIN
    except EvoError as error:
        print(f"error: {error}", flush=True)
        return error.exit_code
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
    return 0


def _keep_workers() -> None:
    """Ultralytics sets the data loader processes to 0 on a CPU: here they are wanted."""
    from workflow.evo.training.trainer import VariantTrainer

    original = VariantTrainer.get_dataloader

    def get_dataloader(trainer: Any, *args: Any, **kwargs: Any) -> Any:
        trainer.args.workers = trainer.configured_workers
        return original(trainer, *args, **kwargs)

    initialise = VariantTrainer.__init__

    def with_workers(trainer: Any, overrides: dict[str, Any], **kwargs: Any) -> None:
        trainer.configured_workers = overrides["workers"]
        initialise(trainer, overrides, **kwargs)

    replace(VariantTrainer, "__init__", with_workers)
    replace(VariantTrainer, "get_dataloader", get_dataloader)


def _scatter_fitness() -> None:
    """Let any epoch be the best one: five layers find no digit in six epochs, and their fitness would always be 0."""
    from workflow.evo.training.trainer import VariantTrainer

    original = VariantTrainer.validate

    def validate(trainer: Any) -> tuple[dict[str, float], float]:
        best = trainer.best_fitness
        metrics, _ = original(trainer)
        fitness = metrics["val/cls_loss"] * 100 % 1
        trainer.best_fitness = fitness if best is None else max(best, fitness)
        return metrics, fitness

    VariantTrainer.validate = validate


def _read_results_without_threads() -> None:
    """Ultralytics reads results.csv with polars, whose threads may hang in a forked process: pandas has none."""
    import pandas as pd

    from workflow.evo.training.trainer import VariantTrainer

    VariantTrainer.read_results_csv = lambda trainer: pd.read_csv(trainer.csv).to_dict(orient="list")


@contextlib.contextmanager
def _watched_phases(kill: Kill | None, told: int) -> Iterator[None]:
    """Tell the pipe when the process is where it is to be killed; write down how long each phase takes."""
    from workflow.evo.training.run import _Training
    from workflow.evo.training.trainer import VariantTrainer

    entered: Counter[str] = Counter()
    seconds: dict[str, list[float]] = {phase: [] for phase in PHASES}

    def enter(phase: str) -> None:
        entered[phase] += 1
        if kill is not None and (phase, entered[phase]) == (kill.phase, kill.time):
            os.write(told, b"!")

    def watch(owner: Any, name: str, phase: str) -> None:
        original = getattr(owner, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            enter(phase)
            start = time.perf_counter()
            result = original(*args, **kwargs)
            seconds[phase].append(time.perf_counter() - start)
            return result

        setattr(owner, name, watched)

    for name, phase in (
        ("preprocess_batch", "batch"),
        ("optimizer_step", "step"),
        ("validate", "validation"),
        ("save_metrics", "csv"),
        ("save_model", "write"),
    ):
        watch(VariantTrainer, name, phase)
    watch(_Training, "_publish", "publish")
    rename = Path.rename

    def renamed(path: Path, target: Any) -> Path:
        result = rename(path, target)
        if path.name == ".draft":
            enter("rename")
        return result

    replace(Path, "rename", renamed)
    yield
    Path("seconds.json").write_text(json.dumps({phase: max(times, default=0.0) for phase, times in seconds.items()}))


# What a run ends with --------------------------------------------------------------------------------------------

LEFT_OUT = ("elapsed", "history", "date", "git", "train_results", "train_args")
"""Times, and what is told about the machine and the code."""


def outcome(session: Session) -> dict[str, Any]:
    """Return everything a finished run ends with, flat: the last state, the published weights and results.csv."""
    import torch
    from ultralytics.nn.tasks import torch_safe_load

    from workflow.evo.training.trainer import STATE

    layout = session.layout.variant(VARIANT)
    newest = max(layout.checkpoints.glob("epoch*"))
    found = dict(_flat(torch.load(newest / STATE, weights_only=True), "state"))
    for path in (layout.best, layout.last):
        checkpoint, _ = torch_safe_load(path, safe_only=True)
        checkpoint["model"] = checkpoint["model"].state_dict()
        found.update(_flat(checkpoint, path.name))
    with layout.results_csv.open() as stream:
        for row in csv.DictReader(stream):
            row.pop("time")
            found[f"results.csv/{row['epoch']}"] = row
    return found


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key not in LEFT_OUT:
                yield from _flat(item, f"{name}/{key}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _flat(item, f"{name}/{index}")
    else:
        yield name, value


def differences(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """Return the names of what is not the same to the last bit."""
    import torch

    def same(one: Any, other: Any) -> bool:
        if isinstance(one, torch.Tensor):
            return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
        return one == other

    names = sorted({*first, *second})
    return [name for name in names if name not in first or name not in second or not same(first[name], second[name])]


# The campaign ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """One run that was killed: where, and what of its end differs from that of the uninterrupted run."""

    setup: Setup
    kills: tuple[Kill, ...]
    differences: tuple[str, ...]
    seconds: float


def uninterrupted(bench: Bench, session: Session) -> tuple[dict[str, Any], dict[str, float]]:
    """Train without a kill; return the outcome and the longest time of each phase, seconds."""
    bench.clear(session)
    code = bench.train(session)
    if code:
        raise EvoError(f"the uninterrupted run failed with exit code {code}", where=train_log(session))
    return outcome(session), json.loads(Path("seconds.json").read_text())


def trial(
    bench: Bench,
    session: Session,
    setup: Setup,
    kills: int,
    reference: dict[str, Any],
    phases: dict[str, float],
    rng: random.Random,
) -> Trial:
    """Train with ``kills`` kills, the last one perhaps in the publication, and compare."""
    start = time.perf_counter()
    bench.clear(session)
    done: list[Kill] = []
    while len(done) < kills:
        # Each attempt is killed before its second epoch is over, so that the last one still has something to train.
        last = len(done) == kills - 1
        phase = "publish" if last and rng.random() < 0.5 else rng.choice(PHASES[:-1])
        often = 2 * 3 if phase in {"batch", "step"} else 2
        kill = Kill(phase, 1 if phase == "publish" else rng.randint(1, often), rng.uniform(0, phases[phase]))
        code = bench.train(session, kill=kill)
        if code == 0:
            break  # it was over before the kill: nothing is left to kill in this run
        if code != -signal.SIGKILL:
            raise EvoError(f"a run that was to be killed failed with exit code {code}", where=train_log(session))
        done.append(kill)
    code = bench.train(session)
    if code:
        raise EvoError(f"the run failed with exit code {code} after {len(done)} kills", where=train_log(session))
    found = differences(reference, outcome(session))
    return Trial(setup, tuple(done), tuple(found), time.perf_counter() - start)


def campaign(folder: Path, kills: int, seed: int, setups: tuple[Setup, ...] = SETUPS) -> list[Trial]:
    """Kill ``kills`` times in all, the configurations in turn; one line per run goes to stdout."""
    rng = random.Random(seed)
    bench = Bench(folder)
    references: dict[str, Any] = {}
    trials: list[Trial] = []
    try:
        for number in range(10 * kills):
            left = kills - sum(len(item.kills) for item in trials)
            if left <= 0:
                break
            setup = setups[number % len(setups)]
            session = bench.session(setup)
            if setup.name not in references:
                references[setup.name] = uninterrupted(bench, session)
            reference, phases = references[setup.name]
            trials.append(trial(bench, session, setup, min(KILLS_PER_RUN, left), reference, phases, rng))
            print(_line(trials[-1]), flush=True)
    finally:
        bench.close()
    return trials


def _line(item: Trial) -> str:
    where = ", ".join(f"{kill.phase} {kill.time}" for kill in item.kills)
    verdict = f"{len(item.differences)} DIFFERENCES: {item.differences[:4]}" if item.differences else "identical"
    return f"{item.setup.name}: killed in {where or 'nothing'}: {verdict} ({item.seconds:.1f} s)"


def table(trials: list[Trial]) -> str:
    """Return the campaign as a Markdown table: a row per configuration, a column per phase."""
    rows = ["| configuration | accumulation | workers | runs | " + " | ".join(PHASES) + " | kills | identical |"]
    rows.append("|---|" + "---:|" * (len(PHASES) + 5))
    for setup in SETUPS:
        own = [item for item in trials if item.setup == setup]
        counts = Counter(kill.phase for item in own for kill in item.kills)
        identical = sum(not item.differences for item in own)
        cells = [setup.optimizer + (", end-to-end" if setup.end2end else ""), setup.accumulation, setup.workers]
        cells += [len(own), *(counts[phase] for phase in PHASES), counts.total(), f"{identical} of {len(own)}"]
        if own:
            rows.append("| " + " | ".join(map(str, cells)) + " |")
    counts = Counter(kill.phase for item in trials for kill in item.kills)
    identical = sum(not item.differences for item in trials)
    cells = ["all", "", "", len(trials), *(counts[phase] for phase in PHASES), counts.total()]
    rows.append("| " + " | ".join(map(str, [*cells, f"{identical} of {len(trials)}"])) + " |")
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.faults", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the instants; default: %(default)s")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trials = campaign(Path(folder), options.kills, options.seed)
    print(f"\n{table(trials)}")
    return 1 if any(item.differences for item in trials) else 0


if __name__ == "__main__":
    entry_point(main)
