"""Keeps Ultralytics from the network, and from files that it would execute, for the rest of the process.

``YOLO_OFFLINE`` does not: fonts, weights and the mixed-precision check are requested all the same. What fetches is
replaced in the imported modules; no file of the library changes.

- Whatever would download raises one line. A file that is there is used under its own name: Ultralytics takes the
  apostrophes out of it, and then asks the network for what it does not find.
- Plots are lettered with a font of this machine. Names outside of ASCII get one with CJK glyphs where it is installed;
  without it what DejaVu Sans lacks is drawn as an empty box.
- Label caches (``labels/*.cache``) are pickles: loading one runs whatever it says. They are neither read nor written.
  To look through the labels of 10,000 images again takes two seconds of one core.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from ..errors import EvoError

CJK_FONTS = (
    "Noto Sans CJK KR",
    "Noto Sans KR",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "NanumGothic",
    "NanumBarunGothic",
    "Malgun Gothic",
    "Apple SD Gothic Neo",
    "AppleGothic",
    "UnDotum",
    "Arial Unicode MS",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
)
"""Families with Hangul or Han, those of Korean first; all of them have Latin letters too."""

LATIN_FONT = "DejaVu Sans"  # matplotlib brings it along


def close() -> None:
    """Replace what fetches or unpickles. It may be called again, for modules imported since."""
    import torch.hub
    import ultralytics.data.utils
    from ultralytics.utils import checks, downloads

    replaced: list[tuple[Any, dict[str, Callable[..., Any]]]] = [
        (
            downloads,
            {
                "attempt_download_asset": local_file,
                "is_url": _without_request(downloads.is_url),
                **dict.fromkeys(("download", "safe_download", "get_github_assets"), refuse),
                "get_google_drive_file_info": refuse,
            },
        ),
        (checks, {"check_font": local_font}),
        (ultralytics.data.utils, {"load_dataset_cache_file": no_cache, "save_dataset_cache_file": keep_no_cache}),
        (torch.hub, dict.fromkeys(("load", "load_state_dict_from_url", "download_url_to_file"), refuse)),
    ]
    originals = {
        id(getattr(module, name)): function for module, functions in replaced for name, function in functions.items()
    }
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in {"ultralytics", "torchvision"} or module is torch.hub:
            for attribute, value in list(vars(module).items()):
                if callable(value) and id(value) in originals:
                    setattr(module, attribute, originals[id(value)])


def refuse(*what: Any, **options: Any) -> NoReturn:
    """Stand for anything that downloads.

    Raises:
        EvoError: naming what was asked for.
    """
    wanted = what[0] if what else options.get("url", "a file")
    raise EvoError(
        f"not on this machine: {str(wanted)[:200]!r} would have to be downloaded, and nothing is",
        hint="put the file here and give its path",
    )


def local_file(file: Any, *_: Any, **__: Any) -> str:
    """Return the path of a file that is there, as it is.

    Raises:
        EvoError: there is none.
    """
    if not Path(str(file)).exists():
        refuse(file)
    return str(file)


def local_font(font: Any = "Arial.ttf") -> str:
    """Return the path of an installed font instead of Arial, or instead of Arial Unicode for names outside of ASCII.

    For the latter, which is asked for before anything is drawn, matplotlib gets the same font for glyphs that its own
    has not, and is silent about those that no font has.
    """
    import matplotlib
    from matplotlib import font_manager

    family = LATIN_FONT
    if "unicode" in str(font).lower():
        installed = {entry.name for entry in font_manager.fontManager.ttflist}
        family = next((name for name in CJK_FONTS if name in installed), LATIN_FONT)
        matplotlib.rcParams["font.family"] = list(dict.fromkeys((LATIN_FONT, family)))
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from (current )?font")
    return font_manager.findfont(family)


def no_cache(path: Any) -> NoReturn:
    """Stand for the loader of label caches: Ultralytics scans the labels when there is none.

    Raises:
        FileNotFoundError: always.
    """
    raise FileNotFoundError(2, "label caches are not read", str(path))


def keep_no_cache(_prefix: str, _path: Any, content: dict[str, Any], version: str) -> None:
    """Stand for the writer of label caches, which also notes the version in what it is given."""
    content["version"] = version


def _without_request(is_url: Callable[..., bool]) -> Callable[..., bool]:
    if getattr(is_url, "asks_nobody", False):
        return is_url

    def form_of_url(url: Any, check: bool = False) -> bool:
        """Return whether this is a URL; one that is to be reachable is not."""
        return not check and is_url(url)

    form_of_url.asks_nobody = True  # type: ignore[attr-defined]
    return form_of_url
