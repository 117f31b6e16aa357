"""The results contract: where every file of a session lies, relative to the working directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
    def evaluate(self) -> Path:
        return self.folder / "evaluate"

    @property
    def metrics(self) -> Path:
        return self.evaluate / "metrics.json"

    @property
    def plots(self) -> Path:
        return self.evaluate / "plots"

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
    def digits(self) -> Path:
        """Where the embedded dataset is drawn."""
        return self.data / "digits"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    def variant(self, name: str) -> VariantLayout:
        return VariantLayout(self.root, name)
