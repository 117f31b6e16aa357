"""Opening images of others: only by the decoders that Ultralytics' formats need, and never by running a program.

Pillow recognises an image by its content, whatever its name, and would hand EPS to Ghostscript.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .files import open_regular

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = {
    "AVIF": (".avif",),
    "BMP": (".bmp",),
    "JPEG": (".jpg", ".jpeg", ".mpo"),
    "JPEG2000": (".jp2",),
    "PNG": (".png",),
    "TIFF": (".tif", ".tiff", ".dng"),
    "WEBP": (".webp",),
}
"""Pillow's decoders and the suffixes of Ultralytics (IMG_FORMATS, 8.4.190) that need them.

That of JPEG opens MPO too; of .heic and .heif Pillow decodes nothing by itself."""

ACCEPTED = frozenset({*FORMATS, "MPO"})
"""What `PIL.Image.Image.format` may be of an image of the dataset."""


@contextlib.contextmanager
def open_image(path: Path | str, further: tuple[str, ...] = ()) -> Iterator[Image]:
    """Open an image as `PIL.Image.open` does, with the decoders of `FORMATS` only.

    Args:
        path: a regular file: a pipe is not waited for, a device is not read.
        further: further decoders, to tell what a file is.

    Raises:
        OSError: it is not a regular file, or cannot be read.
        PIL.UnidentifiedImageError: none of the decoders knows it.
    """
    from PIL import Image

    Image.init()
    formats = [name for name in (*FORMATS, *further) if name in Image.OPEN]
    with open_regular(path) as stream, Image.open(stream, formats=formats) as image:
        yield image
