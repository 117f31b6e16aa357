"""Sentences that earlier steps have written into their files, in English: recognised, so that a report can say them
in its own language.

What is not listed here, such as the text of an exception or of a program that this workflow calls, is quoted as it is.
A test holds the list against the code that writes these sentences.
"""

from __future__ import annotations

import re
from functools import cache

from ..text.language import marked
from ..text.message import Figure, Message

INCIDENTS = (
    marked("the recipe changed: trained afresh, earlier checkpoints are in %(folder)s"),
    marked("the recipe is an earlier one again: its checkpoints are back from %(folder)s"),
    marked("train.deterministic is false: the same training again need not give the same bits"),
    marked("an earlier attempt ended before its first checkpoint; started again"),
    marked("resumed from the checkpoint of epoch %(epoch)s of %(epochs)s"),
    marked("checkpoint %(checkpoint)s is unusable (%(reason)s): the one before it is used"),
    marked(
        "continued after epoch %(epoch)s under other conditions (%(differences)s): valid, but not bit for bit what one "
        "uninterrupted run gives"
    ),
    marked("mixed precision is off (%(reason)s): trained in float32"),
    marked("%(loss)s: mixed precision left out the step, and all weights are sound"),
    marked("an image of the dataset could not be read any more in %(place)s: %(image)s"),
    marked(
        "%(what)s at batch %(batch)s: continued at batch %(half)s, nominal batch size %(nbs)s kept "
        "(accumulation %(accumulation)s)"
    ),
    marked(
        "batch %(batch)s does not fit into the memory of %(device)s: began at batch %(half)s, nominal batch size "
        "%(nbs)s kept (accumulation %(accumulation)s)"
    ),
    marked(
        "%(variant)s: %(what)s even at batch %(batch)s (%(reason)s) — lower train.imgsz or train.workers, or give the "
        "job more memory"
    ),
    marked(
        "%(variant)s: %(what)s even at batch %(batch)s (%(reason)s) — lower train.imgsz, or use a device with more "
        "memory"
    ),
    marked("a data loader process was killed in %(place)s, and not by the kernel for want of memory"),
    marked("a data loader process was killed in %(place)s, and no counter says whether for want of memory"),
    marked("numbers went bad in epoch %(epoch)s: %(error)s; tried once more from %(source)s"),
    marked(
        "%(variant)s: numbers went bad in epoch %(epoch)s again: %(error)s — lower train.lr0, lengthen "
        "train.warmup_epochs, or set train.amp to false"
    ),
    marked("the split %(split)s has %(now)s now, and had %(before)s when this training began"),
    marked("the data loader gave no batch for %(minutes)s minutes in %(place)s: stopped"),
)
"""Incidents of a training: messages of `workflow.evo.results.journal.Journal.incident`."""

PARTS = (
    marked("the validation of epoch %(epoch)s"),
    marked("epoch %(epoch)s"),
    marked("out of memory"),
    marked("out of memory in %(place)s"),
    marked("a data loader process was killed, as the kernel does when memory runs out, in %(place)s"),
    marked("the kernel killed the training for want of memory in epoch %(epoch)s"),
    marked("a data loader process was killed, as the kernel does when memory runs out,"),
    marked("the kernel killed a data loader process for want of memory in %(place)s"),
    marked("the kernel killed a data loader process for want of memory"),
    marked("a data loader process ran out of shared memory in %(place)s"),
    marked("a data loader process ran out of shared memory"),
    marked("%(status)s, which usually means a lack of GPU memory, in %(place)s"),
    marked("%(status)s, which usually means a lack of GPU memory,"),
    marked("the checkpoint of epoch %(epoch)s"),
    marked("the start"),
    marked("%(images)s images with %(objects)s objects"),
    marked("%(number)s tensors of the network hold NaN or infinity, %(first)s first"),
    marked("%(number)s tensors of the moving average hold NaN or infinity, %(first)s first"),
    marked("the loss became %(losses)s in %(place)s: mixed precision left out every step"),
    marked("the loss became %(losses)s in %(place)s"),
    marked("the loss scale of mixed precision fell to %(value)s in %(place)s"),
    marked("the fitness became %(value)s"),
    marked("damaged %(files)s"),
    marked("unreadable manifest (%(error)s)"),
    marked("data loader processes %(now)s instead of %(before)s"),
    marked("torch threads %(now)s instead of %(before)s"),
    marked("image cache %(now)s instead of %(before)s"),
    marked("batch %(now)s instead of %(before)s"),
    marked("device %(now)s instead of %(before)s"),
    marked("precision %(now)s instead of %(before)s"),
    marked("%(gpu)s is known to compute NaN with it"),
    marked("outputs of the network hold NaN or infinity with it"),
    marked("outputs of the network differ by %(share)s of their norm with it"),
    marked("deterministic operations %(now)s instead of %(before)s"),
    marked("libraries %(now)s instead of %(before)s"),
    marked("neck and detect"),
    marked("backbone and detect"),
    marked("backbone and neck"),
)
"""What stands in the place of a parameter of those."""

NOTES = (
    marked("nc %(file)s in the file, %(dataset)s in the dataset: training uses %(used)s"),
    marked(
        "plain Ultralytics would use %(activation)s in every part of this file: this workflow returns %(parts)s to SiLU"
    ),
)
"""Notes on a network, in ``check/model.json``."""

DATASET = (
    marked("images do not open completely: replace them or take them out"),
    marked("images have an edge below %(pixels)s pixels: take them out"),
    marked("images are in more than one split: keep each in one split only"),
    marked("label files cannot be read"),
    marked("label files are not text in UTF-8"),
    marked("label rows have fewer than 5 columns: class x_center y_center width height"),
    marked("label rows have more than 5 columns, segmentation polygons or keypoints: convert to boxes (class x y w h)"),
    marked("label rows hold something that is not a number"),
    marked("label rows hold NaN or infinity"),
    marked("class ids are not whole numbers"),
    marked("class ids must be 0 to %(last)s: 'names' has %(number)s classes"),
    marked("coordinates above 1 look like pixels: divide by the image's width and height"),
    marked("coordinates or sizes are negative: they are fractions of the image, from 0 to 1"),
    marked("a split has no images: put images there, or correct its path"),
    marked("a split has no box at all: label its images (labels lie under /labels/ for /images/)"),
    marked("boxes have no area"),
    marked("boxes leave the image"),
    marked("label rows are repeated; each box counts once"),
    marked("images have no label file and count as background"),
    marked("label files have no image"),
    marked("images have the same content as another one of their split"),
    marked("images are listed more than once and used once"),
    marked("classes have no training instance"),
    marked("classes do not occur in val: their accuracy cannot be measured"),
    marked("label files are empty: background images"),
    marked("the 'download' key is ignored: nothing is fetched or run"),
    marked("several classes share a name: %(names)s"),
)
"""Findings on a dataset, in ``fingerprint.json``."""

ENVIRONMENT = (
    marked("Ultralytics %(found)s is installed, this workflow is tested with %(tested)s"),
    marked("%(gib)s GiB of memory is little: lower train.batch and train.workers if training dies"),
    marked("the GPU has %(gib)s GiB: expect the batch to be halved"),
    marked("tracked files differ from the commit that the report names"),
    marked("git is not installed: no commit is recorded"),
)
"""Findings on a host, in ``environment.json``. The forecast of a training's time stands in no report."""

EXPORT = (
    marked("something reads its result before it is quantised, so it cannot be folded"),
    marked("it converts for an operator in floating point"),
    marked("the quantiser has no integer form of it"),
)
"""Why an operator of an int8 file works in float, in ``metadata.json``."""

LONGEST = 20_000
"""Characters of a text that may be a sentence: the time to find out grows with a power of its length."""

_PLACEHOLDER = re.compile(r"%\((\w+)\)s")


def recognised(text: str) -> str:
    """Return a sentence as a `Message` where it is one of those above, otherwise as it is."""
    if len(text) > LONGEST:
        return text
    return _match(text, (*INCIDENTS, *NOTES, *DATASET, *ENVIRONMENT, *EXPORT)) or text


def _match(text: str, templates: tuple[str, ...]) -> Message | None:
    for template in templates:
        if found := _pattern(template).fullmatch(text):
            return Message(template, **{name: _part(value) for name, value in found.groupdict().items()})
    return None


def _part(text: str) -> str | Figure:
    """Return a parameter, or several with ``; `` between them, with what is known in it recognised."""
    pieces = [_match(piece, PARTS) or piece for piece in text.split("; ")]
    return Figure("joined", pieces) if any(isinstance(piece, Message) for piece in pieces) else text


@cache
def _pattern(template: str) -> re.Pattern[str]:
    """Return what matches any sentence of a template, as one group per parameter."""
    pieces = _PLACEHOLDER.split(template)
    words = [f"(?P<{piece}>.+?)" if index % 2 else re.escape(piece) for index, piece in enumerate(pieces)]
    return re.compile("".join(words), re.DOTALL)
