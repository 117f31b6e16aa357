"""The results contract: where every file of a session lies, relative to the working directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

VIEW = "view"
"""Folder beside ``dataset.yaml`` with the links to the dataset."""


@dataclass(frozen=True)
class BoardLayout:
    """Paths of one variant compiled for one board."""

    folder: Path

    @property
    def compiled(self) -> Path:
        return self.folder / "model_int8_vela.tflite"

    @property
    def compatibility(self) -> Path:
        return self.folder / "compatibility.json"

    @property
    def operators(self) -> Path:
        return self.folder / "operators.csv"

    @property
    def deploy(self) -> Path:
        """The bundle for a firmware engineer, a folder."""
        return self.folder / "deploy"


@dataclass(frozen=True)
class VariantLayout:
    """Paths of one variant below ``results/{session}/``."""

    root: Path
    variant: str

    @property
    def folder(self) -> Path:
        return self.root / self.variant

    @property
    def model(self) -> Path:
        return self.folder / "check" / "model.json"

    @property
    def activations(self) -> Path:
        return self.folder / "check" / "activations.json"

    @property
    def npu_check(self) -> Path:
        """What the compiler makes of the untrained network."""
        return self.folder / "check" / "npu.json"

    @property
    def memory(self) -> Path:
        """Which batch fits into the memory of the GPU."""
        return self.folder / "check" / "memory.json"

    @property
    def train(self) -> Path:
        return self.folder / "train"

    @property
    def best(self) -> Path:
        return self.train / "best.pt"

    @property
    def last(self) -> Path:
        return self.train / "last.pt"

    @property
    def results_csv(self) -> Path:
        return self.train / "results.csv"

    @property
    def training(self) -> Path:
        return self.train / "training.json"

    @property
    def checkpoints(self) -> Path:
        """Never a declared output of a rule: it has to survive every failure."""
        return self.train / ".checkpoints"

    @property
    def unfinished_csv(self) -> Path:
        """The ``results.csv`` of a training that is not published yet."""
        return self.checkpoints / "work" / "results.csv"

    @property
    def status(self) -> Path:
        """How far the training is, renewed every other second while it runs."""
        return self.checkpoints / "status.json"

    @property
    def evaluate(self) -> Path:
        return self.folder / "evaluate"

    @property
    def metrics(self) -> Path:
        return self.evaluate / "metrics.json"

    @property
    def curves(self) -> Path:
        """What the report draws of the evaluation: precision and recall, confusion, boxes."""
        return self.evaluate / "curves.json"

    @property
    def matches(self) -> Path:
        """What the evaluation found in each image, for the intervals."""
        return self.evaluate / "matches.npz"

    @property
    def plots(self) -> Path:
        return self.evaluate / "plots"

    @property
    def npu(self) -> Path:
        return self.folder / "npu"

    @property
    def model_int8(self) -> Path:
        """The quantised model before Vela."""
        return self.npu / "model_int8.tflite"

    @property
    def npu_metadata(self) -> Path:
        return self.npu / "metadata.json"

    @property
    def metrics_int8(self) -> Path:
        return self.npu / "metrics_int8.json"

    @property
    def matches_int8(self) -> Path:
        """What the evaluation of the int8 model found in each image."""
        return self.npu / "matches_int8.npz"

    def board(self, name: str) -> BoardLayout:
        return BoardLayout(self.npu / name)

    @property
    def summary(self) -> Path:
        return self.root / f"{self.variant}_training_summary.json"

    @property
    def report(self) -> Path:
        return self.root / f"{self.variant}_training_report.md"


@dataclass(frozen=True)
class SessionLayout:
    """Paths of one session, ``results/{session}/``."""

    root: Path

    @property
    def config(self) -> Path:
        """The merged and completed configuration that the jobs of this session read."""
        return self.root / "config.json"

    @property
    def identities(self) -> Path:
        """What the rules compare, for jobs on other machines: hashes of data, networks and recipes."""
        return self.root / "identities.json"

    @property
    def lock(self) -> Path:
        """Locked by the process that runs the session, whose number stands in it."""
        return self.root / ".lock"

    @property
    def logs(self) -> Path:
        """Of the rules; those of attempts that failed lie in ``attempts/`` beside them."""
        return self.root / "logs"

    @property
    def benchmarks(self) -> Path:
        """Wall time and memory of each job, as Snakemake writes them."""
        return self.root / "benchmarks"

    @property
    def environment(self) -> Path:
        return self.root / "environment.json"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def fingerprint(self) -> Path:
        return self.data / "fingerprint.json"

    @property
    def dataset_yaml(self) -> Path:
        """The dataset as training reads it: images and labels linked beside it, nothing that can be executed."""
        return self.data / "dataset.yaml"

    @property
    def view(self) -> Path:
        """Links to the images and labels of the dataset: ``images/{split}`` and ``labels/{split}``."""
        return self.data / VIEW

    @property
    def digits(self) -> Path:
        """Where the embedded dataset is drawn."""
        return self.data / "digits"

    @property
    def digits_yaml(self) -> Path:
        return self.digits / "data.yaml"

    @property
    def tracking(self) -> Path:
        """MLflow's own store, when it is asked for."""
        return self.root / "tracking"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def markdown(self) -> Path:
        return self.root / "report.md"

    @property
    def csv(self) -> Path:
        return self.root / "summary.csv"

    @property
    def summary(self) -> Path:
        return self.root / "summary.json"

    def variant(self, name: str) -> VariantLayout:
        return VariantLayout(self.root, name)
