"""The environment in which Ultralytics may be imported: offline, nothing installed behind our back, no `eval`."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from . import ultralytics_offline

SETTINGS = {
    "YOLO_OFFLINE": "1",
    "YOLO_AUTOINSTALL": "false",
    # A model YAML's `activation:` is resolved without eval(), and checkpoints load with weights_only=True.
    "ULTRALYTICS_SAFE_LOAD": "1",
}


def prepare(config_dir: Path) -> None:
    """Set the environment for Ultralytics and import it without what fetches; call this before its first import.

    Args:
        config_dir: folder for Ultralytics' settings file, so that the user's own settings neither apply nor change.

    Raises:
        RuntimeError: Ultralytics is imported already under other settings.
    """
    config_dir = Path(config_dir).resolve()
    wanted = {**SETTINGS, "YOLO_CONFIG_DIR": str(config_dir)}
    late = "ultralytics" in sys.modules
    if late and any(os.environ.get(key) != value for key, value in SETTINGS.items()):
        raise RuntimeError("prepare() has to run before ultralytics is imported: its safe mode is read at import")
    if not late:
        config_dir.mkdir(parents=True, exist_ok=True)
        os.environ.update(wanted)
    ultralytics_offline.close()


@contextlib.contextmanager
def offline(threads: int | None = None) -> Iterator[Path]:
    """Import Ultralytics as `prepare` does, for a script; yield a scratch folder that goes with the block.

    Args:
        threads: torch's on the CPU; its own number by default.
    """
    with tempfile.TemporaryDirectory(prefix="evo-") as scratch:
        prepare(Path(scratch) / "settings")
        if threads is not None:
            use_threads(threads)
        yield Path(scratch)


def use_threads(count: int) -> None:
    """Have torch compute with ``count`` threads on the CPU; call it after `prepare`.

    Ultralytics sets a number of its own when it selects the CPU (``select_device``): all processors of the host but
    one, whatever else runs there.
    """
    import torch
    from ultralytics.utils import torch_utils

    torch_utils.NUM_THREADS = count
    torch.set_num_threads(count)
