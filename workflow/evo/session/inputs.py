"""Inputs that a job asks for only when it has to run.

Snakemake runs a job again when a job behind one of its inputs runs, whatever that one makes. So what is checked or
linked again for another reason is an input only of a job that has to run anyway, and then runs before it: a job whose
results are of its present parameters asks for none of these files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..config.session import Session
from ..layout import VariantLayout
from ..npu.measurements import read_measurements
from ..training.recipe import is_published
from .identities import Identities
from .triggers import evaluation_identity, export_identity, is_made_of


def check_measurements(session: Session) -> None:
    """Refuse a table of measurements with a row that cannot be read, before any job starts.

    Raises:
        UserError: naming file, row and what is wrong with it.
    """
    if session.npu.measurements is not None:
        read_measurements(session.npu.measurements)


class Inputs:
    """The input functions of the rules of a session; each takes the wildcards of a job."""

    def __init__(self, session: Session, identities: Identities):
        self.session, self.identities = session, identities
        self.exported = export_identity(session, identities.data)
        self.evaluated = evaluation_identity(session, identities.data, "evaluate")
        self.evaluated_int8 = evaluation_identity(session, identities.data, "evaluate_int8")

    def _variant(self, wildcards: Any) -> tuple[VariantLayout, bool]:
        """Return the layout of a job's variant, and whether its training is published."""
        layout = self.session.layout.variant(wildcards.variant)
        return layout, is_published(layout, self.identities.recipes[wildcards.variant])

    @property
    def _dataset(self) -> list[Path]:
        return [self.session.layout.fingerprint, self.session.layout.dataset_yaml]

    def drawn_dataset(self) -> list[Path]:
        """Return the YAML of the embedded dataset, where the session uses that."""
        return [self.session.layout.digits_yaml] if self.session.data is None else []

    def checks(self, wildcards: Any) -> list[Path]:
        """Return what has to have passed before a variant trains."""
        layout, published = self._variant(wildcards)
        if published:
            return []
        memory = [layout.memory] if self.session.may_use_gpu else []
        return [
            self.session.layout.environment,
            *self._dataset,
            layout.model,
            layout.activations,
            layout.npu_check,
            *memory,
        ]

    def of_memory_check(self, wildcards: Any) -> list[Path]:
        layout, _ = self._variant(wildcards)
        if is_made_of(layout.memory, self.identities.recipes[wildcards.variant], key="recipe"):
            return []
        return [*self._dataset, layout.activations]

    def of_evaluation(self, wildcards: Any) -> list[Path]:
        layout, published = self._variant(wildcards)
        return [] if published and is_made_of(layout.metrics, self.evaluated) else self._dataset

    def of_int8_evaluation(self, wildcards: Any) -> list[Path]:
        layout, published = self._variant(wildcards)
        return [] if published and is_made_of(layout.metrics_int8, self.evaluated_int8) else self._dataset

    def of_export(self, wildcards: Any) -> list[Path]:
        layout, published = self._variant(wildcards)
        current = is_made_of(layout.npu_metadata, self.exported) and layout.model_int8.is_file()
        return [] if published and current else [*self._dataset, layout.activations]
