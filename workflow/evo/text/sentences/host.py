"""Sentences on the machine and its software."""

from __future__ import annotations

from .sentence import says

SENTENCES = {
    "ultralytics_version": says("Ultralytics %(found)s is installed, this workflow is tested with %(tested)s"),
    "low_memory": says("%(gib)s GiB of memory is little: lower train.batch and train.workers if training dies"),
    "small_gpu": says("the GPU has %(gib)s GiB: expect the batch to be halved"),
    "dirty_checkout": says("tracked files differ from the commit that the report names"),
    "no_git": says("git is not installed: no commit is recorded"),
    "cpu_training": says(
        "no GPU is used: training is expected to take %(seconds)s of one processor, and less where several variants "
        "train side by side (an estimate: %(basis)s); `make demo` shows the whole workflow in minutes",
        seconds="duration",
    ),
    "timed_steps": says(
        "%(steps)s timed steps of %(variant)s at batch %(batch)s, %(imgsz)s px: %(seconds)s s an image, %(images)s "
        "images over %(variants)s variants; validation and data loading not included",
        seconds="metric",
        images="count",
    ),
}
"""Findings in ``environment.json``."""
