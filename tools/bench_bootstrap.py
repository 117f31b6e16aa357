"""CPU time of the intervals of a large session: ``python -m tools.bench_bootstrap``."""

from __future__ import annotations

import argparse
import time

import numpy as np

from tools.coverage import CLASSES, FALSE, OBJECTS, Scenes, detections
from workflow.evo.evaluation import bootstrap


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--variants", type=int, default=60)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=bootstrap.RESAMPLES)
    arguments = parser.parse_args()
    scenes = Scenes.drawn(arguments.images, np.random.default_rng(0))
    evidence = {
        f"v{index}": [detections(scenes, np.random.default_rng(index))] for index in range(1, arguments.variants + 1)
    }
    kept = sum(len(one.image) for (one,) in evidence.values()) / len(evidence) / arguments.images
    start = time.process_time()
    bootstrap.resample(evidence, arguments.resamples)
    print(
        f"{time.process_time() - start:.1f} CPU s for {arguments.variants} variants, {arguments.resamples:,} resamples "
        f"of {arguments.images:,} images ({CLASSES} classes, {OBJECTS:g} objects, {FALSE:g} false detections an image, "
        f"{kept:.1f} detections kept)"
    )


if __name__ == "__main__":
    main()
