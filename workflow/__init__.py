"""Ethos Vision Optimizer: a Snakemake workflow from a detection dataset to compared YOLO variants."""

import os
import sys

if sys.argv[:1] == ["-m"]:
    # `python -m workflow.scripts.…` puts the working directory before Python's own library. Last, so that no file that
    # somebody unpacked beside the workflow, such as a dataset's yaml.py, stands in for a module of it.
    _root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 (nothing more is imported)
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != _root] + [_root]  # noqa: PTH100
