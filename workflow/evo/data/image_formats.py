"""Opening untrusted images: only by the decoders that Ultralytics' formats need, and without running programs.

Pillow recognises an image by its content, not its name, and would run Ghostscript for EPS.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import open_regular

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


MAX_EDGE = 1 << 20  # pixels; OpenCV refuses a longer edge (CV_IO_MAX_IMAGE_WIDTH)
DIFFER = frozenset({"BMP", "JPEG2000", "TIFF"})
"""Formats of which Pillow decodes more than OpenCV: 32 bits a channel, CMYK, palettes that are too long."""

PNG_END = b"IEND\xaeB`\x82"


@contextlib.contextmanager
def open_image(path: Path | str, further: tuple[str, ...] = ()) -> Iterator[Image]:
    """Open an image as `PIL.Image.open` does, with the decoders of `FORMATS` only.

    Args:
        path: a regular file: a pipe is not waited for, a device is not read.
        further: further decoders, to recognise other formats.

    Raises:
        OSError: it is not a regular file, or cannot be read.
        PIL.UnidentifiedImageError: no decoder recognises it.
    """
    from PIL import Image

    Image.init()
    formats = [name for name in (*FORMATS, *further) if name in Image.OPEN]
    with open_regular(path) as stream, Image.open(stream, formats=formats) as image:
        yield image


def shown_size(path: str) -> list[int]:
    """Return [width, height] in pixels, after EXIF rotation, of an image that decodes to its end, for training too.

    Raises:
        Exception: it does not; Pillow's plugins raise nearly anything on damaged files.
    """
    with open_image(path, further=("GIF",)) as image:
        if image.format not in ACCEPTED:
            raise ValueError(f"a {image.format} file, which Ultralytics does not read")
        image.verify()  # checksums, where the format has them
    with open_image(path) as image:
        image.load()
        width, height = image.size
        rotated = image.getexif().get(0x0112) in {5, 6, 7, 8}
        kind, mode = str(image.format), image.mode
    if kind in DIFFER or kind == "PNG" or max(width, height) > MAX_EDGE:
        with open_regular(path) as stream:
            content = stream.read()
        # OpenCV is as slow as Pillow: of a whole PNG the end will do.
        if not (kind == "PNG" and PNG_END in content and max(width, height) <= MAX_EDGE):
            _decode_with_opencv(content, kind, mode)
    return [height, width] if rotated else [width, height]


def _decode_with_opencv(content: bytes, kind: str, mode: str) -> None:
    """Raise `ValueError` for an image that Pillow opens and training, which reads it with OpenCV, does not."""
    import cv2
    import numpy as np

    try:
        decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        decoded = None
    if decoded is None:
        raise ValueError(f"{kind} of mode {mode}, which OpenCV does not read: save it as PNG or JPEG of 8 bits")
