"""Compare the kernels of the int8 evaluation on a finished session: ``python -m tools.compare_kernels CONFIG``.

For each variant the accuracy by LiteRT's optimised and reference kernels, the share of output elements that differ
between the two, and whether LiteRT Micro computes what the reference kernels compute.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from workflow.evo.config.loading import load_session_files
from workflow.evo.config.session import Session
from workflow.evo.data.dataset import load_dataset
from workflow.evo.data.listing import list_images
from workflow.evo.evaluation.detector import load_detector, use_names
from workflow.evo.evaluation.int8 import as_module, evaluate_square
from workflow.evo.evaluation.interpreter import KERNELS, Int8Model, quantise
from workflow.evo.files import read_json
from workflow.evo.host import ultralytics_env
from workflow.evo.npu.cpu_fallback import ROOM
from workflow.evo.printable import log_line


def micro_outputs(model: Path, pixels: np.ndarray) -> list[np.ndarray]:
    """Return the outputs of LiteRT Micro for (images, height, width, 3) int8, as `Int8Model.run` does."""
    from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_file(str(model), arena_size=ROOM)
    rows = []
    for image in pixels:
        interpreter.set_input(image[None], 0)
        interpreter.invoke()
        rows.append([np.array(interpreter.get_output(index)) for index in range(_outputs(model))])
    return [np.concatenate(column) for column in zip(*rows, strict=True)]


def _outputs(model: Path) -> int:
    from workflow.evo.npu.flatbuffer import io

    return len(io(model)[1])


def compare(session: Session, name: str, threads: int, images: int) -> None:
    """Print the comparison of one variant."""
    layout = session.layout.variant(name)
    metadata = read_json(layout.npu_metadata, "npu_metadata")
    dataset = load_dataset(session.layout.dataset_yaml)
    figures = []
    for split in (split for split in session.splits if split in dataset.splits):
        for kernels in KERNELS:
            with (
                Int8Model(layout.model_int8, metadata, threads, kernels) as interpreters,
                tempfile.TemporaryDirectory() as folder,
            ):
                detector = load_detector(layout.best)
                use_names(detector, dataset.names)
                detector.model = as_module(interpreters, metadata)
                common = (session.layout.dataset_yaml, split, metadata["imgsz"], Path(folder))
                found, _ = evaluate_square(detector, *common, f"{name}: {split}, {kernels}")
            figures.append(f"{split} {kernels} {found['map50']:.4f} / {found['map50_95']:.4f}")
    print(f"{name}: mAP50 / mAP50-95: {'; '.join(figures)}")
    seen = _inputs(list_images(dataset, "val")[:images], metadata["imgsz"])
    noise = np.random.default_rng(0).random((images, *seen.shape[1:]), dtype=np.float32)
    for kind, values in (("val images", seen), ("noise", noise)):
        raw = {}
        for kernels in KERNELS:
            with Int8Model(layout.model_int8, metadata, threads, kernels) as interpreters:
                raw[kernels] = interpreters.run(values)
        port = metadata["input"]
        raw["micro"] = micro_outputs(layout.model_int8, quantise(values, port["scale"], port["zero_point"]))
        optimised, micro = (_difference(raw["reference"], raw[other]) for other in ("optimised", "micro"))
        share = 100 * optimised[0] / optimised[1]
        print(
            f"{name}: {len(values)} {kind}, elements that are others than the reference kernels': {share:.1f} % of the "
            f"optimised ones, by up to {optimised[2]} steps; {micro[0]} of {micro[1]:,} of LiteRT Micro",
            flush=True,
        )


def _difference(one: Iterable[np.ndarray], other: Iterable[np.ndarray]) -> tuple[int, int, int]:
    """Return how many elements differ, how many there are, and by how many steps at most."""
    steps = [np.abs(a.astype(int) - b) for a, b in zip(one, other, strict=True)]
    return sum(int((s > 0).sum()) for s in steps), sum(s.size for s in steps), max(int(s.max()) for s in steps)


def _inputs(files: Iterable[Path | str], size: int) -> np.ndarray:
    """Return images as the network sees them: (images, size, size, 3), RGB, 0 to 1, letterboxed."""
    import cv2
    from ultralytics.data.augment import LetterBox

    box = LetterBox((size, size), auto=False, scaleup=True)
    pictures = [box(image=cv2.imread(str(file)))[..., ::-1] for file in files]
    return np.stack(pictures).astype(np.float32) / 255


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument(
        "config", nargs="+", type=Path, help="configuration of the session; later files over earlier ones"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images", type=int, default=10, help="images of val, and of noise, to compare outputs on")
    arguments = parser.parse_args()
    session = load_session_files(arguments.config)
    with ultralytics_env.offline(arguments.threads):
        for name in session.variant_names:
            if session.layout.variant(name).metrics_int8.is_file():
                compare(session, name, arguments.threads, arguments.images)
            else:
                log_line(f"{name}: not evaluated in int8 yet")


if __name__ == "__main__":
    main()
