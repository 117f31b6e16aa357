"""Detections from the raw int8 outputs of this model; needs numpy only.

    boxes, scores, classes = detect(outputs, json.load(open("metadata.json")))

``outputs`` are the model's output tensors in its order, as integers. SPDX-License-Identifier: AGPL-3.0-or-later
"""

import numpy as np

MAX_CANDIDATES = 30_000  # the best ones that are looked at, as in Ultralytics
CLASS_OFFSET = 7680  # pixels: boxes of different classes are moved apart by it, so that they never overlap


def predict(outputs, metadata):
    """Return boxes (cells, 4: centre x, centre y, width, height in input pixels) and probabilities (cells, classes)."""
    boxes, probabilities = [], []
    for entry in sorted(metadata["outputs"], key=lambda entry: (entry["stride"], entry["feature_map"])):
        _, height, width, channels = entry["shape"]
        raw = np.asarray(outputs[entry["index"]]).reshape(-1, channels).astype(np.float32)
        values = (raw - np.float32(entry["zero_point"])) * np.float32(entry["scale"])
        if entry["kind"] == "class":
            with np.errstate(over="ignore"):  # exp() of a very negative logit is infinite, its probability 0
                probabilities.append(1 / (1 + np.exp(-values)))
            continue
        if metadata["reg_max"] > 1:  # a distribution over whole distances: its expectation
            bins = values.reshape(-1, 4, metadata["reg_max"])
            weights = np.exp(bins - bins.max(2, keepdims=True))
            values = (weights * np.arange(bins.shape[2], dtype=np.float32)).sum(2) / weights.sum(2)
        rows, columns = np.mgrid[:height, :width]
        centres = np.stack((columns.ravel(), rows.ravel()), 1).astype(np.float32) + np.float32(0.5)
        low, high = centres - values[:, :2], centres + values[:, 2:]  # left and top, right and bottom, in cells
        boxes.append(np.concatenate(((low + high) / 2, high - low), 1) * np.float32(entry["stride"]))
    return np.concatenate(boxes), np.concatenate(probabilities)


def detect(outputs, metadata, conf=0.25, iou=0.7, max_det=300):
    """Return boxes (n, 4: left, top, right, bottom in input pixels), scores (n) and class ids (n), best score first.

    A cell may give one box per class that passes ``conf``; of boxes of one class that overlap by more than ``iou``, the
    best stays. That is Ultralytics' ``non_max_suppression(multi_label=True)``, which validation uses.
    """
    boxes, probabilities = predict(outputs, metadata)
    cells, classes = np.nonzero(probabilities > np.float32(conf))
    scores, centre, half = probabilities[cells, classes], boxes[cells, :2], boxes[cells, 2:] / 2
    corners = np.concatenate((centre - half, centre + half), 1)
    apart = corners + (classes[:, None] * CLASS_OFFSET).astype(np.float32)
    area = (apart[:, 2] - apart[:, 0]) * (apart[:, 3] - apart[:, 1])
    order, kept = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES], []
    while order.size and len(kept) < max_det:
        best, order = order[0], order[1:]
        kept.append(best)
        edges = np.minimum(apart[best, 2:], apart[order, 2:]) - np.maximum(apart[best, :2], apart[order, :2])
        shared = np.maximum(edges, 0).prod(1)
        with np.errstate(divide="ignore", invalid="ignore"):  # of two boxes without area neither suppresses the other
            order = order[~(shared / (area[best] + area[order] - shared) > np.float64(iou))]
    kept = np.array(kept, dtype=int)
    return corners[kept], scores[kept], classes[kept]
