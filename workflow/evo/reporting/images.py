"""Pictures inside the report: small enough that the whole session stays one file to mail."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from ..data.image_formats import open_image

WIDTHS = (960, 800, 640, 480, 360)  # pixels, tried in this order
QUALITY = 78


def embed(path: Path, share: int) -> str | None:
    """Return a picture as a ``data:`` URI: a JPEG as wide as fits into ``share`` bytes; None when it is unreadable."""
    from PIL import Image

    try:
        with open_image(path) as opened:
            picture = opened.convert("RGB")
    except Exception:  # Pillow's plugins raise nearly anything on damaged files
        return None
    data = b""
    for width in WIDTHS:
        edge = min(width, max(picture.size))
        small = picture.copy()
        small.thumbnail((edge, edge), Image.Resampling.LANCZOS)
        stream = io.BytesIO()
        small.save(stream, "JPEG", quality=QUALITY, optimize=True)
        data = stream.getvalue()
        if len(data) <= share:
            break
    return "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")
