"""Ultralytics' validator, keeping what each image contributes to the accuracy."""

from __future__ import annotations

from typing import Any

from .matches import Recorder


def recording_validator() -> type:
    """Return Ultralytics' `DetectionValidator` with an attribute ``evidence``, a `Recorder` of all images."""
    from ultralytics.models.yolo.detect import DetectionValidator

    class RecordingValidator(DetectionValidator):
        def init_metrics(self, model: Any) -> None:
            super().init_metrics(model)
            self.evidence = Recorder(len(model.names))
            keep = self.metrics.update_stats

            def update_stats(stats: dict[str, Any]) -> None:
                self.evidence.add(stats["im_name"], stats)
                keep(stats)

            self.metrics.update_stats = update_stats

    return RecordingValidator
